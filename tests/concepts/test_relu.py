"""ReLU and ReLU6: gradient, the kinks, NaN, PyTorch."""

import numpy as np
import pytest

from ssd_np.errors import ConfigError
from ssd_np.gradcheck import numeric_gradient, relative_error
from ssd_np.nn.relu import (
    activation_forward,
    relu6_backward,
    relu6_forward,
    relu_backward,
    relu_forward,
)

pytestmark = pytest.mark.lesson06


def test_by_hand():
    x = np.array([-2.0, -0.0, 0.0, 3.0])
    out, cache = relu_forward(x)
    assert out.tolist() == [0, 0, 0, 3]
    assert relu_backward(np.array([5.0, 5, 5, 5]), cache).tolist() == [0, 0, 0, 5]  # 0 at the kink


def test_gradient(rng):
    x, dout = rng.standard_normal((2, 3, 4, 5)), rng.standard_normal((2, 3, 4, 5))
    x[np.abs(x) < 0.01] = 0.5  # away from the kink
    _, cache = relu_forward(x)
    numeric = numeric_gradient(lambda v: relu_forward(v)[0], x, dout)
    assert relative_error(numeric, relu_backward(dout, cache)) <= 1e-6


def test_torch_agrees(rng):
    torch = pytest.importorskip("torch")
    x, dout = rng.integers(-2, 3, (4, 5)).astype(float), rng.standard_normal((4, 5))
    x_torch = torch.tensor(x, requires_grad=True)
    expected = torch.relu(x_torch)
    expected.backward(torch.tensor(dout))
    out, cache = relu_forward(x)
    assert np.array_equal(out, expected.detach().numpy())
    assert np.array_equal(relu_backward(dout, cache), x_torch.grad.numpy())


def test_nan_is_not_hidden():
    assert np.isnan(relu_forward(np.array([np.nan, 1.0]))[0]).tolist() == [True, False]
    _, cache = relu_forward(np.array([1.0, 1.0]))
    assert np.isnan(relu_backward(np.array([np.nan, 1.0]), cache)).tolist() == [True, False]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_types_and_fresh_results(dtype, rng):
    x, dout = rng.standard_normal((3, 4)).astype(dtype), rng.standard_normal((3, 4)).astype(dtype)
    before = x.copy(), dout.copy()
    out, cache = relu_forward(x)
    kept = out.copy()
    dx = relu_backward(dout, cache)
    assert out.dtype == dx.dtype == dtype
    assert not np.shares_memory(out, x) and not np.shares_memory(dx, dout)
    assert np.array_equal(x, before[0]) and np.array_equal(dout, before[1])
    assert np.array_equal(out, kept)


def test_relu6_by_hand():
    x = np.array([-2.0, 0, 3, 6, 9])
    out, cache = relu6_forward(x)
    assert out.tolist() == [0, 0, 3, 6, 6]
    assert relu6_backward(np.full(5, 5.0), cache).tolist() == [0, 0, 5, 0, 0]  # 0 at both kinks


def test_relu6_gradient_and_torch(rng):
    torch = pytest.importorskip("torch")
    x, dout = 6 * rng.standard_normal((2, 3, 4, 5)), rng.standard_normal((2, 3, 4, 5))
    x[np.abs(x) < 0.01] = 0.5
    x[np.abs(x - 6) < 0.01] = 0.5
    out, cache = relu6_forward(x)
    dx = relu6_backward(dout, cache)
    assert (out == 6).any() and (out == 0).any()
    numeric = numeric_gradient(lambda v: relu6_forward(v)[0], x, dout)
    assert relative_error(numeric, dx) <= 1e-6
    integers = rng.integers(-2, 9, (6, 5)).astype(float)  # the kinks too
    x_torch = torch.tensor(integers, requires_grad=True)
    expected = torch.nn.functional.relu6(x_torch)
    upstream = rng.standard_normal((6, 5))
    expected.backward(torch.tensor(upstream))
    out, cache = relu6_forward(integers)
    assert np.array_equal(out, expected.detach().numpy())
    assert np.array_equal(relu6_backward(upstream, cache), x_torch.grad.numpy())


def test_relu6_hides_no_nan():
    assert np.isnan(relu6_forward(np.array([np.nan, 9.0]))[0]).tolist() == [True, False]


def test_an_unknown_activation_is_named():
    with pytest.raises(ConfigError, match=r"unknown activation 'tanh' \(known: none, relu, relu6"):
        activation_forward(np.zeros(3), "tanh")
