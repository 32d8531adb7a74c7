"""The fast convolution: by hand, tiles, threads, PyTorch, memory, and gradients left out."""

import numpy as np
import pytest

from ssd_np.engine import conv, kernel_gradient, select
from ssd_np.engine.memory import Place
from ssd_np.engine.table import CONVOLUTIONS, Engine
from ssd_np.errors import ConfigError, ShapeError
from ssd_np.exercises.graded.test_conv import GEOMETRIES, SOME, draw, output_like
from ssd_np.gradcheck import numeric_gradient, relative_error

pytestmark = pytest.mark.lesson16

PLAIN = select("plain")
EACH = pytest.mark.parametrize("convolution", CONVOLUTIONS)


def engine(convolution="im2col"):
    return select("fast").for_model(convolution)


def run(ops, x, w, b, geometry, dout):
    out, cache = ops.conv2d_forward(x, w, b, *geometry)
    return out, *ops.conv2d_backward(dout, cache)


@EACH
def test_by_hand(convolution):
    x = np.arange(9.0).reshape(1, 3, 3, 1)
    w = np.array([[1.0, 2], [3, 4]]).reshape(2, 2, 1, 1)  # neither symmetric nor flipped
    dout = np.array([[1.0, 0], [0, 10]]).reshape(1, 2, 2, 1)
    out, dx, dw, db = run(engine(convolution), x, w, np.array([10.0]), (), dout)
    assert out[0, :, :, 0].tolist() == [[37, 47], [67, 77]]
    assert dx[0, :, :, 0].tolist() == [[1, 2, 0], [3, 4 + 10, 20], [0, 30, 40]]
    assert dw[:, :, 0, 0].tolist() == [[0 + 40, 1 + 50], [3 + 70, 4 + 80]]
    assert db.tolist() == [11]


@pytest.mark.parametrize("threads", ["1", "2", "3"])
@pytest.mark.parametrize("tile_bytes", [1, 1500, conv.TILE_BYTES])
@pytest.mark.parametrize("largest", [0, conv.LARGEST_KERNEL])
@pytest.mark.parametrize("c_out", [4, 20])
@pytest.mark.parametrize("geometry", SOME, ids=str)
def test_tiles_against_plain(geometry, c_out, largest, tile_bytes, threads, rng, monkeypatch):
    """One pixel a tile, tiles that begin in one image and end in the next, and one a thread; the
    kernel's gradient as a matrix product and straight from the image.

    1500 bytes are 4 rows of 3 x 3 x 5 float64 values; the 63 pixels of an image are no multiple.
    20 channels are one to five vectors.
    """
    monkeypatch.setattr(conv, "LARGEST_KERNEL", largest)
    monkeypatch.setattr(kernel_gradient, "LEAST_PRODUCTS", 0)
    monkeypatch.setattr(kernel_gradient, "NEAR", 20)
    monkeypatch.setenv("SSD_NP_THREADS", threads)
    monkeypatch.setattr(conv, "TILE_BYTES", tile_bytes)
    monkeypatch.setattr(conv, "LEAST_WORK", 0)
    kernel, *rest = geometry
    x, w, b = draw(rng, kernel, (3, 7, 9, 5), c_out)
    dout = output_like(rng, x, w, b, rest)
    plain, fast = (run(ops, x, w, b, rest, dout) for ops in (PLAIN, engine()))
    for name, a, c in zip(("out", "dx", "dw", "db"), fast, plain, strict=True):
        assert a.shape == c.shape, name
        assert relative_error(a, c) <= 1e-13, name


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
def test_gradients(geometry, rng):
    kernel, *rest = geometry
    x, w, b = draw(rng, kernel, (1, 5, 6, 2), 2)
    dout = output_like(rng, x, w, b, rest)
    _, dx, dw, db = run(engine(), x, w, b, rest, dout)

    def forward(x, w, b):
        return PLAIN.conv2d_forward(x, w, b, *rest)[0]

    assert relative_error(numeric_gradient(lambda v: forward(v, w, b), x, dout), dx) <= 1e-6
    assert relative_error(numeric_gradient(lambda v: forward(x, v, b), w, dout), dw) <= 1e-6
    assert relative_error(numeric_gradient(lambda v: forward(x, w, v), b, dout), db) <= 1e-6


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
    out, dx, dw, db = run(engine(), x, w, b, rest, dout)
    assert relative_error(out, expected.detach().permute(0, 2, 3, 1).numpy()) <= 1e-12
    assert relative_error(dx, x_torch.grad.permute(0, 2, 3, 1).numpy()) <= 1e-12
    assert relative_error(dw, w_torch.grad.permute(2, 3, 1, 0).numpy()) <= 1e-12
    assert relative_error(db, b_torch.grad.numpy()) <= 1e-12


