"""Pascal VOC's average precision, against numbers worked out by hand and a plain second version."""

import json
import math

import numpy as np
import pytest

from ssd_np.evaluate.average_precision import evaluate_voc
from ssd_np.records import Detections, Truth

pytestmark = [pytest.mark.graded, pytest.mark.lesson14]

NAMES = ("cat", "dog")
LEFT, RIGHT, FAR = (0.0, 0.0, 0.4, 0.4), (0.5, 0.0, 0.9, 0.4), (0.6, 0.6, 1.0, 1.0)


def found(*rows):
    """Detections of one image from rows (box, label, score)."""
    boxes = np.array([row[0] for row in rows], np.float64).reshape(-1, 4)
    labels = np.array([row[1] for row in rows], np.int64)
    return Detections(boxes, labels, np.array([row[2] for row in rows], np.float64), NAMES)


def truth(*rows, difficult=None):
    boxes = np.array([row[0] for row in rows], np.float64).reshape(-1, 4)
    return Truth(boxes, np.array([row[1] for row in rows], np.int64), difficult)


@pytest.fixture
def two_images():
    """Cats by score: right .9, wrong .8, right .7; a third cat is never found. No dog is found."""
    detections = [found((LEFT, 1, 0.9), (FAR, 1, 0.8)), found((LEFT, 1, 0.7))]
    truths = [truth((LEFT, 1), (RIGHT, 1)), truth((LEFT, 1), (RIGHT, 2))]
    return detections, truths


def test_hand_computed_all_point(two_images):
    result = evaluate_voc(*two_images)
    cat, dog = result.classes
    np.testing.assert_allclose(cat.recall, [1 / 3, 1 / 3, 2 / 3])
    np.testing.assert_allclose(cat.precision, [1, 1 / 2, 2 / 3])
    np.testing.assert_array_equal(cat.scores, [0.9, 0.8, 0.7])
    # envelope 1 on (0, 1/3], 2/3 on (1/3, 2/3], 0 beyond
    assert cat.ap == pytest.approx(1 / 3 * 1 + 1 / 3 * 2 / 3)
    assert (cat.truths, cat.detections, cat.best_recall) == (3, 3, pytest.approx(2 / 3))
    assert (dog.ap, dog.truths, dog.detections, dog.best_recall) == (0.0, 1, 0, 0.0)
    assert result.mean_ap == pytest.approx((5 / 9 + 0) / 2)


def test_hand_computed_eleven_point(two_images):
    # recall 0, .1, .2, .3 -> precision 1; .4, .5, .6 -> 2/3; .7 .. 1 -> 0
    expected = (4 * 1 + 3 * 2 / 3) / 11
    assert evaluate_voc(*two_images, metric="11-point").ap["cat"] == pytest.approx(expected)


def test_eleven_point_counts_a_recall_that_is_exactly_a_level():
    # 3 of 10 found, all right: levels 0, .1, .2, .3, though 3 * 0.1 > 0.3 in floating point
    boxes = [(i / 10, 0.0, i / 10 + 0.05, 0.1) for i in range(10)]
    detections = [found(*[(box, 1, 0.5) for box in boxes[:3]])]
    result = evaluate_voc(detections, [truth(*[(b, 1) for b in boxes])], metric="11-point")
    assert result.ap["cat"] == pytest.approx(4 / 11)


def test_duplicate_is_wrong_and_the_better_score_is_kept():
    detections = [found((LEFT, 1, 0.6), (LEFT, 1, 0.8), (RIGHT, 1, 0.4))]
    cat = evaluate_voc(detections, [truth((LEFT, 1), (RIGHT, 1))]).classes[0]
    np.testing.assert_array_equal(cat.scores, [0.8, 0.6, 0.4])
    np.testing.assert_allclose(cat.precision, [1, 1 / 2, 2 / 3])


def test_assigned_to_the_largest_iou_even_if_that_object_is_taken():
    # the second detection overlaps the free object by 2/3, but its best is the taken one
    near = (0.0, 0.0, 0.4, 0.3)  # IoU .75 with LEFT
    lower = (0.0, 0.1, 0.4, 0.3)  # IoU 2/3 with `near`, .5 with LEFT
    detections = [found((near, 1, 0.9), (near, 1, 0.8))]
    cat = evaluate_voc(detections, [truth((LEFT, 1), (lower, 1))]).classes[0]
    np.testing.assert_allclose(cat.precision, [1, 1 / 2])
    assert cat.best_recall == 0.5


def test_iou_equal_to_the_threshold_is_enough():
    half = (0.0, 0.0, 0.5, 0.25)
    cases = [(0.5, 1.0), (np.nextafter(0.5, 1), 0.0)]
    for threshold, ap in cases:
        objects = [truth(((0.0, 0.0, 0.5, 0.5), 1))]
        assert evaluate_voc([found((half, 1, 0.9))], objects, threshold).ap["cat"] == ap


@pytest.mark.parametrize("mark", ["difficult", "crowd"])
def test_ignored_objects_are_neither_right_nor_wrong(mark):
    detections = [found((LEFT, 1, 0.9), (LEFT, 1, 0.85), (RIGHT, 1, 0.8))]
    objects = Truth([LEFT, RIGHT], [1, 1], **{mark: [True, False]})
    cat = evaluate_voc(detections, [objects]).classes[0]
    assert (cat.truths, cat.detections, cat.ap) == (1, 3, 1.0)
    np.testing.assert_array_equal(cat.scores, [0.8])


