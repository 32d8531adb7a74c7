"""ReLU: max(0, x). Its gradient passes where the output is above 0 (at 0 itself we take 0)."""

import numpy as np


def relu_forward(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Any shape -> the same shape, and the cache (the output itself is enough)."""
    out = np.maximum(x, 0)
    return out, out


def relu_backward(
    dout: np.ndarray, cache: np.ndarray, *, dx: np.ndarray | None = None
) -> np.ndarray:
    """dx = dout where the output was above 0, else 0. `dx` receives it, if given."""
    return np.multiply(dout, cache > 0, out=dx)
