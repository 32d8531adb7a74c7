"""A view shows what a canvas would show, without the canvas."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ssd_np.config import Crop as CropConfig
from ssd_np.data.geometric import Crop, Expand
from ssd_np.data.image import resize
from ssd_np.data.view import look, look_resized, whole

FILL = (123.0, 117.0, 104.0)
EXPAND, CROP = Expand(FILL, 4.0), Crop(FILL, CropConfig(min_ious=(1.0, 0.1, 0.5, 0.0)))


def noise(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_look_by_hand():
    image = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    assert np.array_equal(look(image, whole(image), FILL), image)
    assert np.array_equal(look(image, np.array([1, 0, 2, 1]), FILL), image[:1, 1:])
    seen = look(image, np.array([-1, 1, 2, 4]), FILL)  # (3, 3, 3)
    assert np.array_equal(seen[0, 1:], image[1])
    assert (seen[1:] == FILL).all() and (seen[:, 0] == FILL).all()
    for beside in ([5, 0, 9, 2], [-9, -9, -5, -3], [0, 7, 2, 9]):
        assert (look(image, np.array(beside), FILL) == FILL).all()


@pytest.mark.parametrize("method", ["antialias", "half_pixel"])
@settings(max_examples=150, deadline=None)
@given(
    height=st.integers(1, 40), width=st.integers(1, 40), size=st.integers(1, 24),
    left=st.integers(-90, 60), top=st.integers(-90, 60),
    wide=st.integers(1, 160), high=st.integers(1, 160), seed=st.integers(0, 99),
)  # fmt: skip
def test_any_view_is_what_the_canvas_gives(
    method, height, width, size, left, top, wide, high, seed
):
    image, view = noise(height, width, seed), np.array([left, top, left + wide, top + high])
    expected = resize(look(image, view, FILL), size, size, method)
    seen = look_resized(image, view, size, FILL, method)
    assert seen.dtype == expected.dtype and seen.shape == (size, size, 3)
    # Pillow's weights have 8 bits and change in their last one: a grey level
    limit = 1 if method == "antialias" else 1e-3
    assert np.abs(seen.astype(float) - expected).max() <= limit


@pytest.mark.parametrize("seed", range(40))
def test_expand_and_crop_composed_are_expand_then_crop(seed):
    """The view moved twice shows what two pictures, one after the other, show."""
    image, labels = noise(60, 80, seed), np.arange(1, 4)
    boxes = np.array([[0.1, 0.1, 0.4, 0.5], [0.5, 0.3, 0.95, 0.9], [0.2, 0.7, 0.3, 0.8]])
    rng = np.random.default_rng(seed)
    *item, expanded = EXPAND(image, boxes, labels, rng)
    patch, patch_boxes, patch_labels, cropped = CROP(*item, rng)

    view = EXPAND.view(whole(image), expanded.drawn)
    view = CROP.view(view, cropped.drawn)
    assert np.array_equal(look(image, view, FILL), patch)
    seen_boxes, seen_labels = EXPAND.boxes(boxes, labels, expanded.drawn)
    seen_boxes, seen_labels = CROP.boxes(seen_boxes, seen_labels, cropped.drawn)
    assert np.array_equal(seen_boxes, patch_boxes) and np.array_equal(seen_labels, patch_labels)


def test_views_are_counted_from_the_image_whatever_came_before():
    """The same window in a view elsewhere shows the same, elsewhere."""
    boxes, shift = np.array([[0.2, 0.2, 0.7, 0.9]]), np.array([7, -5, 7, -5])
    view = np.array([0, 0, 80, 60])
    for seed in range(10):
        for transform in (EXPAND, CROP):
            drawn = transform.draw(np.random.default_rng(seed), (60, 80), boxes)
            here, there = transform.view(view, drawn), transform.view(view + shift, drawn)
            assert np.array_equal(here + shift, there)
