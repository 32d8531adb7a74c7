"""Default boxes: the layer, square presets bit by bit, and what is refused."""

import numpy as np
import pytest

from ssd_np.boxes.default_boxes import (
    DefaultBoxes,
    box_shapes,
    default_boxes,
    default_boxes_for_map,
    derive_sizes,
)
from ssd_np.config import load_config, preset_names
from ssd_np.errors import ConfigError, ShapeError
from ssd_np.exercises.graded.test_default_boxes import oblong

pytestmark = pytest.mark.lesson02


@pytest.mark.parametrize("config", [load_config("tiny"), oblong((8, 10))], ids=["tiny", "oblong"])
def test_the_layers_rows_are_the_default_boxes(config, rng):
    rows = []
    for i, feature_map in enumerate(config.feature_maps):
        x = rng.standard_normal((3, *feature_map.shape, 5))
        boxes = DefaultBoxes(config, i).forward(x)
        assert boxes.shape == (3, feature_map.boxes, 8)
        assert np.array_equal(boxes[2], default_boxes_for_map(config, i).reshape(-1, 8))
        rows.append(boxes)
    joined = np.concatenate(rows, axis=1)
    assert np.array_equal(joined, np.stack([default_boxes(config)] * 3))


def test_a_map_of_another_shape_is_refused():
    layer = DefaultBoxes(oblong(8), 0)
    for shape in ((1, 20, 12, 3), (1, 3, 12, 20), (12, 20, 3)):
        with pytest.raises(ShapeError, match=r"boxes_map: the map has .* its boxes \[12, 20\]"):
            layer.forward(np.zeros(shape))


@pytest.mark.parametrize("name", sorted({*preset_names()} - {"slim", "mobilenet_coco"}))
def test_square_presets_are_what_one_side_and_one_step_give(name):
    """To the last bit: weights were trained with these numbers. Two presets have other rules, see
    tests/model/test_slim_and_mobilenet.py."""
    config = load_config(name)
    for i, feature_map in enumerate(config.feature_maps):
        centers = (np.arange(feature_map.size) + 0.5) * feature_map.step / config.input.size
        sizes = box_shapes(feature_map, config.boxes.integer_sizes) / config.input.size
        if config.boxes.clip == "sizes":
            sizes = np.minimum(sizes, 1)
        boxes = default_boxes_for_map(config, i)
        assert (boxes[..., 0] == centers[None, :, None]).all()
        assert (boxes[..., 1] == centers[:, None, None]).all()
        assert (boxes[..., 2:4] == sizes).all()


def test_sizes_for_two_maps_are_refused():
    with pytest.raises(ConfigError, match="at least two maps after the first"):
        derive_sizes(300, 10, 20, 90, maps=2)
