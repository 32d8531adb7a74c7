"""Each decision on fingerprints that were made up for it."""

import re

import numpy as np
import pytest
from made_up import ANIMALS, CARS, CELLS, made_up

from ssd_np.fit import decide


def test_the_input_lies_as_the_images_do():
    assert decide.proportions(CELLS.shapes) == (4 / 3, "100% of the images are landscape")
    assert decide.proportions(ANIMALS.shapes)[0] == 3 / 4
    mixed = np.array([[480, 640]] * 7 + [[640, 480]] * 3)
    assert decide.proportions(mixed)[0] == decide.proportions(np.array([[500, 540]]))[0] == 1
    assert decide.proportions(np.array([[100, 900]]))[0] == 2  # no further
    assert decide.of_area(320, 4 / 3) == (288, 384) and decide.of_area(256, 1) == (256, 256)


def test_small_objects_get_a_large_input():
    def side(smallest, from_scratch=False):
        f = made_up(100, 5, (smallest, 0.5), (500, 500))
        return decide.input_shape(f, from_scratch)[0]

    assert side(0.2) == (256, 256) and side(0.03) == (384, 384)
    assert side(0.07) in ((256, 256), (320, 320)) and side(0.05) != (256, 256)
    # random weights begin lower, where that shows the objects too
    assert side(0.2, True) == (192, 192) and side(0.05, True) == side(0.05)
    assert "0.55 times the" in decide.input_shape(ANIMALS, True)[1]
    assert "2.2 times the arithmetic of 256 x 256" in decide.input_shape(CARS)[1]


def test_no_flip_that_makes_something_else():
    assert decide.flips(CELLS)[:2] == (0.5, 0.5)
    assert decide.flips(ANIMALS)[:2] == (0.5, 0.0)
    assert decide.flips(CARS)[:2] == (0.0, 0.0)
    across, down, why = decide.flips(made_up(200, 4, (0.1, 0.3), upright=1.0, tumble=0.9))
    assert (across, down) == (0.5, 0.0) and "upside down, objects of one class look like" in why


@pytest.mark.parametrize(
    ("images", "upright", "expected"),
    [
        (25, 1.0, "25 pictures can not tell"),
        (25, 0.3, "25 pictures can not tell"),  # chance alone
        (90, 1.0, "90 pictures can not tell"),
        (100, 1.0, "flips both ways"),
        (128, 1.7, "128 pictures can not tell"),
        (5000, 1.2, "flips both ways"),
        (25, 2.5, "look different"),
    ],
)
def test_upside_down_only_where_enough_pictures_tell(images, upright, expected):
    across, down, why = decide.flips(made_up(images, 2, (0.2, 0.5), upright=upright))
    assert expected in why and (across, down) == (0.5, 0.5 * ("both" in why))


def test_objects_that_are_too_small_are_warned_about():
    assert decide.too_small(ANIMALS, (384, 288)) == []
    f = made_up(100, 5, (0.02, 0.1), (1200, 1600))
    shape = decide.input_shape(f)[0]
    (line,) = decide.too_small(f, shape)
    width, height = map(int, re.search(r"--size (\d+)x(\d+)", line).groups())
    assert width / height == pytest.approx(4 / 3, rel=0.1) and "warning" in line
    assert decide.matchable(f, (height, width)) >= 0.98 > decide.matchable(f, shape)
    cost = height * width / (shape[0] * shape[1])
    assert f"{cost:.2g} times the arithmetic" in line
    assert decide.too_small(f, (height, width)) == []
    # pictures that have no more pixels
    few = made_up(100, 5, (0.02, 0.1), (300, 400))
    assert "few pixels more" in decide.too_small(few, shape)[0]
    assert "--size" not in decide.too_small(few, shape)[0]


def test_zoom_as_objects_differ():
    crop, expand, why = decide.zoom(CELLS, (288, 384))
    assert crop.probability == expand.probability == 0 and "one size" in why
    crop, expand, why = decide.zoom(ANIMALS, (384, 288))
    assert crop.probability == expand.probability == 0.5
    assert crop.scale == (1 / expand.max_ratio, 1) and 1.5 < expand.max_ratio < 2.5
    small = made_up(100, 4, (0.05, 0.3))
    crop, expand, why = decide.zoom(small, (256, 256))
    assert crop.probability == 0.5 and expand.probability == 0 and "too small" in why
    assert "6,000 images" in decide.zoom(CARS, (384, 384))[2]


@pytest.mark.parametrize(("images", "zooms"), [(20, True), (2000, False)])
def test_no_zoom_only_where_enough_objects_tell(images, zooms):
    """Of objects of nearly one size; a few that happen to be alike say nothing of the next."""
    f = made_up(images, 1, (0.26, 0.388), (500, 500))
    assert f.spread == pytest.approx(1.16, abs=0.01)
    crop, expand, why = decide.zoom(f, (256, 256))
    assert (crop.probability, expand.probability) == (0.5 * zooms, 0.5 * zooms)
    assert why.endswith("20 objects can not tell" if zooms else "(a factor of 1.16)")


def test_light_as_images_differ():
    (brightness, contrast, saturation, hue), why = decide.light(CELLS)
    assert [c.probability for c in (brightness, contrast, saturation, hue)] == [0, 0, 0, 0]
    assert "colours stay" in why
    (brightness, contrast, saturation, hue), why = decide.light(ANIMALS)
    assert (brightness.low, brightness.high, brightness.probability) == (-30, 30, 0.5)
    assert (contrast.low, contrast.high) == (1 / 1.3, 1.3) and hue.probability == 0.5
    assert "30 grey levels" in why and "1.30 in contrast" in why


def test_rate_and_steps():
    assert decide.learning_rate(False)[0] == 0.01 and decide.learning_rate(True, 16)[0] == 0.04
    assert decide.steps(205, 2000)[0] == 2000  # the time
    assert decide.steps(50, 4000)[0] == 50 * 300 // 8  # each image 300 times
    assert decide.steps(3, 4000)[0] == 1000
    assert (
        "as 1 minute allows, at most 1,000: 300 passes over 1 image"
        in (decide.steps(1, None, 1.0)[1])
    )
    assert "the time" in decide.steps(5000, 100)[1] and "300 passes" in decide.steps(50, 4000)[1]
