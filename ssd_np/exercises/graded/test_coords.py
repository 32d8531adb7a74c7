"""Corner and center form, clipping, area."""

import numpy as np
import pytest

from ssd_np.boxes.coords import area, center_to_corner, clip, corner_to_center

pytestmark = [pytest.mark.graded, pytest.mark.lesson02]


def test_by_hand():
    corner = np.array([[0.1, 0.2, 0.5, 0.8], [0.0, 0.0, 1.0, 1.0]])
    center = np.array([[0.3, 0.5, 0.4, 0.6], [0.5, 0.5, 1.0, 1.0]])
    np.testing.assert_allclose(corner_to_center(corner), center, rtol=0, atol=1e-15)
    np.testing.assert_allclose(center_to_corner(center), corner, rtol=0, atol=1e-15)


@pytest.mark.parametrize("shape", [(4,), (7, 4), (2, 3, 5, 4), (0, 4)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_there_and_back(shape, dtype, rng):
    boxes = rng.random(shape).astype(dtype)
    back = center_to_corner(corner_to_center(boxes))
    assert back.shape == shape and back.dtype == dtype
    np.testing.assert_allclose(back, boxes, rtol=0, atol=4 * np.finfo(dtype).eps)


def test_clip_cuts_at_the_border_only():
    boxes = np.array([[-0.1, 0.2, 1.3, 0.8], [0.25, 0.25, 0.5, 0.5]])
    assert clip(boxes).tolist() == [[0.0, 0.2, 1.0, 0.8], [0.25, 0.25, 0.5, 0.5]]


def test_area_by_hand_and_of_a_reversed_box():
    boxes = np.array([[0.0, 0.0, 0.5, 0.25], [0.5, 0.5, 0.0, 0.0], [0.5, 0.0, 0.25, 1.0]])
    assert area(boxes).tolist() == [0.125, 0.0, 0.0]


@pytest.mark.parametrize("function", [corner_to_center, center_to_corner, clip, area])
def test_inputs_stay_as_they_are(function, rng):
    boxes = rng.standard_normal((6, 4))
    before = boxes.copy()
    function(boxes)
    assert np.array_equal(boxes, before)
