"""Intersection over union (Jaccard overlap): how much two boxes are the same box.

IoU has no useful gradient here: SSD uses it only to choose which default boxes stand for an object
(paper, section 2.2, "Matching strategy"), and a choice is piecewise constant.
"""

import numba
import numpy as np

from ssd_np.boxes.coords import area, check_boxes


def iou_matrix(a_corner: np.ndarray, b_corner: np.ndarray) -> np.ndarray:
    """IoU of every box of a with every box of b: (A, 4), (B, 4) -> (A, B), in [0, 1].

    A box without area has IoU 0 with everything.

    >>> iou_matrix(np.array([[0, 0, 2, 2.0]]), np.array([[1, 0, 3, 2.0]])).tolist()
    [[0.3333333333333333]]
    """
    a, b = _same_type(a_corner, b_corner)
    out = np.empty((len(a), len(b)), a.dtype)
    _iou_kernel(a, b, out)
    return out


def iou_matrix_plain(a_corner: np.ndarray, b_corner: np.ndarray) -> np.ndarray:
    """The same in plain NumPy: the definition, to read and to test against."""
    a, b = _same_type(a_corner, b_corner)
    low = np.maximum(a[:, None, :2], b[None, :, :2])  # (A, B, 2)
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])  # (A, B, 2)
    intersection = np.prod(np.maximum(high - low, 0), axis=-1)  # (A, B)
    union = area(a)[:, None] + area(b)[None, :] - intersection  # (A, B)
    return np.divide(intersection, union, out=np.zeros_like(union), where=union > 0)


def _same_type(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    a = check_boxes(a, "a_corner").reshape(-1, 4)
    b = check_boxes(b, "b_corner").reshape(-1, 4)
    dtype = np.result_type(a, b, np.float32)  # whole numbers become floats
    return np.ascontiguousarray(a, dtype), np.ascontiguousarray(b, dtype)


@numba.njit(nogil=True, cache=True, error_model="numpy")
def _iou_kernel(a, b, out):  # (A, 4), (B, 4) -> (A, B), without the (A, B, 2) arrays in between
    zero = a.dtype.type(0)
    # one array a side: so the inner loop works on whole vectors
    left, top, right, bottom = b[:, 0].copy(), b[:, 1].copy(), b[:, 2].copy(), b[:, 3].copy()
    area_b = np.maximum(right - left, zero) * np.maximum(bottom - top, zero)
    for i in range(len(a)):
        xmin, ymin, xmax, ymax = a[i]
        area_a = max(xmax - xmin, zero) * max(ymax - ymin, zero)
        row = out[i]
        for j in range(len(left)):
            width = max(min(xmax, right[j]) - max(xmin, left[j]), zero)
            height = max(min(ymax, bottom[j]) - max(ymin, top[j]), zero)
            intersection = width * height
            union = area_a + area_b[j] - intersection
            row[j] = intersection / union if union > zero else zero
