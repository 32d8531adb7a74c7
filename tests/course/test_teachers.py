"""The plan of the course: every exercise has its session, and the minutes add up."""

import re
from pathlib import Path

from ssd_np.exercises.catalog import EXERCISES

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "teachers.md").read_text(encoding="utf-8")
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in re.findall(r"^\| \d+ \|.*$", TEXT, re.M)
]
NUMBERS = ["ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen"]


def test_every_exercise_has_one_session_and_its_lesson():
    lesson = {exercise.name: f"{exercise.lesson:02}" for exercise in EXERCISES}
    given = [(name, row[2]) for row in ROWS for name in re.findall(r"`(\w+)`", row[3])]
    assert sorted(name for name, _ in given) == sorted(lesson)
    assert [(name, lessons) for name, lessons in given if lesson[name] not in lessons] == []


def test_every_lesson_is_taught():
    taught = {number for row in ROWS for number in row[2].split(", ")}
    assert taught == {path.name[:2] for path in (ROOT / "examples").glob("[0-9][0-9]_*.py")}


def test_the_minutes_add_up():
    assert [sum(map(int, row[4].split(" + "))) for row in ROWS] == [90] * len(ROWS)
    assert [row[0] for row in ROWS] == [str(k) for k in range(1, len(ROWS) + 1)]
    word = NUMBERS[len(ROWS) - 10]
    assert f"A course of {word} sessions of 90 minutes" in TEXT
    assert f"{word} sessions" in (ROOT / "docs" / "index.md").read_text(encoding="utf-8")


def test_a_session_promises_what_its_exercises_do():
    """The gradient of a convolution is promised where `conv2d_backward` is written."""
    (session,) = [row for row in ROWS if "`conv2d_backward`" in row[3]]
    assert "gradient" in session[1]
    assert all("gradient" not in row[1] for row in ROWS[: int(session[0]) - 1])
