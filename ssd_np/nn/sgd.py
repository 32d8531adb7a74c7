"""The update rule of stochastic gradient descent with momentum and weight decay.

    v <- momentum * v + scale * g + decay * w
    w <- w - rate * v

The velocity v remembers past gradients (its limit is 1 / (1 - momentum) times one of them); decay
pulls w towards 0; `scale` shortens a gradient (train/sgd.py says when).
"""

import numpy as np

from ssd_np.nn.checks import check_floats, check_update


def sgd_update(
    w: np.ndarray,
    v: np.ndarray,
    g: np.ndarray,
    rate: float,
    momentum: float = 0.9,
    decay: float = 0.0,
    scale: float = 1.0,
) -> tuple[np.ndarray, np.ndarray]:
    """One tensor, its velocity and its gradient, of one shape -> the new tensor and velocity."""
    check_update(w, v, g, rate=rate, momentum=momentum, decay=decay, scale=scale)
    v = momentum * v + scale * g + decay * w
    return w - rate * v, v


def square_sum(g: np.ndarray) -> float:
    """The sum of squares of a gradient, in float64: its part of the norm of all gradients."""
    check_floats(g, "g")
    return float(np.sum(g.astype(np.float64) ** 2))
