"""Batch normalisation in two passes over memory, forward and back, in one call of all threads.

The first pass adds up, in float64, differences from a number near a channel's mean and their
squares: mean and variance come from one reading, and nothing is lost where the mean is large. The
activation goes along in the last pass forward. On the way back its mask is computed once more from
the input, which has to be read anyway. Rows of few channels are joined to longer ones, so that the
inner loop pays. Sums belong to tiles: any number of threads gives the same numbers.
"""

import numpy as np

from ssd_np.engine.atomic import DONE, UP, claim, take, watch
from ssd_np.engine.memory import FRESH, Place
from ssd_np.engine.pointwise import limits
from ssd_np.engine.steps import writable
from ssd_np.engine.threads import thread_count, together
from ssd_np.errors import ShapeError
from ssd_np.kernels import inlined, njit
from ssd_np.nn.batchnorm import check_batchnorm
from ssd_np.nn.blocks import Gradients
from ssd_np.nn.checks import check_gradient

ROW = 512  # numbers of a joined row
BLOCK = 8  # rows that are added up in the type of the maps, before float64
TILE = 1 << 16  # numbers that a thread takes at a time
LEAST_VALUES = 1 << 18  # for which another thread is worth the call
PIXELS = 16  # near whose mean the differences are added up


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
    check_batchnorm(x, scale, shift, eps=eps)
    x = np.ascontiguousarray(x)
    count = x.size // x.shape[-1]
    if count < 2:
        raise ShapeError(f"x has shape {x.shape}", hint="one value a channel has no variance")
    near = x.reshape(count, -1)[:: -(-count // PIXELS)].mean(axis=0)
    mean, variance = np.empty((2, x.shape[-1]), x.dtype)
    out, cache = _normalise(x, scale, shift, mean, variance, eps, memory, activation, near)
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
    check_batchnorm(x, scale, shift, mean, variance, eps=eps)
    return _normalise(np.ascontiguousarray(x), scale, shift, mean, variance, eps, memory)


def batchnorm_inference_backward(
    dout: np.ndarray, cache: tuple, *, memory: Place = FRESH
) -> Gradients:
    """dout (..., C) -> dx (..., C), dscale (C,), dshift (C,); the statistics are constants."""
    return _gradients(dout, cache, "batchnorm_inference_forward", False, memory)


def _normalise(
    x, scale, shift, mean, variance, eps, memory, activation="none", near=None
) -> tuple[np.ndarray, tuple]:
    """One factor and one term for each channel. With `near`, numbers that those of each channel lie
    near, mean and variance are measured."""
    out, limit = memory.empty(x.shape, x.dtype), limits(activation, x.dtype)
    of_batch = near is not None
    numbers = [near if of_batch else mean, scale, shift, mean, variance]
    _run(_forward_kernel, [x, out], numbers, of_batch, x.dtype.type(eps), *limit)
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
    dx, limit = memory.empty(x.shape, x.dtype), limits(activation, x.dtype)
    dscale, dshift = np.empty((2, x.shape[-1]), x.dtype)
    shift = np.zeros_like(scale) if shift is None else shift
    numbers = [scale, shift, mean, variance, dscale, dshift]
    maps = [np.ascontiguousarray(dout), x, dx]
    _run(_backward_kernel, maps, numbers, of_batch, x.dtype.type(eps), *limit)
    return dx, dscale, dshift


def _run(kernel, maps: list[np.ndarray], numbers: list[np.ndarray], *rest) -> None:
    """Calls `kernel` on all threads: maps (..., C) as rows, of which each holds as many pixels as
    pay, and numbers of channels (C,)."""
    size, c = maps[0].size, maps[0].shape[-1]
    count, r = size // c, 1
    while 2 * r * c <= ROW and count % (2 * r) == 0:
        r *= 2
    rows = [a.reshape(-1, r * c) for a in maps]
    lines = -(-TILE // (r * c * BLOCK)) * BLOCK  # of a tile
    tiles = -(-len(rows[0]) // lines)
    sums, counters = np.zeros((tiles, 2, r * c)), np.zeros((2, 4), np.int64)
    work = *rows, *(writable(a) for a in numbers), *rest, lines, sums, counters
    together(lambda lane: kernel(*work, lane), thread_count() if size >= LEAST_VALUES else 1)


# What stands in loops here, and not as NumPy's operations, is compiled in a fifth of the time.
@njit(nogil=True)
def _forward_kernel(
    x, out, near, scale, shift, mean, variance, of_batch, eps, low, high, lines, sums, counters,
    lane,
):  # fmt: skip
    tiles, width, c = len(sums), x.shape[1], len(scale)
    part, nears = np.zeros((2, width), x.dtype), np.empty(width, x.dtype)
    factor, term = np.empty(width, x.dtype), np.empty(width, x.dtype)
    total, count = np.zeros((2, c)), x.size // c
    if of_batch:
        for k in range(width):
            nears[k] = near[k % c]
        while True:
            tile = claim(counters[0], lane, tiles, 0, False)
            if tile < 0:
                break
            for i in range(tile * lines, min((tile + 1) * lines, len(x)), BLOCK):
                _add_differences(x, i, min(i + BLOCK, len(x)), nears, part, sums[tile])
            take(counters[0], DONE)
        watch(counters[0], DONE, tiles)
        _add_tiles(sums, total)
    for k in range(width):
        m, v = mean[k % c], variance[k % c]
        if of_batch:
            away = total[0, k % c] / count
            m = x.dtype.type(near[k % c] + away)
            v = x.dtype.type(max(0.0, total[1, k % c] / count - away * away))
        if lane == 0:
            mean[k % c], variance[k % c] = m, v
        factor[k] = scale[k % c] / np.sqrt(v + eps)
        term[k] = shift[k % c] - m * factor[k]
    while True:
        tile = claim(counters[1], lane, tiles, counters[0, UP], True)
        if tile < 0:
            break
        for i in range(tile * lines, min((tile + 1) * lines, len(x))):
            for k in range(width):
                value = x[i, k] * factor[k] + term[k]
                value = low if value < low else value  # NaN stays NaN
                out[i, k] = high if value > high else value
        take(counters[1], DONE)
    if lane == 0:
        watch(counters[1], DONE, tiles)


@inlined
def _add_differences(x, first, last, near, part, total):
    """Of a block of rows, from the numbers that they lie near, and their squares."""
    for i in range(first, last):
        for k in range(x.shape[1]):
            difference = x[i, k] - near[k]
            part[0, k] += difference
            part[1, k] += difference * difference
    _move(part, total)


@njit(nogil=True)
def _backward_kernel(
    d, x, dx, scale, shift, mean, variance, dscale, dshift, of_batch, eps, low, high, lines, sums,
    counters, lane,
):  # fmt: skip
    """dx = factor * (dz - mean of dz - u * mean of dz u), u = (x - mean) / std"""
    tiles, width, c = len(sums), x.shape[1], len(scale)
    part, total, count = np.zeros((2, width), x.dtype), np.zeros((2, c)), x.size // c
    means, factor, term = (
        np.empty(width, x.dtype),
        np.empty(width, x.dtype),
        np.empty(width, x.dtype),
    )
    away, slope = np.zeros(width, x.dtype), np.zeros(width, x.dtype)
    for k in range(width):
        means[k] = mean[k % c]
        factor[k] = scale[k % c] / np.sqrt(variance[k % c] + eps)
        term[k] = shift[k % c] - means[k] * factor[k]
    while True:
        tile = claim(counters[0], lane, tiles, 0, False)
        if tile < 0:
            break
        for i in range(tile * lines, min((tile + 1) * lines, len(x)), BLOCK):
            _add_gradients(d, x, i, min(i + BLOCK, len(x)), means, factor, term, low, high, part,
                           sums[tile])  # fmt: skip
        take(counters[0], DONE)
    watch(counters[0], DONE, tiles)
    _add_tiles(sums, total)
    for k in range(width):
        std = np.sqrt(variance[k % c] + eps)
        along = total[1, k % c] / std
        if of_batch:
            away[k], slope[k] = total[0, k % c] / count, along / count / std
        if lane == 0:
            dshift[k % c], dscale[k % c] = total[0, k % c], along
    zero = x.dtype.type(0)
    while True:
        tile = claim(counters[1], lane, tiles, counters[0, UP], True)
        if tile < 0:
            break
        for i in range(tile * lines, min((tile + 1) * lines, len(x))):
            for k in range(width):
                z = x[i, k] * factor[k] + term[k]
                dz = d[i, k] if low < z < high else zero
                dx[i, k] = factor[k] * (dz - away[k] - (x[i, k] - means[k]) * slope[k])
        take(counters[1], DONE)
    if lane == 0:
        watch(counters[1], DONE, tiles)


@inlined
def _add_gradients(d, x, first, last, mean, factor, term, low, high, part, total):
    """dshift, and dscale times the standard deviation, of a block of rows."""
    for i in range(first, last):
        for k in range(x.shape[1]):
            z = x[i, k] * factor[k] + term[k]
            dz = d[i, k] if low < z < high else d.dtype.type(0)
            part[0, k] += dz
            part[1, k] += dz * (x[i, k] - mean[k])
    _move(part, total)


@inlined
def _move(part, total):
    """Sums in the type of the maps to those in float64."""
    for which in range(2):
        for k in range(part.shape[1]):
            total[which, k] += part[which, k]
            part[which, k] = 0


@inlined
def _add_tiles(sums, total):
    """(tiles, 2, r C) -> (2, C)"""
    for tile in range(len(sums)):
        for which in range(2):
            for k in range(sums.shape[2]):
                total[which, k % total.shape[1]] += sums[tile, which, k]
