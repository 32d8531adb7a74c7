"""`ssd-np exercise`: list the exercises, start one, have one's solution checked."""

import argparse
from pathlib import Path

from ssd_np.commands import options as kinds
from ssd_np.errors import SsdError
from ssd_np.files import Plan, check_outputs, write_atomically
from ssd_np.terminal import say

HELP = "write a part of the library oneself, graded by the library's own tests"
EXAMPLE = "ssd-np exercise start match"
LIST, CHECK = "ssd-np exercise list", "ssd-np exercise check match.py"


def options(parser: argparse.ArgumentParser) -> None:
    # fmt: off
    add = parser.add_subparsers(dest="action", required=True, metavar="ACTION").add_parser
    add("list", help="the exercises, lesson by lesson", epilog=f"example: {LIST}")
    start = add("start", help="make a file with the functions left blank",
                epilog=f"example: {EXAMPLE}")
    start.add_argument("name", metavar="NAME", type=kinds.name,
                       help="of an exercise, as `list` shows them")
    start.add_argument("--out", metavar="FILE", type=kinds.output_file,
                       help="to make (default: NAME.py)")
    kinds.add_force(start)
    check = add("check", help="run the tests on the functions in a file",
                epilog=f"example: {CHECK}")
    check.add_argument("file", metavar="FILE", type=kinds.Input, help="made by `start`")


def run(arguments: argparse.Namespace) -> int:
    """`action` is list, start or check."""
    if arguments.action == "list":
        return _list()
    if arguments.action == "start":
        return _start(arguments.name, arguments.out, arguments.force)
    try:
        from ssd_np.exercises.grading import check
    except ModuleNotFoundError as error:
        if error.name != "pytest":
            raise
        raise SsdError("checking needs pytest", hint='pip install ".[test]"') from error
    return check(Path(arguments.file))


def _list() -> int:
    from ssd_np.exercises.catalog import EXERCISES, LESSONS

    width = max(len(exercise.name) for exercise in EXERCISES)
    lesson = None
    for exercise in EXERCISES:
        if exercise.lesson != lesson:
            lesson = exercise.lesson
            say(f"{lesson:02} {LESSONS[lesson]}")
        say(f"   {exercise.name:{width}}  {exercise.module.replace('.', '/')}.py")
    return 0


def _start(name: str, out: str | None, force: bool) -> int:
    from ssd_np.exercises.blank import blank_file
    from ssd_np.exercises.catalog import find

    exercise = find(name)
    path = Path(out or f"{name}.py")
    check_outputs(Plan(files=[path]), force)  # nobody's solution is overwritten unasked
    write_atomically(path, blank_file(exercise, str(path)))
    functions = " and ".join(exercise.functions)
    say(f"{path}: write {functions}, then run: ssd-np exercise check {path}")
    return 0
