"""The trainer: it learns, repeats itself bit for bit, goes on where it stopped, keeps a log."""

import csv
import dataclasses
import json
import signal

import numpy as np
import pytest

from ssd_np.config import TrainConfig, load_config
from ssd_np.data.shapes import ShapesDataset
from ssd_np.errors import DataError, NotFinite
from ssd_np.model.pretrained import base_names
from ssd_np.model.ssd import SSD
from ssd_np.model.weights import load
from ssd_np.train.callbacks import Callback
from ssd_np.train.log import COLUMNS
from ssd_np.train.trainer import Trainer

pytestmark = pytest.mark.lesson12


def narrow_config():
    """`tiny` with a quarter of the channels: quick, and every part of it is there."""
    config = load_config("tiny")
    layers = tuple(
        dataclasses.replace(layer, channels=layer.channels // 4) if layer.kind == "conv" else layer
        for layer in config.layers
    )
    return dataclasses.replace(config, layers=layers)


def trainer(out, steps=4, dataset=None, attached=(), **changes) -> Trainer:
    rule = TrainConfig(
        steps=steps, batch_size=2, learning_rate=0.01, warmup_steps=2, schedule="cosine"
    )
    rule = dataclasses.replace(rule, **changes)
    data = ShapesDataset(0, 12) if dataset is None else dataset
    return Trainer(SSD(narrow_config()), data, rule, out, **dict(attached))


def weights(model: SSD) -> dict:
    return {name: p.value.copy() for name, p in model.parameters.items()}


def assert_equal_weights(a: SSD, b: SSD) -> None:
    for name, parameter in a.parameters.items():
        np.testing.assert_array_equal(parameter.value, b.parameters[name].value, name)


def test_it_learns_one_image_by_heart(tmp_path):
    learner = trainer(tmp_path, steps=60, dataset=ShapesDataset(3, 1), learning_rate=0.02)
    learner.fit()
    totals = [float(row[1]) for row in learner.log.rows]
    assert np.mean(totals[-5:]) < 0.3 * np.mean(totals[5:10])


def test_two_runs_are_bit_equal(tmp_path):
    a, b = trainer(tmp_path / "a"), trainer(tmp_path / "b")
    a.fit()
    b.fit()
    assert_equal_weights(a.model, b.model)


def test_a_base_of_half_the_rate_moves_half_as_far(tmp_path):
    before, moved = weights(SSD(narrow_config())), []
    for multiplier in (1.0, 0.5):
        learner = trainer(tmp_path / str(multiplier), steps=1, base_multiplier=multiplier)
        learner.fit()
        moved.append({n: w - before[n] for n, w in weights(learner.model).items()})
    base = set(base_names(learner.model.config))
    assert 0 < len(base) < len(before)
    for name, full in moved[0].items():
        share = 0.5 if name in base else 1
        np.testing.assert_allclose(moved[1][name], share * full, rtol=1e-3, atol=1e-7)


def test_another_seed_is_another_run(tmp_path):
    a, b = trainer(tmp_path / "a"), trainer(tmp_path / "b", seed=1)
    a.fit()
    b.fit()
    assert a.log.rows[0][1] != b.log.rows[0][1]


def test_a_run_that_stopped_goes_on_as_if_it_had_not(tmp_path):
    whole, part = trainer(tmp_path / "whole"), trainer(tmp_path / "part")
    whole.fit()

    learn = part.learn

    def interrupt(step):
        if step.number == 1:  # the step in hand is finished first
            signal.raise_signal(signal.SIGINT)
        learn(step)

    part.learn = interrupt
    with pytest.raises(KeyboardInterrupt, match="saved after step 2"):
        part.fit()
    rest = trainer(tmp_path / "part")
    rest.resume()
    assert rest.progress.step == 2
    rest.fit()
    assert_equal_weights(whole.model, rest.model)
    logs = [read_log(tmp_path / name) for name in ("whole", "part")]
    for a, b in zip(*logs, strict=True):
        assert a[:-1] == b[:-1]  # all but the speed


def read_log(folder) -> list[list[str]]:
    with open(folder / "log.csv", newline="") as file:
        return list(csv.reader(file))


def test_what_is_left_in_the_folder(tmp_path):
    learner = trainer(tmp_path)
    result = learner.fit()
    assert {p.name for p in tmp_path.iterdir()} == {"best.npz", "last.npz", "log.csv", "loss.png"}
    header, *rows = read_log(tmp_path)
    assert tuple(header) == COLUMNS
    assert [int(row[0]) for row in rows] == [0, 1, 2, 3]
    for row in rows:
        total, location, confidence = map(float, row[1:4])
        assert total == pytest.approx(location + confidence, rel=1e-4)
    assert result.steps == 4
    for name in ("best.npz", "last.npz"):
        assert_equal_weights(load(tmp_path / name), learner.model)


def test_best_is_the_best_on_the_validation_set(tmp_path, monkeypatch):
    scores = iter([0.2, 0.5, 0.3, 0.1])

    class Result:
        classes = ()

        @property
        def mean_ap(self):
            return next(scores)

    monkeypatch.setattr("ssd_np.train.best.evaluate_voc", lambda *_: Result())
    kept = {}

    class Remember(Callback):
        def after_step(self, trainer, step):
            kept[trainer.progress.step] = weights(trainer.model)

    rule = {"validation": ShapesDataset(1, 2), "callbacks": [Remember()]}
    learner = trainer(tmp_path, validate_every=1, attached=rule)
    learner.fit()
    assert learner.progress.best_score == 0.5 and learner.progress.stale == 2
    for name, parameter in load(tmp_path / "best.npz").parameters.items():
        np.testing.assert_array_equal(parameter.value, kept[2][name])


def test_frozen_layers_stay_as_they_were(tmp_path):
    rule = TrainConfig(steps=3, batch_size=2, learning_rate=0.01, weight_decay=0.1)
    model = SSD(narrow_config())
    model.freeze("conv4_2")
    before = weights(model)
    Trainer(model, ShapesDataset(0, 6), rule, tmp_path).fit()
    for name, parameter in model.parameters.items():
        same = np.array_equal(parameter.value, before[name])
        assert same == (not parameter.trainable), name


def test_images_without_objects_train(tmp_path):
    class Empty(ShapesDataset):
        def __getitem__(self, index):
            sample = super().__getitem__(index)
            none = dataclasses.replace(
                sample.truth,
                boxes_corner=np.zeros((0, 4)),
                labels=np.zeros(0),
                difficult=None,
                crowd=None,
                area=None,
            )
            return dataclasses.replace(sample, truth=none)

    learner = trainer(tmp_path, dataset=Empty(0, 4))
    learner.fit()
    assert [float(row[1]) for row in learner.log.rows] == [0, 0, 0, 0]


def test_a_loss_that_is_not_finite_stops_with_a_post_mortem(tmp_path):
    learner = trainer(tmp_path, steps=8)
    learn = learner.learn

    def break_in_step_3(step):
        if step.number == 3:
            step.batch.images[1, 5, 6, 2] = np.inf
        learn(step)

    learner.learn = break_in_step_3
    with pytest.raises(NotFinite, match=r"step 3, images \['shapes.*post_mortem.json"):
        learner.fit()
    found = json.loads((tmp_path / "post_mortem.json").read_text())
    assert found["step"] == 3 and found["first_broken_tensor"] == "images"
    assert found["first_at"] == [1, 5, 6, 2] and found["not_finite"] == 1
    assert len(found["last_losses"]) == 3 and len(found["batch"]) == 2
    assert len(found["batch"][0]["boxes_corner"]) == len(found["batch"][0]["labels"]) > 0
    for parameter in load(tmp_path / "last.npz").parameters.values():  # the good weights are kept
        assert np.isfinite(parameter.value).all()


@pytest.mark.parametrize(
    "name, expected",
    [
        ("conv3_1.weight", "parameter conv3_1.weight"),
        ("loc_conv5_2.bias", "parameter loc_conv5_2.bias"),
    ],
)
def test_the_first_broken_tensor_is_the_cause_not_what_follows(tmp_path, name, expected):
    learner = trainer(tmp_path)
    broken = learner.model.parameters[name].value.copy()
    broken.flat[0] = np.nan
    learner.model.parameters[name].assign(broken)
    with pytest.raises(NotFinite, match=expected):
        learner.fit()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("engine", ["plain", "fast"])
def test_an_overflow_is_found_in_its_layer(engine, tmp_path, monkeypatch):
    """And told once: no warning of NumPy beside it."""
    monkeypatch.setenv("SSD_NP_ENGINE", engine)
    learner = trainer(tmp_path)
    weight = learner.model.parameters["conv3_2.weight"]
    weight.assign(np.full_like(weight.value, 3e38))
    with pytest.raises(NotFinite, match="first broken: output of layer conv3_2"):
        learner.fit()


def test_classes_the_model_does_not_know_are_named(tmp_path):
    data = ShapesDataset(0, 4)
    data.class_names = ("circle", "hexagon")
    with pytest.raises(DataError, match="hexagon"):
        trainer(tmp_path, dataset=data)
