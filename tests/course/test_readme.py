"""The README's example prints what stands below it; its table of the course has no hole."""

import contextlib
import io
import re
from pathlib import Path

import pytest

from ssd_np.exercises.catalog import EXERCISES

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
NUMBER = re.compile(r"-?\d+\.\d+")


def test_the_example_prints_what_is_written_below_it():
    example, printed = re.search(
        r"```python\n(.*?)```\n+prints\n+```text\n(.*?)```", README, re.DOTALL
    ).groups()
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(example, {})
    words, expected = (NUMBER.sub("#", text).split() for text in (out.getvalue(), printed))
    assert [w.strip("[]") for w in words if w.strip("[]")] == [
        w.strip("[]") for w in expected if w.strip("[]")
    ]
    # to the last digit printed: another processor may round otherwise
    pairs = zip(NUMBER.findall(out.getvalue()), NUMBER.findall(printed), strict=True)
    assert max(abs(float(a) - float(b)) for a, b in pairs) < 0.011


# what the detector is specified to have
HEADINGS = """grid detectors, default boxes, feature maps, base network, convolutional predictors,
    network structure, the SSD loss, brightness, contrast, hue, lighting noise, saturation,
    horizontal, vertical flip, expand, crop, config, DefaultBoxes layer, L2 Normalization layer"""
TABLE = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in README.splitlines()
    if re.match(r"\|.*\| \[\d\d\]\(examples/", line)
]


@pytest.mark.parametrize("heading", [" ".join(h.split()) for h in HEADINGS.split(",")])
def test_every_heading_has_a_lesson_code_a_test_and_an_exercise(heading):
    rows = [row for row in TABLE if heading.lower() in row[0].lower()]
    assert rows, f"no row of the course's table speaks of {heading}"
    for _, lesson, code, test, exercise in rows:
        assert "examples/" in lesson and "ssd_np/" in code and "/test_" in test
        assert re.search(r"`\w+`", exercise)


def test_the_table_names_every_exercise_and_no_other():
    named = {name for row in TABLE for name in re.findall(r"`(\w+)`", row[4])}
    assert named == {exercise.name for exercise in EXERCISES}
    lessons = {int(number) for row in TABLE for number in re.findall(r"\[(\d\d)\]", row[1])}
    assert lessons == set(range(1, 20))
