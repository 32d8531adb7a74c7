"""Softmax with the largest logit and the sum of a row found by kernels: rows are short here.

NumPy's reductions over a last axis of a few classes spend their time between the rows.
"""

import numpy as np

from ssd_np.kernels import njit
from ssd_np.nn.checks import check_logits

LONG_ROW = 64  # numbers, from which NumPy's own maximum is faster


def softmax(logits: np.ndarray) -> np.ndarray:
    """(..., K) -> (..., K), each row sums to 1."""
    check_logits(logits)
    exponential = np.exp(logits - _largest(logits))
    return exponential / _over_rows(_sum_kernel, exponential)


def log_softmax_forward(logits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(..., K) -> (..., K) and the cache (the output)."""
    check_logits(logits)
    shifted = logits - _largest(logits)
    out = shifted - np.log(_over_rows(_sum_kernel, np.exp(shifted)))
    return out, out


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """Any shape -> the same shape, in two arrays instead of five."""
    small = np.abs(logits)
    np.exp(np.negative(small, out=small), out=small)
    out = np.where(logits >= 0, logits.dtype.type(1), small)
    small += 1
    out /= small
    return out


def _largest(x: np.ndarray) -> np.ndarray:
    """x.max(axis=-1, keepdims=True); NaN is the largest, to both."""
    if x.shape[-1] >= LONG_ROW:
        return x.max(axis=-1, keepdims=True)
    return _over_rows(_max_kernel, x)


def _over_rows(kernel, x: np.ndarray) -> np.ndarray:
    """x.max or x.sum(axis=-1, keepdims=True), several times faster for rows of a few classes."""
    out = np.empty((*x.shape[:-1], 1), x.dtype)
    kernel(np.ascontiguousarray(x).reshape(-1, x.shape[-1]), out.reshape(-1))
    return out


@njit(nogil=True)
def _max_kernel(rows, out):
    for i in range(rows.shape[0]):
        largest = rows[i, 0]
        for j in range(1, rows.shape[1]):
            value = rows[i, j]
            larger = value > largest or value != value  # NaN wins, so that it is not hidden
            largest = value if larger else largest
        out[i] = largest


@njit(nogil=True)
def _sum_kernel(rows, out):
    # four rows side by side, each from left to right: an addition waits for the one before it
    for i in range(0, rows.shape[0] - 3, 4):
        a, b, c, d = rows[i, 0], rows[i + 1, 0], rows[i + 2, 0], rows[i + 3, 0]
        for j in range(1, rows.shape[1]):
            a, b = a + rows[i, j], b + rows[i + 1, j]
            c, d = c + rows[i + 2, j], d + rows[i + 3, j]
        out[i], out[i + 1], out[i + 2], out[i + 3] = a, b, c, d
    for i in range(rows.shape[0] // 4 * 4, rows.shape[0]):
        total = rows[i, 0]
        for j in range(1, rows.shape[1]):
            total += rows[i, j]
        out[i] = total
