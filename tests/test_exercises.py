"""The exercises: the blank fails, the library's own body passes, every known slip is caught."""

import ast
import doctest
import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
from wrong_solutions import boxes, layers, loss

import ssd_np
from ssd_np.cli import main
from ssd_np.errors import ConfigError, DataError
from ssd_np.exercises.blank import blank_file, reference_file
from ssd_np.exercises.catalog import EXERCISES, find
from ssd_np.exercises.grading import check

TESTS = Path(__file__).parent
SOLUTIONS = boxes.SOLUTIONS | layers.SOLUTIONS | loss.SOLUTIONS
EACH = pytest.mark.parametrize("exercise", EXERCISES, ids=lambda e: e.name)
SLIPS = [(name, slip) for name, (_, slips) in SOLUTIONS.items() for slip in slips]


@contextmanager
def as_if_alone():
    """Tests and their conftest are imported anew, as in a process of their own."""
    ours = {name for name, module in sys.modules.items() if _is_test(module)}
    kept = {name: sys.modules.pop(name) for name in ours}
    addopts = os.environ.pop("PYTEST_ADDOPTS", None)
    try:
        yield
    finally:
        for name in [name for name, module in sys.modules.items() if _is_test(module)]:
            del sys.modules[name]
        sys.modules.update(kept)
        if addopts is not None:
            os.environ["PYTEST_ADDOPTS"] = addopts


def _is_test(module):
    file = getattr(module, "__file__", None)
    return file is not None and Path(file).parent == TESTS


@pytest.fixture
def grade(tmp_path, monkeypatch, capsys):
    """Grades the text of a file; the exit code and the report."""
    monkeypatch.chdir(TESTS.parent)

    def run(text, *options):
        path = tmp_path / "solution.py"
        path.write_text(text, encoding="utf-8")
        with as_if_alone():
            code = check(path, *options)
        return code, capsys.readouterr().out

    return run


def solved(exercise, slip=None):
    """A student's file: the blank, and further down the functions written out."""
    source, slips = SOLUTIONS[exercise.name]
    if slip is not None:
        right, wrong = slips[slip]
        assert source.count(right) == 1, f"{exercise.name}, {slip}: found {source.count(right)} times"
        source = source.replace(right, wrong)
    return blank_file(exercise, "solution.py") + source


@EACH
def test_the_blank_fails_and_says_why(exercise, grade):
    code, report = grade(blank_file(exercise, "solution.py"), "-x")
    assert code == 1
    assert "is not written yet, in solution.py" in report


@EACH
def test_the_library_passes(exercise, grade):
    code, report = grade(reference_file(exercise, "solution.py"))
    assert code == 0, report
    assert f"{exercise.name}: all " in report and "tests pass" in report


@EACH
def test_a_plain_solution_passes(exercise, grade):
    code, report = grade(solved(exercise))
    assert code == 0, report


@pytest.mark.parametrize(("name", "slip"), SLIPS, ids=[f"{n}-{s}" for n, s in SLIPS])
def test_every_slip_is_caught(name, slip, grade):
    code, report = grade(solved(find(name), slip), "-x")
    assert code == 1, f"the tests of {name} let pass: {slip}"
    assert "1 of " in report and "fail" in report
