"""What a student reads: which test failed, for which input, what was expected and what came."""

from __future__ import annotations

import dataclasses
import inspect
import textwrap
import traceback
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from ssd_np.exercises.calls import Call, Calls, different, parts, same
from ssd_np.exercises.exercise import Exercise

SHOWN = 3  # failures told in full; the others by name
MOST_NUMBERS = 24  # of an array that are printed
MOST_ITEMS = 6  # of a list
WIDTH = 96


@dataclasses.dataclass(frozen=True)
class Failure:
    """One failed test: its name as a sentence, where it stands, what went wrong, line by line."""

    test: str  # without the case
    title: str
    where: str
    lines: tuple[str, ...]
    unwritten: str = ""  # the message of the blank, if the function is not written yet


def explain_failure(item: Any, excinfo: Any, calls: Calls, path: Path) -> Failure:
    """Made of a failed test `item` and its exception, a pytest.ExceptionInfo."""
    name, _, case = item.name.removeprefix("test_").partition("[")
    title = name.replace("_", " ") + (f" [{case}" if case else "")
    where = f"{item.location[0]}:{item.location[1] + 1}"
    if isinstance(excinfo.value, NotImplementedError):
        return Failure(name, title, where, (), str(excinfo.value))
    lines = inspect.cleandoc(item.obj.__doc__).splitlines() if item.obj.__doc__ else []
    wrong = calls.first_wrong()
    if wrong is not None:
        lines += describe_call(wrong, path)
    else:
        lines += ["the test says:", *excinfo.exconly(tryshort=True).splitlines()[:12]]
    return Failure(name, title, where, tuple(lines))


def describe_call(call: Call, path: Path) -> list[str]:
    """The input, what came, what was expected, and where they part."""
    lines = [f"{call.library.__name__} was called with"]
    for name, value in call.arguments.items():
        lines += _labelled(f"  {name} = ", show(value))
    if call.changed:
        return [*lines, f"it wrote to its input {', '.join(call.changed)}; work on a copy"]
    if isinstance(call.got, Exception):
        steps = traceback.extract_tb(call.got.__traceback__)
        own = [step for step in steps if Path(step.filename) == path]
        place = f", line {own[-1].lineno}: {own[-1].line}" if own else ""
        lines += [f"it raised {type(call.got).__name__}: {call.got}{place}"]
        return lines + _labelled("expected  ", show(call.expected))
    got, expected, part = _first_part(call.got, call.expected)
    if same(call.got, call.expected):
        got, expected, part = call.history, call.by_library[1], "the history that is left"
    if part:
        lines.append(f"{part} differs:")
    lines += _labelled("expected  ", show(expected))
    lines += _labelled("got       ", show(got))
    return lines + _first_difference(got, expected)


def _first_part(got: Any, expected: Any) -> tuple[Any, Any, str]:
    """Of results with several parts the first that differs, as deep as it goes, and its name."""
    for i, (step, a, b) in enumerate(parts(got, expected) or ()):
        if same(a, b):
            continue
        if isinstance(expected, tuple):
            step = f"result {i + 1} of {len(expected)}, "
        while inner := [part for part in parts(a, b) or () if not same(*part[1:])]:
            deeper, a, b = inner[0]
            step += deeper
        return a, b, step.rstrip(", ")
    return got, expected, ""


def _first_difference(got: Any, expected: Any) -> list[str]:
    if not (isinstance(got, np.ndarray) and isinstance(expected, np.ndarray)):
        return []
    if got.shape != expected.shape:
        return [f"the shape is {got.shape}, expected {expected.shape}"]
    if got.dtype != expected.dtype:
        return [f"the type is {got.dtype}, expected {expected.dtype}"]
    places = np.argwhere(different(got, expected))
    if not len(places) or got.size <= 1:
        return []
    place = tuple(places[0].tolist())
    number = f"{len(places)} of {got.size} numbers differ"
    first = f"first at {list(place)}: expected {expected[place]:.6g}, got {got[place]:.6g}"
    return [f"{number}, {first}"]


def show(value: Any) -> str:
    """A value in a few lines."""
    if isinstance(value, np.ndarray):
        if value.size > MOST_NUMBERS:
            return f"array {value.shape} {value.dtype}"
        numbers = np.array2string(
            value, precision=4, suppress_small=True, separator=", ", max_line_width=WIDTH
        )
        return numbers + ("" if value.size else f" of shape {value.shape}")
    if isinstance(value, tuple | list):
        shown = [show(v) for v in value[:MOST_ITEMS]]
        more = [f"... {len(value)} in all"] if len(value) > MOST_ITEMS else []
        return "(" + ", ".join(shown + more) + ")"
    if isinstance(value, Exception):
        return f"{type(value).__name__}: {value}"
    if isinstance(value, np.random.Generator):
        return "a generator"
    if type(value).__repr__ is object.__repr__:  # would tell an address
        inside = show(list(value)) if isinstance(value, Iterable) else getattr(value, "name", "")
        return f"{type(value).__name__} {inside}".strip()
    return textwrap.shorten(repr(value), WIDTH)


def _labelled(label: str, text: str) -> list[str]:
    first, *rest = text.splitlines()
    return [label + first, *(" " * len(label) + line for line in rest)]


def write_report(terminal: Any, exercise: Exercise, failures: list[Failure], passed: int) -> None:
    """To pytest's terminal: green if all passed, else the first failures and the names of all."""
    terminal.ensure_newline()
    name, total = exercise.name, passed + len(failures)
    if not total:
        terminal.write_line(f"{name}: no test of {exercise.tests} could be run", red=True)
        return
    if not failures:
        terminal.write_line(f"{name}: all {total} tests pass. Well done.", green=True)
        return
    terminal.write_line(f"{name}: {len(failures)} of {total} tests fail", red=True)
    for message in sorted({failure.unwritten for failure in failures} - {""}):
        terminal.write_line(f"  {message}")
    told = _clearest([failure for failure in failures if not failure.unwritten])
    for failure in told[:SHOWN]:
        terminal.write_line("")
        terminal.write_line(f"{failure.title}   ({failure.where})", bold=True)
        for line in failure.lines:
            terminal.write_line(f"  {line}")
    if told[SHOWN:]:
        terminal.write_line("")
        terminal.write_line("failing too:")
        for failure in told[SHOWN:]:
            terminal.write_line(f"  {failure.title}")


def _clearest(failures: list[Failure]) -> list[Failure]:
    """One failure of each test, the smallest of its cases; the tests in their order."""
    clearest: dict[str, Failure] = {}
    for failure in failures:
        known = clearest.setdefault(failure.test, failure)
        if _length(failure) < _length(known):
            clearest[failure.test] = failure
    return list(clearest.values())


def _length(failure: Failure) -> tuple[int, int]:
    """Arrays too large to be printed, then lines."""
    return sum("array (" in line for line in failure.lines), len(failure.lines)
