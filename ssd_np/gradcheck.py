"""Numeric gradients: what a hand-written backward function is checked against.

For L(x) = sum(f(x) * dout) with a random dout, the derivative along one entry is

    dL/dx_i = (L(x + h e_i) - L(x - h e_i)) / (2 h)  +  O(h^2)

A dout of ones would hide transposed and flipped gradients; a random one does not. Work in float64.
"""

from collections.abc import Callable

import numpy as np

from ssd_np.checks import as_array, check_factor
from ssd_np.errors import ShapeError


def numeric_gradient(
    f: Callable[[np.ndarray], np.ndarray], x: np.ndarray, dout: np.ndarray, h: float = 1e-5
) -> np.ndarray:
    """Central differences of sum(f(x) * dout) for every entry of x; x itself is not changed."""
    x, dout = (_numbers(a, name).astype(np.float64) for a, name in ((x, "x"), (dout, "dout")))
    if not callable(f) or np.shape(f(x.copy())) != dout.shape:
        raise ShapeError("f(x) has not the shape of dout", hint="dout is a gradient of f's output")
    check_factor(h, "h")
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
    a, b = _numbers(a, "a"), _numbers(b, "b")
    if a.shape != b.shape:
        raise ShapeError(f"can not compare shapes {a.shape} and {b.shape}")
    size = max(np.abs(a).max(initial=0), np.abs(b).max(initial=0))
    return float(np.abs(a - b).max(initial=0) / size) if size != 0 else 0.0


def _numbers(values: np.ndarray, name: str) -> np.ndarray:
    array = as_array(values, name)
    if array.dtype.kind not in "fiub":
        raise ShapeError(f"{name} is {array.dtype}", hint="expected an array of numbers")
    return array
