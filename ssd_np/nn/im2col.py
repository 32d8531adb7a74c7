"""im2col: lay every window of an image out as a row, so that convolution is one matrix product.

A row holds the kh x kw x C values under the kernel at one output pixel, in the order (i, j, c);
outside the image the value is 0. col2im is its adjoint: it adds every entry of the rows back to
the pixel it was taken from, which is what the gradient needs (a pixel lies under many windows).
"""

import numba
import numpy as np

from ssd_np.errors import ShapeError


def output_size(size: int, kernel: int, stride: int, pad: int, dilation: int) -> int:
    """Output pixels along one axis: floor((size + 2 pad - reach) / stride) + 1."""
    reach = dilation * (kernel - 1) + 1
    out = (size + 2 * pad - reach) // stride + 1
    if out < 1:
        raise ShapeError(
            f"a kernel that reaches over {reach} pixels does not fit {size} pixels with pad {pad}",
            hint="use a larger image, more padding or a smaller kernel",
        )
    return out


def kernel_sides(kernel: int | tuple[int, int]) -> tuple[int, int]:
    """3 -> (3, 3); a pair stays a pair."""
    return (kernel, kernel) if isinstance(kernel, int) else tuple(kernel)


def im2col(
    x: np.ndarray, kernel: int | tuple[int, int], stride: int = 1, pad: int = 0, dilation: int = 1
) -> np.ndarray:
    """(N, H, W, C) -> (N * Ho * Wo, kh * kw * C)."""
    kh, kw = kernel_sides(kernel)
    n, h, w, c = x.shape
    ho, wo = (output_size(s, k, stride, pad, dilation) for s, k in ((h, kh), (w, kw)))
    cols = np.empty((n * ho * wo, kh * kw * c), x.dtype)
    x = np.ascontiguousarray(x)
    im2col_rows(x, cols, 0, len(cols), kh, kw, stride, pad, dilation, ho, wo)
    return cols


def im2col_plain(
    x: np.ndarray, kernel: int | tuple[int, int], stride: int = 1, pad: int = 0, dilation: int = 1
) -> np.ndarray:
    """The same in plain NumPy: one strided slice of the padded image for each tap of the kernel."""
    kh, kw = kernel_sides(kernel)
    n, h, w, c = x.shape
    ho, wo = (output_size(s, k, stride, pad, dilation) for s, k in ((h, kh), (w, kw)))
    padded = np.pad(x, ((0, 0), (pad, pad), (pad, pad), (0, 0)))
    cols = np.empty((n, ho, wo, kh, kw, c), x.dtype)
    for i in range(kh):
        for j in range(kw):
            cols[:, :, :, i, j] = _taps(padded, i * dilation, j * dilation, ho, wo, stride)
    return cols.reshape(n * ho * wo, kh * kw * c)


def col2im(
    cols: np.ndarray,
    x_shape: tuple[int, int, int, int],
    kernel: int | tuple[int, int],
    stride: int = 1,
    pad: int = 0,
    dilation: int = 1,
) -> np.ndarray:
    """(N * Ho * Wo, kh * kw * C) -> (N, H, W, C), overlapping windows added."""
    kh, kw = kernel_sides(kernel)
    n, h, w, _ = x_shape
    ho, wo = (output_size(s, k, stride, pad, dilation) for s, k in ((h, kh), (w, kw)))
    x = np.zeros(x_shape, cols.dtype)
    cols = np.ascontiguousarray(cols).reshape(n, ho * wo, -1)
    for image in range(n):
        col2im_image(cols[image], x[image], kh, kw, stride, pad, dilation, wo)
    return x


def col2im_plain(
    cols: np.ndarray,
    x_shape: tuple[int, int, int, int],
    kernel: int | tuple[int, int],
    stride: int = 1,
    pad: int = 0,
    dilation: int = 1,
) -> np.ndarray:
    """The same in plain NumPy: im2col_plain with the assignment turned round into an addition."""
    kh, kw = kernel_sides(kernel)
    n, h, w, c = x_shape
    ho, wo = (output_size(s, k, stride, pad, dilation) for s, k in ((h, kh), (w, kw)))
    cols = cols.reshape(n, ho, wo, kh, kw, c)
    padded = np.zeros((n, h + 2 * pad, w + 2 * pad, c), cols.dtype)
    for i in range(kh):
        for j in range(kw):
            _taps(padded, i * dilation, j * dilation, ho, wo, stride)[...] += cols[:, :, :, i, j]
    return np.ascontiguousarray(padded[:, pad : pad + h, pad : pad + w])


def _taps(padded, top, left, ho, wo, stride) -> np.ndarray:
    """A view (N, Ho, Wo, C): the pixel that one tap of the kernel sees at each output pixel."""
    rows = slice(top, top + stride * (ho - 1) + 1, stride)
    columns = slice(left, left + stride * (wo - 1) + 1, stride)
    return padded[:, rows, columns]


@numba.njit(nogil=True, cache=True)
def im2col_rows(x, cols, first, last, kh, kw, stride, pad, dilation, ho, wo):
    """Fills cols with the rows `first` to `last` of im2col, counted over the whole batch."""
    _, h, w, c = x.shape
    source, target = x.reshape(-1), cols.reshape(-1)
    row_length = kh * kw * c
    for row in range(first, last):
        image, pixel = row // (ho * wo), row % (ho * wo)
        top = (pixel // wo) * stride - pad
        left = (pixel % wo) * stride - pad
        for i in range(kh):
            y = top + i * dilation
            start = (row - first) * row_length + i * kw * c  # of this kernel row in target
            if y < 0 or y >= h:
                target[start : start + kw * c] = 0
                continue
            line = (image * h + y) * w
            if dilation == 1 and left >= 0 and left + kw <= w:  # the taps lie side by side
                origin = (line + left) * c
                for k in range(kw * c):
                    target[start + k] = source[origin + k]
                continue
            for j in range(kw):
                column = left + j * dilation
                if column < 0 or column >= w:
                    target[start + j * c : start + (j + 1) * c] = 0
                else:
                    origin = (line + column) * c
                    for k in range(c):
                        target[start + j * c + k] = source[origin + k]


@numba.njit(nogil=True, cache=True)
def col2im_image(cols, x, kh, kw, stride, pad, dilation, wo):
    """Adds the rows of one image (Ho * Wo, kh * kw * C) into x (H, W, C)."""
    h, w, c = x.shape
    for row in range(len(cols)):
        top = (row // wo) * stride - pad
        left = (row % wo) * stride - pad
        for i in range(kh):
            y = top + i * dilation
            if y < 0 or y >= h:
                continue
            for j in range(kw):
                column = left + j * dilation
                if column < 0 or column >= w:
                    continue
                start = (i * kw + j) * c
                for k in range(c):
                    x[y, column, k] += cols[row, start + k]
