"""Cross-entropy from logits: minus the log of the probability of the right class.

    loss = -log_softmax(z)[label],    d loss / d z = softmax(z) - one_hot(label)

(SSD paper, equation 3.) From logits, not from probabilities: a confident mistake costs a large
number, not an infinite one, and the gradient is exact.
"""

import numpy as np

from ssd_np.errors import ShapeError
from ssd_np.nn.checks import check_gradient
from ssd_np.nn.softmax import log_softmax_forward


def cross_entropy_forward(logits: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, tuple]:
    """logits (..., K), labels (...) in 0..K-1 -> loss per row (...), and the cache."""
    labels = np.asarray(labels)
    classes = logits.shape[-1]
    if labels.shape != logits.shape[:-1]:
        raise ShapeError(
            f"labels have shape {labels.shape}, logits {logits.shape}",
            hint="expected one label for each row of logits",
        )
    if labels.dtype.kind not in "iu":
        raise ShapeError(f"labels are {labels.dtype}", hint="classes are whole numbers")
    if labels.size and not 0 <= labels.min() <= labels.max() < classes:
        raise ShapeError(
            f"labels run from {labels.min()} to {labels.max()}, logits have {classes} classes",
            hint="labels are 0 (background) to classes - 1",
        )
    log_probability, _ = log_softmax_forward(logits)
    loss = -np.take_along_axis(log_probability, labels[..., None], axis=-1)[..., 0]
    return loss, (log_probability, labels)


def cross_entropy_backward(dout: np.ndarray, cache: tuple) -> np.ndarray:
    """dout per row (...) -> dlogits (..., K).

    Derivation: docs/derivations.md#softmax-and-cross-entropy, (12).
    """
    log_probability, labels = cache
    check_gradient(dout, labels.shape, "cross_entropy_forward")
    dlogits = np.exp(log_probability)
    one_hot = labels[..., None] == np.arange(dlogits.shape[-1])
    dlogits -= one_hot
    dlogits *= dout[..., None]
    return dlogits
