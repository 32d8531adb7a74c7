"""Batch normalisation: by hand, numeric gradients, PyTorch with its running statistics; both
engines."""

import numpy as np
import pytest

from ssd_np.engine import NAMES, select
from ssd_np.errors import ShapeError
from ssd_np.gradcheck import numeric_gradient, relative_error
from ssd_np.nn.batchnorm import (
    batchnorm_backward,
    batchnorm_forward,
    batchnorm_inference_forward,
    running_statistics,
)

pytestmark = pytest.mark.lesson06

BOTH = pytest.mark.parametrize("ops", [select(name) for name in NAMES], ids=NAMES)


def draw(rng, shape=(3, 4, 5, 6), dtype=np.float64):
    c = shape[-1]
    x = 3 * rng.standard_normal(shape) + rng.standard_normal(c)
    scale, shift, mean = rng.standard_normal((3, c))
    arrays = x, scale, shift, mean, rng.uniform(0.5, 2, c)
    return [a.astype(dtype) for a in arrays]


def test_by_hand():
    """Values 1, 3, 5, 7: mean 4, variance (9 + 1 + 1 + 9) / 4 = 5 (20 / 3 if unbiased)."""
    x = np.array([[1.0], [3], [5], [7]])
    out, cache = batchnorm_forward(x, np.array([np.sqrt(5)]), np.array([10.0]), eps=0)
    np.testing.assert_allclose(out[:, 0], [7, 9, 11, 13])
    mean, variance = running_statistics(np.zeros(1), np.ones(1), cache)
    np.testing.assert_allclose(mean, [0.4])
    np.testing.assert_allclose(variance, [0.9 + 0.1 * 20 / 3])
    # u = (-3, -1, 1, 3) / sqrt 5; a gradient of 1 for the last alone:
    dx, dscale, dshift = batchnorm_backward(np.array([[0.0], [0], [0], [1]]), cache)
    np.testing.assert_allclose(dshift, [1])
    np.testing.assert_allclose(dscale, [3 / np.sqrt(5)])
    # (g - 1/4 - u * u_4 / 4), which is 0.2, -0.1, -0.4, 0.3
    np.testing.assert_allclose(dx[:, 0], [0.2, -0.1, -0.4, 0.3])


@BOTH
def test_a_channel_gets_mean_0_and_variance_1(ops, rng):
    x, *_ = draw(rng)
    out, _ = ops.batchnorm_forward(x, np.ones(6), np.zeros(6), 1e-12)
    np.testing.assert_allclose(out.mean(axis=(0, 1, 2)), 0, atol=1e-12)
    np.testing.assert_allclose(out.var(axis=(0, 1, 2)), 1, rtol=1e-9)
    moved, _ = ops.batchnorm_forward(7 * x + 3, np.ones(6), np.zeros(6), 1e-12)
    np.testing.assert_allclose(moved, out, atol=1e-9)  # however large x is and wherever it lies


@BOTH
@pytest.mark.parametrize("shape", [(3, 2, 4, 3), (5, 4), (2, 1, 1, 2)])
@pytest.mark.parametrize("form", ["batch", "inference"])
def test_gradients(ops, form, shape, rng):
    x, scale, shift, *running = draw(rng, shape)
    statistics = running if form == "inference" else []
    name = "batchnorm_inference" if form == "inference" else "batchnorm"
    out, cache = getattr(ops, f"{name}_forward")(x, scale, shift, *statistics, 1e-3)
    dout = rng.standard_normal(out.shape)
    grads = getattr(ops, f"{name}_backward")(dout, cache)
    concept = batchnorm_inference_forward if form == "inference" else batchnorm_forward
    for i, what in enumerate(("x", "scale", "shift")):

        def forward(value, i=i):
            inputs = [x, scale, shift]
            inputs[i] = value
            return concept(*inputs, *statistics, 1e-3)[0]

        numeric = numeric_gradient(forward, (x, scale, shift)[i], dout)
        assert relative_error(numeric, grads[i]) <= 1e-6, what


