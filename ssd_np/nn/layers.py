"""Layers: thin objects that give the forward/backward pairs a memory for parameters and caches.

A layer's backward stores the gradients of its parameters in `Parameter.grad` and returns the
gradient of its input. What it computes it asks of `ops`, an engine (ssd_np.engine.select()): the
functions of this room or their fast versions, which then write to memory of the model.
"""

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from numpy.typing import DTypeLike

from ssd_np.nn import init
from ssd_np.nn.batchnorm import running_statistics
from ssd_np.nn.blocks import Block
from ssd_np.nn.l2norm import l2norm_backward, l2norm_forward
from ssd_np.nn.merge import merge_backward, merge_forward
from ssd_np.nn.parameter import Parameter
from ssd_np.nn.relu import check_activation


class Ops(Protocol):
    """The functions of this room by name, such as `ops.conv_block_forward`."""

    def __getattr__(self, name: str) -> Callable: ...


class Module:
    """What layers and heads share: a name, parameters by name, and no memory of a training step.

    Nor has a copy of one that was copied, or pickled, between forward and backward.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.parameters: dict[str, Parameter] = {}
        self.cache: Any = None  # what backward needs of forward, if that was a training's

    def forget(self) -> None:
        """Gives back the memory of the last training step."""
        self.cache = None

    def __getstate__(self) -> dict:
        return self.__dict__ | {"cache": None}

    @property
    def trainable(self) -> bool:
        return any(parameter.trainable for parameter in self.parameters.values())


class Layer(Module):
    """One array in, one array out."""

    ops: Ops

    def forward(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        """(N, H, W, C) -> (N, Ho, Wo, Co); training=True keeps in `cache` what backward needs."""
        raise NotImplementedError

    def backward(self, dout: np.ndarray, input_gradient: bool = True) -> np.ndarray | None:
        """(N, Ho, Wo, Co) -> (N, H, W, C), or None where the input's gradient is not wanted."""
        raise NotImplementedError


class Convolution(Layer):
    """What full and depthwise convolutions share: parameters, geometry, the activation behind it.

    Parameters `name.weight` and, with a bias, `name.bias`.
    """

    def __init__(
        self,
        name: str,
        weight: np.ndarray,
        stride: int,
        pad: int | tuple,
        dilation: int,
        activation: str,
        bias: bool,
        ops: Ops,
    ) -> None:
        super().__init__(name)
        self.weight = Parameter(weight)
        self.bias = Parameter(np.zeros(weight.shape[-1], weight.dtype))
        self.parameters = {f"{name}.weight": self.weight}
        if bias:
            self.parameters[f"{name}.bias"] = self.bias
        self.stride, self.pad, self.dilation = stride, pad, dilation
        self.activation, self.ops = activation, ops

    @property
    def block(self) -> Block:
        """What a block's function takes beside its input."""
        w, b = self.weight.value, self.bias.value
        return Block(w, b, self.stride, self.pad, self.dilation, self.activation)


