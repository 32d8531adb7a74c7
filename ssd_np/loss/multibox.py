"""The SSD loss: how wrong the classes are plus how wrong the boxes are, with both gradients.

    L = (L_conf + alpha * L_loc) / N,    N = max(1, positives, mined / max(1, ratio))

L_conf is cross-entropy over the positives and the mined negatives, L_loc smooth L1 over the four
offsets of the positives (SSD paper, equations 1 to 3). The paper's N is the number of positives: it
has no image without objects, so mining gives at most `ratio` negatives for each positive, and the
third term never decides. With a minimum of negatives an image without objects gives some for no
positive at all; they are divided as if each `ratio` of them had come with one.

`class_weights` (K,), the background's first, multiply the confidence loss of each box by the weight
of its class. They change neither who is mined (all candidates are background, of one weight) nor N,
which counts boxes, where PyTorch's mean would divide by the weights' sum.
With `gamma` the confidence loss is the focal loss (loss/focal.py) of all boxes but neutral ones:
nothing is mined, `mined` are all negatives, and N = max(1, positives).
"""

from dataclasses import dataclass

import numpy as np

from ssd_np.loss.binary import binary_cross_entropy_backward, binary_cross_entropy_forward
from ssd_np.loss.checks import check_outputs, check_rule, check_scores, check_weights
from ssd_np.loss.cross_entropy import cross_entropy_backward, cross_entropy_forward
from ssd_np.loss.focal import focal_loss_backward, focal_loss_forward
from ssd_np.loss.mining import mine_hard_negatives
from ssd_np.loss.smooth_l1 import smooth_l1_backward, smooth_l1_forward
from ssd_np.nn.sigmoid import softplus
from ssd_np.nn.softmax import log_softmax_forward

# by what makes scores of the logits
CLASSIFICATION = {
    "softmax": (cross_entropy_forward, cross_entropy_backward),
    "sigmoid": (binary_cross_entropy_forward, binary_cross_entropy_backward),
}


@dataclass(frozen=True)
class MultiboxLoss:
    """The loss, its parts (already divided by N), and its gradients.

    mined (N, T) bool marks the chosen negatives; dlogits (N, T, K), doffsets (N, T, 4).
    """

    total: float
    location: float
    confidence: float
    num_positive: int
    mined: np.ndarray
    dlogits: np.ndarray
    doffsets: np.ndarray

    @property
    def parts(self) -> dict[str, float]:
        """What the total is made of, for a log."""
        return {"location": self.location, "confidence": self.confidence}


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
    """logits (N, T, K), offsets (N, T, 4), target_labels (N, T) int, target_offsets (N, T, 4).

    target_labels: class, 0 background, -1 neutral (counts for nothing). `minimum` is the least
    number of negatives, even in an image without objects. `scores` "sigmoid" takes binary
    cross-entropy for the classes. class_weights (K,), gamma: see above.
    Derivation: docs/derivations.md#the-ssd-loss, (15) and (16).
    """
    check_outputs(logits, offsets, target_labels, target_offsets)
    check_scores(logits, scores)
    check_rule(ratio=ratio, alpha=alpha, minimum=minimum)
    class_weights = check_weights(class_weights, logits)
    positive, negative = target_labels > 0, target_labels == 0  # (N, T)

    # who is trained: the positives, and the negatives that are costliest to call background
    if gamma is None:
        cost = background_loss(logits, scores)  # (N, T)
        mined = mine_hard_negatives(cost, positive, negative, ratio, minimum, mining)
        least = mined.sum() / max(1, ratio)
    else:
        mined, least = negative, 0
    chosen = positive | mined
    num_positive = int(positive.sum())
    scale = 1 / max(1, num_positive, least)

    # confidence: of all that are chosen
    labels = target_labels[chosen]
    if gamma is None:
        forward, backward = CLASSIFICATION[scores]
        rows, cache = forward(logits[chosen], labels)  # (chosen,)
    else:
        backward = focal_loss_backward
        rows, cache = focal_loss_forward(logits[chosen], labels, gamma)
    weights = class_weights[labels] * rows.dtype.type(scale)  # (chosen,)
    dlogits = np.zeros_like(logits)
    dlogits[chosen] = backward(weights, cache)

    # location: of the positives only
    target = target_offsets[positive].astype(offsets.dtype)
    sides, cache = smooth_l1_forward(offsets[positive], target)  # (positives, 4)
    doffsets = np.zeros_like(offsets)
    doffsets[positive] = smooth_l1_backward(np.full_like(sides, alpha * scale), cache)

    confidence, location = float((rows * weights).sum()), float(sides.sum() * scale)
    total = confidence + alpha * location
    return MultiboxLoss(total, location, confidence, num_positive, mined, dlogits, doffsets)


def background_loss(logits: np.ndarray, scores: str = "softmax") -> np.ndarray:
    """logits (..., K) -> what each box would cost as background (...)."""
    check_scores(logits, scores)
    if scores == "sigmoid":
        return softplus(logits[..., 1:]).sum(axis=-1)
    return -log_softmax_forward(logits)[0][..., 0]
