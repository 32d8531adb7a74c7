"""Winograd's tiles and L2 normalisation as steps of a network that is one call."""

import numpy as np
import pytest

from ssd_np.engine import algorithms, memory, network, plan, select
from ssd_np.errors import ConfigError, ShapeError
from ssd_np.nn.blocks import Block, Norm, Pool
from ssd_np.nn.parameter import Parameter

pytestmark = pytest.mark.lesson16

PLAIN = select("plain")
SIDES = {"winograd2": 2, "winograd4": 4}


@pytest.fixture(autouse=True)
def only_in_one_call(monkeypatch):
    """Layer by layer nothing works here, and of no plan's memory is anything zero by chance."""
    monkeypatch.setattr(network, "_one_by_one", None)
    monkeypatch.setattr(memory, "fresh", lambda shape, dtype: np.full(shape, np.nan, dtype))
    plan.plan.cache_clear()
    yield
    plan.plan.cache_clear()


def always(monkeypatch, side):
    monkeypatch.setattr(algorithms, "TABLE", {f"winograd{side}": (side, 1, 1)})


def weights(rng, *shape, dtype=np.float32):
    w = rng.standard_normal(shape) / np.sqrt(np.prod(shape[:-1]))
    return Parameter(w.astype(dtype)).value


def conv(rng, source, c, c_out, pad=1, dilation=1, activation="relu", dtype=np.float32):
    w, b = weights(rng, 3, 3, c, c_out, dtype=dtype), weights(rng, c_out, dtype=dtype)
    return source, Block(w, b, 1, pad, dilation, activation)


def mixed(rng, dtype=np.float32):
    """Winograd's beside a pool, a stride, a normalisation, a depthwise pair and a 1x1 convolution;
    channels that fill no vector, maps that fill no tile, borders of many widths."""
    none = 1, 0, 1, "none"
    steps = [
        conv(rng, 0, 3, 21, dtype=dtype),
        conv(rng, 1, 21, 37, ((2, 0), (0, 3)), dtype=dtype),
        (2, Pool(2, 2, 0, True)),
        conv(rng, 3, 37, 18, 0, activation="relu6", dtype=dtype),
        (4, Norm(weights(rng, 18, dtype=dtype), 1e-10, "inside")),
        conv(rng, 4, 18, 34, 6, 6, dtype=dtype),
        conv(rng, 5, 18, 5, activation="none", dtype=dtype),
        (6, Block(weights(rng, 1, 1, 34, 9, dtype=dtype), weights(rng, 9, dtype=dtype), *none)),
        (6, Block(weights(rng, 3, 3, 34, dtype=dtype), weights(rng, 34, dtype=dtype), 2, 1)),
        (9, Block(weights(rng, 1, 1, 34, 70, dtype=dtype), weights(rng, 70, dtype=dtype), *none)),
        conv(rng, 2, 37, 6, 3, 3, dtype=dtype),
        conv(rng, 2, 37, 6, 2, 4, dtype=dtype),
    ]
    return rng.standard_normal((2, 27, 34, 3)).astype(dtype), steps


def close(found, expected, limit):
    assert len(found) == len(expected)
    for f, e in zip(found, expected, strict=True):
        assert f.shape == e.shape and f.dtype == e.dtype
        assert np.abs(f - e).max() <= limit * np.abs(e).max()


@pytest.mark.parametrize(("dtype", "limit"), [(np.float32, 1e-5), (np.float64, 1e-13)])
@pytest.mark.parametrize("convolution", SIDES)
def test_a_network_of_all_kinds_is_the_plain_one(convolution, dtype, limit, rng, monkeypatch):
    always(monkeypatch, SIDES[convolution])
    x, steps = mixed(rng, dtype)
    fast = select("fast").for_model(convolution).network_forward(x, steps)
    close(fast, PLAIN.network_forward(x, steps), limit)


@pytest.mark.parametrize("convolution", SIDES)
def test_threads_and_blocks_do_not_change_a_bit(convolution, rng, monkeypatch):
    always(monkeypatch, SIDES[convolution])
    x, steps = mixed(rng)
    runs = []
    for threads, work, block, panels in (("1", 1 << 19, 16, 4), ("2", 1 << 8, 3, 2),
                                         ("3", 1 << 8, 16, 1), ("2", 1 << 12, 500, 8)):  # fmt: skip
        monkeypatch.setenv("SSD_NP_THREADS", threads)
        monkeypatch.setattr(plan, "TILE_WORK", work)
        monkeypatch.setattr(plan, "PATCHES", block)
        monkeypatch.setattr(plan, "PANELS", panels)
        plan.plan.cache_clear()
        runs.append(select("fast").for_model(convolution).network_forward(x, steps))
    for run in runs[1:]:
        assert all(np.array_equal(a, b) for a, b in zip(run, runs[0], strict=True))


