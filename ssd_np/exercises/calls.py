"""The calls of a student's functions, beside what the library answers to the same arguments.

That is how a failing test can say what was expected for which input.
"""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import functools
import inspect
import io
import threading
from collections.abc import Callable
from typing import Any

import numpy as np

MOST_CALLS = 20  # noted in a test; a numeric gradient makes thousands
LOCK = type(threading.Lock())
MEANT_TO_CHANGE = "rng"  # a generator is there to be drawn from


@dataclasses.dataclass
class Call:
    """What a student's function was given and what came of it: an answer, or an exception."""

    student: Callable
    library: Callable
    arguments: dict[str, Any]  # as they were before the call
    answer: Any = None
    changed: tuple[str, ...] = ()  # arguments that the call wrote to and should not have
    printed: str = ""
    forward: Call | None = None  # of a backward: the student's own call that made its cache

    @functools.cached_property
    def expected(self) -> Any:
        """What the library makes of the same arguments; a cache is its own, made of the same."""
        given = copy.deepcopy(self.arguments)
        try:
            if self.forward is not None:
                _, given["cache"] = self.forward.library(**copy.deepcopy(self.forward.arguments))
            return self._result(self.library(**given))
        except Exception as error:
            return error

    @property
    def is_right(self) -> bool:
        return not self.changed and same(self.got, self.expected)

    @property
    def got(self) -> Any:
        return self._result(self.answer)

    def _result(self, answer: Any) -> Any:
        """Of a forward only the output: the cache is between it and its backward."""
        forward = self.library.__name__.endswith("_forward")
        return answer[0] if forward and isinstance(answer, tuple) and answer else answer


class Calls:
    """Those since `clear`, in the order in which they ended."""

    def __init__(self) -> None:
        self.noted: list[Call] = []
        self._made: list[tuple[Any, Call]] = []  # caches, and the forward calls that made them

    def clear(self) -> None:
        self.noted.clear()
        self._made.clear()

    def first_printed(self) -> str:
        """What the first call that printed something printed."""
        return next((call.printed for call in self.noted if call.printed), "")

    def first_wrong(self) -> Call | None:
        return next((call for call in self.noted if not call.is_right), None)

    def noting(self, student: Callable, library: Callable) -> Callable:
        """The student's function, which notes its calls here."""

        @functools.wraps(library)
        def stand_in(*args, **kwargs):
            if len(self.noted) >= MOST_CALLS:
                return student(*args, **kwargs)
            given = _by_name(library, args, kwargs)
            makers = (maker for cache, maker in self._made if cache is given.get("cache"))
            call = Call(student, library, copy.deepcopy(given), forward=next(makers, None))
            said = io.StringIO()
            try:
                with contextlib.redirect_stdout(said):
                    answer = student(*args, **kwargs)
                call.answer = copy.deepcopy(answer)
                if library.__name__.endswith("_forward") and isinstance(answer, tuple):
                    self._made.insert(0, (answer[-1], call))
            except Exception as error:
                call.answer = error
                raise
            finally:
                before = call.arguments
                changed = [name for name in given if not same(given[name], before[name])]
                call.changed = tuple(name for name in changed if name != MEANT_TO_CHANGE)
                call.printed = said.getvalue()
                self.noted.append(call)
            return answer

        return stand_in


def _by_name(function: Callable, args: tuple, kwargs: dict) -> dict[str, Any]:
    return dict(inspect.signature(function).bind(*args, **kwargs).arguments)


def same(a: Any, b: Any) -> bool:
    """Whether two answers are the same, up to the rounding of their type."""
    if isinstance(a, Exception) or isinstance(b, Exception):
        return type(a) is type(b)
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        return a.shape == b.shape and a.dtype == b.dtype and not different(a, b).any()
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return False
    if isinstance(a, float | np.floating) and isinstance(b, float | np.floating):
        return not different(np.asarray(a), np.asarray(b)).any()
    both = parts(a, b)
    if both is None:
        return not isinstance(a, tuple | list | dict) and bool(a == b)
    return all(same(x, y) for _, x, y in both)


def parts(a: Any, b: Any) -> list[tuple[str, Any, Any]] | None:
    """What two things of one structure consist of: (how to get there, of a, of b), or None."""
    if isinstance(a, tuple | list) and isinstance(b, tuple | list):
        if len(a) == len(b):
            return [(f"[{i}]", x, y) for i, (x, y) in enumerate(zip(a, b, strict=True))]
        return None
    step = "[{!r}]"
    if type(a) is type(b) and hasattr(a, "__dict__") and not callable(a):
        step, a, b = ".{}", _public(a), _public(b)
    if isinstance(a, dict) and isinstance(b, dict) and a.keys() == b.keys():
        return [(step.format(key), a[key], b[key]) for key in a]
    return None


def _public(a: Any) -> dict[str, Any]:
    """The attributes that are for others; a copy has memory and locks of its own."""
    mine = {name for name, value in vars(a).items() if name[0] == "_" or isinstance(value, LOCK)}
    return {name: value for name, value in vars(a).items() if name not in mine}


def different(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Elementwise, for arrays of one shape: whether they differ by more than rounding."""
    if a.dtype.kind != "f" or b.dtype.kind != "f":
        return a != b
    tolerance = 1e-4 if np.float32 in (a.dtype, b.dtype) else 1e-9
    scale = np.max(np.abs(b[np.isfinite(b)]), initial=0)
    return ~np.isclose(a, b, rtol=tolerance, atol=tolerance * min(scale, 1), equal_nan=True)
