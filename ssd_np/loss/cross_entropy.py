"""Cross-entropy from logits: minus the log of the probability of the right class.

    loss = -log_softmax(z)[label],    d loss / d z = softmax(z) - one_hot(label)

(SSD paper, equation 3.) From logits, not from probabilities: a confident mistake costs a large
number, not an infinite one, and the gradient is exact.
"""

import numpy as np

from ssd_np.loss.checks import check_labels
from ssd_np.nn.checks import check_gradient
from ssd_np.nn.softmax import log_softmax_forward


def cross_entropy_forward(logits: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, tuple]:
    """logits (..., K), labels (...) in 0..K-1 -> loss per row (...), and the cache."""
    labels = check_labels(labels, logits)
    log_probability, _ = log_softmax_forward(logits)
    loss = -np.take_along_axis(log_probability, labels[..., None], axis=-1)[..., 0]
    return loss, (log_probability, labels)


def cross_entropy_backward(dout: np.ndarray, cache: tuple) -> np.ndarray:
    """dout per row (...) -> dlogits (..., K).

    Derivation: docs/derivations.md#softmax-and-cross-entropy, (12).
    """
    log_probability, labels = cache
    check_gradient(dout, labels.shape, "cross_entropy_forward")
    probability = np.exp(log_probability)
    one_hot = labels[..., None] == np.arange(probability.shape[-1])
    return dout[..., None] * (probability - one_hot)