def test_the_table_decides_by_what_the_config_allows():
    def side(convolution, cells, c=64, taps=(3, 3), stride=1, dilation=1):
        return algorithms.tile_side(convolution, cells, (*taps, c, 16), stride, dilation)

    assert [side("winograd4", (n, n)) for n in (6, 7, 300)] == [0, 4, 4]
    assert [side("winograd2", (n, n)) for n in (6, 7, 300)] == [0, 2, 2]
    assert side("winograd4", (300, 6)) == 0 and side("winograd4", (300, 300), c=11) == 0
    assert side("im2col", (300, 300)) == 0 and side("winograd4", (300, 300), stride=2) == 0
    assert side("winograd4", (300, 300), taps=(3, 1)) == 0
    assert side("winograd4", (1, 1), dilation=6) == 4 and side("winograd2", (1, 1), dilation=6) == 2


@pytest.mark.parametrize("side", [0, 4])
def test_the_table_says_what_is_computed(side, rng, monkeypatch):
    """With a bound just out of reach its bits are those of im2col, which takes no transform."""
    x, steps = rng.standard_normal((1, 12, 12, 16)).astype(np.float32), [conv(rng, 0, 16, 16)]
    monkeypatch.setattr(algorithms, "TABLE", {"winograd4": (4, 16, 12 + (side == 0))})
    straight = select("fast").for_model("im2col").network_forward(x, steps)[0]
    found = select("fast").for_model("winograd4").network_forward(x, steps)[0]
    assert np.array_equal(found, straight) == (side == 0)


@pytest.mark.parametrize("convolution", SIDES)
@pytest.mark.parametrize(
    ("cells", "c", "c_out", "dilation"),
    [(64, 64, 64, 1), (38, 128, 128, 1), (38, 512, 84, 1), (19, 512, 512, 1), (10, 256, 64, 1),
     (19, 512, 64, 6)],
)  # fmt: skip
def test_error_against_float64(convolution, cells, c, c_out, dilation, rng, monkeypatch):
    """Of the largest output, layers of SSD300's sizes after ReLU, He's weights; `-rP` prints it."""
    always(monkeypatch, SIDES[convolution])
    x = np.maximum(rng.standard_normal((1, cells, cells, c)), 0)
    w = rng.standard_normal((3, 3, c, c_out)) * np.sqrt(2 / (9 * c))
    x, w, b = x.astype(np.float32), w.astype(np.float32), np.zeros(c_out, np.float32)
    block = 1, dilation, dilation, "none"
    rough = select("fast").for_model(convolution).network_forward(x, [(0, Block(w, b, *block))])[0]
    double = x.astype(float), [(0, Block(w.astype(float), b.astype(float), *block))]
    exact = PLAIN.network_forward(*double)[0]
    error = np.abs(rough - exact).max() / np.abs(exact).max()
    print(f"{convolution} {cells} x {cells}, {c} to {c_out}, dilation {dilation}: {error:.1e}")
    assert error <= {"winograd2": 2e-6, "winograd4": 3e-5}[convolution]


@pytest.mark.parametrize("convolution", SIDES)
def test_a_changed_kernel_is_never_missed(convolution, rng, monkeypatch):
    always(monkeypatch, SIDES[convolution])
    w, b = (Parameter(weights(rng, *shape).copy()) for shape in ((3, 3, 16, 40), (40,)))
    x = rng.standard_normal((1, 13, 13, 16)).astype(np.float32)
    ops = select("fast").for_model(convolution)
    for change in (lambda: None, lambda: w.assign(w.value * 2),
                   lambda: w.update(lambda a: np.add(a, 1, out=a)),
                   lambda: b.update(lambda a: np.add(a, 1, out=a))):  # fmt: skip
        change()
        steps = [(0, Block(w.value, b.value, pad=1))]
        close(ops.network_forward(x, steps), PLAIN.network_forward(x, steps), 1e-5)


@pytest.mark.parametrize("convolution", SIDES)
def test_nan_is_not_hidden_and_stays_near(convolution, rng, monkeypatch):
    always(monkeypatch, SIDES[convolution])
    x = rng.standard_normal((1, 24, 24, 21)).astype(np.float32)
    x[0, 12, 12, 20] = np.nan
    out = select("fast").for_model(convolution).network_forward(x, [conv(rng, 0, 21, 17)])[0]
    assert np.isnan(out[0, 11:14, 11:14]).all()
    assert np.isfinite(out[0, :7]).all() and np.isfinite(out[0, :, 18:]).all()


@pytest.mark.parametrize("form", ["inside", "max", "outside"])
@pytest.mark.parametrize("channels", [1, 3, 64, 70])
def test_a_normalisation_is_the_plain_one(form, channels, rng):
    x = rng.standard_normal((2, 9, 7, channels)).astype(np.float32)
    x[0, :, 3] = 0
    steps = [(0, Norm(weights(rng, channels), 1e-3, form))]
    close(select("fast").network_forward(x, steps), PLAIN.network_forward(x, steps), 1e-6)


@pytest.mark.parametrize("name", ["plain", "fast"])
def test_a_normalisation_that_is_none_is_refused(name, rng):
    x, scale = rng.standard_normal((1, 4, 4, 8)).astype(np.float32), np.ones(8, np.float32)
    for given, form, error in ((scale, "beside", ConfigError), (scale[:4], "inside", ShapeError),
                               (scale.tolist(), "inside", ShapeError)):  # fmt: skip
        with pytest.raises(error):
            select(name).network_forward(x, [(0, Norm(given, 1e-10, form))])
