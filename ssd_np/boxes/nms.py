"""Greedy non-maximum suppression: of many detections of one object, keep the best.

Take the box with the highest score, drop every box that overlaps it by more than the threshold,
go on with the rest. It has no gradient: it picks, and is used only after training (SSD paper,
section 2.2, end of "Hard negative mining" and section 3.7, "Inference time").
"""

import numpy as np

from ssd_np.boxes.checks import check_count, check_scored, check_scores
from ssd_np.boxes.iou import iou_matrix


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
    boxes, scores = check_scored(boxes_corner, scores, iou_threshold)
    waiting, kept = best_first(scores, top_k), []
    while len(waiting):
        best, waiting = waiting[0], waiting[1:]
        kept.append(best)
        overlap = iou_matrix(boxes[best], boxes[waiting])[0]  # (waiting,)
        waiting = waiting[overlap <= iou_threshold]
    return np.array(kept, np.int64)


def nms_each_class(
    boxes_corner: np.ndarray,
    scores: np.ndarray,
    score_threshold: float,
    iou_threshold: float = 0.45,
    top_k: int | None = None,
) -> list[np.ndarray]:
    """(T, 4), (T, K) -> for each class but 0, the background, its kept rows, best first.

    Each class is on its own: a cat and the dog behind it may overlap as much as they like. Rows
    enter whose score of the class is above `score_threshold`.
    """
    boxes, scores = check_scored(boxes_corner, scores, score_threshold, "(T, 4) and (T, K)")
    kept = []
    for score in scores.T[1:]:  # (T,)
        rows = np.flatnonzero(score > score_threshold)
        kept.append(rows[nms(boxes[rows], score[rows], iou_threshold, top_k)])
    return kept


def best_first(scores: np.ndarray, top_k: int | None = None) -> np.ndarray:
    """(D,) -> indices of the `top_k` highest scores, best first; of equal ones the lower index."""
    return np.argsort(-check_scores(scores), kind="stable")[: check_count(top_k, "top_k")]
