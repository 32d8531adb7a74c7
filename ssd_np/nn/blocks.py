"""What a convolutional layer of a network computes: a convolution and its activation.

A gradient that nobody needs (of the image, of a frozen kernel) is asked for to be left out: None
takes its place.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from ssd_np.checks import ends
from ssd_np.errors import ShapeError
from ssd_np.geometry import borders
from ssd_np.nn.batchnorm import batchnorm_backward, batchnorm_forward
from ssd_np.nn.checks import check_floats, check_image
from ssd_np.nn.conv import conv2d_backward, conv2d_forward
from ssd_np.nn.depthwise import depthwise_backward, depthwise_forward
from ssd_np.nn.l2norm import l2norm_forward
from ssd_np.nn.pool import max_pool2d_forward
from ssd_np.nn.relu import activation_backward, activation_forward, check_activation

# kernel, bias, stride, padding, dilation, activation; a depthwise kernel is (kh, kw, C)
Block = tuple[np.ndarray, np.ndarray, int, int | tuple, int, str]
# what max-pooling takes: size, stride, padding, and how it rounds
Pool = tuple[int, int, int | tuple, bool]
Norm = tuple[np.ndarray, float, str]  # what L2 normalisation takes: scale, eps, form
# which output a step reads (0: what comes in, k: what step k gave, the first is 1), and what it is
Step = tuple[int, Block | Pool | Norm]
Gradients = tuple[np.ndarray | None, np.ndarray | None, np.ndarray | None]  # dx, dw, db


def conv_block_forward(
    x: np.ndarray,
    w: np.ndarray,
    b: np.ndarray,
    stride: int = 1,
    pad: int | tuple = 0,
    dilation: int = 1,
    activation: str = "relu",
) -> tuple[np.ndarray, tuple]:
    """x (N, H, W, C), w (kh, kw, C, Co), b (Co,) -> out (N, Ho, Wo, Co) and the cache."""
    z, conv_cache = conv2d_forward(x, w, b, stride, pad, dilation)
    out, activation_cache = activation_forward(z, activation)
    return out, (conv_cache, activation_cache)


def conv_block_backward(
    dout: np.ndarray, cache: tuple, input_gradient: bool = True, kernel_gradient: bool = True
) -> Gradients:
    """dout (N, Ho, Wo, Co) -> dx (N, H, W, C), dw (kh, kw, C, Co), db (Co,).

    Derivation: docs/derivations.md#convolution, (3) and (4).
    """
    conv_cache, activation_cache = cache
    dz = activation_backward(dout, activation_cache)
    return _wanted(conv2d_backward(dz, conv_cache), input_gradient, kernel_gradient)


def depthwise_block_forward(
    x: np.ndarray,
    w: np.ndarray,
    b: np.ndarray,
    stride: int = 1,
    pad: int | tuple = 0,
    dilation: int = 1,
    activation: str = "relu",
) -> tuple[np.ndarray, tuple]:
    """x (N, H, W, C), w (kh, kw, C), b (C,) -> out (N, Ho, Wo, C) and the cache."""
    z, depthwise_cache = depthwise_forward(x, w, b, stride, pad, dilation)
    out, activation_cache = activation_forward(z, activation)
    return out, (depthwise_cache, activation_cache)


def depthwise_block_backward(
    dout: np.ndarray, cache: tuple, input_gradient: bool = True, kernel_gradient: bool = True
) -> Gradients:
    """dout (N, Ho, Wo, C) -> dx (N, H, W, C), dw (kh, kw, C), db (C,).

    Derivation: docs/derivations.md#depthwise-convolution, (21).
    """
    depthwise_cache, activation_cache = cache
    dz = activation_backward(dout, activation_cache)
    return _wanted(depthwise_backward(dz, depthwise_cache), input_gradient, kernel_gradient)


def batchnorm_block_forward(
    x: np.ndarray, scale: np.ndarray, shift: np.ndarray, eps: float = 1e-5, activation: str = "relu"
) -> tuple[np.ndarray, tuple]:
    """In training: x (..., C), scale (C,), shift (C,) -> (..., C) and the cache."""
    z, norm_cache = batchnorm_forward(x, scale, shift, eps)
    out, activation_cache = activation_forward(z, activation)
    return out, (norm_cache, activation_cache)


def batchnorm_block_backward(dout: np.ndarray, cache: tuple) -> Gradients:
    """dout (..., C) -> dx (..., C), dscale (C,), dshift (C,).

    Derivation: docs/derivations.md#batch-normalisation, (23) and (25).
    """
    norm_cache, activation_cache = cache
    return batchnorm_backward(activation_backward(dout, activation_cache), norm_cache)


def network_forward(x: np.ndarray, steps: list[Step]) -> list[np.ndarray]:
    """(N, H, W, C), through all steps in inference -> what those give that no other step reads."""
    check_image(x)
    check_steps(steps)
    outputs = [x]
    for source, block in steps:
        forward: Callable = max_pool2d_forward
        if isinstance(block[0], np.ndarray):
            convolve = depthwise_block_forward if block[0].ndim == 3 else conv_block_forward
            forward = l2norm_forward if len(block) == 3 else convolve
        outputs.append(forward(outputs[source], *block)[0])
    read = {source for source, _ in steps}
    return [out for k, out in enumerate(outputs) if k not in read]


def check_steps(steps: Any) -> None:
    """Raises ShapeError unless each step reads the image, or what a step before it gives, and is a
    pool, a convolution or an L2 normalisation."""
    known = isinstance(steps, list | tuple) and len(steps) > 0
    for k, step in enumerate(steps if known else [None]):
        given: tuple[Any, Any] = (-1, None)
        source, block = step if isinstance(step, tuple) and len(step) == 2 else given
        pool = isinstance(block, tuple) and len(block) == 4 and isinstance(block[0], int)
        weights = isinstance(block, tuple) and len(block) == 6
        norm = isinstance(block, tuple) and len(block) == 3
        if not isinstance(source, int) or not 0 <= source <= k or not (pool or weights or norm):
            hint = "expected (which it reads, pool, convolution or normalisation)"
            raise ShapeError(f"steps[{k}] is no step", hint=hint)
        if norm:
            check_floats(block[0], "scale")
            l2norm_forward(block[0][None], *block)  # it checks what it is given
        if weights:
            check_floats(block[0], "w")
            check_floats(block[1], "b")
            if block[0].ndim not in (3, 4):
                raise ShapeError(f"w has shape {block[0].shape}", hint="expected 3 or 4 axes")
            for border in borders(block[3]):
                ends(border)
            check_activation(block[5])


def _wanted(gradients: Gradients, of_input: bool, of_kernel: bool) -> Gradients:
    dx, dw, db = gradients
    return (dx if of_input else None, *((dw, db) if of_kernel else (None, None)))
