"""The log and its curve by themselves, without a training."""

import math
import os
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from ssd_np.data.reading import RECORD
from ssd_np.errors import ConfigError, DataError, OutputError
from ssd_np.train import log as log_module
from ssd_np.train.log import COLUMNS, Log, LossCurve, columns_for, read_log

PARTS = {"location": 1.0, "confidence": 0.5}
HEAD = "step,total,location,confidence,positives,learning_rate,gradient_norm,images_per_second"


def step(number, **parts):
    """A step as a training gives it, of 4 images in half a second."""
    parts = parts or PARTS
    loss = SimpleNamespace(total=sum(parts.values()))
    batch = SimpleNamespace(images=[None] * 4)
    return SimpleNamespace(number=number, loss=loss, parts=parts, positives=3, rate=1 / 3, norm=2,
                           batch=batch, seconds=0.5)  # fmt: skip


def row(number):
    return f"{number},1.5,1,0.5,3,0.333333,2,8"


def trainer(folder, done=0, validation=None):
    progress = SimpleNamespace(step=done)
    return SimpleNamespace(out_dir=folder, progress=progress, validation=validation)


def log_of(run, steps, first=0, log=None):
    """A log that has seen steps as a trainer shows them."""
    log = log or Log()
    log.begin(run)
    for number in range(first, first + steps):
        log.expect(PARTS)
        log.add(step(number))
    return log


def lines(run):
    return (run.out_dir / "log.csv").read_text().splitlines()


def test_the_columns():
    assert ",".join(COLUMNS) == HEAD
    assert columns_for(["a"], True) == ("step", "total", "a", *COLUMNS[4:], "validation")
    with pytest.raises(ConfigError, match=r"^parts is a int"):
        columns_for(3)


def test_a_line_for_each_step_and_a_save_appends(tmp_path):
    run = trainer(tmp_path)
    log = log_of(run, 2)
    assert not log.unmeasured
    log.save(run)
    log.save(run)  # nothing new
    assert lines(run) == [HEAD, row(0), row(1)]
    inode = (tmp_path / "log.csv").stat().st_ino
    log_of(run, 1, 2, log).save(run)
    assert lines(run) == [HEAD, row(0), row(1), row(2)]
    assert (tmp_path / "log.csv").stat().st_ino == inode
    log_of(run, 1, 3, log).save(run)
    log_of(run, 1, 4, log).save(run)  # a step at a time
    assert lines(run) == [HEAD, *map(row, range(5))]
    assert log.rows.shape == (5, 8) and log.names == COLUMNS
    assert log.columns()["learning_rate"].tolist() == [0.333333] * 5  # as the file has them


def test_only_the_new_lines_are_written(tmp_path, monkeypatch):
    written = []
    monkeypatch.setattr(log_module, "append", lambda *given: written.append(given) or 9)
    (tmp_path / "log.csv").write_text("as long..")  # nine bytes, as `append` says
    run = trainer(tmp_path)
    log = log_of(run, 1)
    log.save(run)
    log_of(run, 1, 1, log).save(run)
    path = run.out_dir / "log.csv"
    assert written == [(path, 0, f"{HEAD}\n{row(0)}\n"), (path, 9, f"{row(1)}\n")]


def test_a_step_that_is_done_again_has_one_line(tmp_path):
    run = trainer(tmp_path)
    log = log_of(run, 3)
    log.add(step(1))
    assert log.rows[:, 0].tolist() == [0, 1]
    log.save(run)
    assert lines(run) == [HEAD, row(0), row(1)]


def test_before_the_first_step_there_is_no_file_and_no_row(tmp_path):
    run, log = trainer(tmp_path), Log()
    log.begin(run)
    log.save(run)
    assert not list(tmp_path.iterdir())
    assert log.names == () and log.rows.shape == (0, 8) and [*log.columns()] == [*COLUMNS]
    log.measured(0.5)  # which belongs to no step
    assert log.rows.shape == (0, 8)


def test_what_another_run_left_is_written_anew(tmp_path):
    (tmp_path / "log.csv").write_text("old\n" * 9)
    run = trainer(tmp_path)
    log_of(run, 2).save(run)
    assert lines(run) == [HEAD, row(0), row(1)]


