"""SGD's update in one pass over memory, and in place: w and v are the ones given.

Threads share a large tensor.
"""

import numpy as np

from ssd_np.engine.threads import each_share
from ssd_np.kernels import njit
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
    """w and v, both C-contiguous, are overwritten and returned."""
    check_update(w, v, g, rate=rate, momentum=momentum, decay=decay, scale=scale)
    number = w.dtype.type  # Python's floats would turn float32 into float64
    settings = number(rate), number(momentum), number(decay), number(scale)
    flat = w.reshape(-1), v.reshape(-1), np.ascontiguousarray(g).reshape(-1)
    each_share(w.size, lambda part: _update_kernel(*(a[part] for a in flat), *settings))
    return w, v


def square_sum(g: np.ndarray) -> float:
    """Added up in float64 without a copy in float64."""
    check_floats(g, "g")
    return _square_sum_kernel(np.ascontiguousarray(g).reshape(-1))


@njit(nogil=True)
def _update_kernel(w, v, g, rate, momentum, decay, scale):
    for i in range(len(w)):
        v[i] = momentum * v[i] + scale * g[i] + decay * w[i]
        w[i] -= rate * v[i]


# in whatever order is fastest: one sum of all would wait for each addition
@njit(nogil=True, fastmath={"reassoc"})
def _square_sum_kernel(g):
    total = 0.0
    for value in g:
        total += np.float64(value) * np.float64(value)
    return total
