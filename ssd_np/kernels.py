"""Loops compiled by Numba, and kept on the disk for the next process, where that can be.

Numba keeps compiled kernels in `NUMBA_CACHE_DIR`, beside the source, or in the user's cache folder,
and gives up where it can write to none of them: a container without a home, a package that belongs
to root, a full disk. Here a kernel is then compiled for this process alone, and one line says so.
"""

import contextlib
import functools
import pickle
from collections.abc import Callable
from typing import Any

import numba
from numba.core.caching import FunctionCache
from numba.core.runtime import rtsys

from ssd_np.terminal import note


def njit(**options: Any) -> Callable:
    """`numba.njit` with a cache that may fail."""

    def compiled(function: Callable) -> Callable:
        kernel = numba.njit(**options)(function)
        try:
            kernel._cache = _Cache(function)  # as `cache=True` does
        except RuntimeError:  # no folder will do
            _tell()
        return kernel

    return compiled


def inlined(function: Callable) -> Callable:
    """Part of the kernels that call it, so that it is compiled once with each of them.

    A kernel that is called is compiled on its own, and once more inside each caller, and callers of
    that: what goes four deep takes four times as long.
    """
    return numba.njit(inline="always")(function)


class _Cache(FunctionCache):
    """Numba's, but what can not be stored or read back is compiled again."""

    def load_overload(self, signature: object, context: Any) -> object:
        """Without `context.refresh()`: all that Numba compiles with need not be there to load."""
        rtsys.initialize(context)
        try:
            return self._load_overload(signature, context)
        except OSError:
            return None
        except (EOFError, pickle.UnpicklingError):  # written by half when the power failed
            with contextlib.suppress(OSError):
                self.flush()
            return None

    def save_overload(self, *arguments: object) -> None:
        try:
            super().save_overload(*arguments)
        except OSError:
            _tell()


@functools.cache  # once for a process
def _tell() -> None:
    note(
        "ssd_np: compiled kernels can be kept nowhere, so every process compiles them anew; "
        "NUMBA_CACHE_DIR may name a folder for them"
    )
