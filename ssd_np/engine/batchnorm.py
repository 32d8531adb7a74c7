"""Batch normalisation in few passes over memory; sums over the batch are taken in float64."""

import numpy as np

from ssd_np.engine.memory import FRESH, Place
from ssd_np.engine.threads import for_each, shares
from ssd_np.errors import ShapeError
from ssd_np.kernels import njit
from ssd_np.nn.batchnorm import check_batchnorm
from ssd_np.nn.checks import check_gradient

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
    check_batchnorm(x, scale, shift)
    x = np.ascontiguousarray(x)
    rows = x.reshape(-1, x.shape[-1])  # (M, C)
    if len(rows) < 2:
        raise ShapeError(f"x has shape {x.shape}", hint="one value a channel has no variance")
    mean = (_sums(rows, _sum_kernel)[0] / len(rows)).astype(x.dtype)
    variance = (_sums(rows, _square_kernel, mean)[0] / len(rows)).astype(x.dtype)
    return _normalise(x, scale, shift, mean, variance, eps, memory)


def batchnorm_backward(
    dout: np.ndarray, cache: tuple, *, memory: Place = FRESH
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """dout (..., C) -> dx (..., C), dscale (C,), dshift (C,)."""
    return _gradients(dout, cache, "batchnorm_forward", True, memory)


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
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """dout (..., C) -> dx (..., C), dscale (C,), dshift (C,); the statistics are constants."""
    return _gradients(dout, cache, "batchnorm_inference_forward", False, memory)


def _normalise(x, scale, shift, mean, variance, eps, memory) -> tuple[np.ndarray, tuple]:
    """One factor and one term for each channel."""
    factor = scale / np.sqrt(variance + eps)
    out, term = memory.output(x.shape, x.dtype), shift - mean * factor
    rows, target = x.reshape(-1, x.shape[-1]), out.reshape(-1, x.shape[-1])
    _each_share(rows, lambda part: _affine_kernel(rows[part], factor, term, target[part]))
    return out, (x, scale, mean, variance, eps)


def _gradients(
    dout: np.ndarray, cache: tuple, of: str, of_batch: bool, memory: Place
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    x, scale, mean, variance, eps = cache
    check_gradient(dout, x.shape, of)
    std, c = np.sqrt(variance + eps), x.shape[-1]
    d, rows = np.ascontiguousarray(dout).reshape(-1, c), x.reshape(-1, c)
    dshift, along = _sums(d, _gradient_kernel, rows, mean)
    dshift, dscale = dshift.astype(x.dtype), (along / std).astype(x.dtype)
    # dx = factor * (dout - mean of dout - u * mean of dout u), u = (x - mean) / std
    factor, count = scale / std, len(rows) if of_batch else np.inf
    away, slope = dshift / x.dtype.type(count), dscale / x.dtype.type(count) / std
    dx = memory.gradient(x.shape, x.dtype, dout)
    target = dx.reshape(-1, c)
    _each_share(
        rows,
        lambda part: _input_gradient_kernel(
            d[part], rows[part], mean, factor, away, slope, target[part]
        ),
    )
    return dx, dscale, dshift


def _sums(rows: np.ndarray, kernel, *arguments) -> np.ndarray:
    """(2, C) float64: what `kernel` adds up over the rows. Arrays of rows are cut like `rows`."""
    bounds = shares(len(rows), least=1 + LEAST_VALUES // rows.shape[1])
    sums = np.zeros((len(bounds) - 1, 2, rows.shape[1]))

    def job(share: int, _worker: int) -> None:
        part = slice(bounds[share], bounds[share + 1])
        cut = [a[part] if a.ndim == 2 else a for a in arguments]
        kernel(rows[part], *cut, sums[share])

    for_each(job, len(sums))
    return sums.sum(axis=0)


def _each_share(rows: np.ndarray, work) -> None:
    bounds = shares(len(rows), least=1 + LEAST_VALUES // rows.shape[1])
    for_each(lambda i, _worker: work(slice(bounds[i], bounds[i + 1])), len(bounds) - 1)


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
def _gradient_kernel(d, rows, mean, total):  # dshift, and dscale times the standard deviation
    for i in range(rows.shape[0]):
        for k in range(rows.shape[1]):
            total[0, k] += d[i, k]
            total[1, k] += d[i, k] * (rows[i, k] - mean[k])


@njit(nogil=True)
def _affine_kernel(rows, factor, term, out):
    for i in range(rows.shape[0]):
        for k in range(rows.shape[1]):
            out[i, k] = rows[i, k] * factor[k] + term[k]


@njit(nogil=True)
def _input_gradient_kernel(d, rows, mean, factor, away, slope, dx):
    for i in range(rows.shape[0]):
        for k in range(rows.shape[1]):
            dx[i, k] = factor[k] * (d[i, k] - away[k] - (rows[i, k] - mean[k]) * slope[k])
