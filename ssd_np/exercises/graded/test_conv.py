"""Convolution: by hand, against six loops, numeric gradients, float32."""

import itertools

import numpy as np
import pytest

from ssd_np.gradcheck import numeric_gradient, relative_error
from ssd_np.nn.conv import conv2d_backward, conv2d_forward

pytestmark = [pytest.mark.graded, pytest.mark.lesson05]

# kernel, stride, pad, dilation
GEOMETRIES = [
    g
    for g in itertools.product((1, 2, 3), (1, 2), (0, 1, 2, 6), (1, 2, 6))
    if 5 + 2 * g[2] >= g[3] * (g[0] - 1) + 1
]
SOME = [(3, 1, 1, 1), (3, 2, 1, 1), (3, 1, 6, 6), (1, 1, 0, 1), (1, 1, 1, 1), (2, 2, 0, 1)]


def draw(rng, kernel, shape=(2, 5, 7, 2), c_out=3, dtype=np.float64):
    kh, kw = (kernel, kernel) if isinstance(kernel, int) else kernel
    x = rng.standard_normal(shape)
    w = rng.standard_normal((kh, kw, shape[3], c_out))
    return [a.astype(dtype) for a in (x, w, rng.standard_normal(c_out))]


def run(x, w, b, geometry, dout):
    out, cache = conv2d_forward(x, w, b, *geometry)
    return out, *conv2d_backward(dout, cache)


def output_like(rng, x, w, b, geometry):
    out, _ = conv2d_forward(x, w, b, *geometry)
    return rng.standard_normal(out.shape).astype(out.dtype)


def test_by_hand():
    x = np.arange(9.0).reshape(1, 3, 3, 1)
    w = np.array([[1.0, 2], [3, 4]]).reshape(2, 2, 1, 1)  # neither symmetric nor flipped
    out, _ = conv2d_forward(x, w, np.array([10.0]))
    # 0*1 + 1*2 + 3*3 + 4*4 + 10 = 37
    assert out[0, :, :, 0].tolist() == [[37, 47], [67, 77]]


def test_against_six_loops(rng):
    x, w, b = draw(rng, 3)
    stride, pad, dilation = 2, 2, 2
    out, _ = conv2d_forward(x, w, b, stride, pad, dilation)
    for n, y, z, o in np.ndindex(out.shape):
        total = b[o]
        for i, j, c in np.ndindex(w.shape[:3]):
            row, column = stride * y + dilation * i - pad, stride * z + dilation * j - pad
            if 0 <= row < x.shape[1] and 0 <= column < x.shape[2]:
                total += w[i, j, c, o] * x[n, row, column, c]
        assert out[n, y, z, o] == pytest.approx(total, abs=1e-12)


def test_gradients_by_hand():
    x = np.arange(9.0).reshape(1, 3, 3, 1)
    w = np.array([[1.0, 2], [3, 4]]).reshape(2, 2, 1, 1)
    _, cache = conv2d_forward(x, w, np.zeros(1))
    dout = np.array([[1.0, 0], [0, 10]]).reshape(1, 2, 2, 1)  # the first window and the last
    dx, dw, db = conv2d_backward(dout, cache)
    assert dx[0, :, :, 0].tolist() == [[1, 2, 0], [3, 4 + 10, 20], [0, 30, 40]]
    assert dw[:, :, 0, 0].tolist() == [[0 + 40, 1 + 50], [3 + 70, 4 + 80]]
    assert db.tolist() == [11]


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
def test_gradients(geometry, rng):
    kernel, *rest = geometry
    x, w, b = draw(rng, kernel, (1, 5, 6, 2), 2)
    dout = output_like(rng, x, w, b, rest)
    _, dx, dw, db = run(x, w, b, rest, dout)

    def forward(x, w, b):
        return conv2d_forward(x, w, b, *rest)[0]

    assert relative_error(numeric_gradient(lambda v: forward(v, w, b), x, dout), dx) <= 1e-6
    assert relative_error(numeric_gradient(lambda v: forward(x, v, b), w, dout), dw) <= 1e-6
    assert relative_error(numeric_gradient(lambda v: forward(x, w, v), b, dout), db) <= 1e-6


@pytest.mark.parametrize("kernel", [(1, 3), (3, 2)])
def test_gradients_of_kernels_that_are_not_square(kernel, rng):
    x, w, b = draw(rng, kernel)
    dout = output_like(rng, x, w, b, (1, 1, 1))
    out, dx, dw, _ = run(x, w, b, (1, 1, 1), dout)
    assert out.shape == (2, 5 + 2 - kernel[0] + 1, 7 + 2 - kernel[1] + 1, 3)

    def forward(x, w):
        return conv2d_forward(x, w, b, 1, 1, 1)[0]

    assert relative_error(numeric_gradient(lambda v: forward(v, w), x, dout), dx) <= 1e-6
    assert relative_error(numeric_gradient(lambda v: forward(x, v), w, dout), dw) <= 1e-6


@pytest.mark.parametrize("geometry", SOME, ids=str)
def test_float32(geometry, rng):
    kernel, *rest = geometry
    x, w, b = draw(rng, kernel, (2, 9, 9, 8), 6)
    dout = output_like(rng, x, w, b, rest)
    exact = run(x, w, b, rest, dout)
    rough = run(*(a.astype(np.float32) for a in (x, w, b)), rest, np.float32(dout))
    for a, c in zip(rough, exact, strict=True):
        assert a.dtype == np.float32 and c.dtype == np.float64
        assert relative_error(a, c) <= 5e-6


def test_nan_is_not_hidden(rng):
    x, w, b = draw(rng, 3)
    x[1, 2, 3, 0] = np.nan
    out, _ = conv2d_forward(x, w, b, 1, 1, 1)
    assert np.isnan(out[1, 1:4, 2:5]).all()
    assert not np.isnan(out[0]).any()


def test_inputs_stay_as_they_are(rng):
    x, w, b = draw(rng, 3)
    dout = rng.standard_normal((2, 5, 7, 3))
    arrays = (x, w, b, dout)
    before = [a.copy() for a in arrays]
    out, cache = conv2d_forward(x, w, b, 1, 1, 1)
    kept = out.copy()
    conv2d_backward(dout, cache)
    assert all(np.array_equal(a, c) for a, c in zip(arrays, before, strict=True))
    assert np.array_equal(out, kept)
