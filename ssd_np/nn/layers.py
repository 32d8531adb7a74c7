"""Layers: thin objects that give the forward/backward pairs a memory for parameters and caches.

A layer's backward stores the gradients of its parameters in `Parameter.grad` and returns the
gradient of its input. Results go to a `Workspace` when one is given: memory that is kept from step
to step, because fresh memory of this size costs a page fault for each 4 KiB.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import numpy as np

from ssd_np.errors import ShapeError
from ssd_np.nn import init
from ssd_np.nn.conv import conv2d_backward, conv2d_forward
from ssd_np.nn.l2norm import l2norm_backward, l2norm_forward
from ssd_np.nn.pool import max_pool2d_backward, max_pool2d_forward, pool_output_size
from ssd_np.nn.relu import relu_backward
from ssd_np.nn.tiled import output_shape


class Parameter:
    """A learned tensor, its last gradient (None before the first), and whether it learns.

    The memory is its own and C-contiguous, whatever array it began with: an optimiser that flattens
    it writes to the tensor itself and not to a copy. `value` can be read, not written. Two methods
    write: `assign` when weights are loaded, `update` when the optimiser takes a step.
    """

    def __init__(self, value: np.ndarray, trainable: bool = True) -> None:
        value = np.asarray(value)
        self._memory = np.array(value, value.dtype.newbyteorder("="), order="C")
        self.grad: np.ndarray | None = None
        self.trainable = trainable

    @property
    def value(self) -> np.ndarray:
        """The tensor as it is now and will be after the next step: a read-only view."""
        view = self._memory.view()
        view.flags.writeable = False
        return view

    def assign(self, array: np.ndarray) -> None:
        """Copies an array of any layout and float type; shape and type of the parameter stay."""
        array = np.asarray(array)
        if array.shape != self._memory.shape or array.dtype.kind != "f":
            raise ShapeError(
                f"a parameter of {self._memory.shape} {self._memory.dtype} can not become "
                f"{array.shape} {array.dtype}"
            )
        self._memory[...] = array

    def update(self, rule: Callable[[np.ndarray], np.ndarray]) -> None:
        """w <- rule(w), one step of an optimiser. A rule may write into w and return it."""
        new = rule(self._memory)
        if new is not self._memory:
            self._memory[...] = new


class Workspace:
    """Memory of one model, kept between steps. Arrays in it are overwritten by the next step.

    So one thread at a time may work with it: the others wait for their `turn`. A copy of a model,
    in this process or by pickle in another, begins with a workspace of its own.
    """

    def __init__(self) -> None:
        self._memory: dict[str, np.ndarray] = {}
        self.turn = threading.Lock()

    def __reduce__(self) -> tuple:
        return type(self), ()

    def array(self, key: str, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        """An uninitialised array, the same memory for the same key."""
        dtype = np.dtype(dtype)
        size = dtype.itemsize * int(np.prod(shape))
        if key not in self._memory or self._memory[key].nbytes < size:
            self._memory[key] = np.empty(size, np.uint8)
        return self._memory[key][:size].view(dtype).reshape(shape)

    def gradient(self, shape: tuple[int, ...], dtype: np.dtype, avoid: np.ndarray) -> np.ndarray:
        """Memory for a gradient on its way back. Two buffers take turns: `avoid` is still read."""
        used = self._memory.get("gradient 0")
        turn = 1 if used is not None and np.may_share_memory(used, avoid) else 0
        return self.array(f"gradient {turn}", shape, dtype)


class FreshMemory(Workspace):
    """A workspace that keeps nothing: every array is new. For lessons and single layers."""

    def array(self, key: str, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        return np.empty(shape, dtype)


class Layer:
    """What all layers share: a name, parameters by name, and no memory of a training step."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.parameters: dict[str, Parameter] = {}
        self.cache: tuple | None = None

    @property
    def trainable(self) -> bool:
        return any(parameter.trainable for parameter in self.parameters.values())


