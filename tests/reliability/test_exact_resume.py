"""A training that is stopped, however rudely, and resumed is the training that never stopped."""

import importlib
import re
import shutil
import signal
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from training_runs import (
    assert_same_run,
    command,
    make_trainer,
    narrow_config,
    read_log,
    start_arguments,
)

from ssd_np import files
from ssd_np.errors import DataError, NotFinite, OutputError, WeightsError
from ssd_np.model.archive import read_archive, write_archive
from ssd_np.train.callbacks import Callback

KINDS = ("while a file is written", "after a checkpoint", "any time")
TIMEOUT = 300  # seconds, for a process on a busy machine


def finish(process) -> str:
    out, err = process.communicate(timeout=TIMEOUT)
    assert process.returncode == 0, err
    return out


def resume_arguments(run) -> list[str]:
    # run.json is the last file written before the first step
    return ["train", "--resume", str(run)]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, voc):
    """undisturbed(steps): the folder of a training that ran to its end, and how to begin one."""
    ready = {}

    def run(steps):
        if steps not in ready:
            folder = tmp_path_factory.mktemp("undisturbed")
            config = narrow_config(steps=steps, validate_every=4)
            start = start_arguments(folder, voc, config)
            finish(command([*start, "--out", str(folder / "run")]))
            ready[steps] = folder / "run", start
        return ready[steps]

    return run


def unfinished(run) -> list:
    """The temporary files of writes that are going on, or were when the process was killed."""
    return [path for path in run.glob(".*") if re.fullmatch(r"\.[0-9a-f]{32}", path.suffix)]


def kill_at_a_random_moment(process, run, kind, rng) -> bool:
    """SIGKILL at any time, after a checkpoint, or while a file is written; False if too late."""
    checkpoint, begin, before = run / "last.npz", time.time(), set(unfinished(run))
    delay = rng.uniform(0, 3 if kind == "any time" else 1)
    while process.poll() is None and kind != "any time":  # until training has begun
        if checkpoint.exists() and checkpoint.stat().st_mtime > begin:
            break
        time.sleep(0.002)
    deadline = time.monotonic() + delay
    while process.poll() is None:
        late = time.monotonic() >= deadline
        if late and (kind != "while a file is written" or set(unfinished(run)) - before):
            process.kill()
            process.communicate()
            return True
        time.sleep(0 if late else 0.002)
    process.communicate()
    return False


def test_sigkill_at_random_moments(undisturbed, tmp_path, full, tell):
    wanted, steps = (20, 60) if full else (3, 8)
    expected, start = undisturbed(steps)
    run, rng = tmp_path / "disturbed", np.random.default_rng(7)
    start = [*start, "--force", "--out", str(run)]
    kills = saves = resumed = finished = 0
    while kills < wanted or finished == 0:
        begun = (run / "run.json").exists() and (run / "last.npz").exists()
        process = command(resume_arguments(run) if begun else start)
        kind = KINDS[kills % len(KINDS)]
        if kills < wanted and kill_at_a_random_moment(process, run, kind, rng):
            kills += 1
            resumed += begun
            saves += len(unfinished(run)) > 0
            continue
        finish(process)
        finished += 1
        assert_same_run(run, expected)
        if kills < wanted:  # quicker than the kills: once more from the start
            shutil.rmtree(run)
    tell(f"{kills} kills, {saves} of them while a file was written, {resumed} of a resumed run;"
         f" {finished} finished, all bit-equal to the run never killed")  # fmt: skip


def test_sigkill_before_and_after_every_rename_of_a_save(undisturbed, tmp_path, full, tell):
    """The moments that matter, one by one: the n-th flush to the disk, the n-th rename."""
    # of config.json, run.json, then log.csv, last.npz and loss.png again and again
    expected, start = undisturbed(8)
    moments = [("fsync", 13), ("replace", 13)]  # the log is there, the checkpoint not yet
    if full:
        moments = [(name, n) for name in ("fsync", "replace") for n in range(1, 30)]
    kills = 0
    for name, n in moments:
        run = tmp_path / f"{name} {n}"
        start = [*start, "--force", "--out", str(run)]
        first = f"""
import os, signal
real, calls = os.{name}, 0
def killing(*arguments):
    global calls
    calls += 1
    if calls == {n}:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(*arguments)
os.{name} = killing
"""
        process = command(start, first)
        process.communicate(timeout=TIMEOUT)
        if n > 13 and process.returncode == 0:  # there are fewer than that
            continue
        assert process.returncode == -signal.SIGKILL
        kills += 1
        begun = (run / "run.json").exists() and (run / "last.npz").exists()
        finish(command(resume_arguments(run) if begun else start))
        assert_same_run(run, expected)
    tell(f"{kills} kills at a flush or a rename, nothing lost")


