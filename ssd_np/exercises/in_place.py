"""A student's functions in the place of the library's, in this process only.

Python copies a function into every module that imports it by name, so a function is replaced
wherever the original is found: in its own module, and in those of ssd_np that imported it already.
Modules imported later, the tests among them, find the student's. Nothing is written to disk.
"""

import importlib
import importlib.util
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from ssd_np.errors import DataError
from ssd_np.exercises.calls import Calls
from ssd_np.exercises.catalog import find
from ssd_np.exercises.exercise import Exercise


def read(path: Path) -> tuple[Exercise, ModuleType]:
    """The exercise that a student's file is about, and the file as a module."""
    spec = importlib.util.spec_from_file_location("exercise_file", path)
    if spec is None or spec.loader is None or not os.path.isfile(path):
        raise DataError("is no Python file", str(path), "ssd-np exercise start NAME makes one")
    student = importlib.util.module_from_spec(spec)
    writes, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        spec.loader.exec_module(student)
    except Exception as error:  # whatever the student's file raises
        line = getattr(error, "lineno", None) or _line_in(path, error)
        where = f"{path}, line {line}" if line else str(path)
        raise DataError(f"does not run: {type(error).__name__}: {error}", where=where) from error
    finally:
        sys.dont_write_bytecode = writes
    if not hasattr(student, "EXERCISE"):
        raise DataError("does not say which exercise it is", str(path), 'a line EXERCISE = "match"')
    exercise = find(student.EXERCISE)
    missing = [name for name in exercise.functions if not callable(getattr(student, name, None))]
    if missing:
        raise DataError(f"defines no function {', '.join(missing)}", where=str(path))
    return exercise, student


def _line_in(path: Path, error: Exception) -> int | None:
    """The last line of the file that the error passed through."""
    line, step = None, error.__traceback__
    while step:
        if step.tb_frame.f_code.co_filename == str(path):
            line = step.tb_lineno
        step = step.tb_next
    return line


@contextmanager
def in_place(exercise: Exercise, student: ModuleType, calls: Calls) -> Iterator[None]:
    """Until the block ends, the library's functions are the student's, and `calls` notes them."""
    home = importlib.import_module(exercise.module)
    originals = [getattr(home, name) for name in exercise.functions]
    stand_ins = [
        calls.noting(getattr(student, original.__name__), original) for original in originals
    ]
    for original, stand_in in zip(originals, stand_ins, strict=True):
        _swap(original, stand_in)
    try:
        yield
    finally:
        for original, stand_in in zip(originals, stand_ins, strict=True):
            _swap(stand_in, original)


def _swap(old: Callable, new: Callable) -> None:
    """`new` wherever a module of ssd_np, or a table at its top level, holds `old`."""
    modules = [m for name, m in sys.modules.items() if name.split(".")[0] == "ssd_np"]
    for names in [vars(module) for module in modules]:
        tables = [value for value in names.values() if isinstance(value, dict)]
        for table in (names, *tables):
            for name in [name for name, value in table.items() if value is old]:
                table[name] = new
