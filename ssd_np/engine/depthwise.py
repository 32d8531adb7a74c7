"""Depthwise convolution without im2col: kernels that walk over the pixels, channels innermost.

There is no matrix product to be had: each channel has its own sum of kh kw products. So the loop
over channels is the one that runs on whole vectors, and a pixel's result stays in the nearest cache
while the taps are added to it, bias and activation included. Lines of the output are shared among
threads; the gradient of the kernel is summed by each thread on its own.
"""

import numpy as np

from ssd_np.engine.direct import convolve
from ssd_np.engine.memory import FRESH, Place
from ssd_np.engine.microkernel import VECTOR_BYTES, tile
from ssd_np.engine.pointwise import activation_backward, column_sums
from ssd_np.engine.threads import for_each, shares
from ssd_np.geometry import borders, output_size
from ssd_np.kernels import njit
from ssd_np.nn.blocks import Gradients
from ssd_np.nn.checks import check_gradient
from ssd_np.nn.depthwise import check_depthwise

LEAST_PRODUCTS = 1 << 17  # for which another thread is worth the call


def depthwise_forward(
    x: np.ndarray,
    w: np.ndarray,
    b: np.ndarray,
    stride: int = 1,
    pad: int | tuple = 0,
    dilation: int = 1,
    *,
    memory: Place = FRESH,
) -> tuple[np.ndarray, tuple]:
    """x (N, H, W, C), w (kh, kw, C), b (C,) -> out (N, Ho, Wo, C) and the cache for backward."""
    out, (cache, _) = depthwise_block_forward(x, w, b, stride, pad, dilation, "none", memory=memory)
    return out, cache


def depthwise_backward(dout: np.ndarray, cache: tuple, *, memory: Place = FRESH) -> Gradients:
    """dout (N, Ho, Wo, C) -> dx (N, H, W, C), dw (kh, kw, C), db (C,)."""
    return _gradients(dout, cache, True, True, memory)


def depthwise_block_forward(
    x: np.ndarray,
    w: np.ndarray,
    b: np.ndarray,
    stride: int = 1,
    pad: int | tuple = 0,
    dilation: int = 1,
    activation: str = "relu",
    *,
    memory: Place = FRESH,
) -> tuple[np.ndarray, tuple]:
    """The same with the activation in the same pass."""
    check_depthwise(x, w, b)
    x, w, pad = np.ascontiguousarray(x), np.ascontiguousarray(w), borders(pad)
    n, h, width, c = x.shape
    ho = output_size(h, w.shape[0], stride, pad[0], dilation)
    wo = output_size(width, w.shape[1], stride, pad[1], dilation)
    out = memory.empty((n, ho, wo, c), x.dtype)
    _convolve(x, w, b, stride, (pad[0][0], pad[1][0]), dilation, activation, out)
    return out, ((x, w, stride, pad, dilation, out.shape), (out, activation))


def depthwise_block_backward(
    dout: np.ndarray,
    cache: tuple,
    input_gradient: bool = True,
    kernel_gradient: bool = True,
    *,
    memory: Place = FRESH,
) -> Gradients:
    """What is not wanted is not computed."""
    depthwise_cache, activation_cache = cache
    dz = activation_backward(dout, activation_cache, memory=memory)
    return _gradients(dz, depthwise_cache, input_gradient, kernel_gradient, memory)


def _gradients(
    dout: np.ndarray, cache: tuple, input_gradient: bool, kernel_gradient: bool, memory: Place
) -> Gradients:
    x, w, stride, pad, dilation, shape = cache
    check_gradient(dout, shape, "depthwise_forward", x.dtype)
    dout, corner = np.ascontiguousarray(dout), (pad[0][0], pad[1][0])
    dx = dw = db = None
    if kernel_gradient:
        dw, db = _kernel_gradient(dout, x, w.shape, stride, corner, dilation)
    if input_gradient:
        dx = memory.empty(x.shape, x.dtype)
        _input_gradient(dout, w, stride, corner, dilation, dx)
    return dx, dw, db


def _convolve(x, w, b, stride, corner, dilation, activation, out) -> None:
    x, w, b = _widened(x), _widened(w), _widened(b)
    c = out.shape[3]
    wide = out if c == len(b) else np.empty((*out.shape[:3], len(b)), x.dtype)
    convolve(x, w, b, stride, corner, dilation, activation, wide)
    if wide is not out:
        out[...] = wide[..., :c]


def _widened(array: np.ndarray) -> np.ndarray:
    """With as many channels as a vector has at least; the new ones are 0."""
    missing = VECTOR_BYTES // array.itemsize - array.shape[-1]
    if missing <= 0:
        return array
    return np.pad(array, [(0, 0)] * (array.ndim - 1) + [(0, missing)])


