"""Batch normalisation: by hand, numeric gradients, what changes no output, running statistics."""

import numpy as np
import pytest

from ssd_np.gradcheck import numeric_gradient, relative_error
from ssd_np.nn.batchnorm import batchnorm_backward, batchnorm_forward, running_statistics

pytestmark = [pytest.mark.graded, pytest.mark.lesson17]

SHAPES = pytest.mark.parametrize("shape", [(4, 1), (5, 3), (2, 3, 4, 3), (3, 1, 1, 2)], ids=str)


def draw(rng, shape):
    """x, scale, shift and a gradient."""
    x = 3 * rng.standard_normal(shape) + 5
    return x, *rng.uniform(0.5, 2, (2, shape[-1])), rng.standard_normal(shape)


def test_by_hand():
    """1, 3, 5, 7 have mean 4 and variance 5; scale 2, shift 10."""
    x = np.array([[1.0], [3], [5], [7]])
    out, cache = batchnorm_forward(x, np.array([2.0]), np.array([10.0]))
    assert np.allclose(out.ravel(), 10 + 2 * np.array([-3, -1, 1, 3]) / 5**0.5, atol=1e-4)
    dx, dscale, dshift = batchnorm_backward(np.array([[0.0], [0], [0], [1]]), cache)
    assert np.allclose(dx.ravel(), 2 / 5**0.5 * np.array([0.2, -0.1, -0.4, 0.3]), atol=1e-4)
    assert np.allclose(dscale, 3 / 5**0.5, atol=1e-4) and dshift.tolist() == [1]


@SHAPES
def test_every_channel_has_the_mean_and_spread_that_were_asked_for(shape, rng):
    x, scale, shift, _ = draw(rng, shape)
    out, _ = batchnorm_forward(x, scale, shift)
    for channel in range(shape[-1]):
        values = [float(v) for v in out[..., channel].ravel()]
        mean = sum(values) / len(values)
        variance = sum((v - mean) ** 2 for v in values) / len(values)
        assert mean == pytest.approx(shift[channel], abs=1e-9)
        assert variance**0.5 == pytest.approx(scale[channel], rel=1e-3)


@pytest.mark.parametrize("eps", [1e-5, 0.5])
@SHAPES
def test_gradients(shape, eps, rng):
    x, scale, shift, dout = draw(rng, shape)
    _, cache = batchnorm_forward(x, scale, shift, eps)
    dx, dscale, dshift = batchnorm_backward(dout, cache)
    for found, value, function in (
        (dx, x, lambda v: batchnorm_forward(v, scale, shift, eps)[0]),
        (dscale, scale, lambda v: batchnorm_forward(x, v, shift, eps)[0]),
        (dshift, shift, lambda v: batchnorm_forward(x, scale, v, eps)[0]),
    ):
        assert found.shape == value.shape
        assert relative_error(numeric_gradient(function, value, dout), found) <= 1e-6


@SHAPES
def test_moving_or_stretching_a_channel_changes_no_output(shape, rng):
    x, scale, shift, dout = draw(rng, shape)
    out, cache = batchnorm_forward(x, scale, shift, 1e-12)
    moved, _ = batchnorm_forward(2 * x + 7, scale, shift, 1e-12)
    assert np.allclose(out, moved)
    dx, *_ = batchnorm_backward(dout, cache)
    axes = tuple(range(x.ndim - 1))
    assert np.allclose(dx.sum(axes), 0) and np.allclose((dx * (x - x.mean(axes))).sum(axes), 0)


@SHAPES
def test_running_statistics_go_a_part_of_the_way(shape, rng):
    x, scale, *_ = draw(rng, shape)
    axes = tuple(range(x.ndim - 1))  # the cache as the library keeps it:
    cache = (x, scale, x.mean(axes), x.var(axes), 1e-5)
    mean, variance = rng.standard_normal(shape[-1]), rng.uniform(1, 2, shape[-1])
    rows = x.reshape(-1, shape[-1])
    for momentum in (0.1, 0.25):
        new_mean, new_variance = running_statistics(mean, variance, cache, momentum)
        assert np.allclose(new_mean, mean + momentum * (rows.mean(axis=0) - mean))
        expected = variance + momentum * (rows.var(axis=0, ddof=1) - variance)
        assert np.allclose(new_variance, expected)
    assert np.allclose(running_statistics(mean, variance, cache)[0],
                       0.9 * mean + 0.1 * rows.mean(axis=0))  # fmt: skip


def test_inputs_stay_as_they_are_and_types_too(rng):
    x, scale, shift, dout = (a.astype(np.float32) for a in draw(rng, (2, 3, 3, 2)))
    before = [a.copy() for a in (x, scale, shift, dout)]
    out, cache = batchnorm_forward(x, scale, shift)
    gradients = batchnorm_backward(dout, cache)
    assert {a.dtype for a in (out, *gradients)} == {np.dtype(np.float32)}
    assert all(np.array_equal(a, b) for a, b in zip((x, scale, shift, dout), before, strict=True))
