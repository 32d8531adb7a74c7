"""Batch normalisation on threads: the same numbers whoever computes them, many tiles, any rows."""

import numpy as np
import pytest

from ssd_np.engine import atomic, batchnorm, select

pytestmark = pytest.mark.lesson16

PLAIN, FAST = select("plain"), select("fast")
SHAPES = [(3, 13, 11, 5), (2, 16, 16, 32), (4, 7, 9, 600), (2, 1)]


@pytest.fixture(autouse=True)
def small_tiles(monkeypatch):
    monkeypatch.setattr(batchnorm, "LEAST_VALUES", 0)
    monkeypatch.setattr(batchnorm, "TILE", 600)


def step(ops, shape, dtype):
    rng = np.random.default_rng(7)
    x = (3 * rng.standard_normal(shape) + 50 * rng.standard_normal(shape[-1])).astype(dtype)
    scale, shift = rng.standard_normal((2, shape[-1])).astype(dtype)
    out, cache = ops.batchnorm_block_forward(x, scale, shift, 1e-3, "relu6")
    dout = rng.standard_normal(shape).astype(dtype)
    return [out, *cache[0][2:4], *ops.batchnorm_block_backward(dout, cache)]


@pytest.mark.parametrize("shape", SHAPES)
def test_any_number_of_threads_gives_the_same_numbers(shape, monkeypatch):
    runs = []
    for threads in "1233":
        monkeypatch.setenv("SSD_NP_THREADS", threads)
        runs.append(step(FAST, shape, np.float32))
    for run in runs[1:]:
        assert all(np.array_equal(a, b) for a, b in zip(run, runs[0], strict=True))


@pytest.mark.parametrize("shape", SHAPES)
def test_many_tiles_equal_the_concept(shape, monkeypatch):
    monkeypatch.setenv("SSD_NP_THREADS", "2")
    for found, expected in zip(
        step(FAST, shape, np.float64), step(PLAIN, shape, np.float64), strict=True
    ):
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-11 * np.abs(expected).max())


@pytest.mark.parametrize("back", [False, True])
def test_two_threads_take_each_tile_once_from_both_sides(back):
    counters = np.zeros(4, np.int64)
    lanes = [0, 1, 0, 0, 1, 0, 0, 1]
    found = [int(atomic.claim(counters, lane, 7, 3, back)) for lane in lanes]
    up, down = iter((3, 4, 5, 6, 0)), iter((2, 1, 0, 6, 5))
    ways = (down, up) if back else (up, down)
    assert found == [next(ways[lane]) for lane in lanes[:-1]] + [-1]
    assert sorted(found) == list(range(-1, 7))