def _kernel_gradient(dout, x, w_shape, stride, corner, dilation) -> tuple[np.ndarray, np.ndarray]:
    bounds, c = _line_shares(dout.shape, np.empty(w_shape, bool)), w_shape[2]
    db = column_sums(dout.reshape(-1, c))
    dout, x = _widened(dout), _widened(x)
    sums = np.zeros((len(bounds) - 1, *w_shape[:2], x.shape[3]), x.dtype)

    def job(share: int, _worker: int) -> None:
        first, last = bounds[share], bounds[share + 1]
        _kernel_gradient_kernel(dout, x, stride, corner, dilation, first, last, sums[share])

    for_each(job, len(sums))
    return sums.sum(axis=0)[..., :c], db


def _input_gradient(dout, w, stride, corner, dilation, out) -> None:
    """With stride 1 a depthwise convolution of dout with the turned kernel, else pixel by pixel."""
    kh, kw, c = w.shape
    if stride == 1:
        turned = dilation * (kh - 1) - corner[0], dilation * (kw - 1) - corner[1]
        flipped = np.ascontiguousarray(w[::-1, ::-1])
        _convolve(dout, flipped, np.zeros(c, w.dtype), 1, turned, dilation, "none", out)
        return

    def job(image: int, _worker: int) -> None:
        out[image] = 0
        _input_gradient_kernel(dout[image], w, stride, corner, dilation, out[image])

    for_each(job, len(out))


def _line_shares(out_shape: tuple[int, ...], w: np.ndarray) -> list[int]:
    """Bounds of the threads' shares of the lines of a batch of outputs."""
    n, ho, wo, _ = out_shape
    return shares(n * ho, least=1 + LEAST_PRODUCTS // (wo * w.size))


@njit(nogil=True)
def _kernel_gradient_kernel(dout, x, stride, corner, dilation, first, last, dw):
    """dw[i, j] += sum over pixels of x at the tap times dout: tiles whose "pixels" are the taps of
    a kernel's row and whose "taps" are the pixels of some lines. A vector of channels at least."""
    _, h, width, c = x.shape
    kh, kw, _ = dw.shape
    _, ho, wo, _ = dout.shape
    above, beside = corner
    source, gradient, zero = x.reshape(-1), dout.reshape(-1), np.zeros(c, x.dtype)
    lanes, group = VECTOR_BYTES // x.itemsize, max(1, 256 // wo)
    low, high = x.dtype.type(-np.inf), x.dtype.type(np.inf)
    sums = np.zeros(kw * c, x.dtype)
    # columns for which all taps lie in the image
    left = max(0, min(wo, (beside + stride - 1) // stride))
    right = max(left, min(wo, (width + beside - dilation * (kw - 1) - 1) // stride + 1))
    start = first
    while start < last:
        image, oy = start // ho, start % ho
        end = min(start + group, last, (image + 1) * ho)
        for i in range(kh):
            # lines whose tap i lies in the image
            y = i * dilation - above
            top = max(oy, -(y // stride))
            lines = min(oy + end - start, (h - y + stride - 1) // stride) - top
            if lines <= 0:
                continue
            row = (image * h + top * stride + y) * width - beside
            d0 = (image * ho + top) * wo
            for ox in range(-1, wo):
                whole = ox < 0  # first all columns inside, then the others one by one
                if left <= ox < right or (whole and left == right):
                    continue
                column = left if whole else ox
                for j in range(kw):
                    sums[j * c : (j + 1) * c] = 0
                for some in range(0, c, lanes):
                    k = min(some, c - lanes)
                    x0, dx = (row + column * stride) * c + k, stride * width * c
                    if whole and kw == 3:
                        tile(3, 0, source, x0, dilation * c, lines, dx, right - left, stride * c,
                             gradient, (d0 + column) * c + k, wo * c, c, zero, k, low, high,
                             sums, k, c)  # fmt: skip
                        continue
                    for j in range(kw):
                        z = column * stride - beside + j * dilation
                        if 0 <= z < width:
                            tile(1, 0, source, x0 + j * dilation * c, 0, lines, dx,
                                 right - left if whole else 1, stride * c,
                                 gradient, (d0 + column) * c + k, wo * c, c, zero, k, low, high,
                                 sums, j * c + k, 0)  # fmt: skip
                for j in range(kw):
                    for k in range(c):
                        dw[i, j, k] += sums[j * c + k]
        start = end


@njit(nogil=True)
def _input_gradient_kernel(dout, w, stride, corner, dilation, dx):  # one image
    h, width, c = dx.shape
    kh, kw, _ = w.shape
    ho, wo, _ = dout.shape
    above, beside = corner
    for oy in range(ho):
        for i in range(kh):
            y = oy * stride - above + i * dilation
            if y < 0 or y >= h:
                continue
            for ox in range(wo):
                for j in range(kw):
                    column = ox * stride - beside + j * dilation
                    if column < 0 or column >= width:
                        continue
                    target, d, tap = dx[y, column], dout[oy, ox], w[i, j]
                    for k in range(c):
                        target[k] += d[k] * tap[k]
