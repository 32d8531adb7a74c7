"""The fast max-pooling, on threads, NaN and memory."""

import numpy as np
import pytest

from ssd_np.engine import pool, select
from ssd_np.exercises.graded.test_pool import RULE, window_by_window

pytestmark = pytest.mark.lesson16


@RULE
@pytest.mark.parametrize("threads", ["1", "2", "3"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_window_by_window_on_threads(rule, threads, dtype, rng, monkeypatch):
    monkeypatch.setenv("SSD_NP_THREADS", threads)
    monkeypatch.setattr(pool, "LEAST_VALUES", 0)
    x = rng.standard_normal((3, 9, 8, 5)).astype(dtype)
    out, cache = pool.max_pool2d_forward(x, *rule)
    assert out.dtype == dtype
    assert np.array_equal(out, window_by_window(x, *rule))
    dx = pool.max_pool2d_backward(np.ones_like(out), cache)
    assert dx.dtype == dtype and dx.sum() == out.size  # each output's gradient arrives, once
    assert not dx[~np.isin(x, out)].any()


def test_nan_is_not_hidden(rng):
    for place in np.ndindex(2, 2):  # wherever in the window it stands
        x = rng.standard_normal((1, 4, 4, 2))
        x[0, place[0], place[1], 1] = np.nan
        out, _ = pool.max_pool2d_forward(x, 2, 2)
        assert np.isnan(out).ravel().tolist() == [False, True] + [False] * 6
        assert np.array_equal(out, window_by_window(x, 2, 2, 0, False), equal_nan=True)


def test_a_model_lends_its_memory_again(rng):
    x = rng.standard_normal((2, 5, 6, 3))
    fresh, fresh_cache = pool.max_pool2d_forward(x, 3, 1, 1)
    ops = select("fast").for_model()
    out, cache = ops.max_pool2d_forward(x, 3, 1, 1)
    assert np.array_equal(out, fresh)
    dx = ops.max_pool2d_backward(fresh, cache)
    assert np.array_equal(dx, pool.max_pool2d_backward(fresh, fresh_cache))
    assert not np.shares_memory(out, ops.max_pool2d_forward(2 * x, 3, 1, 1)[0])
    address = dx.__array_interface__["data"][0]
    del dx
    assert ops.max_pool2d_backward(2 * fresh, cache).__array_interface__["data"][0] == address
