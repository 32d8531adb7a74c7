"""Records: what is left out is filled in, what can not be is refused, and they can be handled."""

import copy
import pickle

import numpy as np
import pytest

from ssd_np.config import load_config
from ssd_np.data.batches import Batches
from ssd_np.data.shapes import ShapesDataset
from ssd_np.errors import DegenerateBox, ShapeError
from ssd_np.evaluate.coco import evaluate_coco
from ssd_np.evaluate.coco_results import to_coco_instances
from ssd_np.evaluate.run import detect_dataset
from ssd_np.model.ssd import SSD
from ssd_np.records import Detections, Sample, Truth

BOX = [0.25, 0.5, 0.75, 1]
IMAGE = np.full((100, 200, 3), 90, np.uint8)


def test_defaults():
    truth = Truth([[0.25, 0.5, 0.75, 1]], [2], size=(100, 200))
    assert len(truth) == 1
    assert truth.area.tolist() == [100 * 50]
    assert truth.difficult.tolist() == truth.crowd.tolist() == [False]
    assert truth.boxes_corner.dtype == np.float64 and truth.labels.dtype == np.int64


def test_no_objects():
    truth = Truth(np.zeros((0, 4)), [])
    assert len(truth) == 0 and truth.boxes_corner.shape == (0, 4)


@pytest.mark.parametrize("column", ["labels", "difficult", "crowd", "area"])
def test_a_column_of_another_length_is_named(column):
    columns = {"labels": [1], column: [1, 1]}
    with pytest.raises(ShapeError, match=rf"Truth\.{column} has 2 rows"):
        Truth([[0, 0, 1, 1]], **columns)


# --- what no truth can be ------------------------------------------------------------------------

WRONG = {
    "reversed across": ({"boxes_corner": [BOX, [0.5, 0.1, 0.2, 0.3]]}, r"corner\[1\] \(0.5, 0.1, "),
    "reversed down": ({"boxes_corner": [[0.1, 0.5, 0.2, 0.3], BOX]}, r"corner\[0\].*ends before"),
    "x, y, width, height": ({"boxes_corner": [BOX, [0.6, 0.6, 0.3, 0.2]]}, r"not \(x, y, width"),
    "NaN": ({"boxes_corner": [BOX, [0, 0, np.nan, 1]]}, r"corner\[1\].*not finite"),
    "infinite": ({"boxes_corner": [BOX, [0, -np.inf, 1, 1]]}, r"corner\[1\].*not finite"),
    "label NaN": ({"labels": [1, np.nan]}, "whole numbers"),
    "label infinite": ({"labels": [1, np.inf]}, "whole numbers"),
    "flags as text": ({"difficult": ["0", "1"]}, "Truth.difficult"),
    "flags as counts": ({"crowd": [0, 2]}, "Truth.crowd"),
    "area NaN": ({"area": [1, np.nan]}, "square pixels"),
    "area below 0": ({"area": [1, -1]}, "square pixels"),
    "area as text": ({"area": ["a", "b"]}, "square pixels"),
    "size of nothing": ({"size": (0, 200)}, r"\(height, width\) in pixels"),
    "size with channels": ({"size": (100, 200, 3)}, r"\(height, width\) in pixels"),
    "size in parts": ({"size": (100.5, 200)}, r"\(height, width\) in pixels"),
}


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize("where", ["", "cats.csv: 7.jpg"])
def test_what_no_truth_can_be_is_refused_with_its_file(name, where):
    columns, message = WRONG[name]
    columns = {"boxes_corner": [BOX, BOX], "labels": [1, 2], **columns}
    with pytest.raises((ShapeError, DegenerateBox), match=message) as caught:
        Truth(**columns, where=where)
    assert str(caught.value).startswith(where or "Truth") and "\n" not in str(caught.value)


def test_boxes_beyond_the_image_and_without_area_are_truths():
    """As annotations have them; the metrics count them as pycocotools does."""
    assert len(Truth([[-0.2, 0, 1.3, 1], [0.5, 0.1, 0.5, 0.3]], [1, 1])) == 2


class Own:
    """A data set of one's own; the last image has a box of `numbers`."""

    class_names = ("circle", "square")

    def __init__(self, numbers, name="7.jpg"):
        self.numbers, self.name = numbers, name

    def __len__(self):
        return 3

    def __getitem__(self, index):
        boxes = [BOX] if index < 2 else [BOX, self.numbers]
        return Sample(IMAGE, Truth(boxes, [1] * len(boxes)), self.name)


