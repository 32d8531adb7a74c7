"""Matching: published examples, ties, conflicts, and another way to say it."""

import numpy as np
import pytest

from ssd_np.boxes.coords import center_to_corner
from ssd_np.boxes.default_boxes import default_boxes
from ssd_np.boxes.iou import iou_matrix
from ssd_np.boxes.matching import BACKGROUND, NEUTRAL, match, match_iou
from ssd_np.exercises.graded.test_default_boxes import published

pytestmark = [pytest.mark.graded, pytest.mark.lesson03]


def by_striking_out(iou, threshold, neutral=None):
    """Another way to say it: the best pair of all; strike out both; the best pair of the rest."""
    truths, boxes = iou.shape
    left = {(g, t): iou[g, t] for g in range(truths) for t in range(boxes) if iou[g, t] > 0}
    result = [BACKGROUND] * boxes
    for t in range(boxes):
        if truths:
            best = min((-iou[g, t], g) for g in range(truths))
            if -best[0] >= threshold:
                result[t] = best[1]
            elif neutral is not None and -best[0] >= neutral:
                result[t] = NEUTRAL
    while left:
        best = max(left, key=lambda pair: (left[pair], -pair[0], -pair[1]))
        result[best[1]] = best[0]
        left = {pair: v for pair, v in left.items() if pair[0] != best[0] and pair[1] != best[1]}
    return result


def test_two_truths_that_want_the_same_box():
    """Truth 1 likes box 0 best (.4566), but truth 0 overlaps it more and keeps it.

    An implementation that writes one truth after the other gives box 0 to truth 1 and loses
    truth 0: [1, 2, -1, -1].
    """
    iou = np.array(
        [
            [0.5898, 0.4675, 0.0536, 0.2099],
            [0.4566, 0.2781, 0.0106, 0.4372],
            [0.5378, 0.8868, 0.2474, 0.1279],
        ]
    )
    assert match_iou(iou).tolist() == [0, 2, -1, 1]


def test_three_truths_one_box_each_of_them_wants():
    iou = np.array([[0.30, 0.20, 0.10], [0.31, 0.25, 0.05], [0.32, 0.29, 0.01]])
    # box 0 to truth 2, then .25 of truth 1 on box 1, then what is left to truth 0
    assert match_iou(iou).tolist() == [2, 1, 0]


def test_bipartite_beats_the_threshold():
    """Box 0 overlaps truth 0 by .9, but it is the only box that truth 1 has."""
    iou = np.array([[0.95, 0.96], [0.30, 0.0]])
    assert match_iou(iou).tolist() == [1, 0]


def test_the_threshold_itself_is_a_match():
    iou = np.array([[0.75, 0.5, 0.25, np.nextafter(0.5, 0)]])
    assert match_iou(iou, 0.5).tolist() == [0, 0, -1, -1]
    assert match_iou(iou, 0.5, 0.25).tolist() == [0, 0, -2, -2]
    assert match_iou(iou, 0.5, 0.3).tolist() == [0, 0, -1, -2]


def test_ties_go_to_the_lowest_index():
    assert match_iou(np.full((2, 4), 0.25)).tolist() == [0, 1, -1, -1]
    assert match_iou(np.full((2, 4), 0.75)).tolist() == [0, 1, 0, 0]


def test_more_truths_than_boxes():
    iou = np.array([[0.2, 0.1], [0.3, 0.4], [0.5, 0.6]])
    assert match_iou(iou).tolist() == [1, 2]  # .6 first, then .3 of what is left; truth 0 gets none


def test_a_truth_that_overlaps_nothing_stays_unmatched():
    assert match_iou(np.array([[0.0, 0.0], [0.0, 0.3]])).tolist() == [-1, 1]


def test_no_truth():
    assert match_iou(np.zeros((0, 5))).tolist() == [-1] * 5


def test_a_sorted_list_agrees(rng):
    for trial in range(400):
        truths, boxes = rng.integers(1, 8), rng.integers(1, 12)
        iou = rng.random((truths, boxes))
        if trial % 4 == 1:
            iou = np.round(iou * 4) / 4  # many ties, many zeros
        elif trial % 4 == 2:
            iou[:, rng.integers(boxes)] = 0.9 + 0.1 * rng.random(truths)  # one box for all
        elif trial % 4 == 3:
            iou[rng.random(iou.shape) < 0.6] = 0
        neutral = None if trial % 3 else 0.25
        matched = match_iou(iou, 0.5, neutral)
        assert matched.dtype == np.int64
        assert matched.tolist() == by_striking_out(iou, 0.5, neutral)


def test_every_truth_that_overlaps_anything_gets_a_box(rng):
    for _ in range(100):
        iou = rng.random((6, 20)) * 0.4 + 1e-3
        assert set(range(6)) <= set(match_iou(iou).tolist())


@pytest.fixture(scope="module")
def voc_corner():
    return center_to_corner(default_boxes(published("voc300"))[:, :4])


@pytest.mark.parametrize(
    ("truth", "positives", "best", "best_iou"),
    [((0.3, 0.3, 0.7, 0.7), 9, 8206, 0.81396), ((0, 0, 1, 1), 8, 8729, 0.924)],
)
def test_on_the_boxes_of_ssd300(truth, positives, best, best_iou, voc_corner):
    gt = np.array([truth], float)
    overlap = iou_matrix(gt, voc_corner)[0]
    assert overlap.argmax() == best
    assert overlap[best] == pytest.approx(best_iou, abs=6e-6 if best == 8206 else 6e-4)
    matched = match(gt, voc_corner)
    assert np.count_nonzero(matched == 0) == positives and matched[best] == 0
    assert np.array_equal(matched == 0, overlap >= 0.5)


def test_a_small_object_gets_its_best_box_only(voc_corner):
    gt = np.array([[100, 100, 112, 112]]) / 300  # 12 pixels: smaller than every default box
    overlap = iou_matrix(gt, voc_corner)[0]
    assert overlap.max() < 0.5
    matched = match(gt, voc_corner)
    assert np.flatnonzero(matched == 0).tolist() == [overlap.argmax()]


def test_the_best_overlap_of_a_12_pixel_object_is_about_a_sixth(voc_corner):
    center = (10.5 * 8) / 300  # the centre of a cell of the finest map
    gt = np.array([[center - 6 / 300, center - 6 / 300, center + 6 / 300, center + 6 / 300]])
    assert iou_matrix(gt, voc_corner).max() == pytest.approx(12**2 / 30**2)  # .16


def test_float32_boxes_match_as_float64_ones(voc_corner):
    gt = np.array([[0.25, 0.25, 0.75, 0.75], [0.1, 0.1, 0.4, 0.6]])
    wide = match(gt, voc_corner)
    narrow = match(gt.astype(np.float32), voc_corner.astype(np.float32))
    assert np.count_nonzero(wide != narrow) == 0


def test_inputs_stay_as_they_are(rng):
    iou = rng.random((4, 9))
    gt, boxes = np.sort(rng.random((4, 2, 2)), axis=1), np.sort(rng.random((9, 2, 2)), axis=1)
    gt, boxes = gt.reshape(4, 4), boxes.reshape(9, 4)
    before = [a.copy() for a in (iou, gt, boxes)]
    match_iou(iou, 0.5, 0.3)
    match(gt, boxes, 0.5, 0.3)
    assert all(np.array_equal(a, b) for a, b in zip((iou, gt, boxes), before, strict=True))
