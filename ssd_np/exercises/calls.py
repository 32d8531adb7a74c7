"""The calls of a student's functions, beside what the library answers to the same arguments.

That is how a failing test can say what was expected for which input.
"""

from __future__ import annotations

import copy
import dataclasses
import functools
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

MOST_CALLS = 20  # noted in a test; a numeric gradient makes thousands


@dataclasses.dataclass
class Call:
    """What a student's function was given and what came of it: an answer, or an exception."""

    student: Callable
    library: Callable
    arguments: dict[str, Any]  # as they were before the call
    answer: Any = None
    changed: tuple[str, ...] = ()  # arguments that the call wrote to

    @functools.cached_property
    def expected(self) -> Any:
        """What the library makes of the same arguments."""
        try:
            return self._result(self.library(**copy.deepcopy(self.arguments)))
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

    def clear(self) -> None:
        self.noted.clear()

    def first_wrong(self) -> Call | None:
        return next((call for call in self.noted if not call.is_right), None)

    def noting(self, student: Callable, library: Callable) -> Callable:
        """The student's function, which notes its calls here."""

        @functools.wraps(library)
        def stand_in(*args, **kwargs):
            if len(self.noted) >= MOST_CALLS:
                return student(*args, **kwargs)
            given = _by_name(library, args, kwargs)
            call = Call(student, library, copy.deepcopy(given))
            try:
                answer = student(*args, **kwargs)
                call.answer = copy.deepcopy(answer)
            except Exception as error:
                call.answer = error
                raise
            finally:
                before = call.arguments
                call.changed = tuple(name for name in given if not same(given[name], before[name]))
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
    if isinstance(a, tuple | list) and isinstance(b, tuple | list):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, float | np.floating) and isinstance(b, float | np.floating):
        return not different(np.asarray(a), np.asarray(b)).any()
    if dataclasses.is_dataclass(a) and type(a) is type(b):
        return all(same(x, y) for x, y in zip(*map(_fields, (a, b)), strict=True))
    return bool(a == b)


def different(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Elementwise, for arrays of one shape: whether they differ by more than rounding."""
    if a.dtype.kind != "f" or b.dtype.kind != "f":
        return a != b
    tolerance = 1e-4 if np.float32 in (a.dtype, b.dtype) else 1e-9
    scale = np.max(np.abs(b[np.isfinite(b)]), initial=0)
    return ~np.isclose(a, b, rtol=tolerance, atol=tolerance * min(scale, 1), equal_nan=True)


def _fields(value: Any) -> list:
    return [getattr(value, field.name) for field in dataclasses.fields(value)]
