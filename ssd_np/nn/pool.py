"""Max-pooling: the largest value of each window, channel by channel.

Backward sends the gradient of an output to the one input that was the largest; of equal ones, to
the first in reading order. Windows may overlap (SSD's pool5 is 3x3 with stride 1), then gradients
add. In ceil mode a last, partial window is kept (SSD's pool3: 75 -> 38, Caffe's rule).
"""

import numba
import numpy as np

from ssd_np.errors import ShapeError
from ssd_np.nn.parallel import for_each, shares

LEAST_VALUES = 1 << 15  # of the output, for which another thread is worth the call


def pool_output_size(size: int, window: int, stride: int, pad: int, ceil_mode: bool) -> int:
    """Output pixels along one axis; a window must begin inside the image or its first border."""
    span = size + 2 * pad - window
    out = (-(-span // stride) if ceil_mode else span // stride) + 1
    if ceil_mode and (out - 1) * stride >= size + pad:
        out -= 1
    if out < 1 or pad > window // 2:
        raise ShapeError(
            f"no window of {window} pixels, stride {stride}, pad {pad} fits {size} pixels",
            hint="pad may be at most half a window",
        )
    return out


def max_pool2d_forward(
    x: np.ndarray,
    size: int,
    stride: int,
    pad: int = 0,
    ceil_mode: bool = False,
    *,
    out: np.ndarray | None = None,
) -> tuple[np.ndarray, tuple]:
    """(N, H, W, C) -> (N, Ho, Wo, C) and the cache: the tap of its window each value came from."""
    if x.ndim != 4 or 0 in x.shape:
        raise ShapeError(f"x has shape {x.shape}", hint="expected (N, H, W, C), none of them 0")
    n, h, w, c = x.shape
    ho, wo = (pool_output_size(s, size, stride, pad, ceil_mode) for s in (h, w))
    out = np.empty((n, ho, wo, c), x.dtype) if out is None else out
    tap = np.empty(out.shape, np.uint8 if size <= 16 else np.uint16)  # i * size + j in the window
    x = np.ascontiguousarray(x)
    bounds = shares(n * ho, least=1 + LEAST_VALUES // (wo * c))

    def job(share: int, _worker: int) -> None:
        _max_kernel(x, size, stride, pad, bounds[share], bounds[share + 1], out, tap)

    for_each(job, len(bounds) - 1)
    return out, (x.shape, size, stride, pad, tap)


def max_pool2d_backward(
    dout: np.ndarray, cache: tuple, *, dx: np.ndarray | None = None
) -> np.ndarray:
    """(N, Ho, Wo, C) -> dx (N, H, W, C).

    Derivation: docs/derivations.md#max-pooling-and-relu, (6).
    """
    shape, size, stride, pad, tap = cache
    if dout.shape != tap.shape:
        raise ShapeError(
            f"dout has shape {dout.shape}, the output had {tap.shape}",
            hint="dout is the gradient of what max_pool2d_forward returned",
        )
    dx = np.empty(shape, dout.dtype) if dx is None else dx
    dout = np.ascontiguousarray(dout)

    def job(image: int, _worker: int) -> None:
        dx[image] = 0
        _max_backward_kernel(dout[image], tap[image], size, stride, pad, dx[image])

    for_each(job, shape[0])
    return dx


def max_pool2d_plain(
    x: np.ndarray, size: int, stride: int, pad: int = 0, ceil_mode: bool = False
) -> np.ndarray:
    """Forward in plain NumPy, window by window."""
    n, h, w, c = x.shape
    ho, wo = (pool_output_size(s, size, stride, pad, ceil_mode) for s in (h, w))
    out = np.empty((n, ho, wo, c), x.dtype)
    for i in range(ho):
        for j in range(wo):
            top, left = i * stride - pad, j * stride - pad
            window = x[:, max(top, 0) : top + size, max(left, 0) : left + size]
            out[:, i, j] = window.max(axis=(1, 2))
    return out


@numba.njit(nogil=True, cache=True)
def _max_kernel(x, size, stride, pad, first, last, out, tap):  # output rows over the whole batch
    _, h, w, c = x.shape
    _, ho, wo, _ = out.shape
    # a pixel's maxima and taps, one width of number: so the loops over channels use whole vectors
    best, which = np.empty(c, x.dtype), np.empty(c, np.int32)
    for row in range(first, last):
        image, oy = row // ho, row % ho
        for ox in range(wo):
            fresh = True
            for i in range(size):
                y = oy * stride - pad + i
                if y < 0 or y >= h:
                    continue
                for j in range(size):
                    column = ox * stride - pad + j
                    if column < 0 or column >= w:
                        continue
                    values, here = x[image, y, column], np.int32(i * size + j)
                    if fresh:
                        fresh = False
                        best[:] = values
                        which[:] = here
                        continue
                    for k in range(c):
                        # NaN wins and stays, so that it is not hidden
                        larger = values[k] > best[k] or values[k] != values[k]
                        best[k] = values[k] if larger else best[k]
                        which[k] = here if larger else which[k]
            out[image, oy, ox] = best
            tap[image, oy, ox] = which


@numba.njit(nogil=True, cache=True)
def _max_backward_kernel(dout, tap, size, stride, pad, dx):  # one image
    h, w, c = dx.shape
    ho, wo, _ = dout.shape
    for oy in range(ho):
        for ox in range(wo):
            for i in range(size):
                y = oy * stride - pad + i
                if y < 0 or y >= h:
                    continue
                for j in range(size):
                    column = ox * stride - pad + j
                    if column < 0 or column >= w:
                        continue
                    here = i * size + j
                    for k in range(c):
                        if tap[oy, ox, k] == here:
                            dx[y, column, k] += dout[oy, ox, k]
