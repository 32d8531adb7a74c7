"""An image that is wider than high: each axis by its own side, an object's pixels alike on both."""

import dataclasses

import numpy as np
import pytest

from ssd_np.boxes.coords import center_to_corner
from ssd_np.boxes.default_boxes import default_boxes, default_boxes_for_map
from ssd_np.config import Config, config_from_json, config_to_json, load_config
from ssd_np.data.coverage import coverage
from ssd_np.errors import ConfigError, ShapeError
from ssd_np.infer.detect import Detector
from ssd_np.infer.explain import place_of
from ssd_np.model.ssd import SSD


def wide_tiny(height: int = 96, width: int = 160) -> Config:
    """`tiny` for another image; its maps have a cell for 8, 16 and 32 pixels."""
    config = load_config("tiny")
    maps = tuple(
        dataclasses.replace(m, size=(height // int(m.step), width // int(m.step)))
        for m in config.feature_maps
    )
    image = dataclasses.replace(config.input, size=(height, width))
    return dataclasses.replace(config, input=image, feature_maps=maps)


@pytest.fixture
def config():
    return wide_tiny()


def test_a_pair_travels_through_json(config):
    assert '"size": [96, 160]' in config_to_json(config)
    assert config_from_json(config_to_json(config)) == config
    assert config.input.shape == (96, 160) and load_config("tiny").input.shape == (128, 128)
    assert '"size": 128,' in config_to_json(load_config("tiny"))


def test_a_map_of_another_shape_is_refused(config):
    first, *rest = config.feature_maps
    turned = dataclasses.replace(first, size=first.shape[::-1])
    with pytest.raises(ConfigError, match=r"feature_maps\[0\]\.size: expected \(12, 20\)"):
        dataclasses.replace(config, feature_maps=(turned, *rest))


def test_boxes_have_the_pixels_of_the_square_network(config):
    """Where the two images overlap, the boxes are the same in pixels."""
    square = load_config("tiny")
    for index in range(3):
        ours = default_boxes_for_map(config, index)[..., :4] * (160, 96, 160, 96)
        theirs = default_boxes_for_map(square, index)[..., :4] * 128
        rows = min(len(ours), len(theirs))
        columns = min(ours.shape[1], theirs.shape[1])
        np.testing.assert_allclose(ours[:rows, :columns], theirs[:rows, :columns])
    assert default_boxes(config).shape == (config.num_boxes, 8) == (4 * (240 + 60 + 15), 8)


def test_steps_may_differ():
    config = wide_tiny()
    last = dataclasses.replace(config.feature_maps[2], step=(30.0, 40.0))
    config = dataclasses.replace(config, feature_maps=(*config.feature_maps[:2], last))
    centers = default_boxes_for_map(config, 2)[:, :, 0, :2] * (160, 96)
    np.testing.assert_allclose(centers[1, 2], (2.5 * 40, 1.5 * 30))


def test_the_network_answers_for_every_box_and_each_sees_its_place(config):
    """A change at the right edge reaches boxes there and leaves those at the left as they are."""
    model = SSD(config, dtype=np.float64)
    image = np.random.default_rng(0).standard_normal((1, 96, 160, 3))
    logits, _ = model.forward(image)
    assert logits.shape == (1, config.num_boxes, 6)
    image[:, :, 156:] += 1
    changed = np.abs(model.forward(image)[0] - logits)[0].max(axis=1)
    first = changed[: config.feature_maps[0].boxes].reshape(12, 20, 4)
    assert first[:, -1].min() > 0 and first[:, :8].max() == 0
    with pytest.raises(ShapeError, match=r"expects \(N, 96, 160, 3\)"):
        model.forward(image.swapaxes(1, 2))


def test_gradients_are_the_numeric_ones(config):
    model, rng = SSD(config, dtype=np.float64), np.random.default_rng(1)
    images = rng.standard_normal((1, 96, 160, 3))
    logits, offsets = model.forward(images, training=True)
    up = rng.standard_normal(logits.shape), rng.standard_normal(offsets.shape)
    dimages = model.backward(*up, input_gradient=True)
    direction = rng.standard_normal(images.shape)
    direction /= np.linalg.norm(direction)

    def value(h):
        outputs = model.forward(images + h * direction)
        return sum(np.sum(out * d) for out, d in zip(outputs, up, strict=True))

    numeric = (value(1e-6) - value(-1e-6)) / 2e-6
    assert numeric == pytest.approx(np.sum(dimages * direction), rel=1e-5)


def test_place_of_finds_row_and_column(config):
    model = SSD(config)
    start = config.feature_maps[0].boxes
    place = place_of(model, start + (3 * 10 + 7) * 4 + 2)  # row 3, column 7 of 6 x 10, ratio 2
    assert (place.feature_map, place.row, place.column, place.shape) == ("conv5_2", 3, 7, "2")


def test_detections_of_a_photograph_are_fractions_of_it(config):
    image = np.random.default_rng(0).integers(0, 256, (50, 200, 3), dtype=np.uint8)
    found = Detector(SSD(config), score_threshold=0.05).detect(image)
    assert len(found.boxes_corner) and np.all((found.boxes_corner >= 0) & (found.boxes_corner <= 1))


def test_coverage_measures_in_pixels_of_both_axes(config):
    """A square of 32 pixels is a fifth of the width and a third of the height."""
    box = center_to_corner(np.array([[0.5, 0.5, 32 / 160, 32 / 96]]))
    found = coverage(box, config)
    assert found.sizes == pytest.approx([32]) and found.by_ratio[0][0] == "about square"
