"""Softmax of short rows, as they are here, class by class: whole columns of numbers at a time.

NumPy's reductions over a last axis of a few classes spend their time between the rows. Short rows
need no kernel either, which a first detection would have to compile.
"""

import functools

import numpy as np

from ssd_np.kernels import njit
from ssd_np.nn.checks import check_floats, check_logits

LONG_ROW = 64  # numbers, from which NumPy's own maximum is faster


def softmax(logits: np.ndarray) -> np.ndarray:
    """(..., K) -> (..., K), each row sums to 1."""
    shifted = _shifted(logits)
    exponential = np.exp(shifted, out=shifted)
    exponential /= _sums(exponential)
    return np.ascontiguousarray(exponential)


def log_softmax_forward(logits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(..., K) -> (..., K) and the cache (the output)."""
    shifted = _shifted(logits)
    shifted -= np.log(_sums(np.exp(shifted)))
    out = np.ascontiguousarray(shifted)
    return out, out


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """Any shape -> the same shape, in two arrays instead of five."""
    check_floats(logits, "logits")
    small = np.abs(logits)
    np.exp(np.negative(small, out=small), out=small)
    out = np.where(logits >= 0, logits.dtype.type(1), small)
    small += 1
    out /= small
    return out


def _shifted(logits: np.ndarray) -> np.ndarray:
    """logits - their row's largest; of short rows, class after class lies together."""
    check_logits(logits)
    logits = logits if logits.dtype.kind == "f" else logits.astype(np.float64)
    if logits.shape[-1] >= LONG_ROW:
        return logits - logits.max(axis=-1, keepdims=True)
    columns = np.moveaxis(logits, -1, 0).copy()  # (K, ...)
    columns -= columns.max(axis=0)
    return np.moveaxis(columns, 0, -1)


def _sums(x: np.ndarray) -> np.ndarray:
    """(..., K) -> (..., 1), each row from left to right."""
    if x.shape[-1] < LONG_ROW:
        return functools.reduce(np.add, np.moveaxis(x, -1, 0))[..., None]
    out = np.empty((*x.shape[:-1], 1), x.dtype)
    _sum_kernel(np.ascontiguousarray(x).reshape(-1, x.shape[-1]), out.reshape(-1))
    return out


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
