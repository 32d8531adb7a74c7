"""The bar of a terminal, at 80 columns, and the lines of everything else."""

import io
import re

import pytest

from ssd_np import progress
from ssd_np.progress import Progress
from ssd_np.train.bar import Bar


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def clock(monkeypatch):
    """Seconds that pass only when told to."""
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_elsewhere_a_line_every_30_seconds(capsys, clock):
    with Progress(600, "train", "step", done=100) as bar:
        for i in range(90):
            clock[0] += 1
            bar.update(f"loss {i}")
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        "train: step 130 of 600, 30 s, about 470 s to go, loss 29",
        "train: step 160 of 600, 60 s, about 440 s to go, loss 59",
        "train: step 190 of 600, 90 s, about 410 s to go, loss 89",
    ]


def test_nothing_follows_from_a_first_item_that_compiled(capsys, clock):
    with Progress(72, "detect", "image") as bar:
        for seconds in (183, 30, 30):
            clock[0] += seconds
            bar.update()
    assert capsys.readouterr().err.splitlines() == [
        "detect: image 1 of 72, 183 s",
        "detect: image 2 of 72, 213 s",
        "detect: image 3 of 72, 243 s, about 2070 s to go",  # 69 images, 30 s each
    ]


def test_nothing_follows_from_the_steps_that_are_timed(capsys, clock):
    with Progress(4500, "train", "step", limit=True) as bar:
        for _ in range(3):
            clock[0] += 40
            bar.update("loss 1.000")
        bar.lengthen(5)
        clock[0] += 40
        bar.update()
    assert capsys.readouterr().err.splitlines() == [
        *(f"train: step {i}, {40 * i} s, timing the first steps, loss 1.000" for i in (1, 2, 3)),
        "train: step 4 of 5, 160 s, about 40 s to go",
    ]


def test_a_terminal_shows_no_rest_before_it_is_known(monkeypatch, clock):
    monkeypatch.setattr("sys.stderr", terminal := Terminal())
    with Progress(100, "train", "step", limit=True) as bar:
        for seconds, expected in ((600, "timing"), (2, "timing"), (2, "00:14")):
            clock[0] += seconds
            if expected == "00:14":
                bar.lengthen(10)
            bar.update()
            bar._bar.refresh()
            assert f"<{expected}" in terminal.getvalue().rpartition("[")[2]
    with Progress(100, "detect", "image") as bar:
        clock[0] += 600
        bar.update()
        bar._bar.refresh()
        assert "<?" in terminal.getvalue().rpartition("[")[2]


def test_what_is_over_sooner_says_nothing(capsys, clock):
    for item in progress.progress(range(20), 20, "detect", "image"):
        clock[0] += 1
        assert item < 20
    assert capsys.readouterr() == ("", "")


def test_at_80_columns_there_is_a_bar(monkeypatch):
    """The longest note of a training, thousands of steps: the bar itself is still seen."""
    monkeypatch.setattr("sys.stderr", terminal := Terminal())
    monkeypatch.setenv("COLUMNS", "80")

    class Trainer:
        class config:
            steps, minutes = 120_000, None

        class progress:
            step = 60_000

    class Step:
        seconds = 1.0

        class batch:
            images = range(1234)

        class loss:
            total = 12.345

    bar = Bar()
    bar.begin(Trainer)
    bar._bar._bar.ncols, bar._bar._bar.dynamic_ncols = 80, None
    bar.after_step(Trainer, Step)
    bar._bar._bar.refresh()
    bar.end(Trainer)
    last = [line for line in re.split(r"[\r\n]", terminal.getvalue()) if "loss" in line][-1]
    assert len(last) <= 80 and "loss 12.345, 1234 img/s" in last
    drawn = re.search(r"\|(.*?)\|", last)
    assert drawn and len(drawn[1]) >= 8, last
