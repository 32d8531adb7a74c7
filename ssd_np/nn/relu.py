"""ReLU: max(0, x). Its gradient passes where the output is above 0 (at 0 itself we take 0)."""

import numba
import numpy as np

from ssd_np.nn.checks import check_gradient
from ssd_np.nn.parallel import for_each, shares


def relu_forward(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Any shape -> the same shape, and the cache (the output itself is enough)."""
    out = np.maximum(x, 0)
    return out, out


def relu_backward(
    dout: np.ndarray, cache: np.ndarray, *, dx: np.ndarray | None = None
) -> np.ndarray:
    """dx = dout where the output was above 0, else 0. `dx` receives it, if given.

    Derivation: docs/derivations.md#max-pooling-and-relu, (7).
    """
    check_gradient(dout, cache.shape, "relu_forward")
    dx = np.empty(dout.shape, dout.dtype) if dx is None else dx
    flat = tuple(np.ascontiguousarray(a).reshape(-1) for a in (dout, cache))
    target, bounds = dx.reshape(-1), shares(dx.size)

    def job(share: int, _worker: int) -> None:
        part = slice(bounds[share], bounds[share + 1])
        _mask_kernel(flat[0][part], flat[1][part], target[part])

    for_each(job, len(bounds) - 1)
    return dx


@numba.njit(nogil=True, cache=True)
def _mask_kernel(dout, out, dx):
    zero = dx.dtype.type(0)
    for i in range(len(dx)):
        dx[i] = dout[i] if out[i] > zero else zero
