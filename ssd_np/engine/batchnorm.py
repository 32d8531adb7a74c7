"""Batch normalisation in few passes over memory; sums over the batch are taken in float64.

The activation goes along in the last pass forward. On the way back its mask is computed once more
from the input, which has to be read anyway. Rows of few channels are joined to longer ones, so that
the inner loop pays.
"""

from collections.abc import Sequence

import numpy as np

from ssd_np.engine.memory import FRESH, Place
from ssd_np.engine.pointwise import limits
from ssd_np.engine.threads import for_each, shares
from ssd_np.errors import ShapeError
from ssd_np.kernels import njit
from ssd_np.nn.batchnorm import check_batchnorm
from ssd_np.nn.blocks import Gradients
from ssd_np.nn.checks import check_gradient

ROW = 512  # numbers of a joined row
LEAST_VALUES = 1 << 15  # for which another thread is worth the call


def batchnorm_forward(
    x: np.ndarray,
    scale: np.ndarray,
    shift: np.ndarray,
    eps: float = 1e-5,
    *,
    memory: Place = FRESH,
) -> tuple[np.ndarray, tuple]:
    """In training: x (..., C), scale (C,), shift (C,) -> (..., C) and the cache."""
    out, (cache, _) = batchnorm_block_forward(x, scale, shift, eps, "none", memory=memory)
    return out, cache


def batchnorm_backward(dout: np.ndarray, cache: tuple, *, memory: Place = FRESH) -> Gradients:
    """dout (..., C) -> dx (..., C), dscale (C,), dshift (C,)."""
    return _gradients(dout, cache, "batchnorm_forward", True, memory)


def batchnorm_block_forward(
    x: np.ndarray,
    scale: np.ndarray,
    shift: np.ndarray,
    eps: float = 1e-5,
    activation: str = "relu",
    *,
    memory: Place = FRESH,
) -> tuple[np.ndarray, tuple]:
    """The same with the activation in the same pass."""
    check_batchnorm(x, scale, shift)
    x = np.ascontiguousarray(x)
    count = x.size // x.shape[-1]
    if count < 2:
        raise ShapeError(f"x has shape {x.shape}", hint="one value a channel has no variance")
    mean = (_sums(_sum_kernel, x)[0] / count).astype(x.dtype)
    variance = (_sums(_square_kernel, x, mean)[0] / count).astype(x.dtype)
    out, cache = _normalise(x, scale, shift, mean, variance, eps, memory, activation)
    return out, (cache, (shift, activation))


def batchnorm_block_backward(dout: np.ndarray, cache: tuple, *, memory: Place = FRESH) -> Gradients:
    """dout (..., C) -> dx (..., C), dscale (C,), dshift (C,)."""
    norm_cache, behind = cache
    return _gradients(dout, norm_cache, "batchnorm_block_forward", True, memory, *behind)


def batchnorm_inference_forward(
    x: np.ndarray,
    scale: np.ndarray,
    shift: np.ndarray,
    mean: np.ndarray,
    variance: np.ndarray,
    eps: float = 1e-5,
    *,
    memory: Place = FRESH,
) -> tuple[np.ndarray, tuple]:
    """With running statistics, mean (C,) and variance (C,): x (..., C) -> (..., C), the cache."""
    check_batchnorm(x, scale, shift)
    return _normalise(np.ascontiguousarray(x), scale, shift, mean, variance, eps, memory)


def batchnorm_inference_backward(
    dout: np.ndarray, cache: tuple, *, memory: Place = FRESH
) -> Gradients:
    """dout (..., C) -> dx (..., C), dscale (C,), dshift (C,); the statistics are constants."""
    return _gradients(dout, cache, "batchnorm_inference_forward", False, memory)


def _normalise(
    x, scale, shift, mean, variance, eps, memory, activation="none"
) -> tuple[np.ndarray, tuple]:
    """One factor and one term for each channel."""
    factor = scale / np.sqrt(variance + eps)
    out, term = memory.empty(x.shape, x.dtype), shift - mean * factor
    low, high = limits(activation, x.dtype)
    _each_share(_affine_kernel, (x, factor, term, out), low, high)
    return out, (x, scale, mean, variance, eps)


