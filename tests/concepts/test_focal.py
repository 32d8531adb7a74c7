"""The focal loss and weights of classes: PyTorch's results, alone and in the SSD loss; refusals."""

import dataclasses

import numpy as np
import pytest

from ssd_np.config import LossConfig, load_config
from ssd_np.data.shapes import ShapesDataset
from ssd_np.engine import select
from ssd_np.errors import ConfigError, ShapeError
from ssd_np.evaluate.average_precision import evaluate_voc
from ssd_np.evaluate.run import detect_dataset
from ssd_np.exercises.graded.test_multibox import draw
from ssd_np.gradcheck import relative_error
from ssd_np.loss.cross_entropy import cross_entropy_backward, cross_entropy_forward
from ssd_np.loss.focal import focal_loss_backward, focal_loss_forward
from ssd_np.loss.multibox import multibox_loss
from ssd_np.model.ssd import SSD
from ssd_np.model.weights import load
from ssd_np.train.callbacks import Step
from ssd_np.train.trainer import Trainer

pytestmark = pytest.mark.lesson09
ENGINES = pytest.mark.parametrize("engine", ["plain", "fast"])


def torch_focal(torch, logits, labels, gamma):
    right = torch.log_softmax(logits, -1).gather(-1, labels[..., None])[..., 0]
    return -((1 - right.exp()) ** gamma) * right


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0, 3.7])
def test_torch_agrees(gamma, rng):
    torch = pytest.importorskip("torch")
    logits, labels = 4 * rng.standard_normal((9, 6)), rng.integers(0, 6, 9)
    dout = rng.standard_normal(9)
    z = torch.tensor(logits, requires_grad=True)
    expected = torch_focal(torch, z, torch.tensor(labels), gamma)
    expected.backward(torch.tensor(dout))
    loss, cache = focal_loss_forward(logits, labels, gamma)
    assert relative_error(loss, expected.detach().numpy()) <= 1e-12
    assert relative_error(focal_loss_backward(dout, cache), z.grad.numpy()) <= 1e-12


def test_of_two_classes_it_is_the_paper_s_sigmoid(rng):
    """z = [0, x] makes a softmax of two classes the sigmoid of x (section 3, equations 1 to 4)."""
    torch = pytest.importorskip("torch")
    x, labels = torch.tensor(3 * rng.standard_normal(20)), torch.tensor(rng.integers(0, 2, 20))
    bce = torch.nn.functional.binary_cross_entropy_with_logits
    cross_entropy = bce(x, labels.double(), reduction="none")
    p = torch.where(labels == 1, torch.sigmoid(x), 1 - torch.sigmoid(x))
    logits = np.stack([np.zeros(20), x.numpy()], axis=1)
    loss, _ = focal_loss_forward(logits, labels.numpy())
    assert relative_error(loss, ((1 - p) ** 2 * cross_entropy).numpy()) <= 1e-12


def test_weights_are_those_of_torch_s_cross_entropy(rng):
    """A weight is a factor of the row, and so of what arrives from behind."""
    torch = pytest.importorskip("torch")
    logits, labels = 3 * rng.standard_normal((40, 5)), rng.integers(0, 5, 40)
    weights, dout = rng.random(5), rng.standard_normal(40)
    z = torch.tensor(logits, requires_grad=True)
    rule = {"weight": torch.tensor(weights), "reduction": "none"}
    expected = torch.nn.functional.cross_entropy(z, torch.tensor(labels), **rule)
    expected.backward(torch.tensor(dout))
    loss, cache = cross_entropy_forward(logits, labels)
    assert relative_error(loss * weights[labels], expected.detach().numpy()) <= 1e-13
    ours = cross_entropy_backward(dout * weights[labels], cache)
    assert relative_error(ours, z.grad.numpy()) <= 1e-12


@ENGINES
@pytest.mark.parametrize("gamma", [None, 0.0, 0.5, 2.0])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_whole_loss_equals_torch_s(engine, gamma, weighted, rng):
    """With a random factor from behind, and N that no weight moves."""
    torch = pytest.importorskip("torch")
    logits, offsets, labels, target = draw(rng)
    weights = 3 * rng.random(logits.shape[-1]) if weighted else None
    loss = select(engine).multibox_loss(
        logits, offsets, labels, target, class_weights=weights, gamma=gamma
    )
    unweighted = multibox_loss(logits, offsets, labels, target, gamma=gamma)
    assert np.array_equal(loss.mined, unweighted.mined)
    assert gamma is None or np.array_equal(loss.mined, labels == 0)
    chosen = torch.tensor((labels > 0) | loss.mined)
    z = torch.tensor(logits, requires_grad=True)
    rule = {} if weights is None else {"weight": torch.tensor(weights)}
    right = torch.tensor(labels)[chosen]
    rows = torch.nn.functional.cross_entropy(z[chosen], right, reduction="none", **rule)
    if gamma:
        p = torch.softmax(z[chosen], -1).gather(-1, right[:, None])[:, 0]
        rows = rows * (1 - p) ** gamma
    mined = 0 if gamma is not None else int(loss.mined.sum()) / 3
    confidence = rows.sum() / max(1, int((labels > 0).sum()), mined)
    behind = float(rng.standard_normal())
    (behind * confidence).backward()
    assert loss.confidence == pytest.approx(confidence.item(), rel=1e-12)
    assert loss.location == pytest.approx(unweighted.location, rel=1e-12)
    assert relative_error(behind * loss.dlogits, z.grad.numpy()) <= 1e-12


