"""Softmax and its logarithm, over the last axis.

    softmax(z)_k = exp(z_k) / sum_j exp(z_j)
    log_softmax(z)_k = z_k - log sum_j exp(z_j)

The largest logit is taken away first: the result is the same and exp can not overflow. The loss is
built on log_softmax, never on log(softmax), which would be log(0) for a confident mistake.
"""

import numba
import numpy as np

from ssd_np.errors import ShapeError
from ssd_np.nn.checks import check_gradient


def softmax(logits: np.ndarray) -> np.ndarray:
    """(..., K) -> (..., K), each row sums to 1."""
    exponential = np.exp(logits - _over_rows(_max_kernel, logits))
    return exponential / _over_rows(_sum_kernel, exponential)


def log_softmax_forward(logits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(..., K) -> (..., K) and the cache (the output)."""
    shifted = logits - _over_rows(_max_kernel, logits)
    out = shifted - np.log(_over_rows(_sum_kernel, np.exp(shifted)))
    return out, out


def log_softmax_backward(dout: np.ndarray, cache: np.ndarray) -> np.ndarray:
    """dlogits_k = dout_k - softmax_k * sum_j dout_j.

    Derivation: docs/derivations.md#softmax-and-cross-entropy, (11).
    """
    check_gradient(dout, cache.shape, "log_softmax_forward")
    return dout - np.exp(cache) * dout.sum(axis=-1, keepdims=True)


def _over_rows(kernel, x: np.ndarray) -> np.ndarray:
    """x.max or x.sum(axis=-1, keepdims=True), several times faster for rows of a few classes."""
    if x.ndim == 0 or x.shape[-1] == 0 or x.dtype.kind not in "fiu":
        raise ShapeError(f"logits are {x.shape} {x.dtype}", hint="expected numbers (..., K)")
    out = np.empty((*x.shape[:-1], 1), x.dtype)
    kernel(np.ascontiguousarray(x).reshape(-1, x.shape[-1]), out.reshape(-1))
    return out


@numba.njit(nogil=True, cache=True)
def _max_kernel(rows, out):
    for i in range(rows.shape[0]):
        largest = rows[i, 0]
        for j in range(1, rows.shape[1]):
            value = rows[i, j]
            larger = value > largest or value != value  # NaN wins, so that it is not hidden
            largest = value if larger else largest
        out[i] = largest


@numba.njit(nogil=True, cache=True)
def _sum_kernel(rows, out):
    for i in range(rows.shape[0]):
        total = rows[i, 0]
        for j in range(1, rows.shape[1]):
            total += rows[i, j]
        out[i] = total