STOPS = [signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])]


@pytest.mark.parametrize("number", STOPS)
def test_a_polite_stop_saves_and_says_how_to_go_on(undisturbed, tmp_path, number):
    expected, start = undisturbed(8)
    run = tmp_path / "disturbed"
    first = f"""
import os
from ssd_np.train.trainer import Trainer
learn = Trainer.learn
def stopped(self, *arguments):
    if self.progress.step == 4:
        os.kill(os.getpid(), {int(number)})
    return learn(self, *arguments)
Trainer.learn = stopped
"""
    process = command([*start, "--out", str(run)], first)
    _, err = process.communicate(timeout=TIMEOUT)
    assert process.returncode == 128 + number  # as shells count
    assert err.splitlines()[-2:] == [
        f"saved after step 5; go on with: ssd-np train --resume {run}",
        "ssd-np: stopped by the user",
    ]
    assert len(read_log(run)) == 1 + 5
    finish(command(resume_arguments(run)))
    assert_same_run(run, expected)


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="no terminal hangs up here")
@pytest.mark.parametrize("before", [signal.SIG_IGN, lambda *_: None], ids=["nohup", "handled"])
def test_a_terminal_that_hangs_up_stops_no_training_that_was_told_to_go_on(tmp_path, before):
    kept = signal.signal(signal.SIGHUP, before)
    try:
        learner = make_trainer(tmp_path, steps=2)
        learn = learner.learn

        def interrupted(*arguments):
            signal.raise_signal(signal.SIGHUP)
            return learn(*arguments)

        learner.learn = interrupted
        assert learner.fit().steps == 2
        assert signal.getsignal(signal.SIGHUP) is before
    finally:
        signal.signal(signal.SIGHUP, kept)


@pytest.mark.parametrize("doomed", ["log.csv", "last.npz", "loss.png", "best.npz"])
def test_a_folder_deleted_during_a_save_is_not_made_anew(tmp_path, monkeypatch, doomed):
    """With one file in it it would look like a run, and --resume would find no run.json."""
    run = tmp_path / "run"
    learner = make_trainer(run)

    def vanishing(real):
        def write(path, *arguments, **options):
            if learner.progress.step == 8 and Path(path).name == doomed:
                shutil.rmtree(run, ignore_errors=True)
            return real(path, *arguments, **options)

        return write

    for place, name in (("log", "append"), ("log", "write_atomically")):
        module = importlib.import_module(f"ssd_np.train.{place}")
        monkeypatch.setattr(module, name, vanishing(getattr(module, name)))
    for place in ("checkpoint", "best"):
        module = importlib.import_module(f"ssd_np.train.{place}")
        monkeypatch.setattr(module, "write_archive", vanishing(module.write_archive))
    with pytest.raises(OutputError, match=r"run/.*can not be written: No such file"):
        learner.fit()
    assert not run.exists()


