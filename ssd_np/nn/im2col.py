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
    if x.ndim != 4:
        raise ShapeError(f"x has shape {x.shape}", hint="expected (N, H, W, C)")
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
    """(N * Ho * Wo, kh * kw * C) -> (N, H, W, C), overlapping windows added.

    Derivation: docs/derivations.md#convolution, (4).
    """
    kh, kw = kernel_sides(kernel)
    n, h, w, c = x_shape
    ho, wo = (output_size(s, k, stride, pad, dilation) for s, k in ((h, kh), (w, kw)))
    if cols.shape != (n * ho * wo, kh * kw * c):
        raise ShapeError(
            f"cols has shape {cols.shape}, im2col of {x_shape} has {(n * ho * wo, kh * kw * c)}"
        )
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
    row = first
    while row < last:  # one output line, or as much of it as belongs to these rows
        image, pixel = row // (ho * wo), row % (ho * wo)
        oy, ox = pixel // wo, pixel % wo
        count = min(wo - ox, last - row)
        left = ox * stride - pad  # column of the first pixel's first tap
        # pixels inner to outer have all taps of a kernel row inside the image, side by side
        inner = min(max(-(left // stride), 0), count) if dilation == 1 else count
        outer = max(min((w - kw - left) // stride + 1, count), inner)
        for i in range(kh):
            y = oy * stride - pad + i * dilation
            line = (image * h + y) * w
            start = ((row - first) * kh + i) * kw * c  # in target
            step = kh * kw * c
            if y < 0 or y >= h:
                for k in range(count):
                    _zeros(target, start + k * step, kw * c)
                continue
            origin = (line + left + inner * stride) * c
            _runs(source, origin, stride * c, target, start + inner * step, step, kw * c,
                  outer - inner)  # fmt: skip
            for k in range(count - (outer - inner)):  # the pixels before inner, then from outer on
                k = k if k < inner else k + outer - inner
                for j in range(kw):
                    column = left + k * stride + j * dilation
                    place = start + k * step + j * c
                    if column < 0 or column >= w:
                        _zeros(target, place, c)
                    else:
                        _runs(source, (line + column) * c, c, target, place, c, c, 1)
        row += count


@numba.njit(nogil=True, cache=True)
def _runs(source, origin, hop, target, start, step, length, count):
    """Copies `count` runs of `length` numbers, `hop` apart in source, `step` apart in target."""
    # unsigned: Numba need not ask whether an index counts from the end
    a, b = np.uint64(origin), np.uint64(start)
    if length == 9:  # 3 taps of 3 colours: a length known to the compiler beats its memcpy
        for _ in range(count):
            for k in range(np.uint64(9)):
                target[b + k] = source[a + k]
            a, b = a + np.uint64(hop), b + np.uint64(step)
    else:
        for _ in range(count):
            for k in range(np.uint64(length)):
                target[b + k] = source[a + k]
            a, b = a + np.uint64(hop), b + np.uint64(step)


@numba.njit(nogil=True, cache=True)
def _zeros(target, start, count):
    a = np.uint64(start)
    for k in range(np.uint64(count)):
        target[a + k] = 0


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
