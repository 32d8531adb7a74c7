"""Depthwise convolution without im2col: kernels that walk over the pixels, channels innermost.

There is no matrix product to be had: each channel has its own sum of kh kw products. So the loop
over channels is the one that runs on whole vectors, and a pixel's result stays in the nearest cache
while the taps are added to it, bias and activation included. Lines of the output are shared among
threads; the gradient of the kernel is summed by each thread on its own.
"""

import numpy as np

from ssd_np.engine.kernel_gradient import gradient_of_kernel
from ssd_np.engine.memory import FRESH, Place
from ssd_np.engine.pointwise import activation_backward
from ssd_np.engine.steps import convolve
from ssd_np.engine.threads import for_each
from ssd_np.geometry import borders, output_size
from ssd_np.kernels import njit
from ssd_np.nn.blocks import Gradients
from ssd_np.nn.checks import check_gradient
from ssd_np.nn.depthwise import check_depthwise
from ssd_np.nn.relu import check_activation


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
    check_activation(activation)
    x, w, pad = np.ascontiguousarray(x), np.ascontiguousarray(w), borders(pad)
    n, h, width, c = x.shape
    ho = output_size(h, w.shape[0], stride, pad[0], dilation)
    wo = output_size(width, w.shape[1], stride, pad[1], dilation)
    out = memory.empty((n, ho, wo, c), x.dtype)
    convolve(x, w, b, stride, (pad[0][0], pad[1][0]), dilation, activation, out)
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
        dw, db = gradient_of_kernel(dout, x, w.shape, stride, corner, dilation)
    if input_gradient:
        dx = memory.empty(x.shape, x.dtype)
        _input_gradient(dout, w, stride, corner, dilation, dx)
    return dx, dw, db


def _input_gradient(dout, w, stride, corner, dilation, out) -> None:
    """With stride 1 a depthwise convolution of dout with the turned kernel, else pixel by pixel."""
    kh, kw, c = w.shape
    if stride == 1:
        turned = dilation * (kh - 1) - corner[0], dilation * (kw - 1) - corner[1]
        flipped = np.ascontiguousarray(w[::-1, ::-1])
        convolve(dout, flipped, np.zeros(c, w.dtype), 1, turned, dilation, "none", out)
        return

    def job(image: int) -> None:
        out[image] = 0
        _input_gradient_kernel(dout[image], w, stride, corner, dilation, out[image])

    for_each(job, len(out))


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
