"""Matching: which default boxes stand for which object.

First every object gets the default box that overlaps it best, each default box once ("greedy
bipartite": the best pair of all, then the best among the rest, ...). Then every default box left
over that reaches the threshold with some object joins its best object (SSD paper, section 2.2,
"Matching strategy"). The first rule makes sure that no object is lost, the second gives the
learner more than one box for each object.

Matching has no gradient: it picks, and a small change of a box changes no pick.
"""

import numpy as np

from ssd_np.boxes.checks import check_fractions, check_grid, check_overlaps, check_zone
from ssd_np.boxes.iou import iou_matrix

BACKGROUND, NEUTRAL = -1, -2


def match(
    gt_corner: np.ndarray,
    default_corner: np.ndarray,
    threshold: float = 0.5,
    neutral_threshold: float | None = None,
) -> np.ndarray:
    """(G, 4), (T, 4) -> (T,) int64: index of the ground truth, -1 background, -2 neutral.

    A box that no rule matches is neutral when its best IoU reaches `neutral_threshold`: too near to
    an object to be shown as background, too far to be shown as the object. Among equal overlaps the
    lowest ground-truth index wins, then the lowest default box. An object that overlaps no default
    box at all stays unmatched.
    """
    gt_corner = check_fractions(gt_corner, "gt_corner").astype(np.float64)
    default_corner = check_grid(default_corner, "default_corner").astype(np.float64)
    return match_iou(iou_matrix(gt_corner, default_corner), threshold, neutral_threshold)


def match_iou(
    iou: np.ndarray, threshold: float = 0.5, neutral_threshold: float | None = None
) -> np.ndarray:
    """The same from the (G, T) overlaps."""
    check_zone(threshold, neutral_threshold)
    iou = check_overlaps(iou)
    truths, boxes = iou.shape
    matched = np.full(boxes, BACKGROUND, np.int64)
    if truths == 0:
        return matched

    # rule 1: of all pairs, best first, take those whose object and whose box are both still free
    served = np.zeros(truths, bool)
    for pair in np.argsort(-iou, axis=None, kind="stable"):
        truth, box = divmod(pair, boxes)
        if iou[truth, box] <= 0 or served.all():  # who is left overlaps nothing that is left
            break
        if not served[truth] and matched[box] == BACKGROUND:
            matched[box], served[truth] = truth, True

    # rule 2: every other box joins its best object, if it reaches the threshold with it
    best_truth, best_iou = iou.argmax(axis=0), iou.max(axis=0)  # (T,)
    for box in np.flatnonzero(matched == BACKGROUND):
        if best_iou[box] >= threshold:
            matched[box] = best_truth[box]
        elif neutral_threshold is not None and best_iou[box] >= neutral_threshold:
            matched[box] = NEUTRAL
    return matched
