"""Matching: which default boxes stand for which object.

First every object gets the default box that overlaps it best, each default box once ("greedy
bipartite": the best pair of all, then the best among the rest, ...). Then every default box left
over that reaches the threshold with some object joins its best object (SSD paper, section 2.2,
"Matching strategy"). The first rule makes sure that no object is lost, the second gives the
learner more than one box for each object.

Matching has no gradient: it picks, and a small change of a box changes no pick.
"""

import numba
import numpy as np

from ssd_np.boxes.coords import check_fractions, check_grid
from ssd_np.boxes.iou import iou_matrix
from ssd_np.errors import ConfigError

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
    neutral = _neutral_limit(threshold, neutral_threshold)
    matched = np.full(iou.shape[1], BACKGROUND, np.int64)
    _match_kernel(np.ascontiguousarray(iou), threshold, neutral, matched)
    return matched


def match_iou_plain(
    iou: np.ndarray, threshold: float = 0.5, neutral_threshold: float | None = None
) -> np.ndarray:
    """The same in plain NumPy: the two rules as one would write them down."""
    neutral = _neutral_limit(threshold, neutral_threshold)
    truths, boxes = iou.shape
    matched = np.full(boxes, BACKGROUND, np.int64)
    if truths == 0:
        return matched
    best_truth, best_iou = iou.argmax(axis=0), iou.max(axis=0)  # (T,)
    matched[best_iou >= neutral] = NEUTRAL
    matched[best_iou >= threshold] = best_truth[best_iou >= threshold]
    free = iou.copy()
    for _ in range(
        truths
    ):  # greedy bipartite: the best pair left, then strike out its row and column
        truth, box = np.unravel_index(free.argmax(), free.shape)
        if free[truth, box] <= 0:
            break
        matched[box] = truth
        free[truth, :] = free[:, box] = -1
    return matched


def _neutral_limit(threshold: float, neutral_threshold: float | None) -> float:
    if neutral_threshold is None:
        return threshold  # an empty zone
    if neutral_threshold > threshold:
        raise ConfigError(
            f"neutral_threshold {neutral_threshold} is above threshold {threshold}",
            hint="the neutral zone is [neutral_threshold, threshold)",
        )
    return neutral_threshold


@numba.njit(nogil=True, cache=True)
def _match_kernel(iou, threshold, neutral, matched):
    truths, boxes = iou.shape
    taken = np.zeros(boxes, np.bool_)
    favourite = np.zeros(truths, np.int64)  # the best free box of each truth
    overlap = np.full(truths, -1.0)  # and its IoU; -1 once the truth is served
    best_iou = np.full(boxes, -1.0)
    for g in range(truths):
        for t in range(boxes):
            if iou[g, t] > overlap[g]:
                overlap[g], favourite[g] = iou[g, t], t
            if iou[g, t] > best_iou[t]:
                best_iou[t] = iou[g, t]
                if iou[g, t] >= threshold:
                    matched[t] = g
                elif iou[g, t] >= neutral:
                    matched[t] = NEUTRAL
    for _ in range(truths):
        g = np.argmax(overlap)
        if overlap[g] <= 0:
            break
        box = favourite[g]
        matched[box], taken[box], overlap[g] = g, True, -1.0
        for other in range(truths):  # whoever wanted the same box looks for its next best
            if overlap[other] >= 0 and favourite[other] == box:
                overlap[other] = -1.0
                for t in range(boxes):
                    if not taken[t] and iou[other, t] > overlap[other]:
                        overlap[other], favourite[other] = iou[other, t], t