@ENGINES
def test_what_is_no_weight_or_exponent_is_named(engine, rng):
    arrays, ops = draw(rng), select(engine)
    for wrong in ([1.0, 2.0], [1, 1, 1, -1], [1, 1, 1, np.nan], ["a"] * 4):
        with pytest.raises(ShapeError, match=r"class_weights are .*4 numbers of at least 0"):
            ops.multibox_loss(*arrays, class_weights=wrong)
    for wrong in (-1, np.nan, "2"):
        with pytest.raises(ConfigError, match=r"gamma is .*at least 0"):
            ops.multibox_loss(*arrays, gamma=wrong)


# --- from the config -----------------------------------------------------------------------------


def test_the_config_checks_its_weights():
    tiny = load_config("tiny")
    six = dataclasses.replace(tiny, loss=LossConfig(class_weights=np.ones(6)))
    assert six.loss.class_weights == (1.0,) * 6
    for wrong, words in (
        ((1, 2), r"loss\.class_weights: expected 6 weights or none"),
        ((1, 1, -1, 1, 1, 1), r"class_weights\[2\]: expected at least 0"),
        (2.0, r"class_weights: expected a list"),
    ):
        with pytest.raises(ConfigError, match=words):
            dataclasses.replace(tiny, loss=LossConfig(class_weights=wrong))
    with pytest.raises(ConfigError, match="focal_gamma: expected at least 0"):
        LossConfig(focal_gamma=-1)


def test_a_class_that_stays_keeps_its_weight():
    tiny = load_config("tiny")
    weights = 0.5, 1, 2, 3, 4, 5
    rare = dataclasses.replace(tiny, loss=LossConfig(class_weights=weights))
    other = rare.with_classes([tiny.class_names[3], "new"])
    assert other.loss.class_weights == (0.5, 4.0, 1.0)
    assert tiny.with_classes(["a"]).loss.class_weights == ()


def test_a_heavier_class_moves_the_weights_more(rng):
    """The trainer hands the config's weights on: a class of weight 0 teaches nothing."""
    data = ShapesDataset(3, 4)
    tiny = load_config("tiny")
    short = dataclasses.replace(tiny.training, steps=1, batch_size=2, weight_decay=0.0)
    moved = []
    for weights in ((), (0,) * 6, (3,) * 6):
        model = SSD(dataclasses.replace(tiny, loss=LossConfig(class_weights=weights)))
        trainer = Trainer(model, data, short, "unused")
        with trainer.batches() as batches:
            trainer.learn(Step(0, next(iter(batches)), 0.0))
        moved.append(model.parameters["conf_conv6_2.weight"].grad)
    assert not moved[1].any()
    assert np.abs(moved[0]).max() > 0
    np.testing.assert_allclose(moved[2], 3 * moved[0], rtol=1e-4, atol=1e-7)


def test_tiny_learns_by_the_focal_loss(tmp_path):
    """A few hundred steps from random weights: far above what untrained weights find."""
    train, unseen = ShapesDataset(1, 400), ShapesDataset(2, 40)
    tiny = load_config("tiny")
    loss = LossConfig(focal_gamma=2.0)
    model = SSD(dataclasses.replace(tiny, loss=loss, class_names=train.class_names))
    schedule = dataclasses.replace(tiny.training, steps=300, checkpoint_every=300)
    before = evaluate_voc(*detect_dataset(model, unseen)).mean_ap
    result = Trainer(model, train, schedule, tmp_path).fit()
    after = evaluate_voc(*detect_dataset(load(tmp_path / "last.npz"), unseen)).mean_ap
    losses = result.history["total"]
    print(f"loss {losses[:10].mean()} -> {losses[-20:].mean()}, mAP {before} -> {after}")
    assert losses[-20:].mean() < losses[:10].mean() / 2
    assert after > 0.2 and after > before + 0.15
