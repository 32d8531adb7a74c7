"""Max-pooling in one pass over the image: a window's values never leave the cache.

The lines of the output are shared among threads; on the way back each thread has its images.
"""

import numpy as np

from ssd_np.engine.memory import FRESH, Place
from ssd_np.engine.threads import for_each, shares
from ssd_np.geometry import borders
from ssd_np.kernels import njit
from ssd_np.nn.checks import check_gradient, check_image
from ssd_np.nn.pool import pool_output_size

LEAST_VALUES = 1 << 16  # of the output, for which another thread is worth the call


def max_pool2d_forward(
    x: np.ndarray,
    size: int,
    stride: int,
    pad: int | tuple = 0,
    ceil_mode: bool = False,
    *,
    memory: Place = FRESH,
) -> tuple[np.ndarray, tuple]:
    """(N, H, W, C) -> (N, Ho, Wo, C) and the cache: the tap of its window each value came from."""
    check_image(x)
    n, h, w, c = x.shape
    vertical, horizontal = borders(pad)
    ho = pool_output_size(h, size, stride, vertical, ceil_mode)
    wo = pool_output_size(w, size, stride, horizontal, ceil_mode)
    out = memory.empty((n, ho, wo, c), x.dtype)
    tap = np.empty(out.shape, np.uint8 if size <= 16 else np.uint16)  # i * size + j in the window
    x, corner = np.ascontiguousarray(x), (vertical[0], horizontal[0])
    bounds = shares(n * ho, least=1 + LEAST_VALUES // (wo * c))

    def job(share: int) -> None:
        _max_kernel(x, size, stride, corner, bounds[share], bounds[share + 1], out, tap)

    for_each(job, len(bounds) - 1)
    return out, (x.shape, size, stride, pad, tap)


def max_pool2d_backward(dout: np.ndarray, cache: tuple, *, memory: Place = FRESH) -> np.ndarray:
    """(N, Ho, Wo, C) -> dx (N, H, W, C)."""
    shape, size, stride, pad, tap = cache
    check_gradient(dout, tap.shape, "max_pool2d_forward")
    dx = memory.empty(shape, dout.dtype)
    (above, _), (beside, _) = borders(pad)
    dout = np.ascontiguousarray(dout)

    def job(image: int) -> None:
        dx[image] = 0
        _max_backward_kernel(dout[image], tap[image], size, stride, (above, beside), dx[image])

    for_each(job, shape[0])
    return dx


@njit(nogil=True)
def _max_kernel(x, size, stride, corner, first, last, out, tap):  # output rows over the whole batch
    _, h, w, c = x.shape
    _, ho, wo, _ = out.shape
    above, beside = corner  # padding there
    # a pixel's maxima and taps, one width of number: so the loops over channels use whole vectors
    best, which = np.empty(c, x.dtype), np.empty(c, np.int32)
    for row in range(first, last):
        image, oy = row // ho, row % ho
        for ox in range(wo):
            fresh = True
            for i in range(size):
                y = oy * stride - above + i
                if y < 0 or y >= h:
                    continue
                for j in range(size):
                    column = ox * stride - beside + j
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


@njit(nogil=True)
def _max_backward_kernel(dout, tap, size, stride, corner, dx):  # one image
    h, w, c = dx.shape
    ho, wo, _ = dout.shape
    above, beside = corner
    for oy in range(ho):
        for ox in range(wo):
            for i in range(size):
                y = oy * stride - above + i
                if y < 0 or y >= h:
                    continue
                for j in range(size):
                    column = ox * stride - beside + j
                    if column < 0 or column >= w:
                        continue
                    here = i * size + j
                    for k in range(c):
                        if tap[oy, ox, k] == here:
                            dx[y, column, k] += dout[oy, ox, k]
