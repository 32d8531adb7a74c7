"""What is done to every number, or along every column: activations, bias, sums over pixels.

An activation is a pair of limits: what lies below the first or above the second becomes that.
"""

import functools

import numpy as np

from ssd_np.engine.memory import FRESH, Place
from ssd_np.engine.threads import each_share
from ssd_np.kernels import njit
from ssd_np.nn.checks import check_floats, check_gradient
from ssd_np.nn.relu import check_activation


def limits(activation: str, dtype: np.dtype) -> tuple[np.floating, np.floating]:
    """Lowest and highest output of an activation, in the type of the kernels' arrays."""
    check_activation(activation)
    return _limits(activation, dtype)


@functools.cache
def _limits(activation: str, dtype: np.dtype) -> tuple[np.floating, np.floating]:
    low, high = {"none": (-np.inf, np.inf), "relu": (0, np.inf), "relu6": (0, 6)}[activation]
    number = np.dtype(dtype).type
    return number(low), number(high)


def activation_forward(
    x: np.ndarray, activation: str, *, memory: Place = FRESH
) -> tuple[np.ndarray, tuple]:
    """Any shape -> the same shape, and the cache."""
    check_floats(x, "x")
    low, high = limits(activation, x.dtype)
    if activation == "none":
        return x, (x, activation)
    out = memory.empty(x.shape, x.dtype)
    flat, target = np.ascontiguousarray(x).reshape(-1), out.reshape(-1)
    each_share(out.size, lambda part: clamp_kernel(flat[part], low, high, target[part]))
    return out, (out, activation)


def activation_backward(dout: np.ndarray, cache: tuple, *, memory: Place = FRESH) -> np.ndarray:
    """dx = dout where the output was strictly between the limits, else 0."""
    out, activation = cache
    low, high = limits(activation, out.dtype)
    if activation == "none":
        return dout
    check_gradient(dout, out.shape, "activation_forward")
    dx = memory.empty(dout.shape, dout.dtype)
    flat, of, target = (np.ascontiguousarray(a).reshape(-1) for a in (dout, out, dx))
    each_share(dx.size, lambda part: mask_kernel(flat[part], of[part], low, high, target[part]))
    return dx


def column_sums(rows: np.ndarray) -> np.ndarray:
    """(P, Co) -> (Co,), by the thread that asks."""
    return np.ones(len(rows), rows.dtype) @ rows


@njit(nogil=True)
def clamp_kernel(x, low, high, out):
    for i in range(len(x)):
        value = low if x[i] < low else x[i]  # NaN stays NaN
        out[i] = high if value > high else value


@njit(nogil=True)
def mask_kernel(dout, out, low, high, dx):
    zero = dx.dtype.type(0)
    for i in range(len(dx)):
        dx[i] = dout[i] if low < out[i] < high else zero


@njit(nogil=True)
def bias_kernel(rows, b, low, high):  # (P, Co) in place
    for i in range(rows.shape[0]):
        for j in range(rows.shape[1]):
            value = rows[i, j] + b[j]
            value = low if value < low else value
            rows[i, j] = high if value > high else value