class Conv(Layer):
    """A convolution, with ReLU unless relu=False. Parameters `name.weight` and `name.bias`."""

    def __init__(
        self,
        name: str,
        c_in: int,
        c_out: int,
        kernel: int = 3,
        stride: int = 1,
        pad: int = 1,
        dilation: int = 1,
        relu: bool = True,
        algorithm: str = "im2col",
        rng: np.random.Generator | None = None,
        dtype: np.dtype = np.float32,
    ) -> None:
        super().__init__(name)
        rng = np.random.default_rng(0) if rng is None else rng
        start = init.he_normal if relu else init.glorot_uniform
        self.weight = Parameter(start(rng, (kernel, kernel, c_in, c_out), dtype))
        self.bias = Parameter(np.zeros(c_out, dtype))
        self.parameters = {f"{name}.weight": self.weight, f"{name}.bias": self.bias}
        self.stride, self.pad, self.dilation = stride, pad, dilation
        self.relu, self.algorithm = relu, algorithm

    def forward(self, x: np.ndarray, training: bool, workspace: Workspace) -> np.ndarray:
        """(N, H, W, C) -> (N, Ho, Wo, Co)"""
        w, b = self.weight.value, self.bias.value
        shape = output_shape(x.shape, w.shape, self.stride, self.pad, self.dilation)
        out = workspace.array(self.name, shape, x.dtype)
        out, cache = conv2d_forward(
            x, w, b, self.stride, self.pad, self.dilation, self.algorithm, relu=self.relu, out=out
        )
        self.cache = (cache, out) if training else None
        return out

    def backward(
        self, dout: np.ndarray, workspace: Workspace, input_gradient: bool = True
    ) -> np.ndarray | None:
        """(N, Ho, Wo, Co) -> (N, H, W, C), or None if the input's gradient is not wanted."""
        cache, out = self.cache
        if self.relu:
            dout = relu_backward(dout, out, dx=workspace.gradient(dout.shape, dout.dtype, dout))
        x = cache[0]
        dx = workspace.gradient(x.shape, x.dtype, dout) if input_gradient else None
        dx, dw, db = conv2d_backward(
            dout, cache, input_gradient=input_gradient, kernel_gradient=self.trainable, dx=dx
        )
        self.weight.grad, self.bias.grad = dw, db
        return dx


class MaxPool(Layer):
    """Max-pooling; it learns nothing."""

    def __init__(
        self, name: str, size: int = 2, stride: int = 2, pad: int = 0, ceil_mode: bool = False
    ) -> None:
        super().__init__(name)
        self.size, self.stride, self.pad, self.ceil_mode = size, stride, pad, ceil_mode

    def forward(self, x: np.ndarray, training: bool, workspace: Workspace) -> np.ndarray:
        """(N, H, W, C) -> (N, Ho, Wo, C)"""
        n, h, w, c = x.shape
        rule = (self.size, self.stride, self.pad, self.ceil_mode)
        shape = (n, pool_output_size(h, *rule), pool_output_size(w, *rule), c)
        out = workspace.array(self.name, shape, x.dtype)
        out, cache = max_pool2d_forward(x, *rule, out=out)
        self.cache = cache if training else None
        return out

    def backward(
        self, dout: np.ndarray, workspace: Workspace, input_gradient: bool = True
    ) -> np.ndarray | None:
        """(N, Ho, Wo, C) -> (N, H, W, C)"""
        if not input_gradient:
            return None
        dx = workspace.gradient(self.cache[0], dout.dtype, dout)
        return max_pool2d_backward(dout, self.cache, dx=dx)


class L2Norm(Layer):
    """L2 normalisation across channels. Parameter `name.scale`."""

    def __init__(
        self,
        name: str,
        channels: int,
        scale: float = 20.0,
        eps: float = 1e-10,
        form: str = "inside",
        dtype: np.dtype = np.float32,
    ) -> None:
        super().__init__(name)
        self.scale = Parameter(np.full(channels, scale, dtype))
        self.parameters = {f"{name}.scale": self.scale}
        self.eps, self.form = eps, form

    def forward(self, x: np.ndarray, training: bool, workspace: Workspace) -> np.ndarray:
        """(N, H, W, C) -> the same shape"""
        out, cache = l2norm_forward(x, self.scale.value, self.eps, self.form)
        self.cache = cache if training else None
        return out

    def backward(
        self, dout: np.ndarray, workspace: Workspace, input_gradient: bool = True
    ) -> np.ndarray | None:
        """The same shape -> the same shape"""
        dx, dscale = l2norm_backward(dout, self.cache)
        self.scale.grad = dscale if self.trainable else None
        return dx if input_gradient else None


class Sequential:
    """Layers one after the other."""

    def __init__(self, layers: list[Layer]) -> None:
        self.layers = layers

    def __iter__(self) -> Iterator[Layer]:
        return iter(self.layers)

    @property
    def parameters(self) -> dict[str, Parameter]:
        return {name: p for layer in self.layers for name, p in layer.parameters.items()}

    @property
    def trainable(self) -> bool:
        return any(layer.trainable for layer in self.layers)

    def forward(
        self, x: np.ndarray, training: bool = False, workspace: Workspace | None = None
    ) -> np.ndarray:
        """Runs all layers; training=True keeps what backward needs."""
        workspace = workspace or FreshMemory()
        for layer in self.layers:
            x = layer.forward(x, training, workspace)
        return x

    def backward(
        self, dout: np.ndarray, workspace: Workspace | None = None, input_gradient: bool = True
    ) -> np.ndarray | None:
        """Walks back and ends at the layer below which nothing is left to train."""
        workspace = workspace or FreshMemory()
        for i in reversed(range(len(self.layers))):
            below = input_gradient or any(layer.trainable for layer in self.layers[:i])
            if not below and not self.layers[i].trainable:
                return None
            dout = self.layers[i].backward(dout, workspace, below)
        return dout
