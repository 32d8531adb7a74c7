"""Memory that is lent: fresh memory costs a page fault for each 4 KiB.

A model has one `Workspace`, from which its layers take the arrays that they return. As soon as no
array refers to a piece any more it is lent again: in a training step each layer's output stays with
what backward needs, in inference it is free when the layers that read it are done.
"""

from __future__ import annotations

import math
import os
import weakref
from dataclasses import dataclass

import numpy as np

LINE = 64  # bytes of a line of the cache; a vector that lies in two of them costs two loads


def aligned(size: int) -> np.ndarray:
    """That many uninitialised bytes, from the beginning of a line of the cache on."""
    memory = np.empty(size + LINE, np.uint8)
    start = -memory.ctypes.data % LINE
    return memory[start : start + size]


def fresh(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """An uninitialised array in memory of its own."""
    dtype = np.dtype(dtype)
    return aligned(dtype.itemsize * math.prod(shape)).view(dtype).reshape(shape)


class Workspace:
    """Pieces of memory. One thread at a time may work with them (`Engine.turn`).

    A copy of a model, in this process or by pickle in another, begins with a workspace of its own.
    So does a forked child, in which the thread that worked with this one does not exist.
    """

    def __init__(self) -> None:
        self._begin()
        _workspaces.add(self)

    def _begin(self) -> None:
        # each piece, and the array of it that every array in use refers to
        self._pieces: list[tuple[np.ndarray, weakref.ref[np.ndarray]]] = []
        self.kept: tuple | None = None  # what `network_forward` prepared for its next call

    def __reduce__(self) -> tuple:
        return type(self), ()

    @property
    def nbytes(self) -> int:
        """Of all pieces, lent or not."""
        return sum(piece.nbytes for piece, _ in self._pieces)

    def empty(self, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        """An uninitialised array in the smallest free piece that holds it.

        Where none does, the largest free one makes room for a new one: so the pieces of a step that
        is repeated are soon those that it needs.
        """
        dtype = np.dtype(dtype)
        size = max(1, dtype.itemsize * math.prod(shape))
        free = [i for i, (_, lent) in enumerate(self._pieces) if lent() is None]
        free.sort(key=lambda i: self._pieces[i][0].nbytes)
        found = next((i for i in free if self._pieces[i][0].nbytes >= size), None)
        piece = aligned(size) if found is None else self._pieces[found][0]
        for i in free[-1:] if found is None else [found]:
            del self._pieces[i]
        # the base of a view of `lent` is `lent`: NumPy looks for an array no further than there
        lent = np.frombuffer(piece.data, np.uint8)
        self._pieces.append((piece, weakref.ref(lent)))
        return lent[: dtype.itemsize * math.prod(shape)].view(dtype).reshape(shape)


_workspaces: weakref.WeakSet[Workspace] = weakref.WeakSet()


def _begin_all() -> None:
    for workspace in _workspaces:
        workspace._begin()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_all)


@dataclass(frozen=True)
class Place:
    """Where the results of a model's layers go, and the algorithm of its convolutions.

    Without a workspace every result is a new array.
    """

    workspace: Workspace | None = None
    convolution: str = "im2col"

    def empty(self, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        """Memory for a result."""
        return self.workspace.empty(shape, dtype) if self.workspace else fresh(shape, dtype)


FRESH = Place()
