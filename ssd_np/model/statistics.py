"""Statistics for batch normalisations that were given without: a network folded and unfolded again.

A published file often has its batch normalisation folded into its convolutions. One that changes
nothing, put behind each to train on, does so with its running statistics only (mean 0, variance
1 - eps): the first batch's own statistics would throw away what the network has learned. So mean m
and variance v of each layer's output are measured, and scale and shift chosen so that the layer
computes what it did, now with the statistics of data too:

    a = scale / sqrt(variance + eps)
    scale' = a sqrt(v + eps)      shift' = shift + a (m - mean)
"""

from collections.abc import Iterable

import numpy as np

from ssd_np.checks import check_kind
from ssd_np.model.ssd import SSD
from ssd_np.nn.layers import BatchNorm


def measure_statistics(model: SSD, batches: Iterable[np.ndarray]) -> None:
    """Gives the batch normalisations that learn the statistics of `batches`, (N, H, W, C) each,
    preprocessed. The model's outputs stay, up to rounding; ShapeError for an image it can not see.
    """
    check_kind(model, SSD, "model")
    check_kind(batches, Iterable, "batches")
    norms = [layer for layer in model.layers if isinstance(layer, BatchNorm) and layer.trainable]
    learning = [p for p in model.parameters.values() if p.trainable]
    sums = {norm.name: np.zeros((2, len(norm.mean.value))) for norm in norms}  # of x, of x^2
    counts = dict.fromkeys(sums, 0)
    for parameter in learning:  # frozen, they compute as in inference, and keep what they saw
        parameter.trainable = False
    try:
        for images in batches if norms else ():
            model.forward(images, training=True)
            for norm in norms:
                x = norm.cache[0][0].reshape(-1, len(norm.mean.value)).astype(np.float64)
                sums[norm.name] += x.sum(axis=0), (x**2).sum(axis=0)
                counts[norm.name] += len(x)
    finally:
        for parameter in learning:
            parameter.trainable = True
    for norm in norms:
        if counts[norm.name]:
            mean, square = sums[norm.name] / counts[norm.name]
            _restate(norm, mean, np.maximum(square - mean**2, 0))


def _restate(norm: BatchNorm, mean: np.ndarray, variance: np.ndarray) -> None:
    """The same function, with this mean (C,) and variance (C,)."""
    parameters = norm.scale, norm.shift, norm.mean, norm.variance
    scale, shift, old_mean, old_variance = (p.value.astype(np.float64) for p in parameters)
    factor = scale / np.sqrt(old_variance + norm.eps)
    scale, shift = factor * np.sqrt(variance + norm.eps), shift + factor * (mean - old_mean)
    for parameter, value in zip(parameters, (scale, shift, mean, variance), strict=True):
        parameter.assign(value.astype(parameter.value.dtype))