@pytest.mark.parametrize("geometry", SOME, ids=str)
@EACH
def test_float32(geometry, convolution, rng):
    kernel, *rest = geometry
    x, w, b = draw(rng, kernel, (2, 9, 9, 8), 6)
    dout = output_like(rng, x, w, b, rest)
    exact = run(PLAIN, x, w, b, rest, dout)
    single = (a.astype(np.float32) for a in (x, w, b))
    rough = run(engine(convolution), *single, rest, np.float32(dout))
    for a, c in zip(rough, exact, strict=True):
        assert a.dtype == np.float32 and c.dtype == np.float64
        assert relative_error(a, c) <= 5e-6


@pytest.mark.parametrize("activation", ["relu", "relu6"])
@pytest.mark.parametrize("geometry", [(3, 1, 1, 1), (1, 1, 0, 1)], ids=str)
@EACH
def test_a_fused_activation_is_the_activation_after(geometry, convolution, activation, rng):
    kernel, *rest = geometry
    ops = engine(convolution)
    x, w, b = draw(rng, kernel)
    before, cache = ops.conv2d_forward(9 * x, w, b, *rest)
    separate, activation_cache = PLAIN.activation_forward(before, activation)
    fused, fused_cache = ops.conv_block_forward(9 * x, w, b, *rest, activation)
    assert (separate == 0).any() and (separate > 0).any()
    assert (separate == 6).any() or activation == "relu"
    np.testing.assert_allclose(fused, separate, rtol=0, atol=1e-13)
    dout = rng.standard_normal(fused.shape)
    expected = ops.conv2d_backward(PLAIN.activation_backward(dout, activation_cache), cache)
    for a, c in zip(ops.conv_block_backward(dout, fused_cache), expected, strict=True):
        assert np.array_equal(a, c)


@pytest.mark.parametrize("activation", ["none", "relu", "relu6"])
@EACH
def test_nan_is_not_hidden(convolution, activation, rng):
    x, w, b = draw(rng, 3)
    x[1, 2, 3, 0] = np.nan
    out, _ = engine(convolution).conv_block_forward(x, w, b, 1, 1, 1, activation)
    assert np.isnan(out[1, 1:4, 2:5]).all()
    assert not np.isnan(out[0]).any()


@pytest.mark.parametrize("ops", [PLAIN, *map(engine, CONVOLUTIONS)])
def test_a_gradient_that_is_not_wanted_is_left_out(ops, rng):
    x, w, b = draw(rng, 3)
    out, cache = ops.conv_block_forward(x, w, b, 1, 1)
    dx, dw, db = ops.conv_block_backward(out, cache)
    none, dw2, db2 = ops.conv_block_backward(out, cache, input_gradient=False)
    assert none is None and np.array_equal(dw, dw2) and np.array_equal(db, db2)
    dx2, *rest = ops.conv_block_backward(out, cache, kernel_gradient=False)
    assert rest == [None, None] and np.array_equal(dx, dx2)


