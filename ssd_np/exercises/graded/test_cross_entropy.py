"""Cross-entropy from logits: by hand, gradient, confident mistakes."""

import numpy as np
import pytest

from ssd_np.gradcheck import numeric_gradient, relative_error
from ssd_np.loss.cross_entropy import cross_entropy_backward, cross_entropy_forward

pytestmark = [pytest.mark.graded, pytest.mark.lesson09]


def test_by_hand():
    logits = np.log(np.array([[1.0, 3.0], [2.0, 6.0]]))  # probabilities 1/4, 3/4 in both rows
    loss, cache = cross_entropy_forward(logits, np.array([0, 1]))
    np.testing.assert_allclose(loss, [np.log(4), np.log(4 / 3)], rtol=1e-14)
    dlogits = cross_entropy_backward(np.array([1.0, 8.0]), cache)
    np.testing.assert_allclose(dlogits, [[-0.75, 0.75], [2, -2]], rtol=1e-14)


def test_equal_logits_cost_the_logarithm_of_the_classes():
    for classes in (2, 21, 81):
        loss, _ = cross_entropy_forward(np.zeros((1, classes)), np.array([0]))
        assert loss[0] == pytest.approx(np.log(classes))


def test_a_confident_mistake_is_large_not_infinite():
    logits = np.array([[1000.0, 0.0], [0.0, 1000.0]])
    with np.errstate(all="raise", under="ignore"):
        loss, cache = cross_entropy_forward(logits, np.array([1, 1]))
    assert loss.tolist() == [1000, 0]
    assert cross_entropy_backward(np.ones(2), cache).tolist() == [[1, -1], [0, 0]]


def test_gradient(rng):
    logits, labels = 2 * rng.standard_normal((3, 4, 5)), rng.integers(0, 5, (3, 4))
    dout = rng.standard_normal((3, 4))
    _, cache = cross_entropy_forward(logits, labels)
    numeric = numeric_gradient(lambda v: cross_entropy_forward(v, labels)[0], logits, dout)
    assert relative_error(numeric, cross_entropy_backward(dout, cache)) <= 1e-6


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_types_and_untouched_inputs(dtype, rng):
    logits, labels = rng.standard_normal((4, 3)).astype(dtype), rng.integers(0, 3, 4)
    dout = np.ones(4, dtype)
    before = [a.copy() for a in (logits, labels, dout)]
    loss, cache = cross_entropy_forward(logits, labels)
    first = cross_entropy_backward(dout, cache)
    assert loss.dtype == first.dtype == dtype
    assert np.array_equal(first, cross_entropy_backward(dout, cache))  # the cache is intact
    after = (logits, labels, dout)
    assert all(np.array_equal(a, b) for a, b in zip(after, before, strict=True))


def test_no_rows():
    loss, cache = cross_entropy_forward(np.zeros((0, 3)), np.zeros(0, int))
    assert loss.shape == (0,) and cross_entropy_backward(loss, cache).shape == (0, 3)