@pytest.mark.parametrize("cut", [0, 20, None])
def test_what_somebody_took_away_is_written_anew(tmp_path, cut):
    run = trainer(tmp_path)
    log = log_of(run, 2)
    log.save(run)
    text = (tmp_path / "log.csv").read_text()
    if cut is None:
        (tmp_path / "log.csv").unlink()
    else:
        (tmp_path / "log.csv").write_text(text[:cut])
    log_of(run, 1, 2, log).save(run)
    assert lines(run) == [HEAD, row(0), row(1), row(2)]


def test_a_validation_stands_at_its_step(tmp_path):
    run = trainer(tmp_path, validation=[])
    assert not log_of(run, 0).unmeasured  # there is nothing to measure
    log = log_of(run, 1)
    assert log.unmeasured and math.isnan(log.rows[0, -1])
    log.save(run)
    log.measured(0.12345678)  # after the file had the step: it is written anew
    assert not log.unmeasured
    log.save(run)
    assert lines(run) == [f"{HEAD},validation", f"{row(0)},0.123457"]
    log_of(run, 2, 1, log)
    log.measured(1.0)  # before: the rest is appended
    log.save(run)
    assert lines(run)[1:] == [f"{row(0)},0.123457", f"{row(1)},nan", f"{row(2)},1"]


def test_one_that_goes_on_takes_back_the_lines_after_the_checkpoint(tmp_path):
    run = trainer(tmp_path)
    log_of(run, 5).save(run)
    run = trainer(tmp_path, done=3, validation=[])  # validated from now on: the columns stay
    log = Log()
    log.resume(run)
    assert log.names == COLUMNS and log.rows[:, 0].tolist() == [0, 1, 2]
    log_of(run, 1, 3, log).save(run)
    assert lines(run) == [HEAD, *map(row, range(4))]
    before = log.rows
    log.measured(0.5)  # which has no column
    assert not log.unmeasured and np.array_equal(log.rows, before)


def test_one_that_was_validated_goes_on_with_its_column(tmp_path):
    run = trainer(tmp_path, validation=[])
    log_of(run, 2).save(run)
    log = Log()
    log.resume(trainer(tmp_path, done=2))
    log_of(trainer(tmp_path, done=2), 1, 2, log)
    assert log.names[-1] == "validation" and log.unmeasured


def test_one_that_goes_on_before_its_first_step(tmp_path):
    names, numbers, length = read_log(tmp_path / "none.csv", 0)
    assert (names, numbers.shape, length) == ((), (0, 8), 0)


ANOTHER = HEAD.replace("positives,", "")
BESIDE = ", the checkpoint beside it is of step 2 (both are written together: take a copy of both)"
DAMAGED = {
    "short": (f"{HEAD}\n{row(0)}\n", "has 1 whole lines" + BESIDE),
    "cut": (f"{HEAD}\n{row(0)}\n{row(1)}", "has 1 whole lines" + BESIDE),
    "empty": ("", "has 0 whole lines" + BESIDE),
    "columns": (
        f"{ANOTHER}\n{row(0)[:-2]}\n{row(1)[:-2]}\n",
        f"has the columns {ANOTHER.replace(',', ', ')} (those of the SSD loss are "
        f"{', '.join(COLUMNS)})",
    ),
    "order": (f"{HEAD}\n{row(1)}\n{row(0)}\n", "does not count its steps 0, 1, 2, ..."),
    "letters": (
        f"{HEAD}\nx{row(0)[1:]}\n{row(1)}\n",
        "can not be read: could not convert string to float: 'x'",
    ),
}


@pytest.mark.parametrize("what", DAMAGED)
def test_a_damaged_log_is_refused(tmp_path, what):
    text, said = DAMAGED[what]
    path = tmp_path / "log.csv"
    path.write_text(text)
    with pytest.raises(DataError) as caught:
        read_log(path, 2)
    assert str(caught.value) == f"{path}: {said}"


def test_what_can_not_be_read_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"log\.csv: no such log"):
        read_log(tmp_path / "log.csv", 1)
    for content in (b"\xff\n0\n1\n", f"{HEAD}\n{row(0)},1\n{row(1)}\n".encode()):
        (tmp_path / "log.csv").write_bytes(content)
        with pytest.raises(DataError, match="can not be read"):
            read_log(tmp_path / "log.csv", 2)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no pipes with names")
