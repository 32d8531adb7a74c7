"""A loss, a schedule, an optimiser of one's own, and a training without the trainer."""

import itertools

import numpy as np
import pytest
from test_trainer import assert_equal_weights, narrow_config, trainer

from ssd_np.data.batches import Batches
from ssd_np.data.shapes import ShapesDataset
from ssd_np.errors import ConfigError, NotFinite, ShapeError, WeightsError
from ssd_np.loss.multibox import multibox_loss
from ssd_np.model.archive import read_archive
from ssd_np.model.ssd import SSD
from ssd_np.model.weights import load
from ssd_np.nn.parameter import Parameter
from ssd_np.nn.softmax import softmax
from ssd_np.train.callbacks import Callback
from ssd_np.train.match import match_batch
from ssd_np.train.parts import LossAndGradients
from ssd_np.train.sgd import SGD, gradient_norm, learning, shortening


class Adam:
    """Kingma and Ba 2015, algorithm 1."""

    def __init__(self, parameters, beta1=0.9, beta2=0.999, eps=1e-8):
        self.parameters, self.betas, self.eps = parameters, (beta1, beta2), eps
        self.moments, self.steps = {}, 0  # name -> [first, second]

    def step(self, rate, clip_norm=None):
        moving = learning(self.parameters)
        norm = gradient_norm(moving)
        self.steps += 1
        (b1, b2), t = self.betas, self.steps
        for name, (parameter, gradient) in moving.items():
            g = shortening(norm, clip_norm) * gradient
            m, v = self.moments.get(name, (np.zeros_like(g), np.zeros_like(g)))
            m, v = self.moments[name] = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2
            move = rate * (m / (1 - b1**t)) / (np.sqrt(v / (1 - b2**t)) + self.eps)
            parameter.update(lambda w, move=move: w - move.astype(w.dtype))
        return norm

    def state(self):
        first = {f"m/{name}": m for name, (m, _) in self.moments.items()}
        second = {f"v/{name}": v for name, (_, v) in self.moments.items()}
        return first | second | {"adam/steps": np.array(self.steps)}

    def load_state(self, state):
        self.steps = int(state["adam/steps"])
        names = [key[2:] for key in state if key.startswith("m/")]
        self.moments = {name: (state[f"m/{name}"], state[f"v/{name}"]) for name in names}


def focal_loss(logits, offsets, labels, targets):
    """Without mining: (1 - p)^2 times the cross-entropy, of all that are not neutral."""
    p = softmax(logits)
    one_hot = np.eye(logits.shape[-1], dtype=logits.dtype)[np.maximum(labels, 0)]
    pt = (p * one_hot).sum(-1, keepdims=True)
    n, known = max(1, np.count_nonzero(labels > 0)), (labels >= 0)[..., None]
    value = float((-((1 - pt) ** 2) * np.log(pt) * known).sum() / n)
    slope = (2 * (1 - pt) * np.log(pt) * pt - (1 - pt) ** 2) * known / n
    ssd = multibox_loss(logits, offsets, labels, targets)
    parts = {"focal": value, "location": ssd.location}
    return LossAndGradients(value + ssd.location, slope * (one_hot - p), ssd.doffsets, parts)


def torch_adam(values, gradients, rate):
    torch = pytest.importorskip("torch")
    theirs = {name: torch.tensor(v).requires_grad_() for name, v in values.items()}
    optimiser = torch.optim.Adam(theirs.values(), rate)
    for step in gradients:
        for name, tensor in theirs.items():
            tensor.grad = torch.tensor(step[name])
        optimiser.step()
    return {name: tensor.detach().numpy() for name, tensor in theirs.items()}


def test_the_adam_of_these_tests_is_adam():
    rng = np.random.default_rng(0)
    parameters = {"a": Parameter(rng.standard_normal((3, 4))), "b": Parameter(rng.random(2))}
    values = {name: p.value.copy() for name, p in parameters.items()}
    steps = [{n: rng.standard_normal(v.shape) for n, v in values.items()} for _ in range(5)]
    own = Adam(parameters)
    for gradients in steps:
        for name, parameter in parameters.items():
            parameter.grad = gradients[name]
        own.step(0.01)
    for name, expected in torch_adam(values, steps, 0.01).items():
        np.testing.assert_allclose(parameters[name].value, expected, rtol=1e-9)


