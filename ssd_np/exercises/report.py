"""What a student reads: which test failed, for which input, what was expected and what came."""

import dataclasses
import inspect
import traceback
from pathlib import Path
from typing import Any

import numpy as np

from ssd_np.exercises.calls import Call, Calls, different, parts, same
from ssd_np.exercises.exercise import Exercise
from ssd_np.exercises.show import MOST_NUMBERS, labelled, show

SHOWN = 3  # failures told in full; the others by name
MOST_LINES = 20  # of what a function printed
MOST_BESIDE = 8  # numbers of a row that are shown where two arrays part


@dataclasses.dataclass(frozen=True)
class Failure:
    """One failed test: its name as a sentence, where it stands, what went wrong, line by line."""

    test: str  # without the case
    title: str
    where: str
    lines: tuple[str, ...]
    size: float = float("inf")  # of the input, in numbers
    printed: bool = False  # whether the lines tell what the function printed
    unwritten: str = ""  # the message of the blank, if the function is not written yet


def explain_failure(
    item: Any, excinfo: Any, calls: Calls, path: Path, results: tuple[str, ...]
) -> Failure:
    """Made of a failed test `item` and its exception, a pytest.ExceptionInfo."""
    name, title = item.name.partition("[")[0], test_title(item)
    where = f"{item.location[0]}:{item.location[1] + 1}"
    if isinstance(excinfo.value, NotImplementedError):
        return Failure(name, title, where, (), unwritten=str(excinfo.value))
    lines = inspect.cleandoc(item.obj.__doc__).splitlines() if item.obj.__doc__ else []
    wrong = calls.first_wrong()
    if wrong is None:
        lines += ["the test says:", *excinfo.exconly(tryshort=True).splitlines()[:12]]
        return Failure(name, title, where, tuple(lines))
    lines += describe_call(wrong, path, results)
    size = _size(list(wrong.arguments.values()))
    return Failure(name, title, where, tuple(lines), size, bool(wrong.printed))


def _size(value: Any) -> int:
    """How many numbers a reader must look at."""
    if isinstance(value, np.ndarray):
        return value.size
    return sum(map(_size, value)) if isinstance(value, tuple | list) else 1


def test_title(item: Any) -> str:
    """The name of a test as a sentence, its case in brackets."""
    name, _, case = item.name.removeprefix("test_").partition("[")
    return name.replace("_", " ") + (f" [{case}" if case else "")


def describe_call(call: Call, path: Path, results: tuple[str, ...]) -> list[str]:
    """The input, what came, what was expected, and where they part."""
    lines = [f"{call.library.__name__} was called with"]
    for name, value in call.arguments.items():
        lines += labelled(f"  {name} = ", show(value, name))
    if call.printed:
        lines += ["it printed", *printed(call.printed)]
    if call.changed:
        return [*lines, f"it wrote to its input {', '.join(call.changed)}; work on a copy"]
    if isinstance(call.got, Exception):
        steps = traceback.extract_tb(call.got.__traceback__)
        own = [step for step in steps if Path(step.filename) == path]
        place = f", line {own[-1].lineno}: {own[-1].line}" if own else ""
        lines += [f"it raised {type(call.got).__name__}: {call.got}{place}"]
        return lines + labelled("expected  ", show(call.expected))
    got, expected, part = _first_part(call.got, call.expected, results)
    if part:
        lines.append(f"{part} differs:")
    lines += labelled("expected  ", show(expected, part))
    lines += labelled("got       ", show(got, part))
    return lines + _first_difference(got, expected)


def printed(text: str) -> list[str]:
    """What a function printed, as far as it is shown."""
    lines = text.splitlines()
    more = [f"  ... {len(lines)} lines in all"] if len(lines) > MOST_LINES else []
    return [f"  {line}" for line in lines[:MOST_LINES]] + more


def _first_part(got: Any, expected: Any, names: tuple[str, ...]) -> tuple[Any, Any, str]:
    """Of results with several parts the first that differs, as deep as it goes, and its name."""
    for i, (step, a, b) in enumerate(parts(got, expected) or ()):
        if same(a, b):
            continue
        if isinstance(expected, tuple):
            step = names[i] if len(names) == len(expected) else f"result {i + 1}"
        while inner := [part for part in parts(a, b) or () if not same(*part[1:])]:
            deeper, a, b = inner[0]
            step += deeper
        return a, b, step
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
    return [f"{number}, {first}", *_beside(got, expected, place)]


def _beside(got: np.ndarray, expected: np.ndarray, place: tuple[int, ...]) -> list[str]:
    """The row in which two large arrays part: a few numbers of each."""
    if got.size <= MOST_NUMBERS or got.ndim < 2:
        return []
    start = max(0, min(place[-1] - MOST_BESIDE // 2, got.shape[-1] - MOST_BESIDE))
    row: tuple[int | slice, ...] = (*place[:-1], slice(start, start + MOST_BESIDE))
    at = ", ".join(map(str, place[:-1]))
    lines = [f"in [{at}, {start}:{start + len(got[row])}]"]
    lines += labelled("  expected  ", show(expected[row]))
    return lines + labelled("  got       ", show(got[row]))


def write_report(
    terminal: Any, exercise: Exercise, failures: list[Failure], passed: int, said: tuple[str, str]
) -> None:
    """To pytest's terminal: green if all passed, else the first failures and the names of all.

    said: the first test in which the functions printed something, and what they printed.
    """
    terminal.ensure_newline()
    name, total = exercise.name, passed + len(failures)
    if not total:
        terminal.write_line(f"{name}: no test of {exercise.tests} could be run", red=True)
        return
    if not failures:
        terminal.write_line(f"{name}: all {total} tests pass. Well done.", green=True)
        _write_printed(terminal, said)
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
    if not any(failure.printed for failure in told[:SHOWN]):
        _write_printed(terminal, said)


def _write_printed(terminal: Any, said: tuple[str, str]) -> None:
    title, text = said
    if text:
        terminal.write_line("")
        for line in (f"printed in the test: {title}", *printed(text)):
            terminal.write_line(line)


def _clearest(failures: list[Failure]) -> list[Failure]:
    """One failure of each test, that of its smallest case; the smallest of all first."""
    clearest: dict[str, Failure] = {}
    for failure in sorted(failures, key=lambda f: f.size):
        clearest.setdefault(failure.test, failure)
    return list(clearest.values())
