"""im2col: lay every window of an image out as a row, so that convolution is one matrix product.

A row holds the kh x kw x C values under the kernel at one output pixel, in the order (i, j, c);
outside the image the value is 0. col2im is its adjoint: it adds every entry of the rows back to
the pixel it was taken from, which is what the gradient needs (a pixel lies under many windows).

Here and in all of nn, `pad` is the border added to each side, or ((top, bottom), (left, right)).
The two loops are compiled by Numba where it is installed, and run as they stand where it is not.
"""

from collections.abc import Callable

import numpy as np

from ssd_np.checks import check_shape
from ssd_np.geometry import output_size
from ssd_np.nn.checks import check_columns, check_maps, check_windows


def compiled(loop: Callable) -> Callable:
    """The loop, compiled when it first runs; without Numba as it stands."""
    try:
        from ssd_np.kernels import njit
    except ModuleNotFoundError:
        return loop
    return njit()(loop)


def im2col(
    x: np.ndarray,
    kernel: int | tuple[int, int],
    stride: int = 1,
    pad: int | tuple = 0,
    dilation: int = 1,
) -> np.ndarray:
    """(N, H, W, C) -> (N * Ho * Wo, kh * kw * C)."""
    check_maps(x)
    check_windows(kernel, pad)
    kh, kw = np.broadcast_to(kernel, 2).tolist()
    vertical, horizontal = np.broadcast_to(pad, (2, 2)).tolist()
    n, h, w, c = x.shape
    ho = output_size(h, kh, stride, vertical, dilation)
    wo = output_size(w, kw, stride, horizontal, dilation)
    padded = np.pad(x, ((0, 0), vertical, horizontal, (0, 0)))
    cols = np.empty((n, ho, wo, kh, kw, c), x.dtype)
    _lay_out(padded, cols, stride, dilation)
    return cols.reshape(n * ho * wo, kh * kw * c)


def col2im(
    cols: np.ndarray,
    x_shape: tuple[int, int, int, int],
    kernel: int | tuple[int, int],
    stride: int = 1,
    pad: int | tuple = 0,
    dilation: int = 1,
) -> np.ndarray:
    """(N * Ho * Wo, kh * kw * C) -> (N, H, W, C), overlapping windows added.

    Derivation: docs/derivations.md#convolution, (4).
    """
    check_windows(kernel, pad)
    kh, kw = np.broadcast_to(kernel, 2).tolist()
    vertical, horizontal = np.broadcast_to(pad, (2, 2)).tolist()
    check_shape(x_shape, "(N, H, W, C)", 4)
    n, h, w, c = x_shape
    ho = output_size(h, kh, stride, vertical, dilation)
    wo = output_size(w, kw, stride, horizontal, dilation)
    check_columns(cols, (n * ho * wo, kh * kw * c))
    (top, left), (bottom, right) = zip(vertical, horizontal, strict=True)
    padded = np.zeros((n, top + h + bottom, left + w + right, c), cols.dtype)
    _add_back(cols.reshape(n, ho, wo, kh, kw, c), padded, stride, dilation)
    return np.ascontiguousarray(padded[:, top : top + h, left : left + w])


@compiled
def _lay_out(padded: np.ndarray, cols: np.ndarray, stride: int, dilation: int) -> None:
    """padded (N, H + pads, W + pads, C) -> cols (N, Ho, Wo, kh, kw, C), a tap of the kernel at a
    time: the pixels that it sees lie `stride` apart."""
    _, ho, wo, kh, kw, _ = cols.shape
    for i in range(kh):
        for j in range(kw):
            top, left = i * dilation, j * dilation
            bottom, right = top + stride * (ho - 1) + 1, left + stride * (wo - 1) + 1
            cols[:, :, :, i, j] = padded[:, top:bottom:stride, left:right:stride]


@compiled
def _add_back(cols: np.ndarray, padded: np.ndarray, stride: int, dilation: int) -> None:
    """The assignment of `_lay_out` turned round into an addition."""
    _, ho, wo, kh, kw, _ = cols.shape
    for i in range(kh):
        for j in range(kw):
            top, left = i * dilation, j * dilation
            bottom, right = top + stride * (ho - 1) + 1, left + stride * (wo - 1) + 1
            padded[:, top:bottom:stride, left:right:stride] += cols[:, :, :, i, j]
