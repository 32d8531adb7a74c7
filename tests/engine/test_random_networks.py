"""Networks of any geometry in one call give what the concept gives: borders, readers, threads."""

import numpy as np
import pytest

from ssd_np.engine import memory, plan, select
from ssd_np.nn.blocks import Block, Pool

pytestmark = pytest.mark.lesson16

PLAIN = select("plain")


def random_step(rng, sides, c, dtype):
    """A convolution or a pool for a map of these sides and channels; it may be too large for it."""
    kind = rng.choice(["full", "depthwise", "pool"], p=[0.5, 0.35, 0.15])
    stride, pad = int(rng.integers(1, 4)), rng.integers(0, 4, (2, 2))
    taps, dilation = rng.integers(1, 6, 2), 1
    if kind == "pool":
        taps[:], pad = taps[0], np.minimum(pad, (taps[0] - 1) // 2)
        step = Pool(int(taps[0]), stride, tuple(map(tuple, pad.tolist())))
    else:
        dilation = int(rng.integers(1, 3)) if kind == "depthwise" else 1
        shape = (*taps, c) if kind == "depthwise" else (*taps, c, int(rng.choice([3, 16, 37, 130])))
        w = rng.standard_normal(shape) / np.sqrt(np.prod(shape[:3]))
        b, activation = rng.standard_normal(shape[-1]), str(rng.choice(["relu", "none"]))
        arrays = w.astype(dtype), b.astype(dtype)
        step = Block(*arrays, stride, tuple(map(tuple, pad.tolist())), dilation, activation)
    return step, np.all(sides + pad.sum(axis=1) > dilation * (taps - 1))


def random_network(rng, dtype):
    """Each step reads what came in or one of the last outputs, so that some of these have several
    readers, which look beyond them on different sides, and some have none."""
    n, c = rng.integers(1, 4), int(rng.integers(1, 5))
    x = rng.standard_normal((n, *rng.integers(7, 24, 2), c)).astype(dtype)
    outputs, steps = [x], []
    while len(steps) < 9:
        source = int(rng.integers(max(0, len(steps) - 3), len(steps) + 1))
        step, fits = random_step(rng, outputs[source].shape[1:3], outputs[source].shape[3], dtype)
        if fits:
            steps.append((source, step))
            outputs += PLAIN.network_forward(outputs[source], [(0, step)])
    return x, steps


@pytest.mark.parametrize("seed", range(24))
def test_any_network(seed, monkeypatch):
    """Memory holds NaN before: who reads a number that nobody wrote is found out."""
    monkeypatch.setattr(plan, "TILE_WORK", 1 << 8)  # many tiles
    monkeypatch.setattr(memory, "fresh", lambda shape, dtype: np.full(shape, np.nan, dtype))
    plan.plan.cache_clear()
    x, steps = random_network(np.random.default_rng(seed), "fd"[seed % 2])
    expected, runs = PLAIN.network_forward(x, steps), []
    for threads in ("1", "2", "3"):
        monkeypatch.setenv("SSD_NP_THREADS", threads)
        runs.append(select("fast").network_forward(x, steps))
        for found, first, e in zip(runs[-1], runs[0], expected, strict=True):
            np.testing.assert_allclose(found, e, rtol=0, atol=2e-5 * np.abs(e).max())
            assert np.array_equal(found, first)
    plan.plan.cache_clear()
