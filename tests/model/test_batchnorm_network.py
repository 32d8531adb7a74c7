"""A network with batch normalisation: what moves when, what does not decay, what travels."""

import dataclasses

import numpy as np
import pytest
from test_fold import normalised
from test_kinds import SEPARABLE, with_layers

from ssd_np.config import TrainConfig, load_config
from ssd_np.data.shapes import ShapesDataset
from ssd_np.errors import NotFinite
from ssd_np.kinds.batchnorm import BatchNormLayer
from ssd_np.kinds.conv import ConvLayer
from ssd_np.model.archive import read_archive
from ssd_np.model.pretrained import read_base, save_base, set_base
from ssd_np.model.ssd import SSD
from ssd_np.model.weights import load, save
from ssd_np.train.checkpoint import Progress, load_checkpoint, save_checkpoint
from ssd_np.train.pretrain import classifier_config, pretrain
from ssd_np.train.sgd import SGD
from ssd_np.train.trainer import Trainer

LAYERS = (
    ConvLayer("c", 4, activation="none"),
    BatchNormLayer("bn"),
    ConvLayer("d", 4, stride=2, activation="none"),
    BatchNormLayer("bn2"),
)


def step(model, optimiser, seed):
    """One step from random images and upstream gradients; the rate is large on purpose."""
    rng = np.random.default_rng(seed)
    images = (3 + 2 * rng.standard_normal((2, 32, 32, 3))).astype(model.dtype)
    outputs = model.forward(images, training=True)
    model.backward(*(rng.standard_normal(out.shape).astype(model.dtype) for out in outputs))
    return optimiser.step(0.01)


def values(model):
    return {name: p.value.copy() for name, p in model.parameters.items()}


def test_training_moves_the_statistics_and_inference_does_not():
    model = SSD(with_layers(*LAYERS))
    start = values(model)
    model.forward(np.ones((1, 32, 32, 3), np.float32))
    assert all(np.array_equal(start[name], value) for name, value in values(model).items())
    step(model, SGD(model.parameters), 0)
    moved = values(model)
    for name in ("bn.mean", "bn.variance", "bn2.mean", "bn2.variance", "bn.scale", "bn.shift"):
        assert np.abs(moved[name] - start[name]).min() > 0, name


def test_the_statistics_are_not_the_optimisers():
    model = SSD(with_layers(*LAYERS))
    optimiser = SGD(model.parameters, weight_decay=0.1)
    assert not any(name.endswith((".mean", ".variance")) for name in optimiser.velocity)
    assert {"bn.scale", "bn.shift"} <= optimiser.velocity.keys()


def test_scale_and_shift_do_not_decay():
    """With gradients of 0 only decay moves: the kernels shrink, nothing else."""
    model = SSD(with_layers(*LAYERS))
    optimiser = SGD(model.parameters, weight_decay=0.1)
    start = values(model)
    for parameter in model.parameters.values():
        parameter.grad = np.zeros_like(parameter.value)
    optimiser.step(0.5)
    shrunk = {
        name for name, value in values(model).items() if not np.array_equal(value, start[name])
    }
    assert shrunk == {name for name in start if name.endswith(".weight")}
    np.testing.assert_allclose(model.parameters["c.weight"].value, start["c.weight"] * 0.95, 1e-6)


def test_frozen_it_uses_and_keeps_its_running_statistics():
    """In training too: a frozen layer answers as in inference; the one above goes on learning."""
    model = SSD(with_layers(*LAYERS))
    optimiser = SGD(model.parameters)
    for seed in range(3):
        step(model, optimiser, seed)
    model.freeze("bn")
    optimiser, start = SGD(model.parameters), values(model)
    images = np.random.default_rng(9).standard_normal((2, 32, 32, 3)).astype(np.float32)
    below = model.stages[0].layers[:2]
    answers = []
    for training in (False, True):
        x = images
        for layer in below:
            x = layer.forward(x, training).copy()
        answers.append(x)
    np.testing.assert_array_equal(*answers)
    step(model, optimiser, 5)
    now = values(model)
    rest = {name for name in start if np.array_equal(start[name], now[name])}
    assert rest >= {name for name in start if name.startswith(("c.", "bn."))}
    assert np.abs(now["bn2.mean"] - start["bn2.mean"]).min() > 0


