"""Boxes fast: IoU, matching and suppression as kernels, and what is built on them.

The kernels compute with the same operations in the same order as the concepts, so that both pick
the same boxes, to the last tie.
"""

import numpy as np

from ssd_np.boxes.checks import (
    check_count,
    check_default_boxes,
    check_fractions,
    check_grid,
    check_overlaps,
    check_scored,
    check_scores,
    check_truth,
    check_two_lists,
    check_zone,
)
from ssd_np.boxes.coords import center_to_corner
from ssd_np.boxes.matching import BACKGROUND, NEUTRAL
from ssd_np.boxes.targets import targets_of_matches
from ssd_np.engine.threads import for_each
from ssd_np.kernels import njit


def iou_matrix(a_corner: np.ndarray, b_corner: np.ndarray) -> np.ndarray:
    """(A, 4), (B, 4) -> (A, B), without the (A, B, 2) arrays in between."""
    a, b = check_two_lists(a_corner, b_corner)
    out = np.empty((len(a), len(b)), a.dtype)
    _iou_kernel(np.ascontiguousarray(a), np.ascontiguousarray(b), out)
    return out


def match(
    gt_corner: np.ndarray,
    default_corner: np.ndarray,
    threshold: float = 0.5,
    neutral_threshold: float | None = None,
) -> np.ndarray:
    """(G, 4), (T, 4) -> (T,) int64."""
    gt_corner = check_fractions(gt_corner, "gt_corner").astype(np.float64, copy=False)
    default_corner = check_grid(default_corner, "default_corner").astype(np.float64, copy=False)
    return match_iou(iou_matrix(gt_corner, default_corner), threshold, neutral_threshold)


def match_iou(
    iou: np.ndarray, threshold: float = 0.5, neutral_threshold: float | None = None
) -> np.ndarray:
    """(G, T) -> (T,) int64. Each object remembers its favourite: no search through all pairs."""
    check_zone(threshold, neutral_threshold)
    iou = check_overlaps(iou)
    neutral = threshold if neutral_threshold is None else neutral_threshold  # an empty zone
    threshold, neutral = float(threshold), float(neutral)  # one kernel for all kinds of number
    matched = np.full(iou.shape[1], BACKGROUND, np.int64)
    _match_kernel(np.ascontiguousarray(iou), threshold, neutral, matched)
    return matched


