"""A border of its own on each side: the same as padding first and computing without a border."""

import numpy as np
import pytest

from ssd_np.engine import NAMES, select
from ssd_np.geometry import output_size
from ssd_np.gradcheck import relative_error
from ssd_np.nn.im2col import col2im, im2col

pytestmark = pytest.mark.lesson05

PADS = [((0, 1), (0, 1)), ((1, 0), (2, 3)), ((0, 0), (0, 0)), ((4, 5), (0, 2)), ((1, 1), (1, 1))]
PAD = pytest.mark.parametrize("pad", PADS, ids=str)
BOTH = pytest.mark.parametrize("ops", [select(name) for name in NAMES], ids=NAMES)


def bordered(x, pad, value=0.0):
    return np.pad(x, ((0, 0), *pad, (0, 0)), constant_values=value)


def cut(dx, pad):
    (top, bottom), (left, right) = pad
    return dx[:, top : dx.shape[1] - bottom, left : dx.shape[2] - right]


@PAD
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("dilation", [1, 2])
def test_im2col_and_col2im(pad, stride, dilation, rng):
    x = rng.standard_normal((2, 6, 7, 3))
    cols = im2col(x, 3, stride, pad, dilation)
    inside = bordered(x, pad)
    assert np.array_equal(cols, im2col(inside, 3, stride, 0, dilation))
    dcols = rng.standard_normal(cols.shape)
    expected = cut(col2im(dcols, inside.shape, 3, stride, 0, dilation), pad)
    np.testing.assert_allclose(col2im(dcols, x.shape, 3, stride, pad, dilation), expected)


def test_output_size():
    assert output_size(300, 3, 2, (0, 1), 1) == 150  # TensorFlow's SAME
    assert output_size(5, 3, 1, (2, 0), 1) == output_size(5, 3, 1, 1, 1) == 5


@BOTH
@PAD
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("dilation", [1, 2])
def test_convolution(ops, pad, stride, dilation, rng):
    x, w = rng.standard_normal((2, 6, 7, 3)), rng.standard_normal((3, 3, 3, 4))
    b = rng.standard_normal(4)
    out, cache = ops.conv2d_forward(x, w, b, stride, pad, dilation)
    expected, bordered_cache = ops.conv2d_forward(bordered(x, pad), w, b, stride, 0, dilation)
    assert relative_error(out, expected) <= 1e-13
    dout = rng.standard_normal(out.shape)
    dx, dw, db = ops.conv2d_backward(dout, cache)
    wide, dw2, db2 = ops.conv2d_backward(dout, bordered_cache)
    for mine, other in zip((dx, dw, db), (cut(wide, pad), dw2, db2), strict=True):
        assert relative_error(mine, other) <= 1e-13


@BOTH
@pytest.mark.parametrize("pad", [((0, 1), (0, 1)), ((1, 0), (1, 1)), ((1, 1), (0, 0))], ids=str)
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("ceil", [False, True])
def test_pooling(ops, pad, stride, ceil, rng):
    x = rng.standard_normal((2, 7, 8, 3))
    out, cache = ops.max_pool2d_forward(x, 3, stride, pad, ceil)
    inside = bordered(x, pad, -1e9)  # never the largest
    expected, bordered_cache = ops.max_pool2d_forward(inside, 3, stride, 0, ceil)
    h, w = out.shape[1:3]  # a last window of border alone is left out
    assert np.array_equal(out, expected[:, :h, :w])
    dout = np.zeros(expected.shape)
    dout[:, :h, :w] = rng.standard_normal(out.shape)
    wide = ops.max_pool2d_backward(dout, bordered_cache)
    dx = ops.max_pool2d_backward(dout[:, :h, :w], cache)
    np.testing.assert_allclose(dx, cut(wide, pad), atol=1e-14)
