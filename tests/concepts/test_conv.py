"""Convolution: tiles, PyTorch, memory that is given, and what is refused."""

import numpy as np
import pytest

from ssd_np.errors import ShapeError
from ssd_np.exercises.graded.test_conv import ENGINES, GEOMETRIES, SOME, draw, output_like, run
from ssd_np.gradcheck import relative_error
from ssd_np.nn import tiled
from ssd_np.nn.conv import conv2d_backward, conv2d_forward

pytestmark = pytest.mark.lesson05


@pytest.mark.parametrize("threads", ["1", "2", "3"])
@pytest.mark.parametrize("tile_bytes", [1, 1500, tiled.TILE_BYTES])
@pytest.mark.parametrize("geometry", SOME, ids=str)
def test_tiles_against_plain(geometry, tile_bytes, threads, rng, monkeypatch):
    """One pixel a tile, tiles that begin in one image and end in the next, and one a thread.

    1500 bytes are 4 rows of 3 x 3 x 5 float64 values; the 63 pixels of an image are no multiple.
    """
    monkeypatch.setenv("SSD_NP_THREADS", threads)
    monkeypatch.setattr(tiled, "TILE_BYTES", tile_bytes)
    monkeypatch.setattr(tiled, "LEAST_WORK", 0)
    kernel, *rest = geometry
    x, w, b = draw(rng, kernel, (3, 7, 9, 5), 4)
    dout = output_like(rng, x, w, b, rest)
    plain, fast = (run(x, w, b, rest, algorithm, dout) for algorithm in ("plain", "im2col"))
    for name, a, c in zip(("out", "dx", "dw", "db"), fast, plain, strict=True):
        assert a.shape == c.shape, name
        assert relative_error(a, c) <= 1e-13, name


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
    out, dx, dw, db = run(x, w, b, rest, "im2col", dout)
    assert relative_error(out, expected.detach().permute(0, 2, 3, 1).numpy()) <= 1e-12
    assert relative_error(dx, x_torch.grad.permute(0, 2, 3, 1).numpy()) <= 1e-12
    assert relative_error(dw, w_torch.grad.permute(2, 3, 1, 0).numpy()) <= 1e-12
    assert relative_error(db, b_torch.grad.numpy()) <= 1e-12


@ENGINES
def test_unwanted_gradients_are_not_computed(algorithm, rng):
    x, w, b = draw(rng, 3)
    out, cache = conv2d_forward(x, w, b, 1, 1, 1, algorithm)
    dx, dw, db = conv2d_backward(out, cache)
    none, dw2, db2 = conv2d_backward(out, cache, input_gradient=False)
    assert none is None and np.array_equal(dw, dw2) and np.array_equal(db, db2)
    dx2, *rest = conv2d_backward(out, cache, kernel_gradient=False)
    assert rest == [None, None] and np.array_equal(dx, dx2)


@pytest.mark.parametrize("geometry", [(3, 1, 1, 1), (3, 2, 1, 1)], ids=str)
@ENGINES
def test_results_go_to_the_memory_given(geometry, algorithm, rng):
    kernel, *rest = geometry
    x, w, b = draw(rng, kernel)
    fresh, cache = conv2d_forward(x, w, b, *rest, algorithm)
    memory, dx_memory = np.full_like(fresh, np.nan), np.full_like(x, np.nan)
    out, _ = conv2d_forward(x, w, b, *rest, algorithm, out=memory)
    assert out is memory and np.array_equal(memory, fresh)
    dx, _, _ = conv2d_backward(fresh, cache, dx=dx_memory)
    assert dx is dx_memory and np.array_equal(dx, conv2d_backward(fresh, cache)[0])


@ENGINES
def test_memory_that_does_not_fit_is_refused(algorithm, rng):
    x, w, b = draw(rng, 3)
    out, cache = conv2d_forward(x, w, b, 1, 1, 1, algorithm)
    every_second = np.empty((*out.shape[:3], 6))[..., ::2]
    for memory in (every_second, np.empty((2, 5, 7, 4)), np.empty(out.shape, np.float32)):
        with pytest.raises(ShapeError, match="C-contiguous"):
            conv2d_forward(x, w, b, 1, 1, 1, algorithm, out=memory)
    with pytest.raises(ShapeError, match="C-contiguous"):
        conv2d_backward(out, cache, dx=np.empty((2, 7, 5, 2)))


@ENGINES
def test_views_give_the_same_as_copies(algorithm, rng):
    x, w, b = draw(rng, 3)
    x, w = x.transpose(0, 2, 1, 3), w.transpose(1, 0, 2, 3)
    dout = rng.standard_normal((2, 3, 7, 5)).transpose(0, 2, 3, 1)
    seen = run(x, w, b, (1, 1, 1), algorithm, dout)
    copied = run(x.copy(), w.copy(), b, (1, 1, 1), algorithm, dout.copy())
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


def test_an_unknown_algorithm_is_named():
    with pytest.raises(ShapeError, match=r"unknown algorithm 'fft' \(known: im2col, plain"):
        conv2d_forward(np.zeros((1, 4, 4, 2)), np.zeros((3, 3, 2, 1)), np.zeros(1), algorithm="fft")


@ENGINES
def test_a_gradient_that_does_not_fit_the_output_is_refused(algorithm):
    _, cache = conv2d_forward(
        np.zeros((1, 4, 6, 2)), np.zeros((3, 3, 2, 1)), np.zeros(1), 1, 1, algorithm=algorithm
    )
    for shape in ((1, 6, 4, 1), (2, 4, 6, 1), (1, 1, 4, 6)):
        with pytest.raises(ShapeError, match=r"the output was \(1, 4, 6, 1\)"):
            conv2d_backward(np.zeros(shape), cache)
    with pytest.raises(ShapeError, match="float32, the output was"):
        conv2d_backward(np.zeros((1, 4, 6, 1), np.float32), cache)
