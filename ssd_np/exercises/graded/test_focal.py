"""The focal loss: by hand, its limits, gradient, what is nearly right and what is quite wrong."""

import numpy as np
import pytest

from ssd_np.gradcheck import numeric_gradient, relative_error
from ssd_np.loss.cross_entropy import cross_entropy_backward, cross_entropy_forward
from ssd_np.loss.focal import focal_loss_backward, focal_loss_forward

pytestmark = [pytest.mark.graded, pytest.mark.lesson09]


def test_by_hand():
    logits = np.log(np.array([[1.0, 3.0], [2.0, 6.0]]))  # probabilities 1/4, 3/4 in both rows
    loss, cache = focal_loss_forward(logits, np.array([0, 1]))  # gamma is 2
    np.testing.assert_allclose(loss, [9 / 16 * np.log(4), np.log(4 / 3) / 16], rtol=1e-14)
    # the factors: (3/4)^2 + 2 * 1/4 * 3/4 * ln 4, and (1/4)^2 + 2 * 3/4 * 1/4 * ln(4/3)
    factors = np.array([9 / 16 + 3 / 8 * np.log(4), 1 / 16 + 3 / 8 * np.log(4 / 3)])
    dlogits = focal_loss_backward(np.array([1.0, 8.0]), cache)
    expected = factors[:, None] * np.array([[-0.75, 0.75], [2, -2]])
    np.testing.assert_allclose(dlogits, expected, rtol=1e-13)


def test_the_paper_s_example():
    """At p = 0.9 and gamma = 2 a hundredth of cross-entropy, at p = 0.968 about a thousandth."""
    for p, less in ((0.9, 100), (0.968, 1000)):
        logits = np.log(np.array([[p, 1 - p]]))
        focal, _ = focal_loss_forward(logits, np.array([0]), gamma=2)
        plain, _ = cross_entropy_forward(logits, np.array([0]))
        assert plain[0] / focal[0] == pytest.approx(less, rel=0.03)


def test_without_an_exponent_it_is_cross_entropy(rng):
    logits, labels = 3 * rng.standard_normal((5, 4)), rng.integers(0, 4, 5)
    dout = rng.standard_normal(5)
    focal, cache = focal_loss_forward(logits, labels, gamma=0.0)
    plain, theirs = cross_entropy_forward(logits, labels)
    np.testing.assert_allclose(focal, plain, rtol=1e-13)
    ours, expected = focal_loss_backward(dout, cache), cross_entropy_backward(dout, theirs)
    np.testing.assert_allclose(ours, expected, rtol=1e-12)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0, 5.0])
def test_gradient(gamma, rng):
    logits, labels = 2 * rng.standard_normal((3, 4, 5)), rng.integers(0, 5, (3, 4))
    dout = rng.standard_normal((3, 4))
    _, cache = focal_loss_forward(logits, labels, gamma)
    numeric = numeric_gradient(lambda v: focal_loss_forward(v, labels, gamma)[0], logits, dout)
    assert relative_error(numeric, focal_loss_backward(dout, cache)) <= 1e-6


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0])
def test_certain_and_wrong_are_numbers(gamma):
    """p = 0 costs as it does in cross-entropy, p = 1 costs nothing."""
    logits = np.array([[1000.0, 0.0], [0.0, 1000.0]])
    with np.errstate(all="raise", under="ignore"):
        loss, cache = focal_loss_forward(logits, np.array([1, 1]), gamma)
        dlogits = focal_loss_backward(np.ones(2), cache)
    assert loss.tolist() == [1000, 0]
    assert dlogits.tolist() == [[1, -1], [0, 0]]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_types_and_untouched_inputs(dtype, rng):
    logits, labels = rng.standard_normal((4, 3)).astype(dtype), rng.integers(0, 3, 4)
    dout = np.ones(4, dtype)
    before = [a.copy() for a in (logits, labels, dout)]
    loss, cache = focal_loss_forward(logits, labels)
    first = focal_loss_backward(dout, cache)
    assert loss.dtype == first.dtype == dtype
    assert np.array_equal(first, focal_loss_backward(dout, cache))  # the cache is intact
    after = (logits, labels, dout)
    assert all(np.array_equal(a, b) for a, b in zip(after, before, strict=True))


def test_no_rows():
    loss, cache = focal_loss_forward(np.zeros((0, 3)), np.zeros(0, int))
    assert loss.shape == (0,) and focal_loss_backward(loss, cache).shape == (0, 3)
