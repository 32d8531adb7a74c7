"""L2Norm: numeric gradients of all forms, the cell of zeros."""

import numpy as np
import pytest

from ssd_np.gradcheck import numeric_gradient, relative_error
from ssd_np.nn.l2norm import FORMS, l2norm_backward, l2norm_forward

pytestmark = [pytest.mark.graded, pytest.mark.lesson06]

FORM = pytest.mark.parametrize("form", FORMS)


def test_by_hand():
    out, _ = l2norm_forward(np.array([[3.0, 4.0]]), np.array([10.0, 20.0]))
    np.testing.assert_allclose(out, [[6, 16]], rtol=1e-10)


def test_the_three_forms_by_hand():
    x, ones = np.array([[3.0, 4.0]]), np.ones(2)
    np.testing.assert_allclose(l2norm_forward(x, ones, 11.0)[0], x / 6, rtol=1e-14)  # sqrt(25+11)
    np.testing.assert_allclose(l2norm_forward(x, ones, 11.0, "max")[0], x / 11, rtol=1e-14)
    np.testing.assert_allclose(l2norm_forward(x, ones, 2.0, "max")[0], x / 5, rtol=1e-14)
    np.testing.assert_allclose(l2norm_forward(x, ones, 11.0, "outside")[0], x / 16, rtol=1e-14)


@FORM
@pytest.mark.parametrize("eps", [1e-10, 1.5])  # a large eps shows in every term of the gradient
def test_gradients(form, eps, rng):
    x, scale = rng.standard_normal((2, 3, 2, 4)), 20 * rng.standard_normal(4)
    x[0, 0] *= 0.1  # with eps 1.5, "max" holds here and not elsewhere
    dout = rng.standard_normal(x.shape)
    _, cache = l2norm_forward(x, scale, eps, form)
    dx, dscale = l2norm_backward(dout, cache)
    numeric = numeric_gradient(lambda v: l2norm_forward(v, scale, eps, form)[0], x, dout)
    assert relative_error(numeric, dx) <= 1e-6
    numeric = numeric_gradient(lambda v: l2norm_forward(x, v, eps, form)[0], scale, dout)
    assert relative_error(numeric, dscale) <= 1e-6


def test_the_gradient_stands_at_a_right_angle_to_x(rng):
    """Only the direction of x counts, so no gradient may point along x."""
    x, scale, dout = (rng.standard_normal(s) for s in ((5, 8), (8,), (5, 8)))
    dx, _ = l2norm_backward(dout, l2norm_forward(x, scale)[1])
    assert np.abs((dx * x).sum(axis=-1)).max() <= 1e-9 and np.abs(dx).max() > 0.1


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_cell_of_zeros(dtype, rng):
    x = rng.standard_normal((1, 2, 2, 6)).astype(dtype)
    x[0, 1, 0] = 0
    scale, dout = np.full(6, 20, dtype), rng.standard_normal(x.shape).astype(dtype)
    out, cache = l2norm_forward(x, scale)
    dx, dscale = l2norm_backward(dout, cache)
    assert not out[0, 1, 0].any() and np.isfinite(out).all()
    assert np.isfinite(dx).all() and np.isfinite(dscale).all()
    np.testing.assert_allclose(dx[0, 1, 0], dout[0, 1, 0] * 20 / np.sqrt(1e-10), rtol=1e-6)


@pytest.mark.parametrize("form", ["max", "outside"])
def test_a_cell_of_zeros_in_the_other_forms(form, rng):
    dout, scale = rng.standard_normal((1, 6)), np.full(6, 20.0)
    out, cache = l2norm_forward(np.zeros((1, 6)), scale, 1e-10, form)
    dx, dscale = l2norm_backward(dout, cache)
    assert not out.any() and not dscale.any()
    np.testing.assert_allclose(dx, dout * 20 / 1e-10, rtol=1e-12)


@FORM
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_types_and_untouched_inputs(form, dtype, rng):
    arrays = [rng.standard_normal(s).astype(dtype) for s in ((2, 3, 3, 4), (4,), (2, 3, 3, 4))]
    before = [a.copy() for a in arrays]
    x, scale, dout = arrays
    out, cache = l2norm_forward(x, scale, 1e-10, form)
    dx, dscale = l2norm_backward(dout, cache)
    assert out.dtype == dx.dtype == dscale.dtype == dtype
    assert all(np.array_equal(a, b) for a, b in zip(arrays, before, strict=True))
