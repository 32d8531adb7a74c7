"""Hue and saturation of HSV, changed without the detour through HSV.

V is the largest of a pixel's three values, C the largest minus the smallest, S = C / V, and the hue
H says which value is largest and where the middle one lies between the other two. Images are
(H, W, 3) RGB of any scale; no value is clipped. There is no gradient: colours are changed before
the network sees them.
"""

import numpy as np

from ssd_np.nn.checks import check_colours


def scale_saturation(image: np.ndarray, factor: float) -> np.ndarray:
    """S -> min(1, S * factor) with H and V kept: (H, W, 3) float -> same.

    All three distances V - x from the largest value grow by the same factor. S reaches 1 when the
    smallest value reaches 0, which bounds the factor by V / C. A pixel that earlier steps already
    pushed below 0 (S > 1) is not saturated further.
    """
    check_colours(image, factor, "factor")
    value = image.max(axis=-1, keepdims=True)  # (H, W, 1)
    chroma = value - image.min(axis=-1, keepdims=True)
    limit = np.divide(value, chroma, out=np.ones_like(value), where=chroma > 0)
    return value - (value - image) * np.minimum(factor, np.maximum(limit, 1))


def turn_hue(image: np.ndarray, degrees: float) -> np.ndarray:
    """H -> H + degrees with S and V kept: (H, W, 3) float -> same.

    In sixths of a turn H follows from the largest value and the other two. A channel follows from H
    as V - C * clip(min(k, 4 - k), 0, 1) with k = (n + H) mod 6 and n = 5, 3, 1 for red, green,
    blue: a trapezoid, shifted by a third of a turn per channel.
    """
    check_colours(image, degrees, "degrees")
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
