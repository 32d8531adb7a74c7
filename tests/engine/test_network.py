"""A whole network in one call: threads, weights that change, and what goes another way."""

import os

import numpy as np
import pytest
from busy_helper import busy_helper

from ssd_np.engine import memory, network, plan, select
from ssd_np.errors import ShapeError
from ssd_np.model.at_once import steps_of
from ssd_np.model.ssd import SSD
from ssd_np.nn.blocks import Block, Norm, Pool
from ssd_np.nn.parameter import Parameter

pytestmark = pytest.mark.lesson16

PLAIN = select("plain")


def small_network(rng, channels=16, dilation=1):
    """A stem, a separable pair and two branches, one behind a pool; its image and steps."""

    def weights(*shape):
        return Parameter(rng.standard_normal(shape).astype(np.float32) / 4).value

    c = channels
    same = 1, dilation, dilation
    steps = [
        (0, Block(weights(3, 3, 3, c), weights(c), 2, 1, 1, "relu")),
        (1, Block(weights(3, 3, c), weights(c), 1, 1, 1, "relu6")),
        (2, Block(weights(1, 1, c, 2 * c), weights(2 * c), 1, 0, 1, "relu")),
        (3, Block(weights(3, 3, 2 * c, 37), weights(37), *same, "none")),
        (3, Pool(2, 2, 0, False)),
        (5, Block(weights(3, 3, 2 * c, 20), weights(20), *same, "none")),
    ]
    return rng.standard_normal((2, 70, 50, 3)).astype(np.float32), steps


def close(found, expected):
    assert len(found) == len(expected)
    for f, e in zip(found, expected, strict=True):
        np.testing.assert_allclose(f, e, rtol=0, atol=2e-5 * np.abs(e).max())


def test_any_number_of_threads_gives_the_same_bits(rng, monkeypatch):
    monkeypatch.setattr(plan, "TILE_WORK", 1 << 10)  # many tiles
    plan.plan.cache_clear()
    x, steps = small_network(rng)
    runs = []
    for threads in ("1", "2", "3", "2", "2", "3"):
        monkeypatch.setenv("SSD_NP_THREADS", threads)
        runs.append(select("fast").network_forward(x, steps))
    plan.plan.cache_clear()
    close(runs[0], PLAIN.network_forward(x, steps))
    for run in runs[1:]:
        assert all(np.array_equal(a, b) for a, b in zip(run, runs[0], strict=True))


def test_nobody_reads_too_early_and_nobody_writes_where_others_read():
    same, none = ((1, 1), (1, 1)), ((0, 0), (0, 0))
    windows = [(0, (3, 3, 3, 16), 2, same, 1, "relu")]
    last = 1
    # two heads of a depthwise and a 1x1 convolution, the same as trunk
    for c_out in (5, 7, 16) * 3:
        windows.append((last, (3, 3, 16), 1, same, 1, "relu"))
        windows.append((len(windows), (1, 1, 16, c_out), 1, none, 1, "relu"))
        last = len(windows) if c_out == 16 else last
    read = [window[0] for window in windows]
    planned = plan.plan((1, 20, 20, 3), tuple(windows), np.dtype("f"), 2)
    table, sizes = planned.table, [int(np.prod(shape)) for shape in planned.shapes]
    fronts = set(table["front"].tolist())
    readers = {}  # of each output, by the number of the step that computes it
    for k, source in enumerate(read):
        readers.setdefault(source - 1, []).append(k + (k in fronts))
    begin = table["target"] - table["head"]  # with the zeros around
    places = [set(range(t, t + n)) for t, n in zip(begin, table["size"], strict=True)]
    assert planned.maps < sum(sizes)  # some memory is used twice
    heads = [k for k, shape in enumerate(planned.shapes) if shape[-1] in (5, 7)]
    # both heads of a map begin as soon as the map is there, and so does what follows them
    for one, other in zip(heads[::2], heads[1::2], strict=True):
        assert table[one]["after"] == table[other]["after"] == read[one - 1]
    for k in (k for k in range(len(table)) if k not in fronts):
        source = read[k - 1] if table[k]["front"] >= 0 else read[k]
        assert table[k]["after"] >= source
        for j in (j for j in range(k) if j not in fronts and places[j] & places[k]):
            assert j in readers and max(readers[j]) < table[k]["after"]


