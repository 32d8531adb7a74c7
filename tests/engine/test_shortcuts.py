"""What the fast functions leave out, or do in blocks, changes no bit of a result."""

import itertools

import numpy as np
import pytest

from ssd_np.boxes import default_boxes as grid
from ssd_np.boxes.coords import center_to_corner
from ssd_np.boxes.nms import nms_each_class as plain_nms
from ssd_np.boxes.targets import make_targets as plain_targets
from ssd_np.config import load_config
from ssd_np.engine import boxes, direct, multibox, softmax
from ssd_np.model.ssd import SSD


@pytest.mark.parametrize("classes", [2, 21, 63, 64, 1204])
def test_background_loss_in_blocks_is_that_of_all_rows(classes, rng, monkeypatch):
    monkeypatch.setattr(multibox, "BLOCK_BYTES", 7 * 4 * classes)  # the last block is shorter
    logits = rng.standard_normal((3, 17, classes)).astype(np.float32)
    logits[0, 3, classes - 1], logits[1, 2] = np.nan, -np.inf
    with np.errstate(invalid="ignore"):
        whole = -softmax.log_softmax_forward(logits)[0][..., 0]
        found = multibox.background_loss(logits)
    assert np.array_equal(found, whole, equal_nan=True) and found.dtype == np.float32
    assert np.isnan(found[0, 3]) and np.isnan(found[1, 2]) and np.isnan(found).sum() == 2
    parts = multibox.background_loss(logits.astype(np.float64), "sigmoid")
    assert np.array_equal(
        parts[2, 4], multibox.background_loss(logits[2, 4:5].astype(float), "sigmoid")[0]
    )


@pytest.mark.parametrize("classes", [37, 70])  # short rows, and long ones
@pytest.mark.parametrize("rows", [1, 3, 4, 9])
def test_sums_side_by_side_are_those_from_left_to_right(rows, classes, rng):
    x = rng.standard_normal((rows, classes)).astype(np.float32) * 1e3
    expected = np.zeros(rows, np.float32)
    for column in x.T:
        expected += column
    assert np.array_equal(softmax._sums(x)[:, 0], expected)


def test_only_what_a_network_has_is_compiled_for_it():
    """No network of ordinary convolutions waits until depthwise ones are compiled, nor for tiles
    that are not Winograd's of its config."""
    ordinary, *others = (
        direct.network(*kinds)
        for kinds in itertools.product((False, True), (False, True), (4, 2, 0))
    )
    model, rng = SSD(load_config("tiny")), np.random.default_rng(0)
    before = [len(other.signatures) for other in others]
    model.forward(rng.standard_normal((1, 128, 128, 3)).astype(np.float32))
    assert ordinary.signatures and [len(other.signatures) for other in others] == before


@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.999])
def test_the_threshold_comes_first_and_ties_stay(threshold, rng):
    low = rng.random((300, 2)) * 0.8
    corner = np.concatenate([low, low + 0.1 + 0.1 * rng.random((300, 2))], axis=1)
    scores = rng.integers(0, 8, (300, 5)) / 7  # many are equal
    for top_k in (None, 10, 40, 299):
        expected = plain_nms(corner, scores, threshold, 0.45, top_k)
        found = boxes.nms_each_class(corner, scores, threshold, 0.45, top_k)
        assert all(map(np.array_equal, found, expected)) and len(found) == len(expected) == 4


def test_corners_are_remembered_for_the_same_default_boxes_only():
    config = load_config("tiny")
    defaults = grid.default_boxes(config)
    truth, labels = np.array([[0.1, 0.2, 0.5, 0.6]]), np.array([1])
    for change in (0.0, 0.0, 0.05, 0.0):
        moved = defaults.copy()
        moved[:, 0] += change
        found = boxes.make_targets(truth, labels, moved)
        for a, b in zip(found, plain_targets(truth, labels, moved), strict=True):
            assert np.array_equal(a, b)
    defaults[:, 2] *= 0.5  # changed where it lies
    assert np.array_equal(boxes._corners(defaults), center_to_corner(defaults[:, :4]))
    half = defaults.astype(np.float32)
    assert boxes._corners(half).dtype == np.float32
