"""Depthwise convolution: by hand, loops, numeric gradients, PyTorch, refusals; both engines."""

import numpy as np
import pytest

from ssd_np.engine import NAMES, select
from ssd_np.errors import ShapeError
from ssd_np.gradcheck import numeric_gradient, relative_error
from ssd_np.nn.depthwise import depthwise_backward, depthwise_forward

pytestmark = pytest.mark.lesson06

# kernel, stride, pad, dilation
GEOMETRIES = [
    (3, 1, 1, 1),
    (3, 2, 1, 1),
    (3, 1, 2, 2),
    (3, 2, 6, 3),
    (1, 1, 0, 1),
    (2, 3, 1, 1),
    (5, 1, 2, 1),
    (3, 2, ((0, 1), (0, 1)), 1),  # TensorFlow's SAME of an even side
    (3, 1, ((2, 0), (1, 3)), 1),
]
GEOMETRY = pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
BOTH = pytest.mark.parametrize("ops", [select(name) for name in NAMES], ids=NAMES)


def draw(rng, kernel, shape=(2, 7, 8, 3), dtype=np.float64):
    x, w = rng.standard_normal(shape), rng.standard_normal((kernel, kernel, shape[3]))
    return [a.astype(dtype) for a in (x, w, rng.standard_normal(shape[3]))]


def sides(pad):
    return ((pad, pad), (pad, pad)) if isinstance(pad, int) else pad


def test_by_hand():
    """Two channels, each with its own 2 x 2 kernel; neither sees the other."""
    x = np.stack([np.arange(9.0).reshape(3, 3), np.ones((3, 3))], axis=-1)[None]
    w = np.stack([np.array([[1.0, 2], [3, 4]]), np.full((2, 2), 5.0)], axis=-1)
    out, cache = depthwise_forward(x, w, np.array([10.0, 0]))
    assert out[0, :, :, 0].tolist() == [[37, 47], [67, 77]]  # as the convolution of lesson 05
    assert out[0, :, :, 1].tolist() == [[20, 20], [20, 20]]
    dout = np.zeros((1, 2, 2, 2))
    dout[0, 0, 0, 0], dout[0, 1, 1, 1] = 1, 10
    dx, dw, db = depthwise_backward(dout, cache)
    assert dx[0, :, :, 0].tolist() == [[1, 2, 0], [3, 4, 0], [0, 0, 0]]
    assert dx[0, :, :, 1].tolist() == [[0, 0, 0], [0, 50, 50], [0, 50, 50]]
    assert dw[..., 0].tolist() == [[0, 1], [3, 4]] and dw[..., 1].tolist() == [[10, 10], [10, 10]]
    assert db.tolist() == [1, 10]


@BOTH
@GEOMETRY
def test_against_loops(ops, geometry, rng):
    kernel, stride, pad, dilation = geometry
    x, w, b = draw(rng, kernel)
    (top, _), (left, _) = sides(pad)
    out, _ = ops.depthwise_forward(x, w, b, stride, pad, dilation)
    for n, y, z, c in np.ndindex(out.shape):
        total = b[c]
        for i, j in np.ndindex(kernel, kernel):
            row, column = stride * y + dilation * i - top, stride * z + dilation * j - left
            if 0 <= row < x.shape[1] and 0 <= column < x.shape[2]:
                total += w[i, j, c] * x[n, row, column, c]
        assert out[n, y, z, c] == pytest.approx(total, abs=1e-12)


@BOTH
@GEOMETRY
def test_gradients(ops, geometry, rng):
    kernel, *rest = geometry
    x, w, b = draw(rng, kernel, (1, 6, 7, 2))
    out, cache = ops.depthwise_forward(x, w, b, *rest)
    dout = rng.standard_normal(out.shape)
    grads = ops.depthwise_backward(dout, cache)
    for i, name in enumerate("xwb"):

        def forward(value, i=i):
            inputs = [x, w, b]
            inputs[i] = value
            return depthwise_forward(*inputs, *rest)[0]

        numeric = numeric_gradient(forward, (x, w, b)[i], dout)
        assert relative_error(numeric, grads[i]) <= 1e-6, name


