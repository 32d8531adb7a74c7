"""IoU: numbers by hand, the fast kernel against the definition, and what can not happen."""

import numpy as np
import pytest

from ssd_np.boxes.iou import iou_matrix, iou_matrix_plain

pytestmark = [pytest.mark.graded, pytest.mark.lesson03]

BOTH = pytest.mark.parametrize("iou", [iou_matrix, iou_matrix_plain])


def random_corner(rng, count):
    low = rng.random((count, 2)) * 0.7
    return np.concatenate([low, low + 0.02 + rng.random((count, 2)) * 0.5], axis=1)


@BOTH
def test_by_hand(iou):
    a = np.array([[0, 0, 2, 2.0], [0, 0, 4, 4.0]])
    b = np.array([[1, 1, 3, 3.0], [0, 0, 2, 2.0], [2, 0, 4, 2.0], [5, 5, 6, 6.0]])
    # the boxes of width 2 touch at x = 2: no overlap; a "+ 1" on widths would give one
    expected = [[1 / 7, 1, 0, 0], [4 / 16, 4 / 16, 4 / 16, 0]]
    np.testing.assert_allclose(iou(a, b), expected, rtol=1e-15)


@BOTH
def test_it_does_not_depend_on_the_unit(iou, rng):
    a, b = random_corner(rng, 5), random_corner(rng, 6)
    np.testing.assert_allclose(iou(300 * a, 300 * b), iou(a, b), rtol=1e-12, atol=1e-14)


@BOTH
def test_against_counted_pixels(iou, rng):
    """Boxes on a grid of whole cells: IoU is a ratio of two counts."""
    boxes = np.sort(rng.integers(0, 12, (20, 2, 2)), axis=1).reshape(20, 4)  # xmin ymin xmax ymax
    masks = np.zeros((20, 12, 12), bool)
    for mask, (xmin, ymin, xmax, ymax) in zip(masks, boxes, strict=True):
        mask[ymin:ymax, xmin:xmax] = True
    got = iou(boxes, boxes)  # whole numbers are welcome
    for i in range(20):
        for j in range(20):
            union = (masks[i] | masks[j]).sum()
            expected = (masks[i] & masks[j]).sum() / union if union else 0
            assert got[i, j] == pytest.approx(expected, abs=1e-15)


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 1e-6), (np.float64, 1e-14)])
def test_fast_against_plain(dtype, tolerance, rng):
    a, b = (random_corner(rng, count).astype(dtype) for count in (40, 90))
    fast, plain = iou_matrix(a, b), iou_matrix_plain(a, b)
    assert fast.dtype == plain.dtype == dtype and fast.shape == (40, 90)
    np.testing.assert_allclose(fast, plain, rtol=0, atol=tolerance)
    assert (fast >= 0).all() and (fast <= 1).all() and (fast > 0).any()
    np.testing.assert_allclose(fast.T, iou_matrix(b, a), rtol=0, atol=tolerance)


@BOTH
def test_boxes_without_area_overlap_nothing(iou):
    flat = np.array([[0.5, 0.2, 0.5, 0.8], [0.3, 0.3, 0.3, 0.3], [0.8, 0.2, 0.2, 0.9]])
    whole = np.array([[0, 0, 1, 1.0]])
    assert not iou(flat, flat).any() and not iou(flat, whole).any()


@BOTH
def test_none_with_some(iou):
    assert iou(np.zeros((0, 4)), np.zeros((3, 4))).shape == (0, 3)
    assert iou(np.zeros((3, 4)), np.zeros((0, 4))).shape == (3, 0)


@BOTH
def test_a_view_gives_the_same_as_its_copy(iou, rng):
    wide = rng.random((30, 8))
    view = wide[::2, 2:6]
    assert np.array_equal(iou(view, view), iou(view.copy(), view.copy()))
