"""`ssd-np exercise`: list the exercises, start one, have one's solution checked."""

from __future__ import annotations

import argparse
from pathlib import Path

from ssd_np.errors import OutputError, SsdError
from ssd_np.exercises.blank import blank_file
from ssd_np.exercises.catalog import EXERCISES, LESSONS, find


def run(arguments: argparse.Namespace) -> int:
    """`action` is list, start or check."""
    if arguments.action == "list":
        return _list()
    if arguments.action == "start":
        return _start(arguments.name, arguments.out)
    try:
        from ssd_np.exercises.grading import check
    except ModuleNotFoundError as error:
        if error.name != "pytest":
            raise
        raise SsdError("checking needs pytest", hint='pip install ".[test]"') from error
    return check(Path(arguments.file))


def _list() -> int:
    width = max(len(exercise.name) for exercise in EXERCISES)
    lesson = None
    for exercise in EXERCISES:
        if exercise.lesson != lesson:
            lesson = exercise.lesson
            print(f"{lesson:02} {LESSONS[lesson]}")
        print(f"   {exercise.name:{width}}  {exercise.module.replace('.', '/')}.py")
    return 0


def _start(name: str, out: str | None) -> int:
    exercise = find(name)
    path = Path(out or f"{name}.py")
    text = blank_file(exercise, str(path))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:  # a solution is never overwritten
            file.write(text)
    except FileExistsError as error:
        raise OutputError("exists already", where=str(path), hint="--out names another") from error
    except OSError as error:
        raise OutputError(f"can not be written: {error}", where=str(path)) from error
    functions = " and ".join(exercise.functions)
    print(f"{path}: write {functions}, then run: ssd-np exercise check {path}")
    return 0
