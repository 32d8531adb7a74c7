"""Whether a tensor learns is asked at each step: frozen and freed in the midst, as in PyTorch."""

import numpy as np
import pytest
from test_batchnorm_network import LAYERS, values
from test_kinds import with_layers
from test_trainer import assert_equal_weights, narrow_config

from ssd_np.bench.twin import torch_network
from ssd_np.config import TrainConfig
from ssd_np.data.shapes import ShapesDataset
from ssd_np.errors import ShapeError, WeightsError
from ssd_np.model.archive import read_archive
from ssd_np.model.published import from_torch_layout
from ssd_np.model.ssd import SSD
from ssd_np.train.callbacks import Callback
from ssd_np.train.sgd import SGD
from ssd_np.train.trainer import Trainer

RATE, MOMENTUM, DECAY = 0.01, 0.9, 0.1


def all_of(model, learn):
    model.unfreeze()
    for name, parameter in model.parameters.items():
        parameter.trainable = parameter.trainable and learn(name)


# what learns, step by step: everything, all behind the first norm, a kernel less, nothing of a norm
LEARNS = [
    *(lambda name: True, lambda name: not name.startswith(("c.", "bn."))),
    *(lambda name: not name.startswith(("c.", "bn.")), lambda name: True),
    *(lambda name: name != "d.weight", lambda name: not name.startswith("bn2.")),
    *(lambda name: name.startswith("conf"), lambda name: True, lambda name: True),
]


def torch_step(torch, weights, forward, reference, model, images, upstream):
    """A step of the twin, with the flags of our parameters; frozen norms use what they remember."""
    for name, tensor in weights.items():
        tensor.requires_grad_(model.parameters[name].trainable)
    reference.zero_grad()
    outputs = forward(torch.from_numpy(images).permute(0, 3, 1, 2), training=True)
    sum(
        (out * torch.from_numpy(up)).sum() for out, up in zip(outputs, upstream, strict=True)
    ).backward()
    reference.step()


@pytest.mark.parametrize("first", [0, 1], ids=["made free", "made frozen"])
def test_frozen_and_freed_in_the_midst_is_pytorchs(first):
    """Velocity, decay and norms: the optimiser is made once, whatever learns then."""
    torch = pytest.importorskip("torch")
    model, rng = SSD(with_layers(*LAYERS), seed=2, dtype=np.float64), np.random.default_rng(0)
    weights, forward = torch_network(torch, model, False)
    learned = {n: t for n, t in weights.items() if not n.endswith((".mean", ".variance"))}
    decaying = [t for n, t in learned.items() if n.endswith(".weight")]
    rest = [t for n, t in learned.items() if not n.endswith(".weight")]
    groups = [{"params": decaying, "weight_decay": DECAY}, {"params": rest}]
    reference = torch.optim.SGD(groups, RATE, momentum=MOMENTUM)
    all_of(model, LEARNS[first])
    optimiser = SGD(model.parameters, MOMENTUM, DECAY)
    rested = 0
    for learn in LEARNS[first:]:
        all_of(model, learn)
        images, before = rng.standard_normal((2, 32, 32, 3)), values(model)
        outputs = model.forward(images, training=True)
        upstream = [0.1 * rng.standard_normal(out.shape) for out in outputs]
        model.backward(*upstream)
        optimiser.step(RATE)
        torch_step(torch, weights, forward, reference, model, images, upstream)
        for name, parameter in model.parameters.items():
            theirs = from_torch_layout(weights[name].detach().numpy())
            np.testing.assert_allclose(parameter.value, theirs, rtol=1e-8, atol=1e-10, err_msg=name)
            if not (parameter.trainable or parameter.statistic):
                np.testing.assert_array_equal(parameter.value, before[name])
                rested += 1
    assert rested > 20


def test_statistics_never_learn():
    model = SSD(with_layers(*LAYERS))
    for parameter in model.parameters.values():
        parameter.trainable = True
    assert not any(p.trainable for p in model.parameters.values() if p.statistic)
    assert sum(p.statistic for p in model.parameters.values()) == 4


def test_what_is_to_learn_without_a_gradient_is_named():
    model = SSD(with_layers(*LAYERS))
    model.freeze("d")
    optimiser = SGD(model.parameters)
    outputs = model.forward(np.zeros((1, 32, 32, 3), np.float32), training=True)
    model.backward(*map(np.ones_like, outputs))
    model.unfreeze()
    with pytest.raises(ShapeError, match=r"parameter c\.weight .*has no gradient, and is to learn"):
        optimiser.step(RATE)
    model.parameters["c.weight"].grad = np.zeros((4,), np.float32)
    with pytest.raises(ShapeError, match=r"parameter c\.weight .*has one of \(4,\)"):
        optimiser.step(RATE)


# --- in a training -------------------------------------------------------------------------------


class Thaw(Callback):
    """Frees the network after two steps, and freezes a part of it after four."""

    def after_step(self, trainer, step):
        if step.number == 1:
            trainer.model.unfreeze()
        if step.number == 3:
            trainer.model.freeze("conv2_1")


class Stop(Callback):
    def __init__(self, after):
        self.after = after

    def after_step(self, trainer, step):
        if step.number + 1 == self.after:
            raise ZeroDivisionError


def thawing(out, *more):
    model = SSD(narrow_config())
    rule = TrainConfig(steps=6, batch_size=2, learning_rate=0.01, weight_decay=0.1)
    learner = Trainer(model, ShapesDataset(0, 12), rule, out, callbacks=[Thaw(), *more])
    model.freeze("conv4_2")  # the trainer is there already
    return learner


def test_freezing_after_the_trainer_was_made(tmp_path):
    learner, seen = thawing(tmp_path), []

    class Look(Callback):
        def after_step(self, trainer, step):
            seen.append(values(trainer.model))

    learner.callbacks.insert(0, Look())
    start = values(learner.model)
    learner.fit()
    moved = [
        {name for name in start if not np.array_equal(now[name], before[name])}
        for before, now in zip([start, *seen], seen, strict=False)
    ]
    assert "conv1_1.weight" not in moved[0] | moved[1] and "conf_conv5_2.weight" in moved[0]
    assert moved[2] == moved[3] == set(start)
    assert "conv2_1.weight" not in moved[4] | moved[5] and "conv3_1.weight" in moved[4] & moved[5]


@pytest.mark.parametrize("after", [1, 2, 3, 4, 5])
def test_what_was_frozen_when_it_stopped_is_frozen_when_it_goes_on(tmp_path, after):
    whole = thawing(tmp_path / "whole")
    whole.fit()
    with pytest.raises(ZeroDivisionError):
        thawing(tmp_path / "part", Stop(after)).fit()
    rest = thawing(tmp_path / "part")
    rest.resume()
    assert rest.progress.step == after
    rest.fit()
    assert_equal_weights(whole.model, rest.model)


def test_another_frozen_set_is_another_training(tmp_path):
    with pytest.raises(ZeroDivisionError):
        thawing(tmp_path, Stop(3)).fit()
    assert read_archive(tmp_path / "last.npz")[0]["frozen"] == []
    other = thawing(tmp_path)
    other.model.unfreeze()  # as it is in the checkpoint, but not as it was begun
    with pytest.raises(WeightsError, match=r"frozen was \['conv1_1.bias', .*\], is \[\]"):
        other.resume()
