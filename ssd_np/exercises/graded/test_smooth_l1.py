"""Smooth L1: published values, gradient with every beta."""

import numpy as np
import pytest

from ssd_np.gradcheck import numeric_gradient, relative_error
from ssd_np.loss.smooth_l1 import smooth_l1_backward, smooth_l1_forward

pytestmark = [pytest.mark.graded, pytest.mark.lesson09]

BETAS = pytest.mark.parametrize("beta", [1.0, 0.11, 2.5])


def test_published_values():
    d = np.array([0.0, 0.5, 1.0, 2.0, -2.0])
    out, cache = smooth_l1_forward(d, np.zeros(5))
    assert out.tolist() == [0, 0.125, 0.5, 1.5, 1.5]
    assert smooth_l1_backward(np.ones(5), cache).tolist() == [0, 0.5, 1, 1, -1]


def test_beta_by_hand():
    # beta 2: d^2 / 4 below 2, |d| - 1 above
    out, _ = smooth_l1_forward(np.array([1.0, 2.0, 5.0]), np.zeros(3), beta=2.0)
    assert out.tolist() == [0.25, 1, 4]


@BETAS
def test_the_two_pieces_meet_without_a_kink(beta):
    d = np.array([beta * (1 - 1e-9), beta, beta * (1 + 1e-9)])
    out, cache = smooth_l1_forward(d, np.zeros(3), beta)
    np.testing.assert_allclose(out, beta / 2, rtol=1e-8)
    np.testing.assert_allclose(smooth_l1_backward(np.ones(3), cache), 1, rtol=1e-8)


@BETAS
def test_gradient(beta, rng):
    pred, target, dout = (rng.standard_normal((4, 5, 4)) for _ in range(3))
    _, cache = smooth_l1_forward(pred, target, beta)
    assert (np.abs(pred - target) < beta).any()
    assert beta > 2 or (np.abs(pred - target) > beta).any()
    numeric = numeric_gradient(lambda v: smooth_l1_forward(v, target, beta)[0], pred, dout)
    assert relative_error(numeric, smooth_l1_backward(dout, cache)) <= 1e-6


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_types_and_untouched_inputs(dtype, rng):
    arrays = [rng.standard_normal((3, 4)).astype(dtype) for _ in range(3)]
    before = [a.copy() for a in arrays]
    out, cache = smooth_l1_forward(arrays[0], arrays[1], 0.5)
    assert out.dtype == smooth_l1_backward(arrays[2], cache).dtype == dtype
    assert all(np.array_equal(a, b) for a, b in zip(arrays, before, strict=True))