def test_a_log_of_a_long_training_is_read(tmp_path):
    """Of a published schedule, 120,000 steps, it is larger than any record of data may be."""
    steps, rest = 120_000, ",0.1234567890123456789" * (len(COLUMNS) - 1)
    rows = [f"{k}{rest}\n" for k in range(steps)]
    (tmp_path / "log.csv").write_text(f"{HEAD}\n{''.join(rows)}")
    assert (tmp_path / "log.csv").stat().st_size > RECORD
    assert read_log(tmp_path / "log.csv", steps)[1].shape == (steps, len(COLUMNS))


def test_a_pipe_is_no_log(tmp_path):
    """Nobody writes to it, so that reading would wait for ever."""
    os.mkfifo(tmp_path / "log.csv")
    with pytest.raises(DataError, match=r"log\.csv: is no regular file"):
        read_log(tmp_path / "log.csv", 1)


def test_the_rest_of_a_broken_write_is_no_line(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text(f"{HEAD}\n{row(0)}\n{row(1)}\n2,1")
    names, numbers, length = read_log(path, 2)
    assert names == COLUMNS and numbers[:, 0].tolist() == [0, 1]
    assert length == len(f"{HEAD}\n{row(0)}\n{row(1)}\n")


@pytest.mark.parametrize(
    "names, named", [(["step"], "step"), (["a,b"], "a,b"), (["a\nb"], "a\\nb"), (['"'], '"'),
                     (["a\rb"], "a\\rb"), (["total"], "total")]
)  # fmt: skip
def test_parts_that_no_log_can_hold_are_refused(names, named):
    log = Log()
    with pytest.raises(ConfigError) as caught:
        log.expect(dict.fromkeys(names, 1.0))
    taken = "step, total, positives, learning_rate, gradient_norm, images_per_second"
    hint = f" (other names than {taken}, without a comma)"
    assert str(caught.value) == f"the loss: has the parts {names!r}{hint}"
    assert log.names == ()


def test_parts_stay_what_they_are():
    Log().expect({"X": 1.0})
    log = Log()
    log.expect(PARTS)
    log.expect(PARTS)
    with pytest.raises(ConfigError) as caught:
        log.expect({"a": 1.0})
    assert str(caught.value) == (
        f"the loss: has the parts ['a'] (the log has {HEAD.replace(',', ', ')})"
    )
    assert log.names == COLUMNS


def test_the_curve_is_drawn_of_the_lines(tmp_path):
    run, curve = trainer(tmp_path), LossCurve(Log())
    curve.begin(run)
    curve.save(run)
    assert not list(tmp_path.iterdir())
    curve = LossCurve(log_of(run, 3))
    curve.begin(run)
    curve.save(run)
    assert (tmp_path / "loss.png").read_bytes().startswith(b"\x89PNG")


def test_a_notebook_shows_the_curve_in_one_place(tmp_path, monkeypatch):
    shown = []

    class Shown:
        def update(self, picture):
            shown.append(("update", picture))

    display = ModuleType("IPython.display")
    display.Image = lambda data, width: (data[:4], width)
    display.display = lambda picture, display_id: shown.append((display_id, picture)) or Shown()
    monkeypatch.setitem(sys.modules, "IPython", ModuleType("IPython"))
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    monkeypatch.setattr("ssd_np.train.log.in_notebook", lambda: True)
    monkeypatch.setattr("ssd_np.train.log.loss_curve", lambda _, file: file.write(b"\x89PNG"))
    run = trainer(tmp_path)
    curve = LossCurve(log_of(run, 2))
    curve.begin(run)
    curve.save(run)
    curve.save(run)
    picture = (b"\x89PNG", 600)
    assert shown == [(True, picture), ("update", picture)]
    curve.begin(run)  # another training, another place
    curve.save(run)
    assert shown[2:] == [(True, picture)]


def test_a_missing_folder_is_not_made_by_the_curve(tmp_path):
    run = trainer(tmp_path / "gone")
    with pytest.raises(OutputError):
        LossCurve(log_of(run, 1)).save(run)
    assert not (tmp_path / "gone").exists()