@BOTH
@GEOMETRY
def test_torch_agrees(ops, geometry, rng):
    torch = pytest.importorskip("torch")
    kernel, stride, pad, dilation = geometry
    (top, bottom), (left, right) = sides(pad)
    x, w, b = draw(rng, kernel, (2, 7, 8, 5))
    x_torch = torch.tensor(x.transpose(0, 3, 1, 2), requires_grad=True)
    w_torch = torch.tensor(w.transpose(2, 0, 1)[:, None], requires_grad=True)  # (C, 1, kh, kw)
    b_torch = torch.tensor(b, requires_grad=True)
    padded = torch.nn.functional.pad(x_torch, (left, right, top, bottom))
    expected = torch.nn.functional.conv2d(padded, w_torch, b_torch, stride, 0, dilation, groups=5)
    dout = rng.standard_normal(expected.permute(0, 2, 3, 1).shape)
    expected.backward(torch.tensor(dout.transpose(0, 3, 1, 2)))
    out, cache = ops.depthwise_forward(x, w, b, stride, pad, dilation)
    dx, dw, db = ops.depthwise_backward(dout, cache)
    assert relative_error(out, expected.detach().permute(0, 2, 3, 1).numpy()) <= 1e-12
    assert relative_error(dx, x_torch.grad.permute(0, 2, 3, 1).numpy()) <= 1e-12
    assert relative_error(dw, w_torch.grad[:, 0].permute(1, 2, 0).numpy()) <= 1e-12
    assert relative_error(db, b_torch.grad.numpy()) <= 1e-12


@BOTH
def test_inputs_stay_as_they_are_and_nan_is_not_hidden(ops, rng):
    x, w, b = draw(rng, 3)
    dout = rng.standard_normal(x.shape)
    before = [a.copy() for a in (x, w, b, dout)]
    _, cache = ops.depthwise_block_forward(x, w, b, 1, 1)
    ops.depthwise_block_backward(dout, cache)
    assert all(np.array_equal(a, c) for a, c in zip((x, w, b, dout), before, strict=True))
    x[1, 2, 3, 0] = np.nan
    out, _ = ops.depthwise_block_forward(x, w, b, 1, 1)
    assert np.isnan(out[1, 1:4, 2:5, 0]).all() and np.isnan(out).sum() == 9


@BOTH
def test_a_gradient_that_is_not_wanted_is_left_out(ops, rng):
    x, w, b = draw(rng, 3)
    out, cache = ops.depthwise_block_forward(x, w, b, 1, 1)
    dx, dw, db = ops.depthwise_block_backward(out, cache)
    none, dw2, db2 = ops.depthwise_block_backward(out, cache, input_gradient=False)
    assert none is None and np.array_equal(dw, dw2) and np.array_equal(db, db2)
    dx2, *rest = ops.depthwise_block_backward(out, cache, kernel_gradient=False)
    assert rest == [None, None] and np.array_equal(dx, dx2)


@pytest.mark.parametrize("threads", ["1", "2", "3"])
def test_threads_change_no_result(threads, rng, monkeypatch):
    from ssd_np.engine import depthwise, kernel_gradient

    monkeypatch.setenv("SSD_NP_THREADS", threads)
    monkeypatch.setattr(kernel_gradient, "LEAST_PRODUCTS", 0)
    x, w, b = draw(rng, 3, (3, 9, 11, 6))
    for stride in (1, 2):
        expected, cache = depthwise_forward(x, w, b, stride, 1)
        out, fast_cache = depthwise.depthwise_forward(x, w, b, stride, 1)
        dout = rng.standard_normal(out.shape)
        plain = depthwise_backward(dout, cache)
        fast = depthwise.depthwise_backward(dout, fast_cache)
        for mine, theirs in zip((out, *fast), (expected, *plain), strict=True):
            assert relative_error(mine, theirs) <= 1e-13


@BOTH
def test_what_does_not_fit_is_named(ops):
    x, w, b = np.zeros((1, 4, 5, 3)), np.zeros((3, 3, 3)), np.zeros(3)
    wrong = [
        (x[0], w, b, r"expected \(N, H, W, C\)"),
        (x, w[..., :2], b, r"w is \(kh, kw, C\), b \(C,\)"),
        (x, w, b[:2], r"w is \(kh, kw, C\), b \(C,\)"),
        (x, w.astype(np.float32), b, "types must be equal"),
        (x[:, :2], w, b, "does not fit 2 pixels"),
    ]
    for *arguments, words in wrong:
        with pytest.raises(ShapeError, match=words):
            ops.depthwise_forward(*arguments)
    _, cache = ops.depthwise_forward(x, w, b, 1, 1)
    with pytest.raises(ShapeError, match=r"the output had \(1, 4, 5, 3\)"):
        ops.depthwise_backward(np.zeros((1, 5, 4, 3)), cache)
