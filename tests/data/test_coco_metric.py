"""COCO's twelve numbers, against pycocotools on random and on awkward sets, and by hand."""

import contextlib
import io
import json

import numpy as np
import pytest

from ssd_np.errors import ShapeError
from ssd_np.evaluate.coco import coco_result, evaluate_coco
from ssd_np.evaluate.coco_matching import coco_iou
from ssd_np.evaluate.coco_results import to_coco_results
from ssd_np.records import Detections, Truth

pytestmark = pytest.mark.lesson14

NAMES = ("cat", "dog", "bird")
KEYS = ("AP", "AP50", "AP75", "AP_small", "AP_medium", "AP_large",
        "AR_1", "AR_10", "AR_100", "AR_small", "AR_medium", "AR_large")  # fmt: skip
SIZE = (240, 320)


def fractions(pixels, size=SIZE):
    height, width = size
    return np.asarray(pixels, np.float64).reshape(-1, 4) / (width, height, width, height)


def found(boxes, labels, scores, size=SIZE):
    return Detections(fractions(boxes, size), np.asarray(labels, int), np.asarray(scores), NAMES)


def truth(boxes, labels, area=None, crowd=None, size=SIZE):
    return Truth(fractions(boxes, size), labels, crowd=crowd, area=area, size=size)


