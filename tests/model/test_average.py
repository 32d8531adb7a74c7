"""The average of the weights, the threshold for drawing, and patience: what a training chooses."""

import dataclasses

import numpy as np
import pytest
from test_trainer import assert_equal_weights, narrow_config

from ssd_np.config import TrainConfig
from ssd_np.data.shapes import ShapesDataset
from ssd_np.errors import WeightsError
from ssd_np.evaluate.average_precision import evaluate_voc
from ssd_np.evaluate.run import detect_dataset
from ssd_np.evaluate.threshold import best_threshold
from ssd_np.model.archive import read_archive
from ssd_np.model.ssd import SSD
from ssd_np.model.weights import load
from ssd_np.nn.parameter import Parameter
from ssd_np.records import Detections, Truth
from ssd_np.train.average import Averaged
from ssd_np.train.callbacks import Callback
from ssd_np.train.sgd import SGD
from ssd_np.train.trainer import Trainer

RULE = TrainConfig(steps=12, batch_size=2, learning_rate=0.01, warmup_steps=2, average=0.25)


class Walk:
    """An optimiser that walks where it is told."""

    def __init__(self, parameter, path):
        self.parameter, self.path = parameter, list(path)

    def step(self, rate, clip_norm=None):
        self.parameter.assign(np.array([self.path.pop(0)], float))
        return 1.0

    def state(self):
        return {}

    def load_state(self, state):
        pass


def averages(share, path):
    parameter = Parameter(np.zeros(1))
    walk = Averaged(Walk(parameter, path), {"w": parameter}, share)
    found = []
    for _ in path:
        walk.step(0.1)
        found.append(float(walk.average["w"][0]))
    return found


def test_by_hand():
    # 1 / (0.25 t): the first four replace, then 4/5, 4/6
    assert averages(0.25, [8.0, 4, 2, 1, 6, 9]) == pytest.approx([8, 4, 2, 1, 5, 5 + 4 * 2 / 3])
    assert averages(1.0, [3.0, 1, 2]) == pytest.approx([3, 2, 2])  # the mean of all


def test_it_looks_back_on_its_share_at_any_time():
    """Of a path 1, 2, ... the average is (1 - share) of the way and a little: a lag of about the
    share, early and late."""
    found = np.array(averages(0.1, np.arange(1.0, 3001)))
    for t in (300, 1000, 3000):
        assert 1 - found[t - 1] / t == pytest.approx(0.1 / 1.1, rel=0.05)


def make(out, validation=None, rule=RULE, callbacks=(), **options):
    model = SSD(narrow_config(), seed=1)
    return Trainer(model, ShapesDataset(0, 12), rule, out, validation, callbacks, **options)


def test_best_is_the_average_and_the_training_goes_on_without_it(tmp_path):
    plain = make(tmp_path / "plain", rule=dataclasses.replace(RULE, average=0.0))
    plain.fit()
    trainer = make(tmp_path / "averaged", ShapesDataset(9, 2))
    trainer.fit()
    assert_equal_weights(trainer.model, plain.model)  # measured on the way, and put back
    best = load(tmp_path / "averaged" / "best.npz")
    for name, parameter in best.parameters.items():
        np.testing.assert_array_equal(parameter.value, trainer.optimiser.average[name])
    assert not np.array_equal(
        best.parameters["conv1_1.weight"].value, plain.model.parameters["conv1_1.weight"].value
    )


def test_without_a_validation_the_last_average_counts(tmp_path):
    rule = dataclasses.replace(RULE, validate_every=3)
    trainer = make(tmp_path, rule=rule)
    trainer.fit()
    for name, parameter in load(tmp_path / "best.npz").parameters.items():
        np.testing.assert_array_equal(parameter.value, trainer.optimiser.average[name])


class Stop(Callback):
    def after_step(self, trainer, step):
        if step.number == 6:
            raise ZeroDivisionError


def test_a_resumed_training_has_the_same_average_to_the_bit(tmp_path):
    validation, rule = ShapesDataset(9, 2), dataclasses.replace(RULE, validate_every=4)
    whole = make(tmp_path / "whole", validation, rule)
    whole.fit()
    with pytest.raises(ZeroDivisionError):
        make(tmp_path / "two", validation, rule, [Stop()]).fit()
    again = make(tmp_path / "two", validation, rule)
    again.resume()
    assert again.optimiser.steps == 7
    again.fit()
    for name in ("best.npz", "last.npz"):
        (header, arrays), (header2, arrays2) = (
            read_archive(tmp_path / run / name) for run in ("whole", "two")
        )
        assert header == header2 and arrays.keys() == arrays2.keys()
        assert all(np.array_equal(arrays[key], arrays2[key]) for key in arrays)
    assert any(key.startswith("average/") for key in read_archive(tmp_path / "two/last.npz")[1])


