"""Winograd's convolution against its definition, the plain one, numeric gradients and float64."""

import numpy as np
import pytest

from ssd_np.engine import algorithms, filter_gradient, plan, select, winograd
from ssd_np.gradcheck import numeric_gradient, relative_error

pytestmark = pytest.mark.lesson16

SIZES = [2, 4]
ALGORITHMS = ["winograd2", "winograd4"]
PLAIN, IM2COL = select("plain"), select("fast")
TABLE = dict(algorithms.TABLE)
# (images, height, width), channels in and out, pad: ragged tiles, one tile, more channels than
# lanes, several tiles a group of lanes, no and much padding
SHAPES = [
    ((2, 8, 8), 8, 8, 1),
    ((1, 7, 9), 16, 24, 1),
    ((3, 5, 6), 9, 11, 0),
    ((1, 3, 3), 8, 8, 0),
    ((1, 1, 1), 8, 9, 1),
    ((2, 6, 5), 70, 130, 2),
    ((1, 4, 4), 8, 8, 3),
]


@pytest.fixture(autouse=True)
def small_images_too(monkeypatch):
    monkeypatch.setattr(algorithms, "LEAST_PIXELS", 0)
    monkeypatch.setattr(algorithms, "LEAST_WORK", 0)
    monkeypatch.setattr(algorithms, "TABLE", {f"winograd{size}": (size, 1, 1) for size in SIZES})
    plan.plan.cache_clear()
    yield
    plan.plan.cache_clear()


def draw(rng, shape, c, c_out, dtype=np.float64):
    x = rng.standard_normal((*shape, c)).astype(dtype)
    w = rng.standard_normal((3, 3, c, c_out)).astype(dtype)
    return x, w, rng.standard_normal(c_out).astype(dtype)


