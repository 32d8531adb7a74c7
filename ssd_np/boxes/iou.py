"""Intersection over union (Jaccard overlap): how much two boxes are the same box.

IoU has no useful gradient here: SSD uses it only to choose which default boxes stand for an object
(paper, section 2.2, "Matching strategy"), and a choice is piecewise constant.
"""

import numpy as np

from ssd_np.boxes.checks import check_two_lists
from ssd_np.boxes.coords import area


def iou_matrix(a_corner: np.ndarray, b_corner: np.ndarray) -> np.ndarray:
    """IoU of every box of a with every box of b: (A, 4), (B, 4) -> (A, B), in [0, 1].

    A box without area has IoU 0 with everything.

    >>> iou_matrix(np.array([[0, 0, 2, 2.0]]), np.array([[1, 0, 3, 2.0]])).tolist()
    [[0.3333333333333333]]
    """
    a, b = check_two_lists(a_corner, b_corner)
    low = np.maximum(a[:, None, :2], b[None, :, :2])  # (A, B, 2): left and top of what they share
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])  # (A, B, 2): its right and bottom
    sides = np.maximum(high - low, 0)  # (A, B, 2): nothing is shared, rather than less
    intersection = sides[..., 0] * sides[..., 1]  # (A, B)
    union = area(a)[:, None] + area(b)[None, :] - intersection  # (A, B): shared parts once
    return np.divide(intersection, union, out=np.zeros_like(union), where=union > 0)
