"""Max-pooling: the largest value of each window, channel by channel.

Backward sends the gradient of an output to the one input that was the largest; of equal ones, to
the first in reading order. Windows may overlap (SSD's pool5 is 3x3 with stride 1), then gradients
add. In ceil mode a last, partial window is kept (SSD's pool3: 75 -> 38, Caffe's rule).
"""

import numpy as np

from ssd_np.checks import ends, sides
from ssd_np.errors import ShapeError
from ssd_np.geometry import output_size
from ssd_np.nn.checks import check_gradient, check_image


def pool_output_size(
    size: int, window: int, stride: int, pad: int | tuple[int, int], ceil_mode: bool
) -> int:
    """Output pixels along one axis; a window must begin inside the image or its first border."""
    out = output_size(size, window, stride, pad, ceil=ceil_mode)
    if max(ends(pad)) > window // 2:
        what = f"a window of {window} pixels with pad {pad} may see padding only"
        raise ShapeError(what, hint="pad may be at most half a window")
    return out


def max_pool2d_forward(
    x: np.ndarray, size: int, stride: int, pad: int | tuple = 0, ceil_mode: bool = False
) -> tuple[np.ndarray, tuple]:
    """(N, H, W, C) -> (N, Ho, Wo, C) and the cache: the tap of its window each value came from.

    `pad` is the border of each side, or ((top, bottom), (left, right)); it never wins.
    """
    check_image(x)
    n, h, w, c = x.shape
    (top, bottom), (left, right) = sides(pad)
    ho = pool_output_size(h, size, stride, (top, bottom), ceil_mode)
    wo = pool_output_size(w, size, stride, (left, right), ceil_mode)
    height, width = _reach(ho, wo, size, stride, top + h, left + w)
    padded = np.full((n, height, width, c), -np.inf, x.dtype)
    padded[:, top : top + h, left : left + w] = x
    taps = [_seen(padded, i, j, stride, ho, wo) for i, j in np.ndindex(size, size)]
    windows = np.stack(taps)  # (size * size, N, Ho, Wo, C)
    return windows.max(axis=0), (x.shape, size, stride, pad, windows.argmax(axis=0))


def max_pool2d_backward(dout: np.ndarray, cache: tuple) -> np.ndarray:
    """(N, Ho, Wo, C) -> dx (N, H, W, C).

    Derivation: docs/derivations.md#max-pooling-and-relu, (6).
    """
    (n, h, w, c), size, stride, pad, tap = cache  # tap: i * size + j in the window
    check_gradient(dout, tap.shape, "max_pool2d_forward")
    (top, _), (left, _) = sides(pad)
    _, ho, wo, _ = tap.shape
    padded = np.zeros((n, *_reach(ho, wo, size, stride, top + h, left + w), c), dout.dtype)
    for i, j in np.ndindex(size, size):
        _seen(padded, i, j, stride, ho, wo)[...] += np.where(tap == i * size + j, dout, 0)
    return padded[:, top : top + h, left : left + w]


def _reach(ho: int, wo: int, size: int, stride: int, bottom: int, right: int) -> tuple[int, int]:
    """Height and width that hold the last window (in ceil mode it sticks out) and the image."""
    return max((ho - 1) * stride + size, bottom), max((wo - 1) * stride + size, right)


def _seen(padded: np.ndarray, i: int, j: int, stride: int, ho: int, wo: int) -> np.ndarray:
    """A view (N, Ho, Wo, C): the pixel in row i and column j of each window."""
    rows = slice(i, i + stride * (ho - 1) + 1, stride)
    return padded[:, rows, j : j + stride * (wo - 1) + 1 : stride]
