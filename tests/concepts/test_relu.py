"""ReLU: gradient, the kink, NaN, PyTorch."""

import numpy as np
import pytest

from ssd_np.gradcheck import numeric_gradient, relative_error
from ssd_np.nn.relu import relu_backward, relu_forward

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
