"""A view shows what a canvas would show, without the canvas."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ssd_np.data.geometric import crop, expand, zoom_in, zoom_out
from ssd_np.data.image import resize
from ssd_np.data.view import look, look_resized, whole

FILL = (123.0, 117.0, 104.0)
CROP = ((1.0, 0.1, 0.5, 0.0), (0.3, 1.0), (0.5, 2.0), 50)


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
    image, labels = noise(60, 80, seed), np.arange(1, 4)
    boxes = np.array([[0.1, 0.1, 0.4, 0.5], [0.5, 0.3, 0.95, 0.9], [0.2, 0.7, 0.3, 0.8]])
    rng, one, two = np.random.default_rng(seed), [], []
    item = expand(image, boxes, labels, rng, 4.0, FILL, one)
    patch, patch_boxes, patch_labels = crop(*item, rng, *CROP, one)

    rng = np.random.default_rng(seed)
    view, seen_boxes = zoom_out(whole(image), boxes, rng, 4.0, two)
    view, seen_boxes, seen_labels = zoom_in(view, seen_boxes, labels, rng, *CROP, two)
    assert np.array_equal(look(image, view, FILL), patch)
    assert np.array_equal(seen_boxes, patch_boxes) and np.array_equal(seen_labels, patch_labels)
    for (name, drawn), (other, again) in zip(one, two, strict=True):
        assert name == other and all(np.array_equal(drawn[key], again[key]) for key in drawn)


def test_views_are_counted_from_the_image_whatever_came_before():
    """The same draws from a view elsewhere: the same result elsewhere, the same boxes in it."""
    boxes, labels, shift = np.array([[0.2, 0.2, 0.7, 0.9]]), np.array([1]), np.array([7, -5, 7, -5])
    view = np.array([0, 0, 80, 60])
    for seed in range(10):
        here, there = (np.random.default_rng(seed) for _ in range(2))
        a, b = zoom_out(view, boxes, here, 4.0), zoom_out(view + shift, boxes, there, 4.0)
        assert np.array_equal(a[0] + shift, b[0]) and np.array_equal(a[1], b[1])
        a = zoom_in(view, boxes, labels, here, *CROP)
        b = zoom_in(view + shift, boxes, labels, there, *CROP)
        assert np.array_equal(a[0] + shift, b[0]) and np.array_equal(a[1], b[1])