def test_the_statistics_travel_in_weights(tmp_path):
    model = SSD(with_layers(*SEPARABLE))
    step(model, SGD(model.parameters), 0)
    save(tmp_path / "w.npz", model)
    again = load(tmp_path / "w.npz")
    images = np.random.default_rng(1).standard_normal((1, 32, 32, 3)).astype(np.float32)
    for ours, theirs in zip(again.forward(images), model.forward(images), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("frozen", [None, "bn"])
def test_resume_is_bit_exact(frozen, tmp_path):
    """Five steps at once, and three, a checkpoint, two: the same bits, statistics too."""

    def start(seed):
        model = SSD(with_layers(*LAYERS), seed=seed)
        if frozen:
            model.freeze(frozen)
        return model, SGD(model.parameters, weight_decay=1e-3)

    whole, optimiser = start(1)
    for seed in range(5):
        step(whole, optimiser, seed)
    part, optimiser = start(1)
    for seed in range(3):
        step(part, optimiser, seed)
    save_checkpoint(tmp_path / "last.npz", part, optimiser, Progress(3))
    rest, optimiser = start(2)
    assert load_checkpoint(tmp_path / "last.npz", rest, optimiser).step == 3
    for seed in range(3, 5):
        step(rest, optimiser, seed)
    for name, value in values(whole).items():
        np.testing.assert_array_equal(rest.parameters[name].value, value, err_msg=name)


def test_the_trainer_resumes_bit_exactly(tmp_path):
    """`tiny` with batch normalisation throughout: four steps, and two with two more."""
    shapes = ShapesDataset(seed=5, count=16)
    config = normalised(load_config("tiny"))

    def trainer(folder):
        changes = {"steps": 4, "batch_size": 2, "checkpoint_every": 2}
        training = dataclasses.replace(config.training, **changes)
        whole = dataclasses.replace(config, training=training)
        return Trainer(SSD(whole, seed=1), shapes, training, tmp_path / folder)

    whole = trainer("whole")
    whole.fit()
    part = trainer("part")
    learn, done = part.learn, []

    def two(step):
        if len(done) == 2:
            raise KeyboardInterrupt
        learn(step)
        done.append(step.number)

    part.learn = two
    with pytest.raises(KeyboardInterrupt):
        part.fit()
    rest = trainer("part")
    rest.resume()
    assert rest.progress.step == 2
    rest.fit()
    for name, value in values(whole.model).items():
        np.testing.assert_array_equal(rest.model.parameters[name].value, value, err_msg=name)


def test_a_normalised_base_is_pretrained_and_set(tmp_path):
    """Its running statistics come along; frozen, the detector keeps them."""
    shapes = ShapesDataset(seed=5, count=16)
    config = normalised(load_config("tiny"))
    small = classifier_config(config, shapes.class_names)
    classifier, _ = pretrain(small, shapes, TrainConfig(steps=3, batch_size=4))
    arrays = {name: p.value for name, p in classifier.base.parameters.items()}
    assert np.abs(arrays["conv1_1_bn.mean"]).max() > 0
    save_base(tmp_path / "base.npz", small, arrays)
    found, base = read_base(tmp_path / "base.npz", config)
    model = SSD(found)
    assert set_base(model, base, "base.npz") == []
    for name, array in arrays.items():
        np.testing.assert_array_equal(model.parameters[name].value, array)


def test_a_training_that_diverges_leaves_good_statistics(tmp_path):
    """The batch that breaks does not move them: the cause is found, the last weights are kept."""
    config = normalised(load_config("tiny"))
    changes = {"steps": 9, "batch_size": 2, "learning_rate": 1e25, "clip_norm": None}
    training = dataclasses.replace(config.training, warmup_steps=0, **changes)
    model = SSD(dataclasses.replace(config, training=training))
    shapes = ShapesDataset(seed=5, count=16)
    with pytest.raises(NotFinite, match="first broken: output of layer"):
        Trainer(model, shapes, training, tmp_path / "run").fit()
    kept = load(tmp_path / "run" / "last.npz")
    for parameter in (*model.parameters.values(), *kept.parameters.values()):
        assert np.isfinite(parameter.value).all()
    assert read_archive(tmp_path / "run" / "last.npz")[0]["progress"]["step"] == 1
