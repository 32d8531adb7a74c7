"""Convolutions straight from the image, without im2col: tile after tile along the lines.

One walk for both kinds: where channels mix, and depthwise. At the border, taps that would look at
padding are left out of the sum. A last tile that would stick out begins earlier instead, and
computes some pixels or channels once more.
"""

import numpy as np

from ssd_np.engine.microkernel import VECTOR_BYTES, tile
from ssd_np.engine.pointwise import limits
from ssd_np.engine.threads import for_each, scratch, shares
from ssd_np.kernels import njit

BLOCK = 96  # pixels for which a panel of the kernel is used while it lies in the nearest cache
LARGEST_KERNEL = 1 << 20  # bytes; larger ones do not stay in a core's cache
LEAST_WORK = 1 << 21  # multiply-adds for which another thread is worth the call


def fits(w: np.ndarray, stride: int, dilation: int, out_width: int) -> bool:
    """Whether a convolution is faster this way than by im2col and a matrix product."""
    enough = w.shape[-1] >= VECTOR_BYTES // w.itemsize
    if w.ndim == 3:
        return enough
    if w.shape[:2] == (1, 1):
        return stride == 1
    return enough and dilation == 1 and out_width > 8 and w.nbytes <= LARGEST_KERNEL


def convolve(x, w, b, stride, corner, dilation, activation, out) -> None:
    """x (N, H, W, C), w (kh, kw, C, Co) or, depthwise, (kh, kw, C), b (Co,) -> out."""
    _, ho, wo, c_out = out.shape
    lines = out.reshape(-1, wo, c_out)
    bounds = shares(len(lines), least=1 + LEAST_WORK // (wo * w.size))

    def job(share: int, _worker: int) -> None:
        first, last = bounds[share], bounds[share + 1]
        geometry = stride, *corner, dilation, ho
        convolve_lines(x, w, b, geometry, activation, first, last, lines[first:last])

    for_each(job, len(bounds) - 1)


def convolve_lines(x, w, b, geometry, activation, first, last, out) -> None:
    """Lines `first` to `last` of all N Ho lines of the output, by the calling thread."""
    between, (_, wo, c_out) = limits(activation, x.dtype), out.shape
    lanes = VECTOR_BYTES // x.itemsize
    if c_out < lanes:  # brought to the length of a vector
        w, b = (np.concatenate([a, np.zeros((*a.shape[:-1], lanes - c_out), a.dtype)], axis=-1)
                for a in (w, b))  # fmt: skip
        wide = scratch((last - first, wo, lanes), x.dtype, "wide")
        convolve_lines(x, w, b, geometry, activation, first, last, wide)
        out[...] = wide[..., :c_out]
        return
    x, w, b = _read_only(x), _read_only(w), _read_only(b)
    if w.ndim == 3:
        depthwise_lines(x, w, b, geometry, between, first, last, out)
    elif w.shape[:2] == (1, 1) and geometry[:3] == (1, 0, 0) and x.shape[2] == wo:
        # a 1 x 1 convolution knows no lines: one long one
        pixels = x.reshape(1, 1, -1, x.shape[3])[:, :, first * wo : last * wo]
        dense_lines(pixels, w, b, (1, 0, 0, 1, 1), between, 0, 1, out.reshape(1, -1, c_out))
    else:
        dense_lines(x, w, b, geometry, between, first, last, out)


def _read_only(array: np.ndarray) -> np.ndarray:
    """C-contiguous, and of a parameter's type for all callers, so that Numba compiles once."""
    flags = array.flags
    if flags.c_contiguous and not flags.writeable:
        return array
    view = np.ascontiguousarray(array).view()
    view.flags.writeable = False
    return view


def _panel(pixels: int, mixes: int):
    """The kernel for some lines, columns and output channels, tile by tile.

    The arrays are flat, their shapes beside them. `where`: first line and the end, first column and
    the end, first channel and the end, and the line that `out` begins with.
    """

    @njit(nogil=True)
    def panel(x, x_shape, w, w_shape, b, geometry, between, where, out, wo):
        (stride, above, beside, dilation, ho), (low, high) = geometry, between
        start, end, begin, stop, channel, channels, origin = where
        _, h, width, c = x_shape
        kh, kw, c_in, c_out = w_shape
        lanes, w_line = VECTOR_BYTES // x.itemsize, kw * c_in * c_out
        step = 1 if mixes else dilation * c  # from tap to tap along a line
        # columns that look at no padding
        left = max(0, min(wo, (beside + stride - 1) // stride))
        right = max(left, min(wo, (width + beside - dilation * (kw - 1) - 1) // stride + 1))
        for line in range(start, end):
            image, oy = line // ho, line % ho
            y = oy * stride - above
            i0, i1 = _inside(y, h, kh, dilation)
            row = (image * h + y + i0 * dilation) * width - beside
            ox = begin
            while ox < stop:
                whole = left <= ox < right and right - left >= pixels
                if whole:
                    ox = min(ox, right - pixels)
                    j0, taps = 0, kw * c_in
                else:
                    j0, j1 = _inside(ox * stride - beside, width, kw, dilation)
                    taps = (j1 - j0) * c_in
                source = (row + ox * stride + j0 * dilation) * c
                kernel, target = (
                    i0 * w_line + j0 * c_in * c_out,
                    ((line - origin) * wo + ox) * c_out,
                )
                for some in range(channel, channels, lanes):
                    j = min(some, c_out - lanes)
                    x0 = source if mixes else source + j
                    if whole:
                        tile(pixels, mixes, x, x0, stride * c, i1 - i0, dilation * width * c, taps,
                             step, w, kernel + j, w_line, c_out, b, j, low, high,
                             out, target + j, c_out)  # fmt: skip
                    else:
                        tile(1, mixes, x, x0, 0, i1 - i0, dilation * width * c, taps,
                             step, w, kernel + j, w_line, c_out, b, j, low, high,
                             out, target + j, 0)  # fmt: skip
                ox += pixels if whole else 1

    return panel


@njit(nogil=True)
def _inside(start, size, kernel, dilation):
    """Of taps at start, start + dilation, ...: the first one inside 0 ... size - 1, and the end."""
    first = max(0, -(start // dilation))
    return first, max(first, min(kernel, (size - start + dilation - 1) // dilation))


_dense_panel, _depthwise_panel = _panel(8, mixes=1), _panel(6, mixes=0)


@njit(nogil=True)
def dense_lines(x, w, b, geometry, between, first, last, out):
    """Lines `first` to `last` of all N Ho lines of the output, into `out` (last - first, Wo, Co).

    x (N, H, W, C), w (kh, kw, C, Co), b (Co,), with at least as many channels as a vector has
    geometry  stride, padding above and to the left, dilation (1 if kw > 1), Ho
    between   lowest and highest output, of the activation
    """
    _, wo, c_out = out.shape
    source, kernel, target = x.reshape(-1), w.reshape(-1), out.reshape(-1)
    lanes, group = VECTOR_BYTES // x.itemsize, max(1, BLOCK // wo)
    for start in range(first, last, group):
        for begin in range(0, wo, BLOCK):
            for j in range(0, c_out, lanes):
                where = (start, min(start + group, last), begin, min(begin + BLOCK, wo),
                         j, j + lanes, first)  # fmt: skip
                _dense_panel(source, x.shape, kernel, w.shape, b, geometry, between, where,
                             target, wo)  # fmt: skip


@njit(nogil=True)
def depthwise_lines(x, w, b, geometry, between, first, last, out):
    """The same with w (kh, kw, C)."""
    _, wo, c = out.shape
    shape, where = (w.shape[0], w.shape[1], 1, c), (first, last, 0, wo, 0, c, first)
    _depthwise_panel(x.reshape(-1), x.shape, w.reshape(-1), shape, b, geometry, between, where,
                     out.reshape(-1), wo)  # fmt: skip
