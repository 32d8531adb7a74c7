"""How well the default boxes cover the objects, on boxes of known IoU."""

import dataclasses
import json

import numpy as np
import pytest

from ssd_np.boxes.coords import center_to_corner
from ssd_np.boxes.default_boxes import default_boxes
from ssd_np.boxes.iou import iou_matrix
from ssd_np.config import load_config
from ssd_np.data.coverage import coverage
from ssd_np.data.shapes import ShapesDataset


def test_coverage_of_known_boxes():
    config = load_config("tiny")
    defaults = center_to_corner(default_boxes(config)[:, :4])
    inside = defaults[(defaults.min(axis=1) >= 0) & (defaults.max(axis=1) <= 1)]
    dot = np.array([[0.5, 0.5, 0.5 + 4 / 128, 0.5 + 4 / 128]])  # 4 pixels; the smallest box has 20
    found = coverage(np.concatenate([inside[:2], dot]), config)
    np.testing.assert_allclose(found.best_iou[:2], 1)
    # the smallest default box has 20 x 20 px, ratio 2 keeps its area: 16 of 400 square pixels
    np.testing.assert_allclose(found.best_iou[2:], [16 / 400], rtol=1e-9)
    np.testing.assert_allclose(found.sizes[2:], [4], rtol=1e-9)
    assert found.uncovered == pytest.approx(1 / 3) and found.threshold == 0.5
    small = found.by_size[0]
    assert small[:3] == ("0 to 8 px", 1, 1.0)
    assert (
        sum(group[1] for group in found.by_size) == sum(group[1] for group in found.by_ratio) == 3
    )
    assert found.lines()[0].startswith("1 of 3 objects (33.3%) have no default box with an IoU of")
    values = json.loads(json.dumps(found.as_dict()))
    assert values["by_size"][0]["objects"] == 1 and values["best_iou"] == [1.0, 1.0, 0.04]


def test_many_objects_in_parts():
    """More than are compared at a time."""
    config, rng = load_config("tiny"), np.random.default_rng(0)
    low = rng.uniform(0, 0.8, (1203, 2))
    boxes = np.hstack([low, low + rng.uniform(0.01, 0.2, (1203, 2))])
    defaults = center_to_corner(default_boxes(config)[:, :4])
    expected = iou_matrix(boxes, defaults).max(axis=1)
    np.testing.assert_array_equal(coverage(boxes, config).best_iou, expected)


def test_shapes_and_threshold():
    config = load_config("tiny")
    sides = [(0.1, 0.5), (0.2, 0.4), (0.3, 0.3), (0.4, 0.2), (0.5, 0.1)]
    boxes = np.array([[0.2, 0.2, 0.2 + w, 0.2 + h] for w, h in sides])
    names = [group[0] for group in coverage(boxes, config).by_ratio]
    assert names == ["tall, over 3:1", "tall", "about square", "wide", "wide, over 3:1"]
    strict = dataclasses.replace(config.matching, threshold=0.99)
    strict = dataclasses.replace(config, matching=strict)
    assert coverage(boxes, strict).uncovered == 1.0
    exact = float(np.median(coverage(boxes, config).best_iou))  # reached, so covered
    matching = dataclasses.replace(config.matching, threshold=exact)
    reached = coverage(boxes, dataclasses.replace(config, matching=matching))
    assert reached.uncovered == 0.4 and reached.lines()[0].startswith("2 of 5 objects (40.0%)")
    assert sum(round(count * share) for _, count, share, _ in reached.by_ratio) == 2
    nothing = coverage(np.empty((0, 4)), config)
    assert nothing.uncovered == 0.0 and nothing.by_size == [] and len(nothing.best_iou) == 0


def test_the_generated_shapes():
    """The preset's boxes were chosen for these objects."""
    dataset = ShapesDataset(0, 200)
    boxes = np.concatenate([dataset.truth(i).boxes_corner for i in range(200)])
    found = coverage(boxes, load_config("tiny"))
    assert len(found.best_iou) > 500 and found.uncovered < 0.2
