"""Max-pooling: by hand, window by window, numeric gradients, ties and NaN."""

import numpy as np
import pytest

from ssd_np.gradcheck import numeric_gradient, relative_error
from ssd_np.nn.pool import max_pool2d_backward, max_pool2d_forward, pool_output_size

pytestmark = [pytest.mark.graded, pytest.mark.lesson06]

# size, stride, pad, ceil_mode
RULES = [
    (2, 2, 0, False),
    (2, 2, 0, True),  # pool3 of SSD300: the last window is partial
    (3, 1, 1, False),  # pool5 of SSD300: windows overlap
    (3, 2, 0, False),
    (3, 2, 0, True),
    (3, 2, 1, True),
    (2, 2, 1, True),
    (2, 3, 0, True),
    (1, 1, 0, False),
]
RULE = pytest.mark.parametrize("rule", RULES, ids=str)


def window_by_window(x, size, stride, pad, ceil_mode):
    n, h, w, c = x.shape
    ho, wo = (pool_output_size(s, size, stride, pad, ceil_mode) for s in (h, w))
    out = np.empty((n, ho, wo, c), x.dtype)
    for i, j in np.ndindex(ho, wo):
        top, left = i * stride - pad, j * stride - pad
        window = x[:, max(top, 0) : top + size, max(left, 0) : left + size]
        out[:, i, j] = window.max(axis=(1, 2))
    return out


def without_near_ties(rng, shape):
    """Values at least 1/100 apart, so that a small step changes no maximum."""
    return rng.permutation(np.prod(shape)).reshape(shape) / 100.0


def test_by_hand():
    x = np.array([[1.0, 5, 2], [4, 3, 0], [7, 6, 9]]).reshape(1, 3, 3, 1)
    assert max_pool2d_forward(x, 2, 2)[0].ravel().tolist() == [5]
    assert max_pool2d_forward(x, 2, 2, ceil_mode=True)[0].ravel().tolist() == [5, 2, 7, 9]
    assert max_pool2d_forward(x, 3, 1, 1)[0].ravel().tolist() == [5, 5, 5, 7, 9, 9, 7, 9, 9]


def test_padding_never_wins():
    x = np.full((1, 2, 2, 1), -5.0)
    assert (max_pool2d_forward(x, 3, 1, 1)[0] == -5).all()
    lowest = np.full((1, 2, 2, 1), -np.inf)
    assert (max_pool2d_forward(lowest, 3, 1, 1)[0] == -np.inf).all()


def test_overlapping_windows_add_their_gradients():
    x = np.array([[1.0, 2, 1]]).reshape(1, 1, 3, 1)
    _, cache = max_pool2d_forward(x, 3, 1, 1)
    dout = np.array([10.0, 20, 40]).reshape(1, 1, 3, 1)
    assert max_pool2d_backward(dout, cache).ravel().tolist() == [0, 70, 0]


def test_of_equal_values_the_first_gets_the_whole_gradient():
    _, cache = max_pool2d_forward(np.zeros((1, 4, 4, 1)), 2, 2)
    dout = np.array([1.0, 2, 3, 4]).reshape(1, 2, 2, 1)
    assert max_pool2d_backward(dout, cache)[0, :, :, 0].tolist() == [
        [1, 0, 2, 0],
        [0, 0, 0, 0],
        [3, 0, 4, 0],
        [0, 0, 0, 0],
    ]


@RULE
@pytest.mark.parametrize("shape", [(2, 5, 6, 3), (1, 7, 5, 2)])
def test_gradient(rule, shape, rng):
    x = without_near_ties(rng, shape)
    out, cache = max_pool2d_forward(x, *rule)
    dout = rng.standard_normal(out.shape)
    numeric = numeric_gradient(lambda v: window_by_window(v, *rule), x, dout)
    assert relative_error(numeric, max_pool2d_backward(dout, cache)) <= 1e-6


@RULE
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_window_by_window(rule, dtype, rng):
    x = rng.standard_normal((3, 9, 8, 5)).astype(dtype)
    out, cache = max_pool2d_forward(x, *rule)
    assert out.dtype == dtype
    assert np.array_equal(out, window_by_window(x, *rule))
    dx = max_pool2d_backward(np.ones_like(out), cache)
    assert dx.dtype == dtype and dx.sum() == out.size  # each output's gradient arrives, once
    assert not dx[~np.isin(x, out)].any()


def test_sizes_of_ssd300():
    assert pool_output_size(75, 2, 2, 0, ceil_mode=True) == 38
    assert pool_output_size(75, 2, 2, 0, ceil_mode=False) == 37
    assert pool_output_size(19, 3, 1, 1, ceil_mode=False) == 19


def test_nan_is_not_hidden(rng):
    for place in np.ndindex(2, 2):  # wherever in the window it stands
        x = rng.standard_normal((1, 4, 4, 2))
        x[0, place[0], place[1], 1] = np.nan
        out, _ = max_pool2d_forward(x, 2, 2)
        assert np.isnan(out).ravel().tolist() == [False, True] + [False] * 6
        assert np.array_equal(out, window_by_window(x, 2, 2, 0, False), equal_nan=True)


def test_inputs_stay_as_they_are(rng):
    x, dout = rng.standard_normal((2, 4, 4, 3)), rng.standard_normal((2, 2, 2, 3))
    before = x.copy(), dout.copy()
    _, cache = max_pool2d_forward(x, 2, 2)
    max_pool2d_backward(dout, cache)
    assert np.array_equal(x, before[0]) and np.array_equal(dout, before[1])
