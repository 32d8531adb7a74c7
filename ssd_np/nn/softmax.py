"""Softmax and its logarithm, over the last axis.

    softmax(z)_k = exp(z_k) / sum_j exp(z_j)
    log_softmax(z)_k = z_k - log sum_j exp(z_j)

The largest logit is taken away first: the result is the same and exp can not overflow. The loss is
built on log_softmax, never on log(softmax), which would be log(0) for a confident mistake.
"""

import numpy as np

from ssd_np.nn.checks import check_gradient, check_logits


def softmax(logits: np.ndarray) -> np.ndarray:
    """(..., K) -> (..., K), each row sums to 1."""
    check_logits(logits)
    exponential = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return exponential / exponential.sum(axis=-1, keepdims=True)


def log_softmax_forward(logits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(..., K) -> (..., K) and the cache (the output)."""
    check_logits(logits)
    shifted = logits - logits.max(axis=-1, keepdims=True)
    out = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return out, out


def log_softmax_backward(dout: np.ndarray, cache: np.ndarray) -> np.ndarray:
    """dlogits_k = dout_k - softmax_k * sum_j dout_j.

    Derivation: docs/derivations.md#softmax-and-cross-entropy, (11).
    """
    check_gradient(dout, cache.shape, "log_softmax_forward")
    return dout - np.exp(cache) * dout.sum(axis=-1, keepdims=True)
