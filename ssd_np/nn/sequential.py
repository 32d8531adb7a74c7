"""Layers one after the other, forward and back, and the maps that a merge reads besides."""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from ssd_np.nn.layers import Layer, Merge
from ssd_np.nn.parameter import Parameter

Laterals = dict[str, Any]  # by name of a layer its output, or its gradient, for the merges


def _no_laterals(layers: Iterable[Layer | Merge]) -> Laterals:
    """The outputs that merges among `layers` will read, none of them there yet."""
    return {layer.lateral: None for layer in layers if isinstance(layer, Merge)}


class Sequential:
    """Layers one after the other.

    A merge reads the output of an earlier layer besides, in this sequence or in one before it:
    `laterals` carries these outputs from one to the next, and their gradients back.
    """

    def __init__(self, layers: list[Layer | Merge]) -> None:
        self.layers = layers

    def __iter__(self) -> Iterator[Layer | Merge]:
        return iter(self.layers)

    @property
    def parameters(self) -> dict[str, Parameter]:
        return {name: p for layer in self.layers for name, p in layer.parameters.items()}

    @property
    def trainable(self) -> bool:
        return any(layer.trainable for layer in self.layers)

    def forget(self) -> None:
        """Gives back the memory of the last training step."""
        for layer in self.layers:
            layer.forget()

    def forward(
        self, x: np.ndarray, training: bool = False, laterals: Laterals | None = None
    ) -> np.ndarray:
        """Runs all layers; training=True keeps what backward needs."""
        laterals = _no_laterals(self.layers) if laterals is None else laterals
        for layer in self.layers:
            if isinstance(layer, Merge):
                x = layer.forward(x, laterals[layer.lateral], training)
            else:
                x = layer.forward(x, training)
            if layer.name in laterals:  # a merge will read it
                laterals[layer.name] = x
        return x

    def outputs(self, x: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
        """Name and output of every layer, one after the other, as in inference."""
        laterals = _no_laterals(self.layers)
        for layer in self.layers:
            x = Sequential([layer]).forward(x, laterals=laterals)
            yield layer.name, x

    def backward(
        self, dout: np.ndarray, input_gradient: bool = True, laterals: Laterals | None = None
    ) -> np.ndarray | None:
        """Walks back and ends at the layer below which nothing is left to train.

        At a layer that merges read, their gradients are added to that of the layer above.
        """
        laterals = {} if laterals is None else laterals
        dx: np.ndarray | None = dout
        for i, layer in reversed(list(enumerate(self.layers))):
            below = input_gradient or any(layer.trainable for layer in self.layers[:i])
            if dx is None or not (below or layer.trainable):
                return None
            dx = _add(laterals.pop(layer.name, None), dx)
            if isinstance(layer, Merge):
                dx, dlateral = layer.backward(dx)
                laterals[layer.lateral] = _add(laterals.get(layer.lateral), dlateral)
            else:
                dx = layer.backward(dx, below)
        return dx


def _add(gradient: np.ndarray | None, other: np.ndarray) -> np.ndarray:
    """The sum, in the memory of `gradient`, which is a merge's own, where there is one."""
    return other if gradient is None else np.add(gradient, other, out=gradient)
