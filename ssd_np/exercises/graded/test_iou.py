"""IoU: numbers by hand, counted pixels, and what can not happen."""

import numpy as np
import pytest

from ssd_np.boxes.iou import iou_matrix

pytestmark = [pytest.mark.graded, pytest.mark.lesson03]


def random_corner(rng, count):
    low = rng.random((count, 2)) * 0.7
    return np.concatenate([low, low + 0.02 + rng.random((count, 2)) * 0.5], axis=1)


def test_by_hand():
    a = np.array([[0, 0, 2, 2.0], [0, 0, 4, 4.0]])
    b = np.array([[1, 1, 3, 3.0], [0, 0, 2, 2.0], [2, 0, 4, 2.0], [5, 5, 6, 6.0]])
    # the boxes of width 2 touch at x = 2: no overlap; a "+ 1" on widths would give one
    expected = [[1 / 7, 1, 0, 0], [4 / 16, 4 / 16, 4 / 16, 0]]
    np.testing.assert_allclose(iou_matrix(a, b), expected, rtol=1e-15)


def test_it_does_not_depend_on_the_unit(rng):
    a, b = random_corner(rng, 5), random_corner(rng, 6)
    np.testing.assert_allclose(
        iou_matrix(300 * a, 300 * b), iou_matrix(a, b), rtol=1e-12, atol=1e-14
    )


def test_against_counted_pixels(rng):
    """Boxes on a grid of whole cells: IoU is a ratio of two counts."""
    boxes = np.sort(rng.integers(0, 12, (20, 2, 2)), axis=1).reshape(20, 4)  # xmin ymin xmax ymax
    masks = np.zeros((20, 12, 12), bool)
    for mask, (xmin, ymin, xmax, ymax) in zip(masks, boxes, strict=True):
        mask[ymin:ymax, xmin:xmax] = True
    got = iou_matrix(boxes, boxes)  # whole numbers are welcome
    for i in range(20):
        for j in range(20):
            union = (masks[i] | masks[j]).sum()
            expected = (masks[i] & masks[j]).sum() / union if union else 0
            assert got[i, j] == pytest.approx(expected, abs=1e-15)


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 1e-6), (np.float64, 1e-14)])
def test_types_range_and_symmetry(dtype, tolerance, rng):
    a, b = (random_corner(rng, count).astype(dtype) for count in (40, 90))
    iou = iou_matrix(a, b)
    assert iou.dtype == dtype and iou.shape == (40, 90)
    exact = iou_matrix(a.astype(np.float64), b.astype(np.float64))
    np.testing.assert_allclose(iou, exact, rtol=0, atol=tolerance)
    assert (iou >= 0).all() and (iou <= 1).all() and (iou > 0).any()
    np.testing.assert_allclose(iou.T, iou_matrix(b, a), rtol=0, atol=tolerance)


def test_boxes_without_area_overlap_nothing():
    flat = np.array([[0.5, 0.2, 0.5, 0.8], [0.3, 0.3, 0.3, 0.3], [0.8, 0.2, 0.2, 0.9]])
    whole = np.array([[0, 0, 1, 1.0]])
    assert not iou_matrix(flat, flat).any() and not iou_matrix(flat, whole).any()


def test_none_with_some():
    assert iou_matrix(np.zeros((0, 4)), np.zeros((3, 4))).shape == (0, 3)
    assert iou_matrix(np.zeros((3, 4)), np.zeros((0, 4))).shape == (3, 0)


def test_a_view_gives_the_same_as_its_copy(rng):
    wide = rng.random((30, 8))
    view = wide[::2, 2:6]
    assert np.array_equal(iou_matrix(view, view), iou_matrix(view.copy(), view.copy()))