def make_targets(
    gt_corner: np.ndarray,
    gt_labels: np.ndarray,
    default_boxes: np.ndarray,
    threshold: float = 0.5,
    neutral_threshold: float | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """(G, 4), (G,), (T, 8) -> labels (T,) int64 and offsets (T, 4)."""
    gt_corner, gt_labels = check_truth(gt_corner, gt_labels)
    default_corner = _corners(check_default_boxes(default_boxes))
    matched = match(gt_corner, default_corner, threshold, neutral_threshold)
    return targets_of_matches(matched, gt_corner, gt_labels, default_boxes)


_last: tuple[np.ndarray, np.ndarray] = np.empty((0, 8)), np.empty((0, 4))


def _corners(default_boxes: np.ndarray) -> np.ndarray:
    """(T, 8) -> (T, 4): those of the last call where the boxes are the same, as they nearly always
    are; to compare them takes a fraction of the time."""
    global _last
    known, corners = _last
    if known.dtype != default_boxes.dtype or not np.array_equal(known, default_boxes):
        corners = center_to_corner(default_boxes[:, :4])
        _last = default_boxes.copy(), corners
    return corners


def nms(
    boxes_corner: np.ndarray,
    scores: np.ndarray,
    iou_threshold: float = 0.45,
    top_k: int | None = None,
) -> np.ndarray:
    """(D, 4), (D,) -> kept indices (int64), best first."""
    boxes, scores = check_scored(boxes_corner, scores, iou_threshold)
    order = best_first(scores, top_k)
    return order[_kept(boxes[order], iou_threshold)]


def nms_each_class(
    boxes_corner: np.ndarray,
    scores: np.ndarray,
    score_threshold: float,
    iou_threshold: float = 0.45,
    top_k: int | None = None,
) -> list[np.ndarray]:
    """(T, 4), (T, K) -> the kept rows of each class, classes shared out among threads."""
    boxes, scores = check_scored(boxes_corner, scores, score_threshold, "(T, 4) and (T, K)")
    by_class = np.ascontiguousarray(scores.T[1:])  # (K - 1, T), without the background
    kept: list[np.ndarray] = [np.zeros(0, np.int64)] * len(by_class)

    def suppress(i: int) -> None:
        rows = np.flatnonzero(
            by_class[i] > score_threshold
        )  # in their order: so ties stay the same
        rows = rows[best_first(by_class[i][rows], top_k)]
        kept[i] = rows[_kept(boxes[rows], iou_threshold)]

    for_each(suppress, len(by_class))
    return kept


def best_first(scores: np.ndarray, top_k: int | None = None) -> np.ndarray:
    """(D,) -> indices of the `top_k` highest scores, best first, without a sort of all D."""
    check_count(top_k, "top_k")
    cost = -check_scores(scores)
    if top_k is None or top_k >= len(cost):
        return np.argsort(cost, kind="stable")
    worst = np.partition(cost, top_k - 1)[top_k - 1]  # of those that get in
    better, equal = np.flatnonzero(cost < worst), np.flatnonzero(cost == worst)
    chosen = np.sort(np.concatenate([better, equal[: top_k - len(better)]]))
    return chosen[np.argsort(cost[chosen], kind="stable")]


def _kept(boxes: np.ndarray, iou_threshold: float) -> np.ndarray:
    """(D, 4), best first -> (D,) bool."""
    sides = boxes.T.astype(np.result_type(boxes, np.float32), order="C")  # (4, D)
    xmin, ymin, xmax, ymax = sides
    area = np.maximum(xmax - xmin, 0) * np.maximum(ymax - ymin, 0)
    over = np.zeros_like(area)
    _keep_kernel(*sides, area, sides.dtype.type(iou_threshold), over)
    return over <= 0


@njit(nogil=True, error_model="numpy")
def _iou_kernel(a, b, out):  # (A, 4), (B, 4) -> (A, B)
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


@njit(nogil=True)
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
    # a truth that loses its box to another ranks its row once; of its best boxes no more are taken
    # than there are other truths
    ranked = np.empty((truths, min(truths, boxes)), np.int64)
    rank = np.full(truths, -1)  # of the favourite; -1: not ranked yet
    for _ in range(truths):
        g = np.argmax(overlap)
        if overlap[g] <= 0:
            break
        box = favourite[g]
        matched[box], taken[box], overlap[g] = g, True, -1.0
        for other in range(truths):  # whoever wanted the same box looks for its next best
            if overlap[other] >= 0 and favourite[other] == box:
                if rank[other] < 0:
                    ranked[other] = _best(iou[other], ranked.shape[1])
                while rank[other] < ranked.shape[1] and taken[favourite[other]]:
                    rank[other] += 1
                    if rank[other] < ranked.shape[1]:
                        favourite[other] = ranked[other, rank[other]]
                        overlap[other] = iou[other, favourite[other]]
                if taken[favourite[other]]:
                    overlap[other] = -1.0


@njit(nogil=True)
def _best(row, count):  # (T,) -> (count,): the largest, best first; of equal ones the first
    worst = np.partition(row, len(row) - count)[len(row) - count]
    better, equal = np.flatnonzero(row > worst), np.flatnonzero(row == worst)
    better = better[np.argsort(-row[better], kind="mergesort")]
    return np.concatenate((better, equal[: count - len(better)]))


@njit(nogil=True, error_model="numpy")
def _keep_kernel(xmin, ymin, xmax, ymax, area, threshold, over):
    """Boxes best first, a side an array; over (D,) zeros: 1 where one overlaps a kept one.

    Cut at i, and no branch in the inner loop: so it works on whole vectors.
    """
    zero, one = over.dtype.type(0), over.dtype.type(1)
    for i in range(len(over)):
        if over[i] > zero:
            continue
        left, top, right, bottom = xmin[i:], ymin[i:], xmax[i:], ymax[i:]
        rest_area, rest_over = area[i:], over[i:]
        for j in range(1, len(left)):
            width = min(right[0], right[j]) - max(left[0], left[j])
            height = min(bottom[0], bottom[j]) - max(top[0], top[j])
            intersection = max(width, zero) * max(height, zero)
            union = rest_area[0] + rest_area[j] - intersection
            too_much = intersection / union > threshold  # 0 / 0 is not
            rest_over[j] = max(rest_over[j], one if too_much else zero)