def test_borders_are_zeros_in_each_call(rng, monkeypatch):
    """Readers of one map that look beyond it on different sides, or not at all; memory that held
    something else before."""
    monkeypatch.setattr(plan, "TILE_WORK", 1 << 8)
    monkeypatch.setattr(memory, "fresh", lambda shape, dtype: np.full(shape, np.nan, dtype))
    plan.plan.cache_clear()

    def weights(*shape):
        return rng.standard_normal(shape).astype(np.float32)

    def read(source, kernel, stride, pad, dilation=1):
        return source, Block(weights(*kernel), weights(kernel[-1]), stride, pad, dilation)

    steps = [
        read(0, (3, 3, 3, 37), 1, 1),
        read(1, (3, 3, 37), 2, ((0, 1), (0, 1))),
        read(1, (3, 3, 37), 1, ((2, 0), (0, 3)), 2),
        read(1, (3, 3, 37, 37), 2, ((1, 2), (2, 0))),
        read(1, (1, 1, 37, 9), 1, 0),
        (1, Pool(3, 2, 1, True)),
        read(6, (3, 3, 37), 1, 2),
        read(7, (1, 1, 37, 16), 1, 0),
        read(8, (5, 5, 16), 1, 4),
        read(9, (1, 1, 16, 16), 1, 1),
    ]
    x = rng.standard_normal((3, 9, 14, 3)).astype(np.float32)
    for threads in ("1", "2"):
        monkeypatch.setenv("SSD_NP_THREADS", threads)
        close(select("fast").network_forward(x, steps), PLAIN.network_forward(x, steps))
    plan.plan.cache_clear()


def test_nobody_waits_for_a_thread_that_is_busy_elsewhere(rng, monkeypatch):
    monkeypatch.setenv("SSD_NP_THREADS", "2")
    x, steps = small_network(rng)
    with busy_helper():
        close(select("fast").network_forward(x, steps), PLAIN.network_forward(x, steps))


def test_a_thread_alone_does_all_and_waits_for_no_caller(rng, monkeypatch):
    monkeypatch.setenv("SSD_NP_THREADS", "2")
    monkeypatch.setattr(plan, "TILE_WORK", 1 << 8)
    plan.plan.cache_clear()
    monkeypatch.setattr("ssd_np.engine.steps.together", lambda work, lanes: work(lanes - 1))
    x, steps = small_network(rng)
    close(select("fast").network_forward(x, steps), PLAIN.network_forward(x, steps))
    plan.plan.cache_clear()


@pytest.mark.parametrize(
    ("sides", "threads", "joined"),
    [((30, 40), 2, 1), ((15, 20), 2, 1), ((15, 20), 4, 0), ((8, 10), 2, 0), ((8, 10), 1, 1)],
)
def test_a_separable_pair_is_one_step_where_it_can_be_shared(sides, threads, joined):
    same, none = ((1, 1), (1, 1)), ((0, 0), (0, 0))
    windows = (0, (3, 3, 64), 1, same, 1, "relu"), (1, (1, 1, 64, 64), 1, none, 1, "relu")
    table = plan.plan((1, *sides, 64), windows, np.dtype("f"), threads).table
    assert (table[1]["front"] >= 0) == joined and (table[0]["tiles"] == 0) == joined


def test_a_changed_weight_is_never_missed(rng):
    model = SSD("tiny")
    image = rng.standard_normal((1, 128, 128, 3)).astype(np.float32)
    for name in ("conv1_1.weight", "conv6_2.bias", "conf_conv4_2.weight"):
        for change in ("assign", "update"):
            parameter, before = model.parameters[name], model.forward(image)
            if change == "assign":
                parameter.assign(parameter.value + 0.1)
            else:
                parameter.update(lambda w: np.add(w, 0.1, out=w))
            now = model.forward(image)
            assert any(not np.array_equal(a, b) for a, b in zip(now, before, strict=True))
            close(PLAIN.network_forward(image, steps_of(model))[:1],
                  [now[0][:, : 16 * 16 * 4].reshape(1, 16, 16, -1)])  # fmt: skip


def test_an_array_that_can_be_written_to_is_read_each_time(rng):
    ops = select("fast").for_model()
    x, steps = small_network(rng)
    w = steps[0][1].w.copy()
    steps[0] = 0, steps[0][1]._replace(w=w)
    ops.network_forward(x, steps)
    w += 1
    close(ops.network_forward(x, steps), PLAIN.network_forward(x, steps))


def test_what_one_call_can_not_do_goes_step_by_step(rng, monkeypatch):
    monkeypatch.setattr(network, "compute", None)
    x, steps = small_network(rng, dilation=2)
    steps.append((3, Norm(np.ones(32, np.float32), 1e-10, "inside")))
    close(select("fast").network_forward(x, steps), PLAIN.network_forward(x, steps))


def test_a_step_that_does_not_fit_what_it_reads_is_refused(rng):
    x, steps = small_network(rng)
    with pytest.raises(ShapeError):
        select("fast").network_forward(x[..., :2], steps)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore")
def test_a_forked_child_has_threads_of_its_own(rng, monkeypatch):
    monkeypatch.setenv("SSD_NP_THREADS", "2")
    x, steps = small_network(rng)
    before = select("fast").network_forward(x, steps)
    child = os.fork()
    if child == 0:
        after = select("fast").network_forward(x, steps)
        os._exit(0 if all(map(np.array_equal, after, before)) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
