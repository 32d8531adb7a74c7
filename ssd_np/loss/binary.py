"""Binary cross-entropy from logits: each class is a question of its own, answered by a sigmoid.

    loss = sum over k of softplus(z_k) - t_k z_k,    d loss / d z_k = sigmoid(z_k) - t_k

t is 1 for the class of the box and 0 elsewhere; a background box is 0 everywhere. So no class has
to stand for the background: column 0, which softmax needs, counts for nothing here. (TensorFlow's
SSDs; Redmon and Farhadi, YOLOv3, section 2.2.)
"""

import numpy as np

from ssd_np.loss.checks import check_labels
from ssd_np.nn.checks import check_gradient
from ssd_np.nn.sigmoid import sigmoid, softplus


def binary_cross_entropy_forward(
    logits: np.ndarray, labels: np.ndarray
) -> tuple[np.ndarray, tuple]:
    """logits (..., K), labels (...) in 0..K-1 -> loss per row (...), and the cache."""
    labels = check_labels(labels, logits)
    z = logits[..., 1:]  # (..., K - 1)
    target = labels[..., None] == np.arange(1, logits.shape[-1])
    return (softplus(z) - target * z).sum(axis=-1), (z, target)


def binary_cross_entropy_backward(dout: np.ndarray, cache: tuple) -> np.ndarray:
    """dout per row (...) -> dlogits (..., K), 0 in column 0.

    Derivation: docs/derivations.md#sigmoid-and-binary-cross-entropy, (31).
    """
    z, target = cache
    check_gradient(dout, z.shape[:-1], "binary_cross_entropy_forward")
    dz = dout[..., None] * (sigmoid(z) - target)
    return np.concatenate([np.zeros_like(dz[..., :1]), dz], axis=-1)
