"""The SSD loss: published values, gradients, a plain loop, and batches without objects."""

import math

import numpy as np
import pytest

from ssd_np.boxes.default_boxes import default_boxes
from ssd_np.boxes.targets import make_targets
from ssd_np.config import load_config
from ssd_np.gradcheck import numeric_gradient, relative_error
from ssd_np.loss.multibox import multibox_loss

pytestmark = [pytest.mark.graded, pytest.mark.lesson09]


def draw(rng, n=3, t=24, k=4, dtype=np.float64):
    logits, offsets = 2 * rng.standard_normal((n, t, k)), 2 * rng.standard_normal((n, t, 4))
    labels = rng.choice([-1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3], (n, t))
    labels[0, :4] = (1, 0, -1, 3)  # each kind is there
    target = rng.standard_normal((n, t, 4)) * (labels > 0)[..., None]
    return logits.astype(dtype), offsets.astype(dtype), labels, target.astype(dtype)


def plain_loss(logits, offsets, labels, target, ratio=3, alpha=1.0, mining="image", minimum=0):
    """The definition with numbers and lists only: total, location, confidence, chosen boxes."""

    def cost(row, label):
        largest = max(row)
        return largest + math.log(sum(math.exp(z - largest) for z in row)) - row[label]

    n, t, _ = logits.shape
    everything = [(i, j) for i in range(n) for j in range(t)]
    positive = [p for p in everything if labels[p] > 0]
    groups = (
        [everything] if mining == "batch" else [everything[i * t : i * t + t] for i in range(n)]
    )
    mined = []
    for group in groups:
        wanted = max(int(ratio * sum(labels[p] > 0 for p in group)), minimum)
        negative = [p for p in group if labels[p] == 0]
        mined += sorted(negative, key=lambda p: -cost(logits[p], 0))[:wanted]
    confidence = sum(cost(logits[p], labels[p]) for p in positive + mined)
    location = 0.0
    for p in positive:
        for d in abs(offsets[p] - target[p]):
            location += 0.5 * d * d if d < 1 else d - 0.5
    scale = 1 / max(1, len(positive), len(mined) / max(1, ratio))
    return (confidence + alpha * location) * scale, location * scale, confidence * scale, mined


VARIANTS = pytest.mark.parametrize(
    "options",
    [
        {},
        {"ratio": 1.0, "alpha": 0.3},
        {"mining": "batch"},
        {"minimum": 9},
        {"minimum": 9, "mining": "batch"},
        {"minimum": 20, "ratio": 2.0},  # more than ratio for each positive
        {"minimum": 5, "ratio": 0.5},
    ],
    ids=str,
)


@VARIANTS
def test_against_the_plain_loop(options, rng):
    arrays = draw(rng)
    loss = multibox_loss(*arrays, **options)
    total, location, confidence, mined = plain_loss(*arrays, **options)
    assert loss.total == pytest.approx(total, rel=1e-12)
    assert loss.location == pytest.approx(location, rel=1e-12)
    assert loss.confidence == pytest.approx(confidence, rel=1e-12)
    assert loss.num_positive == np.count_nonzero(arrays[2] > 0) > 1
    assert sorted(mined) == [tuple(p) for p in np.argwhere(loss.mined).tolist()]


@VARIANTS
def test_gradients(options, rng):
    """Mining is a choice, constant for small changes: no two candidates near the cut are equal."""
    logits, offsets, labels, target = draw(rng, 2, 12)
    upstream = rng.standard_normal(1)  # the loss is one number
    loss = multibox_loss(logits, offsets, labels, target, **options)

    def by_logits(v):
        moved = multibox_loss(v, offsets, labels, target, **options)
        assert np.array_equal(moved.mined, loss.mined)  # held fixed
        return np.array([moved.total])

    def by_offsets(v):
        return np.array([multibox_loss(logits, v, labels, target, **options).total])

    numeric = numeric_gradient(by_logits, logits, upstream)
    assert relative_error(numeric, upstream * loss.dlogits) <= 1e-6
    numeric = numeric_gradient(by_offsets, offsets, upstream)
    assert relative_error(numeric, upstream * loss.doffsets) <= 1e-6


@pytest.mark.parametrize(
    ("classes", "expected"), [(21, 12.1781), (81, 17.5778), (91, 18.0434), (4, 4 * np.log(4))]
)
def test_a_network_that_knows_nothing_costs_4_ln_classes(classes, expected):
    """One positive and its three negatives, ln(classes) each, over one positive."""
    labels = np.zeros((2, 40), int)
    labels[0, 5], labels[1, 7:9] = 1, 2
    zeros = np.zeros((2, 40, 4))
    loss = multibox_loss(np.zeros((2, 40, classes)), zeros, labels, zeros)
    assert loss.confidence == pytest.approx(expected, abs=5e-5)
    assert loss.num_positive == 3 and loss.mined.sum() == 9