def winograd_plain(x: np.ndarray, w: np.ndarray, b: np.ndarray, pad: int, size: int) -> np.ndarray:
    """x (N, H, W, C), w (3, 3, C, Co), b (Co,) -> (N, Ho, Wo, Co): the definition, in NumPy."""
    bt, g, at = winograd.MATRICES[size]
    n, h, width, _ = x.shape
    ho, wo = h + 2 * pad - 2, width + 2 * pad - 2
    rows, columns = -(-ho // size), -(-wo // size)
    beyond = (pad + rows * size - ho, pad + columns * size - wo)  # the last tiles may stick out
    padded = np.pad(x, ((0, 0), (pad, beyond[0]), (pad, beyond[1]), (0, 0)))
    u = np.einsum("ip,pqco,jq->ijco", g, w, g)  # (a, a, C, Co)
    out = np.empty((n, rows * size, columns * size, w.shape[3]), x.dtype)
    for top in range(0, rows * size, size):
        for left in range(0, columns * size, size):
            d = padded[:, top : top + size + 2, left : left + size + 2]  # (N, a, a, C)
            v = np.einsum("ip,npqc,jq->nijc", bt, d, bt)
            m = np.einsum("nijc,ijco->nijo", v, u)
            y = np.einsum("ip,npqo,jq->nijo", at, m, at)  # (N, size, size, Co)
            out[:, top : top + size, left : left + size] = y + b
    return out[:, :ho, :wo]


@pytest.mark.parametrize("size", SIZES)
def test_the_matrices_convolve_one_dimension(size, rng):
    """A.T [(G g) * (B.T d)] on its own: y_i = d_i g_0 + d_i+1 g_1 + d_i+2 g_2."""
    bt, g, at = winograd.MATRICES[size]
    d, taps = rng.standard_normal(size + 2), rng.standard_normal(3)
    np.testing.assert_allclose(at @ ((g @ taps) * (bt @ d)), np.correlate(d, taps), atol=1e-12)


def test_f23_by_hand():
    """The docstring's example: four products for y = (1*1 + 2*2 + 3*0, 2*1 + 3*2 + 4*0)."""
    bt, g, at = winograd.MATRICES[2]
    products = (g @ [1.0, 2.0, 0.0]) * (bt @ [1.0, 2.0, 3.0, 4.0])
    assert products.tolist() == [-2.0, 7.5, -0.5, 0.0]
    assert (at @ products).tolist() == [5.0, 8.0]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("case", SHAPES, ids=str)
@pytest.mark.parametrize("threads", ["1", "2", "3"])
def test_forward_and_gradients_are_those_of_the_plain_convolution(
    size, case, threads, rng, monkeypatch
):
    monkeypatch.setenv("SSD_NP_THREADS", threads)
    shape, c, c_out, pad = case
    x, w, b = draw(rng, shape, c, c_out)
    expected, cache = PLAIN.conv2d_forward(x, w, b, 1, pad)
    dout = rng.standard_normal(expected.shape)
    np.testing.assert_allclose(winograd_plain(x, w, b, pad, size), expected, atol=1e-10)
    ops = select("fast").for_model(f"winograd{size}")
    out, fast_cache = ops.conv2d_forward(x, w, b, 1, pad)
    fast, plain = ops.conv2d_backward(dout, fast_cache), PLAIN.conv2d_backward(dout, cache)
    for mine, theirs in zip((out, *fast), (expected, *plain), strict=True):
        assert mine.shape == theirs.shape
        assert relative_error(mine, theirs) <= 1e-11


@pytest.mark.parametrize("way", ["thread", "entry"])
@pytest.mark.parametrize("wide", [1, 100])
@pytest.mark.parametrize("size", SIZES)
def test_both_ways_through_the_work_agree(way, wide, size, rng, monkeypatch):
    """dW by thread, each with its rows of tiles, or by entry; several blocks and chunks of them."""
    monkeypatch.setenv("SSD_NP_THREADS", "2")
    monkeypatch.setattr(filter_gradient, "LARGE", 0 if way == "entry" else 10**9)
    monkeypatch.setattr(filter_gradient, "LEAST_PRODUCTS", 1)
    monkeypatch.setattr(filter_gradient, "TILES", 7)
    monkeypatch.setattr(filter_gradient, "WIDE", wide)
    monkeypatch.setattr(filter_gradient, "CHUNK_BYTES", 200_000)
    x, w, b = draw(rng, (3, 13, 11), 12, 20)
    expected, cache = PLAIN.conv2d_forward(x, w, b, 1, 1)
    dout = rng.standard_normal(expected.shape)
    ops = select("fast").for_model(f"winograd{size}")
    out, fast_cache = ops.conv2d_forward(x, w, b, 1, 1)
    fast, plain = ops.conv2d_backward(dout, fast_cache), PLAIN.conv2d_backward(dout, cache)
    for mine, theirs in zip((out, *fast), (expected, *plain), strict=True):
        assert relative_error(mine, theirs) <= 1e-11


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("activation", ["none", "relu", "relu6"])
def test_gradients_are_the_numeric_ones(algorithm, activation, rng):
    ops = select("fast").for_model(algorithm)
    x, w, b = draw(rng, (2, 5, 6), 8, 9)
    out, cache = ops.conv_block_forward(x, w, b, 1, 1, 1, activation)
    upstream = rng.standard_normal(out.shape)
    grads = ops.conv_block_backward(upstream, cache)
    for i, name in enumerate("xwb"):

        def forward(value, i=i):
            inputs = [x, w, b]
            inputs[i] = value
            return ops.conv_block_forward(*inputs, 1, 1, 1, activation)[0]

        numeric = numeric_gradient(forward, (x, w, b)[i], upstream)
        assert relative_error(grads[i], numeric) <= 1e-6, name


@pytest.mark.parametrize(
    ("algorithm", "limit"), [("im2col", 2e-6), ("winograd2", 2e-6), ("winograd4", 3e-5)]
)
@pytest.mark.parametrize(("side", "channels"), [(64, 64), (38, 256), (19, 512)])
def test_error_of_float32_on_layers_of_vggs_size(algorithm, limit, side, channels, rng):
    """Relative to the largest output, against float64; inputs after ReLU, He's weights."""
    x = np.maximum(rng.standard_normal((1, side, side, channels)), 0)
    w = rng.standard_normal((3, 3, channels, channels)) * np.sqrt(2 / (9 * channels))
    b = np.zeros(channels)
    exact = IM2COL.conv2d_forward(x, w, b, 1, 1)[0]
    single = (a.astype(np.float32) for a in (x, w, b))
    rough = select("fast").for_model(algorithm).conv2d_forward(*single, 1, 1)[0]
    assert rough.dtype == np.float32
    assert np.abs(rough - exact).max() <= limit * np.abs(exact).max()


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize(
    ("kernel", "c", "stride", "dilation"),
    [((3, 3), 8, 2, 1), ((1, 1), 8, 1, 1), ((3, 5), 8, 1, 1), ((3, 3), 3, 1, 1)],
)
def test_other_shapes_fall_back_to_im2col(algorithm, kernel, c, stride, dilation, rng, monkeypatch):
    """Not merely the right result: the very bits of im2col."""
    monkeypatch.setattr(algorithms, "TABLE", TABLE)
    x, w, b = rng.standard_normal((2, 9, 9, c)), rng.standard_normal((*kernel, c, 8)), np.zeros(8)
    runs = []
    for name in (algorithm, "im2col"):
        ops = select("fast").for_model(name)
        out, cache = ops.conv2d_forward(x, w, b, stride, 1, dilation)
        runs.append((out, *ops.conv2d_backward(np.ones_like(out), cache)))
    assert all(np.array_equal(a, b) for a, b in zip(*runs, strict=True))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize(("name", "least"), [("PIXELS", 100), ("WORK", 9 * 100 * 8 * 16)])
def test_small_layers_fall_back_too(name, least, algorithm, rng, monkeypatch):
    """One pixel or product less than the limit gives im2col's bits, the limit itself does not."""
    x, w, b = draw(rng, (1, 10, 10), 8, 16)
    dout = rng.standard_normal((1, 10, 10, 16))

    def run(name):
        ops = select("fast").for_model(name)
        out, cache = ops.conv2d_forward(x, w, b, 1, 1)
        return out, *ops.conv2d_backward(dout, cache)[:2]

    expected = run("im2col")
    monkeypatch.setattr(algorithms, f"LEAST_{name}", least + 1)
    assert all(map(np.array_equal, run(algorithm), expected))
    monkeypatch.setattr(algorithms, f"LEAST_{name}", least)
    assert not any(map(np.array_equal, run(algorithm), expected))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_runs_are_bit_equal(algorithm, rng, monkeypatch):
    monkeypatch.setenv("SSD_NP_THREADS", "2")
    monkeypatch.setattr(filter_gradient, "LEAST_PRODUCTS", 1)
    x, w, b = draw(rng, (2, 20, 20), 8, 16, np.float32)
    ops = select("fast").for_model(algorithm)

    def run():
        out, cache = ops.conv_block_forward(x, w, b, 1, 1)
        return out, *ops.conv_block_backward(out, cache)

    first = run()
    for _ in range(3):
        assert all(np.array_equal(a, b) for a, b in zip(first, run(), strict=True))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_nan_is_not_hidden(algorithm, rng):
    x, w, b = draw(rng, (1, 8, 8), 8, 8)
    x[0, 4, 4, 0] = np.nan
    out, _ = select("fast").for_model(algorithm).conv_block_forward(x, w, b, 1, 1)
    assert np.isnan(out[0, 4, 4]).all()
