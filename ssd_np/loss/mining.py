"""Hard negative mining: of thousands of background boxes, train on the most mistaken few.

An image of 8,732 default boxes has perhaps ten that stand for an object. Trained on all, a network
would learn to say "background" always. SSD keeps the negatives with the highest confidence loss,
at most three for each positive (paper, section 2.2, "Hard negative mining").

Mining has no gradient: it picks, and the gradient flows through what was picked.
"""

import numpy as np

from ssd_np.loss.checks import check_mining


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
    check_mining(confidence_loss, positive, negative, per, ratio, minimum)
    rows = (1, -1) if per == "batch" else positive.shape  # a batch is mined as one large image
    loss, positive, negative = (a.reshape(rows) for a in (confidence_loss, positive, negative))
    mined = np.zeros(loss.shape, bool)
    for i in range(len(loss)):
        wanted = max(int(ratio * np.count_nonzero(positive[i])), minimum)
        candidates = np.flatnonzero(negative[i])
        cost = loss[i, candidates]
        # NaN first: mined, it shows in the loss; left out, it would be hidden
        costliest = np.lexsort((-cost, ~np.isnan(cost)))
        mined[i, candidates[costliest[:wanted]]] = True
    return mined.reshape(confidence_loss.shape)
