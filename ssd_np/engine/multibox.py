"""The SSD loss fast: what all boxes cost is found on all threads, and no sort of all negatives."""

import numpy as np

from ssd_np.engine.softmax import log_softmax_forward
from ssd_np.engine.threads import for_each
from ssd_np.loss.checks import check_mining, check_outputs, check_rule, check_scores, check_weights
from ssd_np.loss.focal import focal_loss_backward, focal_loss_forward
from ssd_np.loss.multibox import CLASSIFICATION, MultiboxLoss
from ssd_np.loss.smooth_l1 import smooth_l1_backward, smooth_l1_forward
from ssd_np.nn.sigmoid import softplus

BLOCK_BYTES = 256 << 10  # of logits
LEAST_LOGITS = 1 << 18  # fewer cost less than what threads take from each other in Python


def multibox_loss(
    logits: np.ndarray,
    offsets: np.ndarray,
    target_labels: np.ndarray,
    target_offsets: np.ndarray,
    ratio: float = 3,
    alpha: float = 1.0,
    mining: str = "image",
    minimum: int = 0,
    scores: str = "softmax",
    class_weights: np.ndarray | None = None,
    gamma: float | None = None,
) -> MultiboxLoss:
    """(N, T, K), (N, T, 4), (N, T), (N, T, 4): one image a thread where all boxes count."""
    check_outputs(logits, offsets, target_labels, target_offsets)
    check_scores(logits, scores)
    check_rule(ratio=ratio, alpha=alpha, minimum=minimum)
    weights = check_weights(class_weights, logits)
    positive, negative = target_labels > 0, target_labels == 0
    cost = np.empty(logits.shape[:2], logits.dtype)  # (N, T)

    def rank(image: int) -> None:
        cost[image] = background_loss(logits[image], scores)

    pays = logits.size >= LEAST_LOGITS
    if gamma is None:
        for_each(rank, len(logits), pays)
        mined = mine_hard_negatives(cost, positive, negative, ratio, minimum, mining)
        least = int(np.count_nonzero(mined)) / max(1, ratio)
    else:
        mined, least = negative, 0.0
    chosen = positive | mined
    num_positive = int(np.count_nonzero(positive))
    scale = 1 / max(1, num_positive, least)

    confidences = np.zeros(len(logits))
    dlogits = np.zeros_like(logits)

    def learn(image: int) -> None:
        rows = np.flatnonzero(chosen[image])
        labels = target_labels[image, rows]
        if gamma is None:
            forward, backward = CLASSIFICATION[scores]
            losses, cache = forward(logits[image, rows], labels)
        else:
            backward = focal_loss_backward
            losses, cache = focal_loss_forward(logits[image, rows], labels, gamma)
        behind = weights[labels] * losses.dtype.type(scale)
        dlogits[image, rows] = backward(behind, cache)
        confidences[image] = (losses * behind).sum()

    for_each(learn, len(logits), pays)
    confidence = float(confidences.sum())

    target = target_offsets[positive].astype(offsets.dtype, copy=False)
    sides, cache = smooth_l1_forward(offsets[positive], target)  # (positives, 4)
    doffsets = np.zeros_like(offsets)
    doffsets[positive] = smooth_l1_backward(np.full_like(sides, alpha * scale), cache)
    location = float(sides.sum() * scale)
    total = confidence + alpha * location
    return MultiboxLoss(total, location, confidence, num_positive, mined, dlogits, doffsets)


def background_loss(logits: np.ndarray, scores: str = "softmax") -> np.ndarray:
    """(..., K) -> (...), as many rows at a time as a core's cache holds."""
    check_scores(logits, scores)
    rows = logits.reshape(-1, logits.shape[-1])
    step = max(1, BLOCK_BYTES // (rows.shape[1] * rows.itemsize))
    out = np.empty(len(rows), logits.dtype)
    for first in range(0, len(rows), step):
        some = rows[first : first + step]
        if scores == "sigmoid":
            out[first : first + step] = softplus(some[:, 1:]).sum(axis=-1)
        else:
            out[first : first + step] = -log_softmax_forward(some)[0][:, 0]
    return out.reshape(logits.shape[:-1])


def mine_hard_negatives(
    confidence_loss: np.ndarray,
    positive: np.ndarray,
    negative: np.ndarray,
    ratio: float = 3,
    minimum: int = 0,
    per: str = "image",
) -> np.ndarray:
    """(N, T) three times -> mined (N, T) bool, by a partition instead of a sort."""
    check_mining(confidence_loss, positive, negative, per, ratio, minimum)
    rows = (1, -1) if per == "batch" else positive.shape
    loss, positive, negative = (a.reshape(rows) for a in (confidence_loss, positive, negative))
    mined = np.zeros(loss.shape, bool)
    for i in range(len(loss)):
        wanted = max(int(ratio * np.count_nonzero(positive[i])), minimum)
        candidates = np.flatnonzero(negative[i])
        mined[i, candidates[_largest(loss[i, candidates], wanted)]] = True
    return mined.reshape(confidence_loss.shape)


def _largest(values: np.ndarray, count: int) -> np.ndarray:
    """Indices of the `count` largest values, of equal ones the first; NaN is the largest of all."""
    if count >= len(values):
        return np.arange(len(values))
    if count == 0:
        return np.arange(0)
    # the smallest one kept; partition puts NaN behind all numbers
    cut = np.partition(values, len(values) - count)[len(values) - count]
    if np.isnan(cut):
        return np.flatnonzero(np.isnan(values))[:count]
    above = np.flatnonzero(~(values <= cut))  # not ">", which would leave NaN out
    ties = np.flatnonzero(values == cut)[: count - len(above)]
    return np.concatenate([above, ties])