def test_class_with_only_difficult_truth_is_left_out_of_the_mean():
    detections = [found((LEFT, 1, 0.9), (RIGHT, 2, 0.8))]
    result = evaluate_voc(detections, [truth((LEFT, 1), (RIGHT, 2), difficult=[True, False])])
    assert math.isnan(result.ap["cat"])
    assert result.mean_ap == 1.0


def test_label_and_image_must_agree():
    detections = [found((LEFT, 2, 0.9)), found((LEFT, 1, 0.9))]
    result = evaluate_voc(detections, [truth((LEFT, 1)), truth((LEFT, 2))])
    assert result.ap == {"cat": 0.0, "dog": 0.0}


def test_ties_keep_the_order_of_the_lists():
    objects = [truth((LEFT, 1)), truth((LEFT, 1))]
    right, wrong = found((LEFT, 1, 0.5)), found((FAR, 1, 0.5))
    first_right = evaluate_voc([right, wrong], objects).ap["cat"]
    first_wrong = evaluate_voc([wrong, right], objects).ap["cat"]
    assert (first_right, first_wrong) == (0.5, 0.25)


def test_no_detections_and_no_truths():
    assert evaluate_voc([found()], [truth((LEFT, 1))]).mean_ap == 0.0
    nothing_to_find = evaluate_voc([found((LEFT, 1, 0.9))], [truth()])
    assert math.isnan(nothing_to_find.mean_ap)
    assert nothing_to_find.classes[0].detections == 1
    assert math.isnan(evaluate_voc([], []).mean_ap)


# --- a second version, one detection at a time ---------------------------------------------------


def plain_iou(a, b):
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    overlap = width * height
    return overlap / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - overlap)


def plain_ap(detections, truths, label, threshold, metric):
    entries = []
    for image, d in enumerate(detections):
        for box, found_label, score in zip(d.boxes_corner, d.labels, d.scores, strict=True):
            if found_label == label:
                entries.append((score, image, box))
    entries.sort(key=lambda entry: -entry[0])
    taken, right, wrong, curve = set(), 0, 0, []
    count = sum(
        1 for t in truths for k, hard in zip(t.labels, t.difficult, strict=True)
        if k == label and not hard
    )  # fmt: skip
    for _, image, box in entries:
        best, best_iou = None, 0.0
        for g, (other, k) in enumerate(
            zip(truths[image].boxes_corner, truths[image].labels, strict=True)
        ):
            if k == label and plain_iou(box, other) > best_iou:
                best, best_iou = g, plain_iou(box, other)
        if best_iou >= threshold and truths[image].difficult[best]:
            continue
        if best_iou >= threshold and (image, best) not in taken:
            taken.add((image, best))
            right += 1
        else:
            wrong += 1
        curve.append((right / count if count else math.nan, right / (right + wrong)))
    if not count:
        return math.nan
    if metric == "11-point":
        levels = [i / 10 for i in range(11)]
        return sum(max([p for r, p in curve if r >= level], default=0) for level in levels) / 11
    area, last = 0.0, 0.0
    for i, (recall, _) in enumerate(curve):
        area += (recall - last) * max(p for _, p in curve[i:])
        last = recall
    return area


@pytest.mark.parametrize("metric", ["all-point", "11-point"])
@pytest.mark.parametrize("seed", range(6))
def test_equals_the_plain_version_on_random_sets(seed, metric):
    rng = np.random.default_rng(seed)
    detections, truths = [], []
    for _ in range(12):
        count, extra = rng.integers(0, 6), rng.integers(0, 5)
        corner = rng.uniform(0, 0.6, (count, 2))
        boxes = np.hstack([corner, corner + rng.uniform(0.1, 0.4, (count, 2))])
        labels = rng.integers(1, 3, count)
        truths.append(Truth(boxes, labels, rng.random(count) < 0.2))
        jittered = np.repeat(boxes, 2, axis=0) + rng.normal(0, 0.03, (2 * count, 4))
        corner = rng.uniform(0, 0.8, (extra, 2))
        boxes = np.vstack([jittered, np.hstack([corner, corner + 0.2])])
        labels = np.concatenate([np.repeat(labels, 2), rng.integers(1, 3, extra)])
        scores = rng.integers(1, 8, len(boxes)) / 8  # many ties
        detections.append(Detections(boxes, labels, scores, NAMES))
    result = evaluate_voc(detections, truths, 0.6, metric)
    for label, name in enumerate(NAMES, start=1):
        expected = plain_ap(detections, truths, label, 0.6, metric)
        assert 0.05 < expected < 0.95  # the case says something
        assert result.ap[name] == pytest.approx(expected, abs=1e-12)


# --- forms and refusals --------------------------------------------------------------------------


def test_table_and_json(two_images):
    result = evaluate_voc(*two_images)
    assert "cat    0.5556  0.6667        3           3" in result.table()
    assert "mean   0.2778" in result.table()
    values = json.loads(json.dumps(result.to_json(), allow_nan=False))
    assert values["mean_ap"] == pytest.approx(5 / 18)
    assert values["classes"][1] == {
        "name": "dog", "ap": 0.0, "truths": 1, "detections": 0, "best_recall": 0.0,
    }  # fmt: skip
    empty = evaluate_voc([found()], [truth()])
    assert empty.to_json()["mean_ap"] is None
    assert "over 0 of 2 classes" in empty.table()