def test_an_object_from_the_image_to_its_loss():
    """Ground truth through matching and encoding: offsets that hit their targets cost nothing."""
    defaults = default_boxes(load_config("tiny"))
    labels, target = make_targets(np.array([[0.2, 0.3, 0.6, 0.7]]), np.array([2]), defaults)
    logits = np.zeros((1, len(defaults), 6))
    logits[0, np.arange(len(defaults)), labels] = 50.0  # and sure of every class
    loss = multibox_loss(logits, target[None], labels[None], target[None])
    assert loss.num_positive > 1
    assert loss.location == 0 and loss.confidence < 1e-20
    wrong = multibox_loss(logits, target[None] + 2, labels[None], target[None])
    assert wrong.location == pytest.approx(4 * 1.5)  # f(2) on each of four sides


def test_what_is_not_chosen_has_no_gradient(rng):
    logits, offsets, labels, target = draw(rng)
    loss = multibox_loss(logits, offsets, labels, target)
    chosen = (labels > 0) | loss.mined
    assert not loss.mined[labels != 0].any()
    assert not loss.dlogits[~chosen].any() and (loss.dlogits[chosen] != 0).all()
    assert not loss.doffsets[labels <= 0].any() and (loss.doffsets[labels > 0] != 0).all()


def test_the_targets_of_boxes_that_are_not_positive_do_not_count(rng):
    logits, offsets, labels, target = draw(rng)
    loss = multibox_loss(logits, offsets, labels, target)
    target[labels <= 0] = 1e9
    assert multibox_loss(logits, offsets, labels, target).total == loss.total


@pytest.mark.parametrize("minimum", [0, 5])
@pytest.mark.parametrize("mining", ["image", "batch"])
def test_a_batch_without_objects(minimum, mining, rng):
    logits, offsets, _, target = draw(rng)
    for label in (0, -1):
        labels = np.full((3, 24), label)
        loss = multibox_loss(logits, offsets, labels, target, mining=mining, minimum=minimum)
        negatives = 0 if label else minimum * (3 if mining == "image" else 1)
        assert loss.num_positive == 0 and loss.mined.sum() == negatives
        assert np.isfinite(loss.total) and loss.location == 0 and not loss.doffsets.any()
        assert loss.dlogits.any() == (negatives > 0) and np.isfinite(loss.dlogits).all()
        assert (loss.total > 0) == (negatives > 0)


def test_many_negatives_without_an_object_cost_no_more_than_objects_with_theirs():
    """1,000 boxes mined for no object, ln 4 each, count as 333 objects with three negatives each:
    3 ln 4 for each, and not 1,000 ln 4."""
    zeros, labels = np.zeros((8, 125, 4)), np.zeros((8, 125), int)
    loss = multibox_loss(zeros, zeros, labels, zeros, minimum=125)
    assert loss.mined.all() and loss.total == pytest.approx(3 * np.log(4))
    assert np.abs(loss.dlogits).sum() == pytest.approx(3 * 1.5)  # |1/4 - 1| + 3 * 1/4 a box
    labels[:, 0] = 1  # objects, and no image's minimum is above what its object asks for
    few = multibox_loss(zeros, zeros, labels, zeros, minimum=3)
    assert few.total == multibox_loss(zeros, zeros, labels, zeros).total == 4 * np.log(4)


def test_large_logits_stay_finite(rng):
    logits, offsets, labels, target = draw(rng)
    loss = multibox_loss(1000 * logits, offsets, labels, target)
    assert np.isfinite(loss.total) and np.isfinite(loss.dlogits).all()


def test_nan_is_not_hidden(rng):
    logits, offsets, labels, target = draw(rng)
    for place in (np.argwhere(labels == 0)[-1], np.argwhere(labels > 0)[0]):
        bad = logits.copy()
        bad[tuple(place)] = np.nan
        assert np.isnan(multibox_loss(bad, offsets, labels, target).total)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_types(dtype, rng):
    logits, offsets, labels, target = draw(rng, dtype=dtype)
    exact = multibox_loss(*(a.astype(np.float64) for a in (logits, offsets)), labels, target)
    for targets in (target, target.astype(np.float64)):  # targets are often made in float64
        loss = multibox_loss(logits, offsets, labels, targets)
        assert loss.dlogits.dtype == loss.doffsets.dtype == dtype and loss.mined.dtype == bool
        assert isinstance(loss.total, float)
        assert loss.total == pytest.approx(exact.total, rel=1e-5)


def test_inputs_stay_as_they_are(rng):
    arrays = draw(rng)
    before = [a.copy() for a in arrays]
    loss = multibox_loss(*arrays, minimum=3)
    assert all(np.array_equal(a, b) for a, b in zip(arrays, before, strict=True))
    assert not any(np.shares_memory(loss.dlogits, a) for a in arrays)
