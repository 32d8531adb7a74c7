"""Minutes: the first steps fix how many there are, and the same number repeats the training."""

import dataclasses
import types

import numpy as np
import pytest
from test_trainer import narrow_config

from ssd_np.config import TrainConfig, config_from_json
from ssd_np.data.shapes import ShapesDataset
from ssd_np.errors import ConfigError
from ssd_np.model.archive import read_archive
from ssd_np.model.ssd import SSD
from ssd_np.train.callbacks import Callback
from ssd_np.train.schedule import learning_rate
from ssd_np.train.start import looks, validate_every, validations
from ssd_np.train.trainer import Trainer

TICK = 0.5  # seconds between two looks at the clock
BY_TIME = TrainConfig(
    steps=900, minutes=0.35, batch_size=2, learning_rate=0.01, schedule="warmup_cosine",
    warmup_steps=22, average=0.1,
)  # fmt: skip


@pytest.fixture
def clock(monkeypatch):
    """A clock for the budget alone, half a second further whenever it is looked at."""
    now = iter(np.arange(0, 1e4, TICK))
    fake = types.SimpleNamespace(perf_counter=lambda: float(next(now)))
    monkeypatch.setattr("ssd_np.train.budget.time", fake)


def make(out, rule=BY_TIME, callbacks=(), validation=None):
    model = SSD(dataclasses.replace(narrow_config(), training=rule), seed=1)
    return Trainer(model, ShapesDataset(0, 12), rule, out, validation, callbacks)


def assert_same(one, other):
    for name in ("last.npz", "best.npz"):
        (header, arrays), (header2, arrays2) = read_archive(one / name), read_archive(other / name)
        assert header == header2 and arrays.keys() == arrays2.keys()
        for key, array in arrays.items():
            np.testing.assert_array_equal(array, arrays2[key], err_msg=f"{name}: {key}")


def test_steps_by_the_clock_and_the_same_number_repeats_them(tmp_path, clock, capsys):
    """21 s: begun at 0, 15 steps end at 7.5, after a third; detection takes three looks and the
    checkpoint two, the last is at 10.5; half a second a step, and little for
    checkpoints, leave 20."""
    trainer = make(tmp_path / "timed")
    steps = trainer.fit().steps
    each = TICK + TICK / BY_TIME.checkpoint_every
    assert steps == 15 + int((21 - 10.5) / each) == 35
    assert f"{steps} steps: 0.35 minutes allow that, at 0.5 s a step" in capsys.readouterr().err
    config = config_from_json((tmp_path / "timed" / "config.json").read_text())
    assert (config.training.steps, config.training.minutes) == (steps, None)
    repeated = dataclasses.replace(BY_TIME, steps=steps, minutes=None)
    make(tmp_path / "repeated", repeated).fit()
    assert_same(tmp_path / "timed", tmp_path / "repeated")
    rates = trainer.log.columns()["learning_rate"]
    expected = [learning_rate(step, repeated) for step in range(steps)]
    np.testing.assert_allclose(rates, expected, rtol=1e-5)


def test_what_is_looked_at_later_counts(tmp_path, clock):
    rule = dataclasses.replace(BY_TIME, minutes=0.55)
    trainer = make(tmp_path, rule, validation=ShapesDataset(9, 1))
    trainer.budget.evaluated = 2
    # an image takes half a second here: the two, and twice the one; ten seconds for the pictures
    assert trainer.fit().steps == 21 + int((33 - 13.5 - 2 - 10) / (TICK + TICK / 250)) == 35
    assert trainer.config.validate_every == 22  # not before the warm-up is over


def test_a_minute_that_is_over_ends_with_what_was_timed_and_no_time_more_than_is_of_use(
    tmp_path, clock
):
    assert make(tmp_path / "a", dataclasses.replace(BY_TIME, minutes=0.01)).fit().steps == 4
    assert (
        make(tmp_path / "b", dataclasses.replace(BY_TIME, minutes=60.0, steps=25)).fit().steps == 25
    )


class Stop(Callback):
    def __init__(self, number):
        self.number = number

    def after_step(self, trainer, step):
        if step.number == self.number:
            raise ZeroDivisionError


@pytest.mark.parametrize("number", [4, 14])
def test_a_resumed_training_has_the_length_of_its_config(tmp_path, clock, number):
    """Stopped before the length was known, and in the step that fixed it."""
    with pytest.raises(ZeroDivisionError):
        make(tmp_path / "run", callbacks=[Stop(number)]).fit()
    written = tmp_path / "run" / "config.json"
    rule = config_from_json(written.read_text()).training if written.exists() else BY_TIME
    assert (rule.minutes is None) == (number >= 14)
    again = make(tmp_path / "run", rule)
    again.resume()
    steps = again.fit().steps
    make(tmp_path / "whole", dataclasses.replace(BY_TIME, steps=steps, minutes=None)).fit()
    assert_same(tmp_path / "run", tmp_path / "whole")


def test_a_stop_between_the_two_files_is_no_loss(tmp_path, clock, monkeypatch):
    """config.json has the length already, last.npz does not."""
    with monkeypatch.context() as patched:
        patched.setattr("ssd_np.train.budget.set_length", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            make(tmp_path / "run").fit()
    assert TrainConfig(**read_archive(tmp_path / "run" / "last.npz")[0]["training"]).minutes
    again = make(tmp_path / "run", dataclasses.replace(BY_TIME, steps=24, minutes=None))
    again.resume()
    assert again.fit().steps == 24


def test_minutes_need_first_steps_that_know_no_length():
    for other in ({"schedule": "cosine"}, {"schedule": "step"}, {"warmup_steps": 20}):
        with pytest.raises(ConfigError, match=r"minutes: expected null, or schedule 'warmup_cos"):
            dataclasses.replace(BY_TIME, **other)
    with pytest.raises(ConfigError, match="minutes: expected a number above 0 or null"):
        dataclasses.replace(BY_TIME, minutes=0.0)


def test_the_first_steps_of_any_length_have_the_same_rates():
    def rates(steps):
        rule = dataclasses.replace(BY_TIME, minutes=None, steps=steps)
        return [learning_rate(step, rule) for step in range(22)]

    assert rates(23) == rates(120) == rates(30_000)
    whole = dataclasses.replace(BY_TIME, minutes=None, steps=122)
    assert learning_rate(72, whole) == pytest.approx(0.005)  # half of the way after the warm-up
    assert 0 < learning_rate(121, whole) < 1e-5


def test_many_images_are_looked_at_less_often():
    assert [validations(n) for n in (1, 100, 200, 499, 500, 9999)] == [10, 10, 5, 2, 2, 2]
    late = dataclasses.replace(BY_TIME, minutes=None, warmup_steps=100, steps=3000)
    assert validate_every(late, 20) == 300 and validate_every(late, 500) == 1500
    assert validate_every(dataclasses.replace(late, steps=300), 20) == 100

    def often(steps, images=20):
        return looks(dataclasses.replace(late, steps=steps), images)

    assert [often(steps) for steps in (50, 100, 101, 300, 3000)] == [1, 1, 2, 3, 10]
    assert often(3000, 0) == 0 and often(3000, 500) == 2
    assert all(often(steps) <= often(steps + 1) for steps in range(1, 2000))  # so it is searched
