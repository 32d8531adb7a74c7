"""Convolution: PyTorch, views of arrays, padding of each side, and what is refused."""

import numpy as np
import pytest

from ssd_np.errors import ShapeError
from ssd_np.exercises.graded.test_conv import GEOMETRIES, draw, run
from ssd_np.gradcheck import relative_error
from ssd_np.nn.conv import conv2d_backward, conv2d_forward

pytestmark = pytest.mark.lesson05


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
def test_torch_agrees(geometry, rng):
    torch = pytest.importorskip("torch")
    kernel, *rest = geometry
    x, w, b = draw(rng, kernel)
    x_torch = torch.tensor(x.transpose(0, 3, 1, 2), requires_grad=True)  # NCHW
    w_torch = torch.tensor(w.transpose(3, 2, 0, 1), requires_grad=True)  # OIHW
    b_torch = torch.tensor(b, requires_grad=True)
    expected = torch.nn.functional.conv2d(x_torch, w_torch, b_torch, *rest)
    dout = rng.standard_normal(expected.permute(0, 2, 3, 1).shape)
    expected.backward(torch.tensor(dout.transpose(0, 3, 1, 2)))
    out, dx, dw, db = run(x, w, b, rest, dout)
    assert relative_error(out, expected.detach().permute(0, 2, 3, 1).numpy()) <= 1e-12
    assert relative_error(dx, x_torch.grad.permute(0, 2, 3, 1).numpy()) <= 1e-12
    assert relative_error(dw, w_torch.grad.permute(2, 3, 1, 0).numpy()) <= 1e-12
    assert relative_error(db, b_torch.grad.numpy()) <= 1e-12


def test_views_give_the_same_as_copies(rng):
    x, w, b = draw(rng, 3)
    x, w = x.transpose(0, 2, 1, 3), w.transpose(1, 0, 2, 3)
    dout = rng.standard_normal((2, 3, 7, 5)).transpose(0, 2, 3, 1)
    seen = run(x, w, b, (1, 1, 1), dout)
    copied = run(x.copy(), w.copy(), b, (1, 1, 1), dout.copy())
    for a, c in zip(seen, copied, strict=True):
        assert relative_error(a, c) <= 1e-14


@pytest.mark.parametrize(
    ("x", "w", "b", "words"),
    [
        ((2, 3, 8, 8), (3, 3, 3, 4), (4,), r"looks like \(N, C, H, W\); use x.transpose"),
        ((2, 8, 8, 5), (3, 3, 3, 4), (4,), "x has 5 channels, w expects 3"),
        ((8, 8, 3), (3, 3, 3, 4), (4,), r"x is \(N, H, W, C\)"),
        ((0, 8, 8, 3), (3, 3, 3, 4), (4,), "none of them 0"),
        ((2, 8, 8, 3), (3, 3, 3), (4,), r"w \(kh, kw, C, Co\)"),
        ((2, 8, 8, 3), (3, 3, 3, 4), (3,), "one bias for each output channel"),
        ((2, 2, 2, 3), (3, 3, 3, 4), (4,), "does not fit 2 pixels"),
    ],
)
def test_wrong_shapes_are_named(x, w, b, words):
    with pytest.raises(ShapeError, match=words):
        conv2d_forward(np.zeros(x), np.zeros(w), np.zeros(b))


def test_wrong_types_are_named():
    x, w, b = np.zeros((1, 4, 4, 2)), np.zeros((3, 3, 2, 1)), np.zeros(1)
    for wrong in ((x.astype(np.float32), w, b), (x, w, b.astype(np.float32))):
        with pytest.raises(ShapeError, match=r"types must be equal.*float32"):
            conv2d_forward(*wrong)
    with pytest.raises(ShapeError, match=r"uint8.*use x.astype"):
        conv2d_forward(*(a.astype(np.uint8) for a in (x, w, b)))


def test_a_gradient_that_does_not_fit_the_output_is_refused():
    _, cache = conv2d_forward(np.zeros((1, 4, 6, 2)), np.zeros((3, 3, 2, 1)), np.zeros(1), 1, 1)
    for shape in ((1, 6, 4, 1), (2, 4, 6, 1), (1, 1, 4, 6)):
        with pytest.raises(ShapeError, match=r"the output had \(1, 4, 6, 1\)"):
            conv2d_backward(np.zeros(shape), cache)
    with pytest.raises(ShapeError, match="float32, the output was"):
        conv2d_backward(np.zeros((1, 4, 6, 1), np.float32), cache)