@pytest.mark.parametrize("geometry", [(3, 1, 1, 1), (3, 2, 1, 1)], ids=str)
@EACH
def test_a_model_lends_its_memory_again(geometry, convolution, rng):
    kernel, *rest = geometry
    fresh, model = Engine("fast", Place(convolution=convolution)), engine(convolution)
    x, w, b = draw(rng, kernel)
    expected, fresh_cache = fresh.conv2d_forward(x, w, b, *rest)
    out, cache = model.conv2d_forward(x, w, b, *rest)
    assert np.array_equal(out, expected)
    dx, _, _ = model.conv2d_backward(expected, cache)
    assert np.array_equal(dx, fresh.conv2d_backward(expected, fresh_cache)[0])
    kept = out.copy()
    assert not np.shares_memory(out, model.conv2d_forward(2 * x, w, b, *rest)[0])
    assert np.array_equal(out, kept)
    address = out.__array_interface__["data"][0]
    del out, cache
    again, _ = model.conv2d_forward(x, w, b, *rest)
    assert again.__array_interface__["data"][0] == address


@EACH
def test_inputs_stay_as_they_are(convolution, rng):
    ops = engine(convolution)
    x, w, b = draw(rng, 3)
    dout = rng.standard_normal((2, 5, 7, 3))
    arrays = (x, w, b, dout)
    before = [a.copy() for a in arrays]
    out, cache = ops.conv_block_forward(x, w, b, 1, 1)
    kept = out.copy()
    ops.conv_block_backward(dout, cache)
    assert all(np.array_equal(a, c) for a, c in zip(arrays, before, strict=True))
    assert np.array_equal(out, kept)


def test_an_unknown_algorithm_is_named():
    with pytest.raises(ConfigError, match=r"unknown convolution 'fft' \(known: im2col, winograd2"):
        select("plain").for_model("fft")


@EACH
def test_a_gradient_that_does_not_fit_the_output_is_refused(convolution):
    ops = engine(convolution)
    _, cache = ops.conv2d_forward(np.zeros((1, 4, 6, 2)), np.zeros((3, 3, 2, 1)), np.zeros(1), 1, 1)
    for shape in ((1, 6, 4, 1), (2, 4, 6, 1), (1, 1, 4, 6)):
        with pytest.raises(ShapeError, match=r"the output had \(1, 4, 6, 1\)"):
            ops.conv2d_backward(np.zeros(shape), cache)
    with pytest.raises(ShapeError, match="float32, the output was"):
        ops.conv2d_backward(np.zeros((1, 4, 6, 1), np.float32), cache)


@pytest.mark.parametrize("threads", ["1", "2"])
def test_a_layer_with_many_long_lines_is_cut_to_single_ones(threads, monkeypatch):
    """As the second layer of VGG at 300 pixels: what a few lines lay out fits in no cache."""
    monkeypatch.setenv("SSD_NP_THREADS", threads)
    x, w = np.ones((1, 310, 420, 64), np.float32), np.ones((3, 3, 64, 8), np.float32)
    out, _ = engine().conv_block_forward(x, w, np.ones(8, np.float32), 1, 1)
    assert out.shape == (1, 310, 420, 8)
    assert (out[0, 1:-1, 1:-1] == 9 * 64 + 1).all() and (out[0, 0, 0] == 4 * 64 + 1).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("channels", [3, 16, 37])
@pytest.mark.parametrize("wide", [5, 7, 10, 13])
def test_pixels_abreast_give_the_bits_that_each_alone_gives(wide, channels, dtype, rng):
    """Five pixels share their columns, the last five of a line overlap others; a line of four goes
    pixel by pixel."""
    ops, x = select("fast"), rng.standard_normal((2, 6, wide + 2, channels)).astype(dtype)
    w, b = (rng.standard_normal(shape).astype(dtype) for shape in ((3, 3, channels), channels))
    whole, _ = ops.depthwise_block_forward(x, w, b, 1, 0, 1, "relu6")
    assert whole.shape == (2, 4, wide, channels)
    for first in range(wide - 3):
        alone, _ = ops.depthwise_block_forward(x[:, :, first : first + 6], w, b, 1, 0, 1, "relu6")
        assert np.array_equal(whole[:, :, first : first + 4], alone)