def pycocotools_numbers(detections, truths, pixel_truths):
    """The same sets through COCO's own code; `pixel_truths` are the boxes before division."""
    coco_module = pytest.importorskip("pycocotools.coco")
    from pycocotools.cocoeval import COCOeval

    annotations = []
    for image, (t, boxes) in enumerate(zip(truths, pixel_truths, strict=True), start=1):
        for (x1, y1, x2, y2), label, area, crowd in zip(
            np.reshape(boxes, (-1, 4)).tolist(), t.labels, t.area, t.crowd, strict=True
        ):
            annotations.append(
                {"id": len(annotations) + 1, "image_id": image, "category_id": int(label),
                 "bbox": [x1, y1, x2 - x1, y2 - y1], "area": area, "iscrowd": int(crowd)}
            )  # fmt: skip
    ids = range(1, len(truths) + 1)
    coco = coco_module.COCO()
    coco.dataset = {
        "images": [{"id": i, "height": t.size[0], "width": t.size[1]}
                   for i, t in zip(ids, truths, strict=True)],
        "categories": [{"id": k, "name": name} for k, name in enumerate(NAMES, start=1)],
        "annotations": annotations,
    }  # fmt: skip
    results = to_coco_results(detections, ids, [t.size for t in truths], [1, 2, 3])
    with contextlib.redirect_stdout(io.StringIO()):
        coco.createIndex()
        # loadRes cannot take an empty list: then an empty set stands for it
        if results:
            loaded = coco.loadRes(results)
        else:
            loaded = coco_module.COCO()
            loaded.dataset = {**coco.dataset, "annotations": []}
            loaded.createIndex()
        evaluation = COCOeval(coco, loaded, "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return dict(zip(KEYS, evaluation.stats, strict=True))


def assert_same(detections, truths, pixel_truths):
    expected = pycocotools_numbers(detections, truths, pixel_truths)
    ours = evaluate_coco(detections, truths)
    assert tuple(ours) == KEYS
    for key in KEYS:
        assert ours[key] == pytest.approx(expected[key], abs=1e-9), key
    return ours


def random_set(seed, images, integer, most=8):
    """Objects of all sizes, crowds, areas of an outline; detections near them, twice, and stray."""
    rng = np.random.default_rng(seed)
    detections, truths, pixel_truths = [], [], []
    for _ in range(images):
        size = tuple(int(side) for side in rng.integers(150, 400, 2))
        count = rng.integers(0, most)
        sides = np.exp(rng.uniform(np.log(6), np.log(140), (count, 2)))
        corner = rng.uniform(0, 1, (count, 2)) * np.maximum(np.array(size)[::-1] - sides, 1)
        boxes = np.hstack([corner, corner + sides])
        boxes = np.round(boxes) if integer else boxes
        labels = rng.integers(1, 3, count)  # no bird anywhere in the truth
        box_area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
        area = box_area * rng.choice([1.0, 0.7], count)
        pixel_truths.append(boxes)
        truths.append(truth(boxes, labels, area, rng.random(count) < 0.2, size))

        near = np.repeat(boxes, 3, axis=0)
        near += rng.normal(0, 0.06, near.shape) * np.tile(np.repeat(sides, 3, axis=0), 2)
        stray = rng.uniform(0, 80, (4, 2))
        near = np.vstack([near, np.hstack([stray, stray + rng.uniform(0, 120, (4, 2))])])
        near[:, 2:] = np.maximum(near[:, 2:], near[:, :2])
        near = np.round(near) if integer else near
        labels = np.concatenate([np.repeat(labels, 3), rng.integers(1, 4, 4)])
        labels = np.where(rng.random(len(labels)) < 0.1, 3, labels)
        scores = rng.integers(1, 6, len(near)) / 5 if integer else rng.random(len(near))
        detections.append(found(near, labels, scores, size))
    return detections, truths, pixel_truths


@pytest.mark.parametrize("integer", [False, True], ids=["floats", "whole pixels and ties"])
@pytest.mark.parametrize("seed", range(5))
def test_equals_pycocotools_on_random_sets(seed, integer):
    ours = assert_same(*random_set(seed, images=15, integer=integer))
    assert 0.1 < ours["AP"] < 0.9  # the case says something


def test_equals_pycocotools_with_more_than_100_detections_in_an_image():
    rng = np.random.default_rng(7)
    boxes = np.array(
        [(10 * i, 20 * j, 10 * i + 9, 20 * j + 18) for i in range(30) for j in range(9)]
    )
    picked = rng.permutation(len(boxes))[:180]
    shifted = boxes[picked] + rng.integers(-2, 3, (180, 4))
    detections = [found(shifted, np.ones(180), rng.random(180))]
    ours = assert_same(detections, [truth(boxes, np.ones(len(boxes)))], [boxes])
    assert ours["AR_100"] < 100 / len(boxes)


AWKWARD = {
    "no detections": (([], [], []), ([(10, 10, 60, 60)], [1], None, None)),
    "no truths": (([(10, 10, 60, 60)], [1], [0.9]), ([], [], None, None)),
    "neither": (([], [], []), ([], [], None, None)),
    "iou exactly at a threshold": (
        ([(0, 0, 100, 50), (0, 0, 100, 75)], [1, 2], [0.9, 0.8]),
        ([(0, 0, 100, 100), (0, 0, 100, 100)], [1, 2], None, None),
    ),
    "all scores equal": (
        ([(0, 0, 40, 40), (2, 0, 42, 40), (200, 0, 240, 40)], [1, 1, 1], [0.5, 0.5, 0.5]),
        ([(0, 0, 40, 40), (200, 0, 240, 40)], [1, 1], None, None),
    ),
    "two equal objects": (
        ([(0, 0, 40, 40), (0, 0, 40, 40)], [1, 1], [0.9, 0.8]),
        ([(0, 0, 40, 40), (0, 0, 40, 40)], [1, 1], [900.0, 1600.0], None),
    ),
    "equally near to two objects": (  # which of them it takes decides what is left for the second
        ([(5, 0, 45, 40), (10, 0, 50, 40)], [1, 1], [0.9, 0.8]),
        ([(0, 0, 40, 40), (10, 0, 50, 40)], [1, 1], None, None),
    ),
    "crowd swallows many": (
        ([(5, 5, 50, 50), (60, 60, 90, 90), (10, 10, 40, 40)], [1, 1, 1], [0.9, 0.8, 0.7]),
        ([(0, 0, 100, 100), (12, 12, 40, 40)], [1, 1], None, [True, False]),
    ),
    "only a crowd": (
        ([(5, 5, 50, 50)], [1], [0.9]),
        ([(0, 0, 100, 100)], [1], None, [True]),
    ),
    "boxes without area": (
        ([(30, 30, 30, 60), (10, 10, 50, 50), (9, 9, 9, 9)], [1, 1, 1], [0.9, 0.8, 0.7]),
        ([(30, 30, 30, 60), (10, 10, 50, 50)], [1, 1], None, None),
    ),
    "area at a border of the sizes": (
        ([(0, 0, 32, 32), (0, 100, 96, 196), (200, 0, 231, 33)], [1, 1, 1], [0.9, 0.8, 0.7]),
        ([(0, 0, 32, 32), (0, 100, 96, 196), (200, 0, 231, 33)], [1, 1, 1], None, None),
    ),
    "a small detection that finds nothing": (
        ([(0, 0, 10, 10), (100, 100, 150, 150)], [1, 1], [0.9, 0.8]),
        ([(100, 100, 150, 150)], [1], None, None),
    ),
}


@pytest.mark.parametrize("name", AWKWARD)
def test_equals_pycocotools_on_awkward_sets(name):
    (boxes, labels, scores), (truth_boxes, truth_labels, area, crowd) = AWKWARD[name]
    if area is None:
        area = [float((x2 - x1) * (y2 - y1)) for x1, y1, x2, y2 in truth_boxes]
    truths = [truth(truth_boxes, truth_labels, np.array(area), crowd)]
    assert_same([found(boxes, labels, scores)], truths, [truth_boxes])


def test_hand_computed():
    """Two objects of 100 x 100; one found with IoU .75, one not: right at six of ten thresholds."""
    objects = truth([(0, 0, 100, 100), (150, 0, 250, 100)], [1, 1])
    result = evaluate_coco([found([(0, 0, 100, 75)], [1], [0.9])], [objects])
    half = 51 / 101  # recalls 0, .01 .. .50 of 101 are reached
    assert result["AP50"] == result["AP75"] == pytest.approx(half)
    assert result["AP"] == result["AP_large"] == pytest.approx(0.6 * half)
    assert result["AR_1"] == result["AR_100"] == pytest.approx(0.6 * 0.5)
    assert result["AP_small"] == result["AR_medium"] == -1


def test_rounding_of_fractions_does_not_change_a_tie():
    """v / size * size misses v by a bit for some v; IoU one half must stay one half."""
    for side in range(100, 400, 2):
        size, box = (side, 3 * side + 1), (1, 1, 1 + 2 * (side // 3), 1 + side // 2)
        x1, y1, x2, y2 = box
        half = (x1, y1, (x1 + x2) // 2, y2)
        result = evaluate_coco([found([half], [1], [0.9], size)], [truth([box], [1], size=size)])
        assert result["AP50"] == pytest.approx(1.0), size


def test_crowd_iou_is_over_the_detection():
    box, region = np.array([[0.0, 0, 10, 10]]), np.array([[5.0, 0, 105, 100]])
    assert coco_iou(box, region, np.array([True]))[0, 0] == 0.5
    assert coco_iou(box, region, np.array([False]))[0, 0] == pytest.approx(50 / (100 + 10000 - 50))


def test_refuses_lists_that_do_not_fit():
    with pytest.raises(ShapeError, match="0 detections for 1 truths"):
        evaluate_coco([], [truth([], [])])


def test_the_classes_of_the_twelve_numbers():
    """A class's numbers are those of a data set with this class alone; means leave out the bird."""
    detections, truths, _ = random_set(1, images=12, integer=False)
    result = coco_result(detections, truths)
    cat, dog, bird = result.classes
    assert [c.name for c in result.classes] == list(NAMES)
    assert (cat.ap + dog.ap) / 2 == pytest.approx(result.summary["AP"], abs=1e-12)
    assert (cat.ap50 + dog.ap50) / 2 == pytest.approx(result.summary["AP50"], abs=1e-12)
    assert (cat.recall + dog.recall) / 2 == pytest.approx(result.summary["AR_100"], abs=1e-12)
    assert (bird.ap, bird.ap50, bird.recall, bird.truths) == (-1, -1, -1, 0)
    assert cat.truths == sum(int(np.sum((t.labels == 1) & ~t.crowd)) for t in truths)
    assert bird.detections == sum(int(np.sum(d.labels == 3)) for d in detections) > 0
    alone = [Detections(d.boxes_corner[d.labels == 2], d.labels[d.labels == 2],
                        d.scores[d.labels == 2], NAMES) for d in detections]  # fmt: skip
    dogs = [Truth(t.boxes_corner[t.labels == 2], t.labels[t.labels == 2],
                  crowd=t.crowd[t.labels == 2], area=t.area[t.labels == 2], size=t.size)
            for t in truths]  # fmt: skip
    assert evaluate_coco(alone, dogs)["AP"] == pytest.approx(dog.ap, abs=1e-12)
    assert cat.ap != dog.ap
    loose = [found([(0, 0, 100, 52)], [1], [0.9])], [truth([(0, 0, 100, 100)], [1])]  # IoU 0.52
    (only, *_) = coco_result(*loose).classes
    assert (only.ap50, only.ap, only.recall) == pytest.approx((1, 0.1, 0.1))

    lines = result.table().splitlines()
    assert lines[1].split() == ["cat", f"{cat.ap:.4f}", f"{cat.ap50:.4f}", f"{cat.recall:.4f}",
                                str(cat.truths), str(cat.detections)]  # fmt: skip
    assert lines[3].split() == ["bird", "-", "-", "-", "0", str(bird.detections)]
    assert "over 2 of 3 classes" in lines[4] and "difficult" in lines[-1]
    values = json.loads(json.dumps(result.to_json()))
    assert values["AP"] == result.summary["AP"] and values["classes"][0]["ap"] == cat.ap
    assert values["iou_thresholds"][-1] == 0.95 and values["metric"] == "COCO"