def with_parts(out, optimiser=Adam, steps=6, callbacks=(), **parts):
    learner = trainer(
        out, steps=steps, checkpoint_every=2, attached={"callbacks": callbacks, **parts}
    )
    learner.optimiser = optimiser(learner.model.parameters)
    return learner


class Stop(Callback):
    def after_step(self, trainer, step):
        if step.number == 2:
            raise ZeroDivisionError


@pytest.mark.parametrize("optimiser", [Adam, SGD])
def test_own_parts_resume_bit_equal(tmp_path, optimiser):
    parts = {"loss": focal_loss, "schedule": lambda step: 1e-3 / (1 + step)}
    whole = with_parts(tmp_path / "whole", optimiser, **parts)
    whole.fit()
    with pytest.raises(ZeroDivisionError):
        with_parts(tmp_path / "part", optimiser, callbacks=[Stop()], **parts).fit()
    rest = with_parts(tmp_path / "part", optimiser, **parts)
    rest.resume()
    assert rest.progress.step == 3
    rest.fit()
    assert_equal_weights(whole.model, rest.model)
    for name, array in whole.optimiser.state().items():
        np.testing.assert_array_equal(array, rest.optimiser.state()[name])
    assert_equal_weights(load(tmp_path / "part" / "last.npz"), rest.model)  # without its moments


def test_the_log_says_what_was_used(tmp_path):
    rates = []

    class Note(Callback):
        def after_step(self, trainer, step):
            rates.append(step.rate)
            assert step.loss.total == pytest.approx(sum(step.parts.values()))
            assert step.positives == np.count_nonzero(step.labels > 0) > 0

    parts = {"loss": focal_loss, "schedule": lambda step: 0.25 / 2**step}
    history = with_parts(tmp_path, SGD, callbacks=[Note()], **parts).fit().history
    assert list(history)[:5] == ["step", "total", "focal", "location", "positives"]
    np.testing.assert_array_equal(history["learning_rate"], rates)
    np.testing.assert_array_equal(rates, [0.25 / 2**step for step in range(6)])
    header = (tmp_path / "log.csv").read_text().splitlines()[0]
    assert header.split(",") == list(history)


def test_the_gradient_of_the_focal_loss_reaches_the_weights(tmp_path):
    """It learns one image by heart, by Adam: value and gradient belong together."""
    attached = {"loss": focal_loss, "schedule": lambda step: 3e-3}
    learner = trainer(tmp_path, steps=60, dataset=ShapesDataset(3, 1), attached=attached)
    learner.optimiser = Adam(learner.model.parameters)
    total = learner.fit().history["total"]
    assert np.mean(total[-5:]) < 0.3 * np.mean(total[:5])


def loss_that(**changes):
    def loss(logits, offsets, labels, targets):
        found = multibox_loss(logits, offsets, labels, targets)
        values = {"total": found.total, "dlogits": found.dlogits, "doffsets": found.doffsets}
        return LossAndGradients(**values | changes)

    return loss


@pytest.mark.parametrize(
    "parts, error, message",
    [
        ({"schedule": lambda step: float("nan")}, ConfigError, "step 0: the learning rate is nan"),
        ({"schedule": lambda step: -1.0}, ConfigError, "step 0: the learning rate is -1.0"),
        ({"loss": loss_that(total=np.inf)}, NotFinite, "the loss is inf"),
        ({"loss": loss_that(parts={"step": 1.0})}, ConfigError, r"the loss: has the parts \['step"),
        ({"loss": loss_that(parts={"a,b": 1.0})}, ConfigError, "without a comma"),
        ({"loss": loss_that(dlogits=np.zeros((2, 3)))}, ShapeError, "dlogits"),
        ({"loss": lambda *_: (1.0, 0, 0)}, ConfigError, "gives a tuple without total, parts"),
    ],
)
def test_parts_that_are_none(tmp_path, parts, error, message):
    with pytest.raises(error, match=message):
        with_parts(tmp_path, SGD, **parts).fit()


