"""Greedy non-maximum suppression: of many detections of one object, keep the best.

Take the box with the highest score, drop every box that overlaps it by more than the threshold,
go on with the rest. It has no gradient: it picks, and is used only after training (SSD paper,
section 2.2, end of "Hard negative mining" and section 3.7, "Inference time").
"""

import numba
import numpy as np

from ssd_np.boxes.coords import check_boxes
from ssd_np.boxes.iou import iou_matrix_plain
from ssd_np.errors import ShapeError


def nms(
    boxes_corner: np.ndarray,
    scores: np.ndarray,
    iou_threshold: float = 0.45,
    top_k: int | None = None,
) -> np.ndarray:
    """(D, 4), (D,) -> kept indices (int64), best first.

    Only the `top_k` best-scored candidates enter. A box goes when its IoU with a kept one is above
    `iou_threshold`; among equal scores the lower index wins.
    """
    boxes, order = _best_first(boxes_corner, scores, top_k)
    return order[_keep_kernel(boxes, iou_threshold)]


def nms_plain(
    boxes_corner: np.ndarray,
    scores: np.ndarray,
    iou_threshold: float = 0.45,
    top_k: int | None = None,
) -> np.ndarray:
    """The same in plain NumPy."""
    boxes, order = _best_first(boxes_corner, scores, top_k)
    overlap = iou_matrix_plain(boxes, boxes)  # (D, D)
    keep = np.ones(len(boxes), bool)
    for i in range(len(boxes)):
        if keep[i]:
            keep[i + 1 :] &= overlap[i, i + 1 :] <= iou_threshold
    return order[keep]


def best_first(scores: np.ndarray, top_k: int | None = None) -> np.ndarray:
    """(D,) -> indices of the `top_k` highest scores, best first; of equal ones the lower index."""
    cost = -np.asarray(scores)
    if top_k is None or top_k >= len(cost):
        return np.argsort(cost, kind="stable")
    worst = np.partition(cost, top_k - 1)[top_k - 1]  # of those that get in; no sort of all D
    better, equal = np.flatnonzero(cost < worst), np.flatnonzero(cost == worst)
    chosen = np.sort(np.concatenate([better, equal[: top_k - len(better)]]))
    return chosen[np.argsort(cost[chosen], kind="stable")]


def _best_first(boxes_corner, scores, top_k) -> tuple[np.ndarray, np.ndarray]:
    boxes, scores = check_boxes(boxes_corner, "boxes_corner"), np.asarray(scores)
    if boxes.ndim != 2 or scores.shape != boxes.shape[:1]:
        raise ShapeError(
            f"boxes_corner has shape {boxes.shape}, scores {scores.shape}",
            hint="expected (D, 4) and (D,)",
        )
    order = best_first(scores, top_k)
    return boxes[order], order


@numba.njit(nogil=True, cache=True)
def _keep_kernel(boxes, threshold):  # boxes sorted best first -> (D,) bool
    zero = boxes.dtype.type(0)
    # one array a side, cut at i, and no branch in the inner loop: so it works on whole vectors
    xmin, ymin = boxes[:, 0].copy(), boxes[:, 1].copy()
    xmax, ymax = boxes[:, 2].copy(), boxes[:, 3].copy()
    area = np.maximum(xmax - xmin, zero) * np.maximum(ymax - ymin, zero)
    over = np.zeros(len(boxes), boxes.dtype)  # above 0: overlaps a kept box too much
    for i in range(len(boxes)):
        if over[i] > zero:
            continue
        left, top, right, bottom = xmin[i:], ymin[i:], xmax[i:], ymax[i:]
        rest_area, rest_over = area[i:], over[i:]
        for j in range(1, len(left)):
            width = min(right[0], right[j]) - max(left[0], left[j])
            height = min(bottom[0], bottom[j]) - max(top[0], top[j])
            intersection = max(width, zero) * max(height, zero)
            union = rest_area[0] + rest_area[j] - intersection
            # IoU > threshold, without the division
            rest_over[j] = max(rest_over[j], intersection - threshold * union)
    return over <= zero
