"""Photometric augmentation: the same objects in another light (SSD paper, section 2.2).

Images are (H, W, 3) float RGB on the 0..255 scale, or grey (H, W, 1), which has no colour to
change. Values may leave that range on the way: the chain clips once, at its end. Boxes stay where
they are. The formulas of hue and saturation are in `nn/hsv.py`.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ssd_np.checks import check_list
from ssd_np.data.transform import Transform
from ssd_np.errors import ShapeError
from ssd_np.nn.checks import check_colours


def brightness(image: np.ndarray, delta: float) -> np.ndarray:
    """Adds a number of grey levels."""
    check_colours(image, delta, "delta", channels=(1, 3))
    return image + delta


def contrast(image: np.ndarray, factor: float) -> np.ndarray:
    """Multiplies all values by a factor; black stays black."""
    check_colours(image, factor, "factor", channels=(1, 3))
    return image * factor


def lighting_noise(image: np.ndarray, order: list[int]) -> np.ndarray:
    """The colour channels in another order: new channel k is old channel order[k]."""
    check_colours(image, 0, "nothing", "fiu")
    check_list(order, int, "order")
    if sorted(order) != [0, 1, 2]:
        raise ShapeError(f"order is {order!r}", hint="expected the three channels anew")
    out = np.empty_like(image)
    for new, old in enumerate(order):  # three strided copies; image[..., order] takes twice as long
        out[..., new] = image[..., old]
    return out


def draw_order(rng: np.random.Generator) -> list[int]:
    """One of the five orders of three channels that are not the present one, all as likely."""
    others = [[0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]]
    return others[int(rng.integers(len(others)))]


@dataclass(frozen=True)
class Light(Transform):
    """A change by one number for the whole picture, drawn from [low, high].

    change  the formula: image (H, W, 3) and the number -> image
    words   what was done, with the number in it
    """

    name: str
    change: Callable[[np.ndarray, float], np.ndarray]
    low: float
    high: float
    words: str

    def draw(self, rng: np.random.Generator, *_: object) -> float:
        return rng.uniform(self.low, self.high)

    def image(self, image: np.ndarray, drawn: float) -> np.ndarray:
        return self.change(image, drawn)

    def caption(self, drawn: float) -> str:
        return self.words.format(drawn)


class LightingNoise(Transform):
    """The colour channels in another order, whichever."""

    name = "lighting_noise"

    def draw(self, rng: np.random.Generator, *_: object) -> list[int]:
        return draw_order(rng)

    def image(self, image: np.ndarray, drawn: list[int]) -> np.ndarray:
        return lighting_noise(image, drawn)

    def caption(self, drawn: list[int]) -> str:
        return f"channels {drawn}"
