"""What hangs on a training: called in order, ended always; what was learned is saved first."""

import dataclasses
import importlib
import math
import os
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest
from test_trainer import narrow_config, trainer, weights

from ssd_np.config import TrainConfig
from ssd_np.data.shapes import ShapesDataset
from ssd_np.engine.table import TABLE
from ssd_np.errors import DataError, SsdError
from ssd_np.model.archive import read_archive
from ssd_np.model.ssd import SSD
from ssd_np.model.weights import load
from ssd_np.train.callbacks import Callback
from ssd_np.train.trainer import Trainer


class Diary(Callback):
    """Writes down what it is told; raises at the end of a step if it is to."""

    def __init__(self, error=None, at=2):
        self.told, self.error, self.at = [], error, at

    def begin(self, trainer):
        self.told.append("begin")

    def after_step(self, trainer, step):
        self.told.append((step.number, trainer.progress.step))
        assert step.loss.total > 0 and step.norm > 0 and step.seconds > 0
        assert step.rate == trainer.rate(step.number)
        if self.error and step.number == self.at:
            raise self.error

    def save(self, trainer):
        self.told.append("save")

    def end(self, trainer):
        self.told.append("end")


def test_the_order_of_what_a_callback_is_told(tmp_path):
    diary = Diary()
    trainer(tmp_path, steps=3, attached={"callbacks": [diary]}, checkpoint_every=2).fit()
    assert diary.told == ["save", "begin", (0, 1), "save", (1, 2), "save", (2, 3), "end"]


class BrokenImage(ShapesDataset):
    """The picture can not be read once training has gone on for a while."""

    def __getitem__(self, index):
        if index == 5:
            raise DataError("is broken", where="picture 5")
        return super().__getitem__(index)


class NoTruth(ShapesDataset):
    """Its first and last item are well: what is wrong shows in a validation, not before."""

    def __getitem__(self, index):
        if index == 1:
            raise AttributeError("truth")
        return super().__getitem__(index)


@pytest.mark.parametrize(
    "attached, changes, error",
    [
        ({"callbacks": [Diary(ZeroDivisionError("mine"))]}, {}, ZeroDivisionError),
        ({"callbacks": [Diary(KeyboardInterrupt("mine"))]}, {}, KeyboardInterrupt),
        ({"validation": NoTruth(1, 3)}, {"validate_every": 3}, AttributeError),
        ({}, {"dataset": BrokenImage(0, 12)}, DataError),
    ],
)
def test_what_was_learned_is_saved_first(tmp_path, attached, changes, error):
    """Whatever a callback, a validation or a picture does: last.npz is of the step before it."""
    learner = trainer(tmp_path, steps=20, attached=attached, checkpoint_every=1000, **changes)
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(error):
        learner.fit()
    assert signal.getsignal(signal.SIGTERM) is before  # everything has ended
    done = learner.progress.step
    assert done >= (3 if attached else 1)
    assert read_archive(tmp_path / "last.npz")[0]["progress"]["step"] == done
    for name, parameter in load(tmp_path / "last.npz").parameters.items():
        np.testing.assert_array_equal(parameter.value, learner.model.parameters[name].value)

    whole = trainer(tmp_path / "whole", steps=20, checkpoint_every=1000)
    rest = trainer(tmp_path, steps=20, checkpoint_every=1000)
    rest.resume()
    rest.fit()
    whole.fit()
    for name, value in weights(whole.model).items():
        np.testing.assert_array_equal(value, rest.model.parameters[name].value)


def test_what_ended_the_training_is_told_even_if_nothing_can_be_saved(tmp_path):
    class Vanish(Callback):
        def after_step(self, trainer, step):
            (tmp_path / "run").rename(tmp_path / "elsewhere")
            raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        trainer(tmp_path / "run", attached={"callbacks": [Vanish()]}).fit()


def test_a_run_that_ended_in_its_last_validation_gets_its_best(tmp_path):
    with pytest.raises(AttributeError):
        trainer(tmp_path, attached={"validation": NoTruth(1, 3)}).fit()
    assert not (tmp_path / "best.npz").exists()
    rest = trainer(tmp_path, attached={"validation": ShapesDataset(1, 2)})
    rest.resume()
    rest.fit()
    for name, value in weights(rest.model).items():
        np.testing.assert_array_equal(value, load(tmp_path / "best.npz").parameters[name].value)


def test_a_callback_that_can_not_begin_ends_those_that_have(tmp_path):
    class NoBeginning(Callback):
        def begin(self, trainer):
            raise SsdError("not today")

    diary = Diary()
    with pytest.raises(SsdError, match="not today"):
        trainer(tmp_path, attached={"callbacks": [diary, NoBeginning()]}).fit()
    assert diary.told[-1] == "end"


# --- engines -------------------------------------------------------------------------------------


def test_a_plain_training_stays_in_the_main_thread(tmp_path, monkeypatch):
    """A debugger stops everywhere: every concept is called, and in the thread that trains."""
    monkeypatch.setenv("SSD_NP_ENGINE", "plain")
    where = {}

    def watch(module, name):
        concept = getattr(module, name)

        def watched(*arguments, **settings):
            where.setdefault(name, set()).add(threading.current_thread())
            return concept(*arguments, **settings)

        monkeypatch.setattr(module, name, watched)

    for name, (concept, _) in TABLE.items():
        watch(importlib.import_module(concept), name)
    trainer(tmp_path, steps=1).fit()
    used = {"make_targets", "multibox_loss", "sgd_update", "square_sum"}
    assert used <= where.keys()
    assert set().union(*where.values()) == {threading.main_thread()}


NO_THREADS = """
import sys, threading
def start(thread):
    raise SystemExit(f"a thread is started: {thread}")
threading.Thread.start = start
from ssd_np.cli import main
sys.exit(main(["train", "--steps", "1", "--eval-split", "none", "--out", sys.argv[1]]))
"""


@pytest.mark.xfail(
    "conv2d_forward" not in TABLE, reason="convolutions have one engine only", strict=True
)
def test_the_command_trains_without_a_thread_on_the_plain_engine(tmp_path):
    environment = os.environ | {"SSD_NP_ENGINE": "plain"}
    # Matplotlib's own thread, which tells of a first look at all fonts, is not what is meant
    subprocess.run([sys.executable, "-c", "import matplotlib.font_manager"], check=True)
    command = [sys.executable, "-c", NO_THREADS, str(tmp_path / "run")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "1 step in" in done.stdout and "numba" not in done.stderr


def losses(engine, monkeypatch, out, steps, dtype):
    monkeypatch.setenv("SSD_NP_ENGINE", engine)
    config = dataclasses.replace(narrow_config(), convolution="im2col")
    rule = TrainConfig(steps=steps, batch_size=4, learning_rate=0.01, warmup_steps=5)
    seen = []

    class Note(Callback):
        def after_step(self, trainer, step):
            seen.append(step.loss.total)

    model = SSD(config, seed=1, dtype=dtype)
    Trainer(model, ShapesDataset(0, 40), rule, out, callbacks=[Note()]).fit()
    return seen


@pytest.mark.parametrize("dtype, steps, bound", [(np.float32, 10, 1e-4), (np.float64, 30, 1e-9)])
def test_both_engines_train_the_same(monkeypatch, tmp_path, dtype, steps, bound):
    plain = losses("plain", monkeypatch, tmp_path / "plain", steps, dtype)
    fast = losses("fast", monkeypatch, tmp_path / "fast", steps, dtype)
    assert len(plain) == len(fast) == steps and all(map(math.isfinite, plain))
    np.testing.assert_allclose(plain, fast, rtol=bound, atol=0)
