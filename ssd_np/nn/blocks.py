"""What a convolutional layer of a network computes: a convolution and its activation.

A gradient that nobody needs (of the image, of a frozen kernel) is asked for to be left out: None
takes its place.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

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

Gradients = tuple[np.ndarray | None, np.ndarray | None, np.ndarray | None]  # dx, dw, db


class Block(NamedTuple):
    """What a convolution and its activation take beside the image."""

    w: np.ndarray  # (kh, kw, C, Co), or depthwise (kh, kw, C)
    b: np.ndarray
    stride: int = 1
    pad: int | tuple = 0
    dilation: int = 1
    activation: str = "relu"

    @property
    def depthwise(self) -> bool:
        return self.w.ndim == 3


class Pool(NamedTuple):
    """What max-pooling takes."""

    size: int
    stride: int
    pad: int | tuple = 0
    ceil_mode: bool = False


class Norm(NamedTuple):
    """What L2 normalisation takes."""

    scale: np.ndarray
    eps: float
    form: str


# which output a step reads (0: what comes in, k: what step k gave, the first is 1), and what it is
Step = tuple[int, Block | Pool | Norm]


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
        outputs.append(_forward(block)(outputs[source], *block)[0])
    read = {source for source, _ in steps}
    return [out for k, out in enumerate(outputs) if k not in read]


def _forward(block: Block | Pool | Norm) -> Callable:
    if isinstance(block, Block):
        return depthwise_block_forward if block.depthwise else conv_block_forward
    return max_pool2d_forward if isinstance(block, Pool) else l2norm_forward


def check_steps(steps: Any) -> None:
    """Raises ShapeError unless each step reads the image, or what a step before it gives, and is a
    `Block`, a `Pool` or a `Norm`."""
    known = isinstance(steps, list | tuple) and len(steps) > 0
    for k, step in enumerate(steps if known else [None]):
        given: tuple[Any, Any] = (-1, None)
        source, block = step if isinstance(step, tuple) and len(step) == 2 else given
        reads = isinstance(source, int) and 0 <= source <= k
        if not reads or not isinstance(block, Block | Pool | Norm):
            hint = "expected (which it reads, Block, Pool or Norm)"
            raise ShapeError(f"steps[{k}] is no step", hint=hint)
        if isinstance(block, Norm):
            check_floats(block.scale, "scale")
            l2norm_forward(block.scale[None], *block)  # it checks what it is given
        if isinstance(block, Block):
            check_floats(block.w, "w")
            check_floats(block.b, "b")
            if block.w.ndim not in (3, 4):
                raise ShapeError(f"w has shape {block.w.shape}", hint="expected 3 or 4 axes")
            for border in borders(block.pad):
                ends(border)
            check_activation(block.activation)


def _wanted(gradients: Gradients, of_input: bool, of_kernel: bool) -> Gradients:
    dx, dw, db = gradients
    return (dx if of_input else None, *((dw, db) if of_kernel else (None, None)))
