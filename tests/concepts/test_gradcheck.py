"""The measure that all gradients are held against: right itself, and never content with NaN."""

import numpy as np
import pytest

from ssd_np.errors import ShapeError
from ssd_np.gradcheck import numeric_gradient, relative_error

pytestmark = pytest.mark.lesson05


def test_gradient_of_a_known_function(rng):
    x, dout = rng.standard_normal((3, 4)), rng.standard_normal((3, 4))
    assert relative_error(numeric_gradient(np.sin, x, dout), np.cos(x) * dout) <= 1e-9


def test_output_of_another_shape(rng):
    a, x = rng.standard_normal((5, 3)), rng.standard_normal((3, 2))
    dout = rng.standard_normal((5, 2))
    assert relative_error(numeric_gradient(lambda v: a @ v, x, dout), a.T @ dout) <= 1e-9


@pytest.mark.parametrize("view", [lambda x: x, lambda x: x.T, lambda x: x.reshape(6)])
def test_a_function_that_returns_a_view_of_its_input(view, rng):
    x = rng.standard_normal((2, 3))
    dout = rng.standard_normal(view(x).shape)
    numeric = numeric_gradient(view, x, dout)
    assert numeric.any()
    assert relative_error(view(numeric), dout) <= 1e-9


def test_x_is_not_changed_and_float32_is_widened(rng):
    x = rng.standard_normal(4).astype(np.float32)
    before = x.copy()
    numeric = numeric_gradient(np.square, x, np.ones(4))
    assert numeric.dtype == np.float64
    assert relative_error(numeric, 2 * before.astype(np.float64)) <= 1e-9
    assert np.array_equal(x, before)


def test_relative_error_by_hand():
    assert relative_error(np.array([1.0, 4.0]), np.array([1.0, 5.0])) == pytest.approx(0.2)
    assert relative_error(np.zeros(3), np.zeros(3)) == 0
    assert relative_error(np.zeros(3), np.full(3, 1e-30)) == 1  # all zero is not nearly right
    assert relative_error(np.zeros(0), np.zeros(0)) == 0


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_nan_and_infinity_are_never_near(bad):
    a = np.array([bad, 1.0])
    for left, right in ((a, np.ones(2)), (np.ones(2), a), (a, a), (np.full(2, bad), np.zeros(2))):
        with np.errstate(invalid="ignore"):
            assert not relative_error(left, right) <= 1e-6


def test_shapes_must_agree():
    with pytest.raises(ShapeError, match="shapes"):
        relative_error(np.zeros((3, 1)), np.zeros((1, 3)))
