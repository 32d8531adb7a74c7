"""Batch normalisation: each channel of a batch gets mean 0 and variance 1, then a learned scale and
shift (Ioffe and Szegedy 2015, arXiv 1502.03167, algorithm 1).

    u = (x - mean) / sqrt(variance + eps)        out = scale * u + shift

mean and variance are taken over all M = N H W values of a channel; the variance is the biased one,
a mean of squares. They depend on x, and the gradient knows it.

In inference there is no batch. Running statistics, moved a tenth of the way to those of each batch
in training, stand in for it (with the unbiased variance, M / (M - 1) times the biased one, as in
PyTorch). They are constants there, and so they are in the gradient of a layer that is frozen.
"""

import numpy as np

from ssd_np.checks import check_factor
from ssd_np.errors import ShapeError
from ssd_np.nn.checks import check_floats, check_gradient


def batchnorm_forward(
    x: np.ndarray, scale: np.ndarray, shift: np.ndarray, eps: float = 1e-5
) -> tuple[np.ndarray, tuple]:
    """In training: x (..., C), scale (C,), shift (C,) -> (..., C) and the cache."""
    check_batchnorm(x, scale, shift, eps=eps)
    rows = x.reshape(-1, x.shape[-1])  # (M, C)
    if len(rows) < 2:
        raise ShapeError(f"x has shape {x.shape}", hint="one value a channel has no variance")
    mean, variance = rows.mean(axis=0), rows.var(axis=0)  # (C,)
    unit = (x - mean) / np.sqrt(variance + eps)
    return scale * unit + shift, (x, scale, mean, variance, eps)


def batchnorm_backward(dout: np.ndarray, cache: tuple) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """dout (..., C) -> dx (..., C), dscale (C,), dshift (C,).

    With g = scale * dout:  dx = (g - mean(g) - u * mean(g u)) / sqrt(variance + eps). What is taken
    away came through the mean and the variance.
    Derivation: docs/derivations.md#batch-normalisation, (23) and (25).
    """
    x, scale, mean, variance, eps = cache
    check_gradient(dout, x.shape, "batchnorm_forward")
    std = np.sqrt(variance + eps)
    unit, axes = (x - mean) / std, tuple(range(x.ndim - 1))
    g = scale * dout
    dx = (g - g.mean(axes) - unit * (g * unit).mean(axes)) / std
    return dx, (dout * unit).sum(axes), dout.sum(axes)


def batchnorm_inference_forward(
    x: np.ndarray,
    scale: np.ndarray,
    shift: np.ndarray,
    mean: np.ndarray,
    variance: np.ndarray,
    eps: float = 1e-5,
) -> tuple[np.ndarray, tuple]:
    """With running statistics, mean (C,) and variance (C,): x (..., C) -> (..., C), the cache."""
    check_batchnorm(x, scale, shift, mean, variance, eps=eps)
    return scale * (x - mean) / np.sqrt(variance + eps) + shift, (x, scale, mean, variance, eps)


def batchnorm_inference_backward(
    dout: np.ndarray, cache: tuple
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """dout (..., C) -> dx (..., C), dscale (C,), dshift (C,); the statistics are constants.

    Derivation: docs/derivations.md#batch-normalisation, (23) and (26).
    """
    x, scale, mean, variance, eps = cache
    check_gradient(dout, x.shape, "batchnorm_inference_forward")
    std, axes = np.sqrt(variance + eps), tuple(range(x.ndim - 1))
    return scale * dout / std, (dout * (x - mean) / std).sum(axes), dout.sum(axes)


def running_statistics(
    mean: np.ndarray, variance: np.ndarray, cache: tuple, momentum: float = 0.1
) -> tuple[np.ndarray, np.ndarray]:
    """Running mean and variance (C,), moved towards those of the batch in forward's cache."""
    x, _, batch_mean, batch_variance, _ = cache
    check_batchnorm(x, batch_mean, batch_mean, mean, variance, eps=momentum)
    count = x.size // x.shape[-1]  # M
    unbiased = batch_variance * (count / (count - 1))
    return mean + momentum * (batch_mean - mean), variance + momentum * (unbiased - variance)


def check_batchnorm(x: np.ndarray, *of_channels: np.ndarray, eps: float = 0) -> None:
    """Raises ShapeError unless there is one scale, shift, ... for each channel."""
    check_floats(x, "x")
    names = ("scale", "shift", "mean", "variance")
    for array, name in zip(of_channels, names, strict=False):
        check_floats(array, name)
    if x.ndim < 2 or any(array.shape != x.shape[-1:] for array in of_channels):
        pairs = zip(names, of_channels, strict=False)
        told = ", ".join(f"{name} {array.shape}" for name, array in pairs)
        raise ShapeError(f"x {x.shape}, {told}", hint="x is (..., C), scale and shift (C,)")
    check_factor(eps, "eps")
