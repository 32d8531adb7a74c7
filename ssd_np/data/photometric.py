"""Photometric augmentation: the same objects in another light (SSD paper, section 2.2).

Every transform takes and returns `image, boxes_corner, labels`; the boxes pass through untouched.
Images are (H, W, 3) float RGB on the 0..255 scale. Values may leave that range on the way:
`pipeline.augment` clips once, at the end of the chain. A transform always applies, drawing its
strength from `rng`; `pipeline.augment` decides whether. What was drawn is appended to `history`.

Hue and saturation are those of HSV, without the detour. With V the largest and C the largest minus
the smallest of a pixel's three values, S = C / V; each function says what remains to be done.
"""

from __future__ import annotations

import numba
import numpy as np

Item = tuple[
    np.ndarray, np.ndarray, np.ndarray
]  # image (H, W, 3), boxes_corner (G, 4), labels (G,)
History = list[tuple[str, dict]]  # of each step its name and what was drawn


def brightness(
    image: np.ndarray,
    boxes_corner: np.ndarray,
    labels: np.ndarray,
    rng: np.random.Generator,
    low: float,
    high: float,
    history: History | None = None,
) -> Item:
    """Adds a number of grey levels from [low, high]."""
    delta = rng.uniform(low, high)
    if history is not None:
        history.append(("brightness", {"delta": delta}))
    return image + delta, boxes_corner, labels


def contrast(
    image: np.ndarray,
    boxes_corner: np.ndarray,
    labels: np.ndarray,
    rng: np.random.Generator,
    low: float,
    high: float,
    history: History | None = None,
) -> Item:
    """Multiplies all values by a factor from [low, high]; black stays black."""
    factor = rng.uniform(low, high)
    if history is not None:
        history.append(("contrast", {"factor": factor}))
    return image * factor, boxes_corner, labels


def saturation(
    image: np.ndarray,
    boxes_corner: np.ndarray,
    labels: np.ndarray,
    rng: np.random.Generator,
    low: float,
    high: float,
    history: History | None = None,
) -> Item:
    """Multiplies the saturation S of HSV by a factor from [low, high]; S stays at most 1."""
    factor = rng.uniform(low, high)
    if history is not None:
        history.append(("saturation", {"factor": factor}))
    return scale_saturation(image, factor), boxes_corner, labels


def hue(
    image: np.ndarray,
    boxes_corner: np.ndarray,
    labels: np.ndarray,
    rng: np.random.Generator,
    low: float,
    high: float,
    history: History | None = None,
) -> Item:
    """Turns the hue H of HSV by an angle from [low, high] degrees; 360 degrees are a full turn."""
    degrees = rng.uniform(low, high)
    if history is not None:
        history.append(("hue", {"degrees": degrees}))
    return turn_hue(image, degrees), boxes_corner, labels


def lighting_noise(
    image: np.ndarray,
    boxes_corner: np.ndarray,
    labels: np.ndarray,
    rng: np.random.Generator,
    history: History | None = None,
) -> Item:
    """Puts the colour channels in a random order, one of six; the present one is among them."""
    order = rng.permutation(3).tolist()
    if history is not None:
        history.append(("lighting_noise", {"order": order}))
    out = np.empty_like(image)
    for new, old in enumerate(order):  # three strided copies; image[..., order] takes twice as long
        out[..., new] = image[..., old]
    return out, boxes_corner, labels


# --- HSV without HSV -----------------------------------------------------------------------------


def scale_saturation(image: np.ndarray, factor: float) -> np.ndarray:
    """S -> min(1, S * factor) with H and V kept: (H, W, 3) float -> same.

    All three distances V - x from the largest value grow by the same factor. S reaches 1 when the
    smallest value reaches 0, which bounds the factor by V / C. A pixel that earlier steps already
    pushed below 0 (S > 1) is not saturated further.
    """
    out = np.empty_like(image)
    _saturation_kernel(image, image.dtype.type(factor), out)
    return out


def scale_saturation_plain(image: np.ndarray, factor: float) -> np.ndarray:
    """The same in plain NumPy, to read and to test against."""
    value = image.max(axis=-1, keepdims=True)  # (H, W, 1)
    chroma = value - image.min(axis=-1, keepdims=True)
    limit = np.divide(value, chroma, out=np.ones_like(value), where=chroma > 0)
    return value - (value - image) * np.minimum(factor, np.maximum(limit, 1))


@numba.njit(nogil=True, cache=True)
def _saturation_kernel(image, factor, out):  # (H, W, 3) -> (H, W, 3), one pass instead of eight
    one = image.dtype.type(1)
    for i in range(image.shape[0]):
        for j in range(image.shape[1]):
            red, green, blue = image[i, j, 0], image[i, j, 1], image[i, j, 2]
            value = max(red, green, blue)
            chroma = value - min(red, green, blue)
            scale = factor
            if factor > one and factor * chroma > value:  # S would exceed 1
                scale = max(value / chroma, one) if chroma > 0 else one
            out[i, j, 0] = value - (value - red) * scale
            out[i, j, 1] = value - (value - green) * scale
            out[i, j, 2] = value - (value - blue) * scale


def turn_hue(image: np.ndarray, degrees: float) -> np.ndarray:
    """H -> H + degrees with S and V kept: (H, W, 3) float -> same.

    H in sixths of a turn says which value is largest and where the middle one lies between the
    other two. A channel follows from it as V - C * clip(min(k, 4 - k), 0, 1) with k = (n + H) mod 6
    and n = 5, 3, 1 for red, green, blue: a trapezoid, shifted by a third of a turn per channel.
    """
    out = np.empty_like(image)
    _hue_kernel(image, image.dtype.type((5 + degrees / 60) % 6), out)
    return out


def turn_hue_plain(image: np.ndarray, degrees: float) -> np.ndarray:
    """The same in plain NumPy, to read and to test against."""
    red, green, blue = np.moveaxis(image, -1, 0)
    value = image.max(axis=-1)  # (H, W)
    chroma = value - image.min(axis=-1)
    divisor = np.where(chroma > 0, chroma, 1)  # grey has no hue and needs none
    sixths = np.select(
        [value == red, value == green],
        [(green - blue) / divisor, 2 + (blue - red) / divisor],
        4 + (red - green) / divisor,
    )
    k = (np.array([5, 3, 1], image.dtype) + (sixths + degrees / 60)[..., None]) % 6  # (H, W, 3)
    return value[..., None] - chroma[..., None] * np.clip(np.minimum(k, 4 - k), 0, 1)


@numba.njit(nogil=True, cache=True)
def _hue_kernel(image, turn, out):  # (H, W, 3) -> (H, W, 3); turn = 5 + degrees / 60, in [0, 6]
    number = image.dtype.type
    zero, one, four, six = number(0), number(1), number(4), number(6)
    for i in range(image.shape[0]):
        for j in range(image.shape[1]):
            red, green, blue = image[i, j, 0], image[i, j, 1], image[i, j, 2]
            value = max(red, green, blue)
            chroma = value - min(red, green, blue)
            divisor = chroma if chroma > zero else one
            if value == red:
                sixths = (green - blue) / divisor
            elif value == green:
                sixths = number(2) + (blue - red) / divisor
            else:
                sixths = four + (red - green) / divisor
            k = sixths + turn
            for channel in range(3):
                k -= six if k >= six else zero
                out[i, j, channel] = value - chroma * max(min(k, four - k, one), zero)
                k += four  # n goes down by 2, which modulo 6 is 4 up
