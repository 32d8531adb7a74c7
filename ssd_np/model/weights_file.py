"""A file of weights, whatever its format: opened, measured, and named in all that is said of it."""

import contextlib
import os
from collections.abc import Iterator
from io import BufferedIOBase
from pathlib import Path

import numpy as np

from ssd_np.errors import WeightsError
from ssd_np.files import as_path

Arrays = dict[str, np.ndarray]  # tensors by name


@contextlib.contextmanager
def opened(path: str | Path, hint: str = "") -> Iterator[tuple[BufferedIOBase, int]]:
    """The file and its size in bytes, to check against before anything is allocated.

    What a reader refuses inside gets the path before its `where`, and `hint` unless it has one;
    what the system refuses (no such file, no memory) becomes a WeightsError too.
    """
    path = as_path(path)
    try:
        if not os.path.isfile(path):  # a device or a pipe has no size to check against
            raise WeightsError("is not a file" if os.path.exists(path) else "no such file")
        with open(path, "rb") as file:
            yield file, os.fstat(file.fileno()).st_size
    except WeightsError as error:
        where = f"{path}: {error.where}" if error.where else str(path)
        raise WeightsError(error.what, where, error.hint or hint) from error
    except (OSError, ValueError) as error:  # ValueError: a path with a zero byte
        raise WeightsError(f"can not be read: {error}", str(path)) from error
    except MemoryError as error:
        raise WeightsError("does not fit into memory", str(path)) from error


def plain(text: str) -> str:
    """A text from the file, safe to show: short, ASCII, no control characters."""
    return ascii(text[:120])[1:-1]
