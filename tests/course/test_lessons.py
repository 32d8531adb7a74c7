"""The lessons run from the first line to the last; their own assertions are what is tested.

`pytest -m lesson03` runs one. With NUMBA_DISABLE_JIT=1 the first six must run too, so that a
debugger can step into every kernel.
"""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ssd_np.exercises.catalog import EXERCISES

ROOT = Path(__file__).parents[2]
DERIVATIONS = (ROOT / "docs" / "derivations.md").read_text(encoding="utf-8")
LESSONS = sorted((ROOT / "examples").glob("[0-9][0-9]_*.py"))
NUMBERS = [path.name[:2] for path in LESSONS]
MARKED = [
    pytest.param(path, marks=getattr(pytest.mark, f"lesson{path.name[:2]}"), id=path.stem)
    for path in LESSONS
]


def run(path, folder, **environment):
    # as on a machine without a screen; what a lesson leaves is left in `folder`
    environment = {**os.environ, "MPLBACKEND": "Agg", **environment}
    return subprocess.run(
        [sys.executable, "-W", "error::RuntimeWarning", str(path)],
        env=environment,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.mark.parametrize("path", MARKED)
def test_lesson_runs(path, tmp_path):
    done = run(path, tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout  # it tells something
    assert "Traceback" not in done.stderr and "Warning" not in done.stderr
    named = re.findall(r"^figure: (.+)$", done.stdout, re.M)  # saved for want of a screen
    assert named == [f"runs/lessons/{path.stem}_{k}.png" for k in range(1, len(named) + 1)]
    assert named and {tmp_path / name for name in named} == {*(tmp_path / "runs").rglob("*.png")}


@pytest.mark.parametrize("path", MARKED[:6])
def test_lesson_runs_without_compilation(path, tmp_path):
    done = run(path, tmp_path, NUMBA_DISABLE_JIT="1")
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.parametrize("path", MARKED)
def test_lesson_names_its_exercises_and_its_derivations(path):
    """In its head: all of the catalogue's, and the sections behind the gradients that it shows."""
    source = path.read_text(encoding="utf-8")
    head = ast.get_docstring(ast.parse(source))
    named = re.search(r"^Exercises?( \(of lesson \d\d\))?: (.*?);", head, re.M | re.S)
    found = re.findall(r"``(\w+)``", named[2])
    own = [exercise.name for exercise in EXERCISES if exercise.lesson == int(path.name[:2])]
    assert found == own if own else named[1] and {*found} <= {e.name for e in EXERCISES}
    assert f"``ssd-np exercise start {found[0]}``" in " ".join(head.split())
    sections = set(re.findall(r"docs/derivations\.md#([\w-]+)", head))
    assert sections <= {_anchor(title) for title in re.findall(r"^## (.+)$", DERIVATIONS, re.M)}
    shown = {name for name in re.findall(r"\b\w+_backward\b", source)}
    assert bool(sections) >= bool(shown), f"{shown} without a derivation"


def _anchor(title):
    return re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")


def test_there_are_nineteen_in_order():
    assert [f"{k:02}" for k in range(1, 20)] == NUMBERS
    for page in ("README.md", "docs/index.md", "examples/GALLERY_HEADER.rst"):
        text = (ROOT / page).read_text(encoding="utf-8").lower()
        assert set(re.findall(r"\b(\w+teen|twenty) lessons", text)) == {"nineteen"}, page


@pytest.mark.parametrize("path", MARKED)
def test_lesson_is_built_as_the_gallery_and_the_reader_expect(path):
    source = path.read_text(encoding="utf-8")
    title, line, *_ = ast.get_docstring(ast.parse(source)).splitlines()
    assert title.startswith(f"{path.name[:2]}. ") and line == "=" * len(title)
    assert source.count("# %%\n") >= 5  # cells
    assert "\nshow()\n" in source  # a picture
    assert "What goes wrong" in source
    last = source[source.rindex("# %%") :]
    assert "assert " in last  # what is to be remembered is asserted at the end
    for heading, rule in re.findall(r"^# ([^\n]+)\n# (-{4,})$", source, re.M):
        assert len(heading) == len(rule), f"{path.name}: the line under {heading!r}"
