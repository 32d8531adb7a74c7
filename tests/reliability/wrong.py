"""What does not belong in the place of an argument, and what a call with it raises."""

import inspect
from pathlib import Path

import numpy as np

from ssd_np.engine import Engine
from ssd_np.errors import SsdError

ALWAYS = "nowhere.npz"  # a path with nothing at its end


def wrong_arrays(a: np.ndarray):
    """What is no such array."""
    yield from (None, "x", 3.5, [1, 2], [[1], [1, 2]], [], object(), {}, np.float32(2))
    for kind in ("f2", np.dtype("f4").newbyteorder(), np.dtype("f8").newbyteorder(), "g", "O",
                 "c16", "U3", "?", "i1", "u8"):  # fmt: skip
        yield a.astype(kind)
    yield a.astype(object) * np.nan if a.dtype.kind == "f" else np.full(a.shape, None)
    yield from (a[None], a[..., None], a[:0], a.reshape(-1), a[..., :-1], a[1:], a.T)
    yield np.array(1.0)
    yield np.zeros((0, 0, 0, 0, 0))
    if a.dtype.kind == "f":
        yield from (a * np.nan, a + np.inf, a - np.inf, a * 1e300, -a)
    if a.dtype.kind in "iu":
        yield from (a * 0 - 1, a * 0 + 120)


NUMBERS = (None, "x", np.nan, np.inf, -np.inf, -1, 0, 2.5, 1e300, 10**30, [1], (1, 2), object(),
           np.float16(1), True)  # fmt: skip
TEXTS = (None, 3, "x", "", [], b"x", object(), "\ud800", "a" * 5000)
PATHS = (None, 3, "", "\0", "\ud800", [], object(), "a" * 5000, "/", b"x", "/dev/null")
OTHERS = (None, 3, "x", [], [None], ["x"], [[1]], object(), (), (1.5,), ("a",), ([1],), (-1, -1),
          1.5)  # fmt: skip
OBJECTS = (None, 3, "x", [], {}, object(), np.zeros(3))


def wrong_for(value, objects=False):
    """`objects`: in the place of those of the package, too."""
    if isinstance(value, np.ndarray):
        return wrong_arrays(value)
    if isinstance(value, bool | int | float):
        return NUMBERS
    if isinstance(value, Path):
        return PATHS
    if isinstance(value, str):
        return PATHS if value == ALWAYS else TEXTS
    if type(value) in (list, tuple):
        return OTHERS
    return OBJECTS if objects and not isinstance(value, Engine) else ()


def leaks(function, given, name, objects=False):
    """What a call with one wrong argument raises that is not the library's own."""
    parameters = list(inspect.signature(function).parameters)
    for i, value in enumerate(given):
        parameter = parameters[min(i, len(parameters) - 1)]
        if parameter == "cache":
            continue
        for wrong in wrong_for(value, objects):
            try:
                function(*given[:i], wrong, *given[i + 1 :])
            except SsdError as error:
                assert error.what, (name, error)
            except Exception as error:
                shown = wrong.dtype if isinstance(wrong, np.ndarray) else repr(wrong)[:30]
                shape = getattr(wrong, "shape", "")
                yield f"{name}({parameter}={shown}{shape}): {type(error).__name__}: {error}"