def test_an_average_that_does_not_fit_is_refused_and_nothing_is_changed():
    model = SSD(narrow_config(), seed=1)
    optimiser = Averaged(SGD(model.parameters), model.parameters, 0.5)
    for parameter in model.parameters.values():
        parameter.grad = np.ones_like(parameter.value)
    optimiser.step(0.01)
    state = optimiser.state()
    velocity = {name: a.copy() for name, a in optimiser.optimiser.velocity.items()}
    broken = {name: a for name, a in state.items() if name != "average/conv1_1.weight"}
    broken = {name: a + 1 for name, a in broken.items()}
    with pytest.raises(WeightsError, match=r"conv1_1\.weight: has no average"):
        optimiser.load_state(broken)
    for name, array in velocity.items():
        np.testing.assert_array_equal(optimiser.optimiser.velocity[name], array)


# --- the threshold -------------------------------------------------------------------------------


def result(*images):
    """Detections (score, right) of one class in images with one object each."""
    truth = Truth([[0.1, 0.1, 0.5, 0.5]], [1])
    right, wrong = [0.1, 0.1, 0.5, 0.5], [0.6, 0.6, 0.9, 0.9]
    found = [
        Detections(
            np.reshape([right if hit else wrong for _, hit in image], (-1, 4)),
            np.ones(len(image), int),
            np.array([score for score, _ in image]),
            ("thing",),
        )
        for image in images
    ]
    return evaluate_voc(found, [truth] * len(images))


def test_the_threshold_by_hand():
    # above 0.6: 1 of 1 right, 2 objects: F1 2/3. From 0.4 to 0.6: 2 of 2: 1. Below: 2 of 3, 0.8
    found = best_threshold(result([(0.605, True), (0.305, False)], [(0.405, True)]), 0.5)
    assert found == pytest.approx(0.36)  # 0.31 to 0.40 are as good: the middle
    assert best_threshold(result([(0.9, False)], []), 0.45) == 0.45  # nothing right
    assert best_threshold(result([], []), 0.45) == 0.45


def test_best_has_the_threshold_of_its_validation(tmp_path):
    validation = ShapesDataset(9, 3)
    trainer = make(tmp_path, validation, dataclasses.replace(RULE, steps=20, learning_rate=0.02))
    trainer.fit()
    best = load(tmp_path / "best.npz")
    measured = evaluate_voc(*detect_dataset(best, validation))
    before = trainer.model.config.decoding.show_threshold
    assert best.config.decoding.show_threshold == best_threshold(measured, before) != before
    assert trainer.model.config.decoding.show_threshold == before


# --- patience ------------------------------------------------------------------------------------


def test_patience_ends_the_training_and_a_resume_leaves_it_at_that(tmp_path):
    """Without a step nothing gets better: a rate of almost 0."""
    rule = dataclasses.replace(
        RULE, steps=40, validate_every=2, patience=2, learning_rate=1e-12, average=0.0
    )
    validation = ShapesDataset(9, 2)
    trainer = make(tmp_path, validation, rule)
    assert trainer.fit().steps == 6  # measured at 2, 4 and 6
    again = make(tmp_path, validation, rule)
    again.resume()
    assert again.progress.stale == 2 and again.fit().steps == 6


def test_of_equal_ones_the_last_is_kept(tmp_path, monkeypatch):
    equal = result([(0.6, True)])
    monkeypatch.setattr("ssd_np.train.best.evaluate_voc", lambda *_: equal)
    rule = dataclasses.replace(RULE, steps=3, validate_every=1)
    trainer = make(tmp_path, ShapesDataset(9, 2), rule)
    trainer.fit()
    assert trainer.progress.best_score == 1 and trainer.progress.stale == 2
    for name, parameter in load(tmp_path / "best.npz").parameters.items():
        np.testing.assert_array_equal(parameter.value, trainer.optimiser.average[name])


@pytest.mark.parametrize(
    ("images", "average", "kept"),
    [
        (4, 0.25, 2),  # 3 of 4 found, 0.75 give or take 0.43: as good as 4 of 4
        (100, 0.25, 1),  # 0.75 give or take 0.09: worse than 1
        (4, 0.0, 1),  # single steps jump around: the best of them
    ],
)
def test_the_last_is_kept_that_is_not_worse_than_chance_allows(
    tmp_path, monkeypatch, images, average, kept
):
    all_found, some_missed = [(0.6, True)], []
    scores = iter(
        [
            result(*[all_found] * images),
            result(*[all_found, all_found, all_found, some_missed] * (images // 4)),
        ]
    )
    monkeypatch.setattr("ssd_np.train.best.evaluate_voc", lambda *_: next(scores))
    written = []
    monkeypatch.setattr(
        "ssd_np.train.best.sign", lambda trainer, _: written.append(trainer.progress.step)
    )
    rule = dataclasses.replace(RULE, steps=2, validate_every=1, average=average)
    trainer = make(tmp_path, ShapesDataset(9, 2), rule)
    trainer.fit()
    assert written[-1] == kept
    assert trainer.progress.best_score == 1 and trainer.progress.stale == 1
