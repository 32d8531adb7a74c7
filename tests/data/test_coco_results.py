"""Detections and truths in COCO's file formats: there and back, and through pycocotools."""

import contextlib
import io
import json

import numpy as np
import pytest

from ssd_np.cli import main
from ssd_np.config import load_config
from ssd_np.data.voc import VOCDataset
from ssd_np.errors import DataError, ShapeError
from ssd_np.evaluate.coco_results import (
    from_coco_results,
    read_results,
    to_coco_instances,
    to_coco_results,
)
from ssd_np.model.ssd import SSD
from ssd_np.model.weights import save
from ssd_np.records import Detections, Truth

NAMES = ("cat", "dog", "bird")
SIZE = (240, 320)


def random_detections(seed, sizes):
    rng = np.random.default_rng(seed)
    out = []
    for count in rng.integers(0, 9, len(sizes)):
        low = rng.random((count, 2))
        boxes = np.hstack([low, low + (1 - low) * rng.random((count, 2))])
        scores = np.sort(rng.random(count))[::-1]
        out.append(Detections(boxes, rng.integers(1, 4, count), scores, NAMES))
    return out


def test_there_and_back():
    sizes, ids, categories = (
        [(100, 333), (240, 320), (7, 5), (64, 64)],
        [11, "7", 42, 5],
        [3, 90, 17],
    )
    detections = random_detections(3, sizes)
    results = json.loads(json.dumps(to_coco_results(detections, ids, sizes, categories)))
    assert {r["category_id"] for r in results} == set(categories)
    again = from_coco_results(results[::-1], ids, sizes, categories, NAMES)
    for before, after in zip(detections, again, strict=True):
        np.testing.assert_allclose(after.boxes_corner, before.boxes_corner, atol=1e-9)
        np.testing.assert_array_equal(after.labels, before.labels)
        np.testing.assert_array_equal(after.scores, before.scores)
        assert after.class_names == NAMES


def test_pixels_with_width_and_height():
    boxes = np.array([[0.25, 0.5, 0.75, 1.0]], np.float32)
    one = Detections(boxes, np.array([2]), np.array([0.5], np.float32), NAMES)
    expected = {"image_id": 9, "category_id": 20, "bbox": [50.0, 50.0, 100.0, 50.0], "score": 0.5}
    assert to_coco_results([one], [9], [(100, 200)], [10, 20, 30]) == [expected]
    assert to_coco_results([one], [9], [(100, 200)], [10, None, 30]) == []


def test_instances_by_hand():
    truth = Truth([[0.25, 0.5, 0.75, 1.0], [0, 0, 1, 1]], [2, 1], crowd=[False, True],
                  area=[1234.5, 7], size=(100, 200))  # fmt: skip
    content = to_coco_instances([truth, Truth([], [], size=(5, 6))], ["a", "b"], [4, 8], NAMES[:2])
    assert content["images"][1] == {"id": "b", "file_name": "b", "height": 5, "width": 6}
    assert content["categories"] == [{"id": 4, "name": "cat"}, {"id": 8, "name": "dog"}]
    assert content["annotations"] == [
        {"id": 1, "image_id": "a", "category_id": 8, "bbox": [50, 50, 100, 50], "area": 1234.5,
         "iscrowd": 0},
        {"id": 2, "image_id": "a", "category_id": 4, "bbox": [0, 0, 200, 100], "area": 7,
         "iscrowd": 1},
    ]  # fmt: skip


GOOD = {"image_id": 1, "category_id": 1, "bbox": [0, 0, 5, 5], "score": 0.5}


@pytest.mark.parametrize(
    "change",
    [{"image_id": 2}, {"image_id": [1]}, {"category_id": 8}, {"bbox": [1, 2, 3]}, {"bbox": None},
     {"bbox": [1, 2, 3, "x"]}, {"score": None}, {"score": float("nan")}],
)  # fmt: skip
def test_refuses_results_that_do_not_fit(change):
    with pytest.raises(DataError, match=r"d\.json\[1\]"):
        from_coco_results([GOOD, GOOD | change], [1], [SIZE], [1], ["cat"], where="d.json")


