"""Focal loss: cross-entropy in which a box that is nearly right counts for nearly nothing.

    FL = -(1 - p)^gamma log p,    p = softmax(z)[label]

(Lin et al. 2017, "Focal Loss for Dense Object Detection", section 3.2, equation 4; of several
classes, as its footnote 3 allows.) Mining leaves the easy background boxes out; here all are kept,
and how easy each one is weighs it: with gamma = 2 a box at p = 0.9 counts a hundredth of what it
did. gamma = 0 is cross-entropy. The paper's alpha, a factor for each class, are the
`class_weights` of `multibox_loss`.
"""

import numpy as np

from ssd_np.loss.checks import check_gamma, check_labels
from ssd_np.nn.checks import check_floats, check_gradient
from ssd_np.nn.softmax import log_softmax_forward


def focal_loss_forward(
    logits: np.ndarray, labels: np.ndarray, gamma: float = 2.0
) -> tuple[np.ndarray, tuple]:
    """logits (..., K), labels (...) in 0..K-1 -> loss per row (...), and the cache."""
    labels, gamma = check_labels(labels, logits), check_gamma(gamma)
    log_probability, _ = log_softmax_forward(logits)
    right = np.take_along_axis(log_probability, labels[..., None], axis=-1)[..., 0]  # log p, (...)
    wrong = -np.expm1(right)  # 1 - p
    return -(wrong**gamma) * right, (log_probability, labels, gamma)


def focal_loss_backward(dout: np.ndarray, cache: tuple) -> np.ndarray:
    """dout per row (...) -> dlogits (..., K): cross-entropy's gradient times a factor per row.

    Derivation: docs/derivations.md#focal-loss, (29).
    """
    log_probability, labels, gamma = cache
    check_gradient(dout, labels.shape, "focal_loss_forward")
    right = np.take_along_axis(log_probability, labels[..., None], axis=-1)[..., 0]  # log p, (...)
    factor = focal_factor(right, gamma)
    one_hot = labels[..., None] == np.arange(log_probability.shape[-1])
    return (dout * factor)[..., None] * (np.exp(log_probability) - one_hot)


def focal_factor(right: np.ndarray, gamma: float) -> np.ndarray:
    """log p (...) -> what the gradient of cross-entropy is multiplied by (...), from 0 to a little
    above 1: (1 - p)^gamma (1 + gamma p r) with r = -log p / (1 - p), which is 1 at p = 1."""
    check_floats(right, "right")
    check_gamma(gamma)
    wrong = -np.expm1(right)
    ratio = np.divide(-right, wrong, out=np.ones_like(right), where=wrong != 0)
    return wrong**gamma * (1 + gamma * np.exp(right) * ratio)
