"""Non-maximum suppression: by hand, at the threshold, and another way to say it."""

import numpy as np
import pytest

from ssd_np.boxes.nms import nms

pytestmark = [pytest.mark.graded, pytest.mark.lesson13]


def by_list(boxes, scores, threshold):
    """A plain loop over a list of candidates, best first."""

    def iou(a, b):
        w = min(a[2], b[2]) - max(a[0], b[0])
        h = min(a[3], b[3]) - max(a[1], b[1])
        if w <= 0 or h <= 0:
            return 0.0
        areas = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1])
        return w * h / (areas - w * h)

    waiting = sorted(range(len(scores)), key=lambda i: (-scores[i], i))
    kept = []
    while waiting:
        kept.append(waiting.pop(0))
        waiting = [i for i in waiting if not iou(boxes[kept[-1]], boxes[i]) > threshold]
    return kept


def random_boxes(rng, count):
    low = rng.random((count, 2)) * 0.6
    return np.concatenate([low, low + 0.1 + rng.random((count, 2)) * 0.3], axis=1)


def test_by_hand():
    boxes = np.array([[0, 0, 2, 2.0], [0, 0, 2, 1.8], [5, 5, 7, 7.0], [0, 0, 2, 2.2]])
    scores = np.array([0.6, 0.9, 0.5, 0.7])
    assert nms(boxes, scores).tolist() == [1, 2]


def test_only_more_than_the_threshold_suppresses():
    boxes = np.array([[0, 0, 4, 2.0], [0, 0, 4, 1.0]])  # IoU exactly 1/2
    scores = np.array([0.9, 0.8])
    assert nms(boxes, scores, 0.5).tolist() == [0, 1]
    assert nms(boxes, scores, 0.4999).tolist() == [0]


def test_touching_boxes_do_not_overlap():
    boxes = np.array([[0, 0, 1, 1.0], [1, 0, 2, 1.0], [0, 1, 1, 2.0]])
    assert nms(boxes, np.array([0.9, 0.8, 0.7]), 0.0).tolist() == [0, 1, 2]


def test_a_suppressed_box_suppresses_nobody():
    """A chain: 0 drops 1; 1 would have dropped 2, but is gone."""
    boxes = np.array([[0.0, 0, 1, 1], [0.3, 0, 1.3, 1], [0.6, 0, 1.6, 1]])
    assert nms(boxes, np.array([0.9, 0.8, 0.7])).tolist() == [0, 2]


def test_equal_scores_keep_the_lower_index():
    boxes = np.tile([[0.1, 0.1, 0.6, 0.6]], (3, 1))
    assert nms(boxes, np.full(3, 0.5)).tolist() == [0]
    far = np.arange(5)[:, None] * 10.0 + np.array([0, 0, 1, 1])
    assert nms(far, np.array([0.5, 0.9, 0.5, 0.9, 0.5])).tolist() == [1, 3, 0, 2, 4]


def test_only_top_k_candidates_enter():
    boxes = np.array([[0, 0, 1, 1.0], [0, 0, 1, 1.0], [3, 3, 4, 4.0], [6, 6, 7, 7.0]])
    scores = np.array([0.9, 0.8, 0.7, 0.6])
    # the second candidate is suppressed, and the third does not take its place
    assert nms(boxes, scores, top_k=2).tolist() == [0]
    assert nms(boxes, scores, top_k=3).tolist() == [0, 2]
    assert nms(boxes, scores, top_k=99).tolist() == [0, 2, 3]


def test_no_candidates_and_boxes_without_area():
    assert nms(np.zeros((0, 4)), np.zeros(0)).tolist() == []
    assert nms(np.zeros((3, 4)), np.array([0.3, 0.2, 0.1])).tolist() == [0, 1, 2]


@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.45, 0.9])
def test_a_list_agrees(threshold, rng):
    for count in (1, 2, 30, 150):
        boxes, scores = random_boxes(rng, count), np.round(rng.random(count), 2)  # with ties
        assert nms(boxes, scores, threshold).tolist() == by_list(boxes, scores, threshold)


def test_float32_is_welcome(rng):
    boxes, scores = random_boxes(rng, 60).astype(np.float32), rng.random(60).astype(np.float32)
    kept = nms(boxes, scores)
    assert kept.dtype == np.int64
    assert kept.tolist() == by_list(boxes, scores, 0.45)


def test_inputs_stay_as_they_are(rng):
    boxes, scores = random_boxes(rng, 30), rng.random(30)
    before = boxes.copy(), scores.copy()
    nms(boxes, scores, 0.3, 20)
    assert np.array_equal(boxes, before[0]) and np.array_equal(scores, before[1])
