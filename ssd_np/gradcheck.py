"""Numeric gradients: what a hand-written backward function is checked against.

For L(x) = sum(f(x) * dout) with a random dout, the derivative along one entry is

    dL/dx_i = (L(x + h e_i) - L(x - h e_i)) / (2 h)  +  O(h^2)

A dout of ones would hide transposed and flipped gradients; a random one does not. Work in float64.
"""

from collections.abc import Callable

import numpy as np

from ssd_np.errors import ShapeError


def numeric_gradient(
    f: Callable[[np.ndarray], np.ndarray], x: np.ndarray, dout: np.ndarray, h: float = 1e-5
) -> np.ndarray:
    """Central differences of sum(f(x) * dout) for every entry of x; x itself is not changed."""
    x = x.astype(np.float64)  # a copy
    gradient = np.empty_like(x)
    for index in np.ndindex(x.shape):
        kept = x[index]
        x[index] = kept + h
        above = np.array(f(x))  # a copy: f may hand back a view of x
        x[index] = kept - h
        below = np.array(f(x))
        x[index] = kept
        gradient[index] = np.sum((above - below) * dout) / (2 * h)
    return gradient


def relative_error(a: np.ndarray, b: np.ndarray) -> float:
    """Largest |a - b| relative to the largest entry of either; 0 when both are all zero.

    NaN anywhere gives NaN, which no tolerance admits. Raises ShapeError when the shapes differ:
    broadcasting would compare a transposed gradient with something else.
    """
    a, b = np.asarray(a), np.asarray(b)
    if a.shape != b.shape:
        raise ShapeError(f"can not compare shapes {a.shape} and {b.shape}")
    size = max(np.abs(a).max(initial=0), np.abs(b).max(initial=0))
    return float(np.abs(a - b).max(initial=0) / size) if size != 0 else 0.0
