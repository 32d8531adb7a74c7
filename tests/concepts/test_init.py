"""Initial weights: bounds and spreads by formula, the published numbers, PyTorch's Glorot."""

import numpy as np
import pytest

from ssd_np.nn.init import Zeros, caffe_xavier, glorot_uniform, he_normal, small_normal

HEAD = (3, 3, 512, 16)  # the location head of conv4_3: 512 -> 4 boxes x 4 offsets


@pytest.mark.parametrize(("start", "bound"), [(caffe_xavier, 0.02552), (glorot_uniform, 0.03553)])
def test_bounds_of_a_published_head(start, bound, rng):
    w = start(rng, HEAD)
    assert np.abs(w).max() <= bound + 5e-6
    assert np.abs(w).max() == pytest.approx(bound, rel=1e-3)  # of 73,728 draws one comes near
    assert w.std() == pytest.approx(bound / np.sqrt(3), rel=0.02)
    assert abs(w.mean()) < 0.02 * bound


def test_he_spread_depends_on_fan_in_alone(rng):
    for shape in ((3, 3, 64, 128), (3, 3, 64, 16), (1, 1, 576, 128)):  # fan_in 576, all of them
        w = he_normal(rng, shape)
        assert w.std() == pytest.approx(np.sqrt(2 / 576), rel=0.02)
        assert np.abs(w).max() > 3 * w.std()  # a bell, not a box


def test_he_keeps_the_spread_through_relu(rng):
    x = rng.standard_normal((200, 400))
    for _ in range(5):
        x = np.maximum(x @ he_normal(rng, (1, 1, 400, 400), np.float64)[0, 0], 0)
    assert 0.6 < np.sqrt((x**2).mean()) < 1.6  # after five layers still about 1


def test_torch_agrees_on_glorots_bound(rng):
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    w = torch.nn.init.xavier_uniform_(torch.empty(16, 512, 3, 3))
    assert np.abs(glorot_uniform(rng, HEAD)).max() == pytest.approx(w.abs().max().item(), rel=1e-3)


@pytest.mark.parametrize("start", [he_normal, glorot_uniform, caffe_xavier])
def test_type_shape_and_generator(start):
    a, b = (start(np.random.default_rng(5), (3, 3, 4, 6)) for _ in range(2))
    assert a.shape == (3, 3, 4, 6) and a.dtype == np.float32
    assert np.array_equal(a, b)
    assert not np.array_equal(a, start(np.random.default_rng(6), (3, 3, 4, 6)))
    wide = start(np.random.default_rng(5), (3, 3, 4, 6), np.float64)
    assert wide.dtype == np.float64 and np.array_equal(wide.astype(np.float32), a)


@pytest.mark.parametrize("start", [he_normal, glorot_uniform, caffe_xavier, small_normal])
def test_zeros_where_a_file_replaces_what_is_drawn(start):
    weight = start(Zeros(), (3, 3, 2, 4))
    assert weight.shape == (3, 3, 2, 4) and weight.dtype == np.float32 and not weight.any()