@BOTH
def test_torch_agrees_over_several_steps_of_training_and_then_in_inference(ops, rng):
    torch = pytest.importorskip("torch")
    _, scale, shift, mean, variance = draw(rng)
    theirs = torch.nn.BatchNorm2d(6, eps=1e-3, dtype=torch.float64)
    with torch.no_grad():
        theirs.weight[:], theirs.bias[:] = torch.tensor(scale), torch.tensor(shift)
        theirs.running_mean[:], theirs.running_var[:] = torch.tensor(mean), torch.tensor(variance)
    for step in range(4):
        theirs.train(step < 3)
        x, *_ = draw(rng)
        x_torch = torch.tensor(x.transpose(0, 3, 1, 2), requires_grad=True)
        expected = theirs(x_torch)
        dout = rng.standard_normal(x.shape)
        theirs.zero_grad()
        expected.backward(torch.tensor(dout.transpose(0, 3, 1, 2)))
        if step < 3:
            out, cache = ops.batchnorm_forward(x, scale, shift, 1e-3)
            mean, variance = running_statistics(mean, variance, cache)
            grads = ops.batchnorm_backward(dout, cache)
        else:
            out, cache = ops.batchnorm_inference_forward(x, scale, shift, mean, variance, 1e-3)
            grads = ops.batchnorm_inference_backward(dout, cache)
        assert relative_error(out, expected.detach().permute(0, 2, 3, 1).numpy()) <= 1e-12
        assert relative_error(mean, theirs.running_mean.numpy()) <= 1e-12
        assert relative_error(variance, theirs.running_var.numpy()) <= 1e-12
        wanted = (x_torch.grad.permute(0, 2, 3, 1), theirs.weight.grad, theirs.bias.grad)
        for mine, other in zip(grads, wanted, strict=True):
            assert relative_error(mine, other.numpy()) <= 1e-11


@BOTH
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_types_stay_and_inputs_too(ops, dtype, rng):
    x, scale, shift, mean, variance = arrays = draw(rng, dtype=dtype)
    dout = rng.standard_normal(x.shape).astype(dtype)
    before = [a.copy() for a in (*arrays, dout)]
    out, cache = ops.batchnorm_forward(x, scale, shift)
    found = [out, *running_statistics(mean, variance, cache), *ops.batchnorm_backward(dout, cache)]
    out, cache = ops.batchnorm_inference_forward(x, scale, shift, mean, variance)
    found += [out, *ops.batchnorm_inference_backward(dout, cache)]
    assert {a.dtype for a in found} == {np.dtype(dtype)}
    assert all(np.array_equal(a, c) for a, c in zip((*arrays, dout), before, strict=True))


@BOTH
def test_far_from_0_nothing_is_lost_in_float32(ops, rng):
    """A mean of squares less a squared mean would be all rounding here."""
    x = (1000 + rng.standard_normal((4, 16, 16, 3))).astype(np.float32)
    out, _ = ops.batchnorm_forward(x, np.ones(3, np.float32), np.zeros(3, np.float32))
    exact, _ = batchnorm_forward(x.astype(np.float64), np.ones(3), np.zeros(3))
    assert np.abs(out - exact).max() <= 2e-3


@BOTH
def test_what_does_not_fit_is_named(ops):
    x, c = np.zeros((2, 3, 4)), np.zeros(4)
    for arguments in ((x, c[:3], c), (x, c, c[:3]), (c, c, c)):
        with pytest.raises(ShapeError, match=r"x is \(\.\.\., C\), scale and shift \(C,\)"):
            ops.batchnorm_forward(*arguments)
    with pytest.raises(ShapeError, match="one value a channel has no variance"):
        ops.batchnorm_forward(x[:1, :1], c, c)
    _, cache = ops.batchnorm_forward(x, c, c)
    with pytest.raises(ShapeError, match=r"the output had \(2, 3, 4\)"):
        ops.batchnorm_backward(np.zeros((3, 2, 4)), cache)