def test_a_bad_box_of_ones_own_data_is_found_by_its_item():
    config = load_config("tiny")
    with pytest.raises(DegenerateBox, match=r"item 2 of the data set.*ends before it begins"):
        Batches(Own([0.6, 0.6, 0.3, 0.2]), config, 3, 0, threads=0).make(0)
    with pytest.raises(DegenerateBox, match=r"7\.jpg: object 1: has no area"):
        Batches(Own([0.6, 0.6, 0.6, 0.7]), config, 3, 0, threads=0).make(0)
    with pytest.raises(DegenerateBox, match="item 2 of the data set"):
        detect_dataset(SSD(config), Own([0.6, 0.6, 0.3, 0.2]))


# --- a missing size is no size -------------------------------------------------------------------


def found(*scores):
    count = len(scores)
    return Detections(
        np.tile(BOX, (count, 1)), np.arange(count) % 2 + 1, np.array(scores), ("cat", "dog")
    )


def test_a_truth_without_size_has_no_area_and_is_not_small():
    truth = Truth([BOX], [1])
    assert truth.size is None and truth.area is None
    for measure in (
        lambda: evaluate_coco([found(0.9)], [truth]),
        lambda: to_coco_instances([truth], [1], [1, 2], ("cat", "dog")),
    ):
        with pytest.raises(ShapeError, match=r"image 0: its truth has no size.*size=\(height"):
            measure()


def test_a_sample_knows_its_size():
    truth = Sample(IMAGE, Truth([BOX], [1]), "7.jpg").truth
    assert truth.size == (100, 200) and truth.area.tolist() == [100 * 50]
    numbers = evaluate_coco([found(0.9)], [truth])
    assert numbers["AP_large"] == -1 and numbers["AP_medium"] == 1 and numbers["AP_small"] == -1
    told = Truth([BOX], [1], size=(50, 100))
    assert Sample(IMAGE, told, "7.jpg").truth.size == (50, 100)  # what it says itself counts


def test_own_data_without_sizes_is_measured_as_cocos():
    _, truths = detect_dataset(SSD("tiny"), Own(BOX))
    assert [truth.size for truth in truths] == [(100, 200)] * 3


# --- equal, copied, sent -------------------------------------------------------------------------


def records():
    sample = ShapesDataset(0, 1)[0]
    return [sample.truth, sample, found(0.9, 0.4), Truth([BOX], [1])]


def changed():
    truth, sample, detections, bare = records()
    yield truth, Truth(truth.boxes_corner * 0.9, truth.labels, size=truth.size)
    yield truth, Truth(truth.boxes_corner, truth.labels)  # no size
    yield sample, Sample(255 - sample.image, truth, sample.name)
    yield sample, Sample(sample.image, bare, sample.name)
    yield sample, Sample(sample.image, truth, "another")
    yield detections, found(0.9, 0.5)
    yield detections, found(0.9)
    yield bare, detections


def test_records_of_equal_content_are_equal():
    for record, same in zip(records(), records(), strict=True):
        assert record == record and record == same
        assert pickle.loads(pickle.dumps(record)) == copy.deepcopy(record) == record
        assert copy.copy(record) == record and record in [same]
    for record, other in changed():
        assert record != other
    with pytest.raises(TypeError, match="unhashable type: 'Truth'"):
        hash(records()[0])


def test_detections_have_a_length_an_index_and_iterate():
    detections = found(0.4, 0.9, 0.6)
    assert len(detections) == 3 and [d.name for d in detections] == ["cat", "dog", "cat"]
    name, score, label, box = detections[1]
    assert (name, score, label, box.tolist()) == ("dog", 0.9, 2, BOX)
    assert detections[-1].score == 0.6 and detections[np.int64(0)].label == 1
    with pytest.raises(IndexError):
        detections[3]
    assert detections[:2] == found(0.4, 0.9) and detections[[0, 1]] == found(0.4, 0.9)
    assert detections[detections.scores > 1] == found()
    assert detections.at_least(0.6).scores.tolist() == [0.9, 0.6]
    assert detections.captions() == ["cat 0.40", "dog 0.90", "cat 0.60"]
    assert list(Detections(np.zeros((0, 4)), [], [], ("cat",))) == []
