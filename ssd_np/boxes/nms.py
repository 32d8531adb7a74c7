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


def _best_first(boxes_corner, scores, top_k) -> tuple[np.ndarray, np.ndarray]:
    boxes, scores = check_boxes(boxes_corner, "boxes_corner"), np.asarray(scores)
    if boxes.ndim != 2 or scores.shape != boxes.shape[:1]:
        raise ShapeError(
            f"boxes_corner has shape {boxes.shape}, scores {scores.shape}",
            hint="expected (D, 4) and (D,)",
        )
    order = np.argsort(-scores, kind="stable")[:top_k]
    return np.ascontiguousarray(boxes[order]), order


@numba.njit(nogil=True, cache=True)
def _keep_kernel(boxes, threshold):  # boxes sorted best first -> (D,) bool
    count = len(boxes)
    keep = np.ones(count, np.bool_)
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    for i in range(count):
        if not keep[i]:
            continue
        for j in range(i + 1, count):
            width = min(boxes[i, 2], boxes[j, 2]) - max(boxes[i, 0], boxes[j, 0])
            height = min(boxes[i, 3], boxes[j, 3]) - max(boxes[i, 1], boxes[j, 1])
            if width <= 0 or height <= 0:
                continue
            intersection = width * height
            # IoU > threshold, without the division
            if intersection > threshold * (area[i] + area[j] - intersection):
                keep[j] = False
    return keep
