"""The sigmoid: a score for each class by itself, where softmax shares 1 among all of them.

    sigmoid(z) = 1 / (1 + exp(-z)),    softplus(z) = log(1 + exp(z)) = -log(1 - sigmoid(z))

exp is only ever taken of what is not above 0, so that it can not overflow.
"""

import numpy as np

from ssd_np.nn.checks import check_floats, check_logits


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """Elementwise, any shape -> the same shape, in (0, 1)."""
    check_floats(logits, "logits")
    small = np.exp(-np.abs(logits))
    return np.where(logits >= 0, 1, small) / (1 + small)


def softplus(logits: np.ndarray) -> np.ndarray:
    """Elementwise, any shape -> the same shape; its derivative is the sigmoid."""
    check_logits(logits)
    return np.maximum(logits, 0) + np.log1p(np.exp(-np.abs(logits)))
