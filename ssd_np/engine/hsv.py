"""Hue and saturation changed in one pass over the pixels, where NumPy takes eight."""

import numpy as np

from ssd_np.kernels import njit
from ssd_np.nn.checks import check_colours


def scale_saturation(image: np.ndarray, factor: float) -> np.ndarray:
    """S -> min(1, S * factor) with H and V kept: (H, W, 3) float -> same."""
    check_colours(image, factor, "factor")
    out = np.empty_like(image)
    _saturation_kernel(image, image.dtype.type(factor), out)
    return out


def turn_hue(image: np.ndarray, degrees: float) -> np.ndarray:
    """H -> H + degrees with S and V kept: (H, W, 3) float -> same."""
    check_colours(image, degrees, "degrees")
    out = np.empty_like(image)
    _hue_kernel(image, image.dtype.type((5 + degrees / 60) % 6), out)
    return out


@njit(nogil=True)
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


@njit(nogil=True)
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