def _gradients(
    dout: np.ndarray,
    cache: tuple,
    of: str,
    of_batch: bool,
    memory: Place,
    shift: np.ndarray | None = None,
    activation: str = "none",
) -> Gradients:
    x, scale, mean, variance, eps = cache
    check_gradient(dout, x.shape, of)
    std, dout = np.sqrt(variance + eps), np.ascontiguousarray(dout)
    factor, (low, high) = scale / std, limits(activation, x.dtype)
    term = (0 if shift is None else shift) - mean * factor
    dshift, along = _sums(_gradient_kernel, dout, x, mean, factor, term, rest=(low, high))
    dshift, dscale = dshift.astype(x.dtype), (along / std).astype(x.dtype)
    # dx = factor * (dout - mean of dout - u * mean of dout u), u = (x - mean) / std
    count = x.size // x.shape[-1] if of_batch else np.inf
    away, slope = dshift / x.dtype.type(count), dscale / x.dtype.type(count) / std
    dx = memory.empty(x.shape, x.dtype)
    _each_share(_input_gradient_kernel, (dout, x, mean, factor, term, away, slope, dx), low, high)
    return dx, dscale, dshift


def _joined(arrays: Sequence[np.ndarray]) -> tuple[int, list[np.ndarray]]:
    """Maps (..., C) as (M / r, r C) and numbers of channels (C,) as (r C,): so many rows in one."""
    c = arrays[0].shape[-1]
    count, r = arrays[0].size // c, 1
    while 2 * r * c <= ROW and count % (2 * r) == 0:
        r *= 2
    return r, [
        np.broadcast_to(a, (r, c)).reshape(-1) if a.ndim == 1 else a.reshape(-1, r * c)
        for a in arrays
    ]


def _sums(kernel, *maps: np.ndarray, rest: tuple = ()) -> np.ndarray:
    """(2, C) float64: what `kernel` adds up over the pixels of maps (..., C)."""
    r, arrays = _joined(maps)
    bounds = shares(len(arrays[0]), least=1 + LEAST_VALUES // arrays[0].shape[1])
    sums = np.zeros((len(bounds) - 1, 2, arrays[0].shape[1]))

    def job(share: int, _worker: int) -> None:
        part = slice(bounds[share], bounds[share + 1])
        kernel(*(a[part] if a.ndim == 2 else a for a in arrays), *rest, sums[share])

    for_each(job, len(sums))
    return sums.sum(axis=0).reshape(2, r, -1).sum(axis=1)


def _each_share(kernel, maps: tuple[np.ndarray, ...], *rest: np.floating) -> None:
    _, arrays = _joined(maps)
    bounds = shares(len(arrays[0]), least=1 + LEAST_VALUES // arrays[0].shape[1])

    def job(share: int, _worker: int) -> None:
        part = slice(bounds[share], bounds[share + 1])
        kernel(*(a[part] if a.ndim == 2 else a for a in arrays), *rest)

    for_each(job, len(bounds) - 1)


@njit(nogil=True)
def _sum_kernel(rows, total):
    for i in range(rows.shape[0]):
        for k in range(rows.shape[1]):
            total[0, k] += rows[i, k]


@njit(nogil=True)
def _square_kernel(rows, mean, total):
    for i in range(rows.shape[0]):
        for k in range(rows.shape[1]):
            difference = rows[i, k] - mean[k]
            total[0, k] += difference * difference


@njit(nogil=True)
def _gradient_kernel(d, rows, mean, factor, term, low, high, total):
    """dshift, and dscale times the standard deviation."""
    for i in range(rows.shape[0]):
        for k in range(rows.shape[1]):
            z = rows[i, k] * factor[k] + term[k]
            dz = d[i, k] if low < z < high else d.dtype.type(0)
            total[0, k] += dz
            total[1, k] += dz * (rows[i, k] - mean[k])


@njit(nogil=True)
def _affine_kernel(rows, factor, term, out, low, high):
    for i in range(rows.shape[0]):
        for k in range(rows.shape[1]):
            value = rows[i, k] * factor[k] + term[k]
            value = low if value < low else value  # NaN stays NaN
            out[i, k] = high if value > high else value


@njit(nogil=True)
def _input_gradient_kernel(d, rows, mean, factor, term, away, slope, dx, low, high):
    for i in range(rows.shape[0]):
        for k in range(rows.shape[1]):
            z = rows[i, k] * factor[k] + term[k]
            dz = d[i, k] if low < z < high else d.dtype.type(0)
            dx[i, k] = factor[k] * (dz - away[k] - (rows[i, k] - mean[k]) * slope[k])
