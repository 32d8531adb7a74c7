"""Memory that is lent: fresh memory costs a page fault for each 4 KiB.

A model has one `Workspace`, from which its layers take the arrays that they return. As soon as no
array refers to a piece any more it is lent again: in a training step each layer's output stays with
what backward needs, in inference it is free when the layers that read it are done.
"""

from __future__ import annotations

import bisect
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
        # each piece, and the array of it that every array in use refers to; the smallest first
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
        at = bisect.bisect_left(self._pieces, size, key=_size)
        found = next((i for i in range(at, len(self._pieces)) if self._free(i)), None)
        if found is None:
            piece = aligned(size)
            largest = next((i for i in reversed(range(at)) if self._free(i)), None)
            if largest is not None:
                del self._pieces[largest]
        else:
            piece, _ = self._pieces.pop(found)
        # the base of a view of `lent` is `lent`: NumPy looks for an array no further than there
        lent = np.frombuffer(piece.data, np.uint8)
        bisect.insort(self._pieces, (piece, weakref.ref(lent)), key=_size)
        return lent[: dtype.itemsize * math.prod(shape)].view(dtype).reshape(shape)

    def _free(self, i: int) -> bool:
        return self._pieces[i][1]() is None


def _size(piece: tuple) -> int:
    return piece[0].nbytes


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
