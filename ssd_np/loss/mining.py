"""Hard negative mining: of thousands of background boxes, train on the most mistaken few.

An image of 8,732 default boxes has perhaps ten that stand for an object. Trained on all, a network
would learn to say "background" always. SSD keeps the negatives with the highest confidence loss,
at most three for each positive (paper, section 2.2, "Hard negative mining").

Mining has no gradient: it picks, and the gradient flows through what was picked.
"""

import numpy as np

from ssd_np.errors import ConfigError, ShapeError


def mine_hard_negatives(
    confidence_loss: np.ndarray,
    positive: np.ndarray,
    negative: np.ndarray,
    ratio: float = 3,
    minimum: int = 0,
    per: str = "image",
) -> np.ndarray:
    """confidence_loss (N, T), positive (N, T) bool, negative (N, T) bool -> mined (N, T) bool.

    confidence_loss is what each box would cost as background. In each image (or, with per="batch",
    in the whole batch) the max(ratio * positives, minimum) costliest negatives are taken, as far as
    there are any; of equal ones the lowest index. Boxes that are neither stay out: neutral.
    """
    if not confidence_loss.shape == positive.shape == negative.shape or positive.ndim != 2:
        raise ShapeError(
            f"confidence_loss {confidence_loss.shape}, positive {positive.shape} and negative "
            f"{negative.shape} must be equal",
            hint="(N, T): images, default boxes",
        )
    if not positive.dtype == negative.dtype == bool:
        raise ShapeError(
            f"positive is {positive.dtype}, negative {negative.dtype}",
            hint="expected bool: labels > 0 and labels == 0",
        )
    if per not in ("image", "batch"):
        raise ConfigError(f"per is {per!r}", hint="mining is per 'image' or per 'batch'")
    rows = (1, -1) if per == "batch" else positive.shape
    loss, positive, negative = (a.reshape(rows) for a in (confidence_loss, positive, negative))
    mined = np.zeros(loss.shape, bool)
    for i in range(len(loss)):
        wanted = max(int(ratio * np.count_nonzero(positive[i])), minimum)
        candidates = np.flatnonzero(negative[i])
        mined[i, candidates[_largest(loss[i, candidates], wanted)]] = True
    return mined.reshape(confidence_loss.shape)


def _largest(values: np.ndarray, count: int) -> np.ndarray:
    """Indices of the `count` largest values, of equal ones the first, without a sort.

    NaN counts as the largest of all: mined, it shows in the loss; left out, it would be hidden.
    """
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
