"""Memory that is kept from step to step: fresh memory costs a page fault for each 4 KiB.

A model has one `Workspace`. A layer has a `Place` in it, which tells the fast functions where their
results go: an output to memory of the layer's own name, a gradient to one of two buffers of the
whole model, which take turns on the way back. What lies there is overwritten by the next step.
"""

from __future__ import annotations

import math
import os
import threading
import weakref
from dataclasses import dataclass, field, replace

import numpy as np


class Workspace:
    """Arrays by key. One thread at a time may work with them: the others wait for their `turn`.

    A copy of a model, in this process or by pickle in another, begins with a workspace of its own.
    So does a forked child, in which the thread whose turn it was does not exist.
    """

    def __init__(self) -> None:
        self._begin()
        _workspaces.add(self)

    def _begin(self) -> None:
        self._memory: dict[str, np.ndarray] = {}
        self.turn = threading.Lock()

    def __reduce__(self) -> tuple:
        return type(self), ()

    def array(self, key: str, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        """An uninitialised array, the same memory for the same key."""
        dtype = np.dtype(dtype)
        size = dtype.itemsize * math.prod(shape)
        if key not in self._memory or self._memory[key].nbytes < size:
            self._memory[key] = np.empty(size, np.uint8)
        return self._memory[key][:size].view(dtype).reshape(shape)

    def owns(self, key: str, array: np.ndarray) -> bool:
        """Whether `array` lies in the memory of `key`."""
        return key in self._memory and np.may_share_memory(self._memory[key], array)


_workspaces: weakref.WeakSet[Workspace] = weakref.WeakSet()


def _begin_all() -> None:
    for workspace in _workspaces:
        workspace._begin()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_all)


@dataclass(frozen=True)
class Place:
    """Where the results of one layer go, and the algorithm that a model's convolutions use.

    name       of the layer; without one, every result is a new array
    gradients  keys of the buffers that take turns
    """

    workspace: Workspace = field(default_factory=Workspace)
    name: str = ""
    gradients: tuple[str, ...] = ("gradient 0", "gradient 1")
    convolution: str = "im2col"

    def of_layer(self, name: str, gradients: tuple[str, ...] = ()) -> Place:
        """The place of a layer of the same model."""
        return replace(self, name=name, gradients=gradients or self.gradients)

    def output(self, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        """Memory for what the layer returns."""
        if not self.name:
            return np.empty(shape, dtype)
        return self.workspace.array(self.name, shape, dtype)

    def gradient(self, shape: tuple[int, ...], dtype: np.dtype, avoid: np.ndarray) -> np.ndarray:
        """Memory for a gradient on its way back; `avoid` is still read."""
        if not self.name:
            return np.empty(shape, dtype)
        free = [key for key in self.gradients if not self.workspace.owns(key, avoid)]
        return self.workspace.array(free[0], shape, dtype)


FRESH = Place()