def test_refuses_lists_that_do_not_fit():
    with pytest.raises(ShapeError, match="different lengths"):
        to_coco_results([], [1], [], [1])
    with pytest.raises(ShapeError, match="one item for each class"):
        from_coco_results([], [], [], [1], [])
    with pytest.raises(DataError, match="an image id occurs twice"):
        from_coco_results([], [1, 1], [SIZE, SIZE], [1], ["cat"])


@pytest.mark.parametrize("text, words", [(None, "no such results file"), ("{", "not a readable"),
                                         ("{}", "is no list")])  # fmt: skip
def test_refuses_files_that_are_none(tmp_path, text, words):
    if text is not None:
        (tmp_path / "d.json").write_text(text)
    with pytest.raises(DataError, match=words):
        read_results(tmp_path / "d.json")


# --- the command ---------------------------------------------------------------------------------


@pytest.fixture
def some_cells(tmp_path, bccd_root):
    """A VOC folder with twelve of the photographs."""
    root = tmp_path / "cells"
    (root / "ImageSets" / "Main").mkdir(parents=True)
    for folder in ("Annotations", "JPEGImages"):
        (root / folder).symlink_to((bccd_root / folder).resolve())
    ids = (bccd_root / "ImageSets" / "Main" / "val.txt").read_text().split()
    (root / "ImageSets" / "Main" / "val.txt").write_text("\n".join(ids[:12]))
    return root


def test_saved_detections_measure_the_same_and_equal_pycocotools(tmp_path, capsys, some_cells):
    """An untrained network finds little, so cells from the truth, shaken, are added to its file."""
    weights, saved = tmp_path / "w.npz", tmp_path / "d.json"
    save(weights, SSD(load_config("small"), seed=3))
    data = ["--data", f"voc:{some_cells}", "--split", "val", "--metric", "coco"]

    def report(*source):
        options = [*data, "--force", "--out", str(tmp_path / "e")]
        assert main(["eval", *map(str, source), *options]) == 0
        return json.loads((tmp_path / "e" / "eval.json").read_text())

    direct = report(weights, "--save-detections", saved)
    again = report("--detections", saved)
    for key in (key for key in direct if key[:2] in ("AP", "AR")):
        assert direct[key] == pytest.approx(again[key], abs=1e-9), key
    assert direct["classes"] == again["classes"] and direct["thresholds"]["evaluate"] == 0.01

    dataset = VOCDataset(some_cells, "val")
    truths = [dataset.truth(i) for i in range(len(dataset))]
    instances = to_coco_instances(truths, dataset.names, [1, 2, 3], dataset.class_names)
    results, rng = json.loads(saved.read_text()), np.random.default_rng(0)
    assert len(results) > 100
    for result in results:
        result["score"] /= 4  # an untrained network is sure of itself
    for cell in instances["annotations"]:
        for _ in range(2):
            box = (np.array(cell["bbox"]) * rng.normal(1, 0.05, 4)).tolist()
            score = float(rng.uniform(0.3, 1))
            results.append({"image_id": cell["image_id"], "category_id": cell["category_id"],
                            "bbox": box, "score": score})  # fmt: skip
    saved.write_text(json.dumps(results))
    ours = report("--detections", saved)
    assert 0.2 < ours["AP"] < 0.9
    for key, number in pycocotools_numbers(instances, results).items():
        assert ours[key] == pytest.approx(number, abs=1e-9), key


def pycocotools_numbers(instances, results):
    coco_module = pytest.importorskip("pycocotools.coco")
    from pycocotools.cocoeval import COCOeval

    coco = coco_module.COCO()
    coco.dataset = instances
    with contextlib.redirect_stdout(io.StringIO()):
        coco.createIndex()
        evaluation = COCOeval(coco, coco.loadRes(results), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    keys = ("AP", "AP50", "AP75", "AP_small", "AP_medium", "AP_large",
            "AR_1", "AR_10", "AR_100", "AR_small", "AR_medium", "AR_large")  # fmt: skip
    return dict(zip(keys, evaluation.stats, strict=True))