def test_a_log_that_could_not_be_written_whole_is_mended(tmp_path, monkeypatch):
    """Half a line is on the disk: the next save cuts it off, and so does one that goes on."""
    whole, part = make_trainer(tmp_path / "whole"), make_trainer(tmp_path / "part")
    whole.fit()
    append, calls = files.append, []

    def failing(path, length, text):
        calls.append(length)
        if len(calls) == 2:
            append(path, length, text[: len(text) // 2])
            raise OutputError("disk full")
        return append(path, length, text)

    monkeypatch.setattr("ssd_np.train.log.append", failing)
    with pytest.raises(OutputError, match="disk full"):
        part.fit()
    assert len(calls) == 3 and calls[1] == calls[2] > 0  # it was saved once more before it ended
    rest = make_trainer(tmp_path / "part")
    rest.resume()
    assert rest.progress.step == 4
    with open(tmp_path / "part" / "log.csv", "a") as file:
        file.write("4,0.5,0.")  # killed in the middle of the next line
    rest.fit()
    assert read_log(tmp_path / "part") == read_log(tmp_path / "whole")


def test_a_log_that_somebody_took_away_is_written_anew(tmp_path):
    class Take(Callback):
        def after_step(self, trainer, step):
            if step.number == 4:
                (tmp_path / "log.csv").unlink()

    learner = make_trainer(tmp_path)
    learner.callbacks.append(Take())
    learner.fit()
    assert [row[0] for row in read_log(tmp_path)] == ["step", *map(str, range(8))]


def test_a_stop_in_the_middle_of_an_update_waits_for_its_end(tmp_path, monkeypatch):
    """Otherwise half the tensors would be saved with the update and half without."""
    whole, part = make_trainer(tmp_path / "whole"), make_trainer(tmp_path / "part")
    whole.fit()
    update = part.optimiser.step

    def interrupted(*arguments):
        if part.progress.step == 3:
            signal.raise_signal(signal.SIGINT)
        return update(*arguments)

    monkeypatch.setattr(part.optimiser, "step", interrupted)
    found = signal.getsignal(signal.SIGINT)  # ignored under nohup, and in a script's background
    with pytest.raises(KeyboardInterrupt, match="saved after step 4"):
        part.fit()
    assert signal.getsignal(signal.SIGINT) is found
    rest = make_trainer(tmp_path / "part")
    rest.resume()
    rest.fit()
    for name, parameter in whole.model.parameters.items():
        np.testing.assert_array_equal(parameter.value, rest.model.parameters[name].value)


def test_the_second_stop_does_not_wait_and_does_not_save(tmp_path, monkeypatch):
    learner = make_trainer(tmp_path, checkpoint_every=1000)
    learn = learner.learn

    def interrupted(*arguments):
        if learner.progress.step == 3:
            signal.raise_signal(signal.SIGTERM)
            signal.raise_signal(signal.SIGINT)
        return learn(*arguments)

    monkeypatch.setattr(learner, "learn", interrupted)
    with pytest.raises(KeyboardInterrupt, match="middle of a step"):
        learner.fit()
    assert read_archive(tmp_path / "last.npz")[0]["progress"]["step"] == 0


def test_training_in_another_thread_leaves_signals_alone(tmp_path):
    learner = make_trainer(tmp_path, steps=2)
    thread = threading.Thread(target=learner.fit)
    thread.start()
    thread.join(TIMEOUT)
    assert learner.progress.step == 2


def test_a_training_killed_before_its_first_step_says_so(tmp_path):
    with pytest.raises(WeightsError, match=r"before its first step.*--force"):
        make_trainer(tmp_path).resume()


@pytest.mark.parametrize(
    "damage, message",
    [
        (lambda text: text[: len(text) // 2], "log.csv: has . whole lines|can not be read"),
        (lambda text: text.replace("\n3,", "\n4,"), "does not count"),
        (lambda text: text.replace("\n3,", "\n3,x"), "can not be read"),
        (lambda text: "", "has 0 whole lines, the checkpoint beside it is of step 8"),
    ],
)
def test_a_log_that_is_not_the_checkpoint_s_is_refused(tmp_path, damage, message):
    make_trainer(tmp_path).fit()
    log = tmp_path / "log.csv"
    log.write_text(damage(log.read_text()))
    with pytest.raises(DataError, match=message):
        make_trainer(tmp_path).resume()


def change_velocity(header, arrays):
    name = next(name for name in arrays if name.startswith("velocity/"))
    arrays[name] = arrays[name][:1]


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda header, arrays: header.pop("progress"), "no checkpoint but a weights file"),
        (lambda header, arrays: header["progress"].update(step=-1), "its progress is"),
        (lambda header, arrays: header["progress"].update(step="1"), "its progress is"),
        (lambda header, arrays: header["progress"].update(more=1), "its progress is"),
        (lambda header, arrays: header.update(progress=[1]), "its progress is"),
        (lambda header, arrays: header.update(config=3), "carries no config"),
        (change_velocity, r"velocity/.* is \(1,"),
    ],
)
def test_a_made_up_checkpoint_is_refused_and_changes_nothing(tmp_path, change, message):
    make_trainer(tmp_path, steps=2).fit()
    header, arrays = read_archive(tmp_path / "last.npz")
    del header["sha256"]
    change(header, arrays)
    write_archive(tmp_path / "last.npz", header, arrays)
    other = make_trainer(tmp_path, steps=2)
    before = {name: p.value.copy() for name, p in other.model.parameters.items()}
    with pytest.raises(WeightsError, match=message):
        other.resume()
    for name, parameter in other.model.parameters.items():
        np.testing.assert_array_equal(parameter.value, before[name])


def test_a_checkpoint_of_another_config_is_refused(tmp_path):
    make_trainer(tmp_path, steps=2).fit()
    with pytest.raises(WeightsError, match="another config"):
        make_trainer(tmp_path, steps=3).resume()


def test_weights_that_are_not_finite_never_replace_good_ones(tmp_path, monkeypatch):
    learner = make_trainer(tmp_path)
    update = learner.optimiser.step

    def overflow(*arguments):
        norm = update(*arguments)
        if learner.progress.step == 5:  # a checkpoint is due right after this step
            weight = learner.model.parameters["conv3_1.weight"]
            weight.assign(np.full_like(weight.value, np.inf))
        return norm

    monkeypatch.setattr(learner.optimiser, "step", overflow)
    with pytest.raises(NotFinite, match=r"after step 6: parameter conv3_1\.weight is not finite"):
        learner.fit()
    header, arrays = read_archive(tmp_path / "last.npz")
    assert header["progress"]["step"] == 4
    assert all(np.isfinite(array).all() for array in arrays.values())
