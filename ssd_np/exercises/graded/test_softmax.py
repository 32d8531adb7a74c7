"""Softmax and log-softmax: large logits, gradient."""

import numpy as np
import pytest

from ssd_np.gradcheck import numeric_gradient, relative_error
from ssd_np.nn.softmax import log_softmax_backward, log_softmax_forward, softmax

pytestmark = [pytest.mark.graded, pytest.mark.lesson09]


def test_by_hand():
    z = np.log(np.array([[1.0, 2.0, 5.0]]))
    np.testing.assert_allclose(softmax(z), [[1 / 8, 2 / 8, 5 / 8]], rtol=1e-14)
    np.testing.assert_allclose(np.exp(log_softmax_forward(z)[0]), softmax(z), rtol=1e-14)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_large_logits_overflow_nowhere(dtype):
    z = np.array([[1000.0, 0.0, -1000.0], [-1000, -1000, -1000]], dtype)
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        probability, (log_probability, _) = softmax(z), log_softmax_forward(z)
    np.testing.assert_allclose(probability[0], [1, 0, 0], atol=1e-30)
    np.testing.assert_allclose(probability[1], 1 / 3, rtol=1e-6)
    # the logarithm of a probability that is 0 in any float type is still exact
    np.testing.assert_allclose(log_probability[0], [0, -1000, -2000], rtol=1e-7)


def test_a_constant_added_to_all_logits_changes_nothing(rng):
    z = rng.standard_normal((4, 6))
    np.testing.assert_allclose(softmax(z + 7), softmax(z), rtol=1e-12)
    np.testing.assert_allclose(softmax(z).sum(axis=-1), 1, rtol=1e-14)


def test_gradient(rng):
    z, dout = 3 * rng.standard_normal((2, 4, 5)), rng.standard_normal((2, 4, 5))
    _, cache = log_softmax_forward(z)
    numeric = numeric_gradient(lambda v: log_softmax_forward(v)[0], z, dout)
    assert relative_error(numeric, log_softmax_backward(dout, cache)) <= 1e-6


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_types_and_untouched_inputs(dtype, rng):
    z, dout = rng.standard_normal((3, 4)).astype(dtype), rng.standard_normal((3, 4)).astype(dtype)
    before = z.copy(), dout.copy()
    out, cache = log_softmax_forward(z)
    dz = log_softmax_backward(dout, cache)
    assert softmax(z).dtype == out.dtype == dz.dtype == dtype
    assert np.array_equal(z, before[0]) and np.array_equal(dout, before[1])
    assert np.array_equal(out, log_softmax_forward(z)[0])  # backward left the cache as it was