class Conv(Convolution):
    """A convolution and its activation."""

    def __init__(
        self,
        name: str,
        c_in: int,
        c_out: int,
        kernel: int = 3,
        stride: int = 1,
        pad: int | tuple = 1,
        dilation: int = 1,
        activation: str = "relu",
        bias: bool = True,
        rng: np.random.Generator | None = None,
        dtype: DTypeLike = np.float32,
        *,
        ops: Ops,
    ) -> None:
        check_activation(activation)
        rng = np.random.default_rng(0) if rng is None else rng
        start = init.glorot_uniform if activation == "none" else init.he_normal
        weight = start(rng, (kernel, kernel, c_in, c_out), dtype)
        super().__init__(name, weight, stride, pad, dilation, activation, bias, ops)

    def forward(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        """(N, H, W, C) -> (N, Ho, Wo, Co)"""
        out, cache = self.ops.conv_block_forward(x, *self.block)
        self.cache = cache if training else None
        return out

    def backward(self, dout: np.ndarray, input_gradient: bool = True) -> np.ndarray | None:
        """(N, Ho, Wo, Co) -> (N, H, W, C), or None if the input's gradient is not wanted."""
        dx, self.weight.grad, self.bias.grad = self.ops.conv_block_backward(
            dout, self.cache, input_gradient, self.trainable
        )
        return dx


class Depthwise(Convolution):
    """A depthwise convolution and its activation."""

    def __init__(
        self,
        name: str,
        channels: int,
        kernel: int = 3,
        stride: int = 1,
        pad: int | tuple = 1,
        dilation: int = 1,
        activation: str = "relu",
        bias: bool = True,
        rng: np.random.Generator | None = None,
        dtype: DTypeLike = np.float32,
        *,
        ops: Ops,
    ) -> None:
        check_activation(activation)
        rng = np.random.default_rng(0) if rng is None else rng
        weight = init.he_normal(rng, (kernel, kernel, 1, channels), dtype)[:, :, 0]  # (k, k, C)
        super().__init__(name, weight, stride, pad, dilation, activation, bias, ops)

    def forward(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        """(N, H, W, C) -> (N, Ho, Wo, C)"""
        out, cache = self.ops.depthwise_block_forward(x, *self.block)
        self.cache = cache if training else None
        return out

    def backward(self, dout: np.ndarray, input_gradient: bool = True) -> np.ndarray | None:
        """(N, Ho, Wo, C) -> (N, H, W, C), or None if the input's gradient is not wanted."""
        dx, self.weight.grad, self.bias.grad = self.ops.depthwise_block_backward(
            dout, self.cache, input_gradient, self.trainable
        )
        return dx


class MaxPool(Layer):
    """Max-pooling; it learns nothing."""

    def __init__(
        self,
        name: str,
        size: int = 2,
        stride: int = 2,
        pad: int | tuple = 0,
        ceil_mode: bool = False,
        *,
        ops: Ops,
    ) -> None:
        super().__init__(name)
        self.size, self.stride, self.pad, self.ceil_mode = size, stride, pad, ceil_mode
        self.ops = ops

    def forward(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        """(N, H, W, C) -> (N, Ho, Wo, C)"""
        rule = (self.size, self.stride, self.pad, self.ceil_mode)
        out, cache = self.ops.max_pool2d_forward(x, *rule)
        self.cache = cache if training else None
        return out

    def backward(self, dout: np.ndarray, input_gradient: bool = True) -> np.ndarray | None:
        """(N, Ho, Wo, C) -> (N, H, W, C)"""
        return self.ops.max_pool2d_backward(dout, self.cache) if input_gradient else None


class L2Normalization(Layer):
    """L2 normalisation across channels. Parameter `name.scale`."""

    def __init__(
        self,
        name: str,
        channels: int,
        scale: float = 20.0,
        eps: float = 1e-10,
        form: str = "inside",
        dtype: DTypeLike = np.float32,
    ) -> None:
        super().__init__(name)
        self.scale = Parameter(np.full(channels, scale, dtype))
        self.parameters = {f"{name}.scale": self.scale}
        self.eps, self.form = eps, form

    def forward(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        """(N, H, W, C) -> the same shape"""
        out, cache = l2norm_forward(x, self.scale.value, self.eps, self.form)
        self.cache = cache if training else None
        return out

    def backward(self, dout: np.ndarray, input_gradient: bool = True) -> np.ndarray | None:
        """The same shape -> the same shape"""
        dx, dscale = l2norm_backward(dout, self.cache)
        self.scale.grad = dscale if self.trainable else None
        return dx if input_gradient else None


class BatchNorm(Layer):
    """Batch normalisation and its activation.

    Parameters `name.scale` and `name.shift`, which do not decay, and the running statistics
    `name.mean` and `name.variance`, which travel with them but are not the optimiser's: forward in
    training moves them. Frozen, the layer uses and keeps its running statistics in training too.
    """

    def __init__(
        self,
        name: str,
        channels: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        activation: str = "relu",
        dtype: DTypeLike = np.float32,
        *,
        ops: Ops,
    ) -> None:
        super().__init__(name)
        check_activation(activation)
        self.scale = Parameter(np.ones(channels, dtype), decays=False)
        self.shift = Parameter(np.zeros(channels, dtype), decays=False)
        self.mean = Parameter(np.zeros(channels, dtype), statistic=True)
        self.variance = Parameter(np.ones(channels, dtype), statistic=True)
        self.parameters = {
            f"{name}.scale": self.scale,
            f"{name}.shift": self.shift,
            f"{name}.mean": self.mean,
            f"{name}.variance": self.variance,
        }
        self.eps, self.momentum, self.activation = eps, momentum, activation
        self.ops = ops
        self.of_batch = False  # whether the last forward used the statistics of its batch

    def forward(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        """(N, H, W, C) -> the same shape"""
        learned = self.scale.value, self.shift.value
        running = self.mean.value, self.variance.value
        self.of_batch = training and self.trainable
        if self.of_batch:
            out, cache = self.ops.batchnorm_block_forward(x, *learned, self.eps, self.activation)
            moved = running_statistics(*running, cache[0], self.momentum)
            # a step that breaks is told by its loss; the weights before it stay good
            if all(np.isfinite(statistic).all() for statistic in moved):
                self.mean.assign(moved[0])
                self.variance.assign(moved[1])
        else:
            z, norm_cache = self.ops.batchnorm_inference_forward(x, *learned, *running, self.eps)
            out, activation_cache = self.ops.activation_forward(z, self.activation)
            cache = norm_cache, activation_cache
        self.cache = cache if training else None
        return out

    def backward(self, dout: np.ndarray, input_gradient: bool = True) -> np.ndarray | None:
        """The same shape -> the same shape"""
        if self.of_batch:
            dx, dscale, dshift = self.ops.batchnorm_block_backward(dout, self.cache)
        else:
            cache, activation_cache = self.cache
            dz = self.ops.activation_backward(dout, activation_cache)
            dx, dscale, dshift = self.ops.batchnorm_inference_backward(dz, cache)
        self.scale.grad, self.shift.grad = (dscale, dshift) if self.trainable else (None, None)
        return dx if input_gradient else None


class Merge(Module):
    """A deep map enlarged and laid beside the output of the layer called `lateral`."""

    def __init__(self, name: str, lateral: str) -> None:
        super().__init__(name)
        self.lateral = lateral

    def forward(self, deep: np.ndarray, lateral: np.ndarray, training: bool = False) -> np.ndarray:
        """(N, h, w, C1), (N, H, W, C2) -> (N, H, W, C1 + C2)"""
        out, cache = merge_forward(deep, lateral)
        self.cache = cache if training else None
        return out

    def backward(self, dout: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(N, H, W, C1 + C2) -> (N, h, w, C1), (N, H, W, C2)"""
        return merge_backward(dout, self.cache)