def test_a_part_that_is_false_is_a_part(tmp_path):
    """An object that has a length of 0 is there: only None is left out."""

    class Losses(list):
        __call__ = staticmethod(focal_loss)

    losses = Losses()
    assert trainer(tmp_path, attached={"loss": losses}).loss is losses


def test_a_loss_that_fails_in_the_midst_loses_nothing(tmp_path):
    """What its forward moved is put back, so that the rest is the training that did not fail."""
    calls = itertools.count()

    def failing(*arguments):
        if next(calls) == 3:
            raise ZeroDivisionError("mine")
        return focal_loss(*arguments)

    failing.__qualname__ = "focal_loss"
    whole = with_parts(tmp_path / "whole", loss=focal_loss)
    whole.fit()
    with pytest.raises(ZeroDivisionError, match="mine"):
        with_parts(tmp_path / "part", loss=failing).fit()
    assert read_archive(tmp_path / "part" / "last.npz")[0]["progress"]["step"] == 3
    rest = with_parts(tmp_path / "part", loss=focal_loss)
    rest.resume()
    rest.fit()
    assert_equal_weights(whole.model, rest.model)


def test_parts_that_change_from_step_to_step_are_refused_and_nothing_is_lost(tmp_path):
    steps = itertools.count()

    def fickle(*arguments):
        found = focal_loss(*arguments)
        return LossAndGradients(found.total, found.dlogits, found.doffsets, {f"{next(steps)}": 1.0})

    with pytest.raises(ConfigError, match=r"has the parts \['1'\] \(the log has step, total, 0"):
        with_parts(tmp_path, loss=fickle).fit()
    assert read_archive(tmp_path / "last.npz")[0]["progress"]["step"] == 1
    assert len((tmp_path / "log.csv").read_text().splitlines()) == 2


@pytest.mark.parametrize(
    "other, message",
    [
        ({"optimiser": SGD}, "optimiser was 'Adam', is 'SGD'"),
        ({"loss": None}, "loss was 'focal_loss', is 'multibox_loss'"),
        ({"schedule": None}, "schedule was 'test_other_.*lambda>', is 'learning_rate'"),
    ],
)
def test_other_parts_are_another_training(tmp_path, other, message):
    parts = {"loss": focal_loss, "schedule": lambda step: 1e-3}
    with_parts(tmp_path, steps=2, **parts).fit()
    with pytest.raises(WeightsError, match=message):
        with_parts(tmp_path, steps=2, **parts | other).resume()


def test_an_optimiser_may_not_use_the_names_of_parameters(tmp_path):
    learner = with_parts(tmp_path)
    learner.optimiser.state = lambda: {"conv1_1.weight": np.zeros(1)}
    with pytest.raises(ConfigError, match=r"keeps 'conv1_1\.weight', a parameter's name"):
        learner.fit()


def test_a_training_without_the_trainer(tmp_path):
    """The loop that docs/extending.md shows, against the trainer's: the same bits."""
    learner = trainer(tmp_path, steps=4)
    learner.fit()
    model, data, rule = SSD(narrow_config()), ShapesDataset(0, 12), learner.config
    optimiser = SGD(model.parameters, rule.momentum, rule.weight_decay)
    with Batches(data, model.config, rule.batch_size, rule.seed) as batches:
        for number, batch in enumerate(itertools.islice(batches, rule.steps)):
            labels, targets = match_batch(batch, model)
            outputs = model.forward(batch.images, training=True)
            loss = model.ops.multibox_loss(*outputs, labels, targets)
            model.backward(loss.dlogits, loss.doffsets)
            optimiser.step(learner.rate(number), rule.clip_norm)
    assert_equal_weights(model, learner.model)
