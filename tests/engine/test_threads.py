"""Threads: every tile once, errors come out, BLAS gets its threads back, runs are bit-equal."""

import os
import subprocess
import sys
import threading
import time
import warnings

import numpy as np
import pytest
from busy_helper import busy_helper
from threadpoolctl import threadpool_info, threadpool_limits

from ssd_np.engine import conv, threads
from ssd_np.engine.conv import conv2d_backward, conv2d_forward
from ssd_np.engine.table import select
from ssd_np.engine.threads import for_each, one_blas_thread, scratch, thread_count
from ssd_np.errors import ConfigError

pytestmark = pytest.mark.lesson16


def blas_threads():
    return [p["num_threads"] for p in threadpool_info() if p["user_api"] == "blas"]


@pytest.fixture
def two_blas_threads():
    with threadpool_limits(limits=2, user_api="blas"):
        if blas_threads() == [] or set(blas_threads()) != {2}:
            pytest.skip("this BLAS can not be told its number of threads")
        yield


@pytest.mark.parametrize("threads", [1, 2, 3, 7])
@pytest.mark.parametrize("count", [1, 2, 5, 16])
def test_every_tile_once_and_in_no_more_threads(threads, count, monkeypatch):
    monkeypatch.setenv("SSD_NP_THREADS", str(threads))
    done = []
    for_each(lambda tile: done.append((tile, threading.get_ident())), count)
    assert sorted(tile for tile, _ in done) == list(range(count))
    assert len({thread for _, thread in done}) <= min(threads, count)


def test_a_thread_that_is_late_is_not_waited_for(monkeypatch):
    monkeypatch.setenv("SSD_NP_THREADS", "2")
    done = []
    with busy_helper() as go_on:
        for_each(done.append, 5)
        assert done == list(range(5)) and not go_on.is_set()


def test_a_tile_that_a_thread_has_begun_is_waited_for(monkeypatch):
    monkeypatch.setenv("SSD_NP_THREADS", "2")
    here, began, finished = threading.get_ident(), threading.Event(), []

    def job(tile):
        if threading.get_ident() == here:
            assert began.wait(20)
        else:
            began.set()
            time.sleep(0.2)
            finished.append(tile)

    for_each(job, 2)
    assert len(finished) == 1


def test_of_an_interrupted_call_no_tile_is_begun_later(monkeypatch):
    late, done = [], []

    def interrupted(work, lanes):
        late.append(work)
        raise KeyboardInterrupt

    monkeypatch.setattr(threads, "together", interrupted)
    with pytest.raises(KeyboardInterrupt):
        for_each(done.append, 5)
    late[0](1)
    assert done == []


def test_workers_really_run_at_the_same_time(monkeypatch):
    monkeypatch.setenv("SSD_NP_THREADS", "3")
    meeting = threading.Barrier(3, timeout=10)  # passes only when all three are there
    for_each(lambda tile: meeting.wait(), 3)
    assert not meeting.broken


@pytest.mark.parametrize("bad_tile", [0, 1, 5])
def test_an_error_of_a_worker_comes_out(bad_tile, monkeypatch, two_blas_threads):
    monkeypatch.setenv("SSD_NP_THREADS", "2")

    def job(tile):
        if tile == bad_tile:
            raise KeyError(f"tile {tile}")

    with pytest.raises(KeyError, match=f"tile {bad_tile}"):
        for_each(job, 6)
    assert set(blas_threads()) == {2}  # given back all the same
    for_each(lambda tile: None, 6)  # and the pool still works


@pytest.mark.parametrize("bad_tile", [0, 1])
def test_an_error_waits_for_the_other_workers(bad_tile, monkeypatch):
    """No thread may still write to an array of the caller once for_each has ended."""
    monkeypatch.setenv("SSD_NP_THREADS", "3")
    finished = []

    def job(tile):
        if tile == bad_tile:
            raise KeyError(tile)
        time.sleep(0.1)
        finished.append(tile)

    with pytest.raises(KeyError):
        for_each(job, 3)
    assert sorted(finished) == sorted({0, 1, 2} - {bad_tile})


def test_blas_keeps_to_one_thread_inside(monkeypatch, two_blas_threads):
    monkeypatch.setenv("SSD_NP_THREADS", "2")
    seen = []
    for_each(lambda tile: seen.extend(blas_threads()), 2)
    assert set(seen) == {1} and set(blas_threads()) == {2}


def test_overlapping_calls_give_blas_back_when_the_last_one_ends(two_blas_threads):
    """The first in is the first out: each restoring what it found would leave BLAS at one."""
    first_inside, second_inside, first_out = (threading.Event() for _ in range(3))
    seen = {}

    def first():
        with one_blas_thread():
            first_inside.set()
            second_inside.wait(10)
        seen["after the first"] = blas_threads()
        first_out.set()

    def second():
        first_inside.wait(10)
        with one_blas_thread():
            second_inside.set()
            first_out.wait(10)
            seen["second alone"] = blas_threads()

    threads = [threading.Thread(target=f) for f in (first, second)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(20)
    assert set(seen["after the first"]) == set(seen["second alone"]) == {1}
    assert set(blas_threads()) == {2}


def test_an_error_on_the_way_in_gives_the_turn_back(monkeypatch):
    """Without BLAS's controller nothing can be computed, nor may the next call wait for ever."""
    monkeypatch.setattr(threads, "_blas_controller", lambda: 1 / 0)
    engine = select("fast").for_model()
    with pytest.raises(ZeroDivisionError), engine.turn, engine.at_work():
        pass
    assert engine.turn.acquire(blocking=False)


def test_layers_called_from_several_threads(rng, monkeypatch, two_blas_threads):
    monkeypatch.setenv("SSD_NP_THREADS", "2")
    monkeypatch.setattr(conv, "TILE_BYTES", 4000)
    x, w, b = rng.standard_normal((2, 9, 9, 4)), rng.standard_normal((3, 3, 4, 5)), np.zeros(5)
    expected, cache = conv2d_forward(x, w, b, 1, 1)
    dx = conv2d_backward(expected, cache)[0]
    wrong = []

    def work():
        for _ in range(20):
            out, own = conv2d_forward(x, w, b, 1, 1)
            same = np.array_equal(out, expected)
            if not (same and np.array_equal(conv2d_backward(out, own)[0], dx)):
                wrong.append(1)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(30)
    assert not wrong and not any(t.is_alive() for t in threads)
    assert set(blas_threads()) == {2}


@pytest.mark.parametrize("threads", ["1", "2"])
def test_numbers_that_are_not_finite_go_through_without_a_warning(threads, monkeypatch):
    monkeypatch.setenv("SSD_NP_THREADS", threads)
    monkeypatch.setattr(conv, "LEAST_WORK", 0)
    x, b = np.full((2, 9, 9, 4), 3e38, np.float32), np.zeros(5, np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        out, cache = conv2d_forward(x, np.ones((3, 3, 4, 5), np.float32), b, 1, 1)
        dx, _, _ = conv2d_backward(out, cache)
    assert np.isinf(out).all() and not np.isfinite(dx).any()


@pytest.mark.parametrize("threads", ["1", "2", "3"])
@pytest.mark.parametrize("stride", [1, 2])
def test_repeated_runs_are_bit_equal(threads, stride, rng, monkeypatch):
    monkeypatch.setenv("SSD_NP_THREADS", threads)
    monkeypatch.setattr(conv, "TILE_BYTES", 4000)
    x = rng.standard_normal((3, 13, 11, 6)).astype(np.float32)
    w, b = rng.standard_normal((3, 3, 6, 7)).astype(np.float32), np.ones(7, np.float32)
    runs = []
    for _ in range(10):
        out, cache = conv2d_forward(x, w, b, stride, 1)
        runs.append([out, *conv2d_backward(out, cache)])
    for run in runs[1:]:
        assert all(np.array_equal(a, c) for a, c in zip(run, runs[0], strict=True))


@pytest.mark.parametrize("wish", ["0", "-1", "two", "1.5", " 2", "²"])
def test_a_wrong_number_of_threads_is_named(wish, monkeypatch):
    monkeypatch.setenv("SSD_NP_THREADS", wish)
    with pytest.raises(ConfigError, match="SSD_NP_THREADS: expected a whole number from 1"):
        thread_count()


def test_number_of_threads(monkeypatch):
    monkeypatch.setenv("SSD_NP_THREADS", "5")
    assert thread_count() == 5
    for unset in ("", None):
        if unset is None:
            monkeypatch.delenv("SSD_NP_THREADS")
        else:
            monkeypatch.setenv("SSD_NP_THREADS", unset)
        assert 1 <= thread_count() <= os.cpu_count()


def test_scratch_belongs_to_its_thread():
    mine = scratch((4, 5), np.float32)
    assert mine.shape == (4, 5) and mine.dtype == np.float32
    assert np.shares_memory(mine, scratch((2, 3), np.float64))  # reused by this thread's next call
    others = []
    thread = threading.Thread(target=lambda: others.append(scratch((4, 5), np.float32)))
    thread.start()
    thread.join()
    assert not np.shares_memory(mine, others[0])


FORK = """
import os, signal, sys
import numpy as np
from ssd_np.engine.conv import conv2d_forward
x, w, b = np.ones((4, 8, 8, 3)), np.ones((3, 3, 3, 2)), np.zeros(2)
before, _ = conv2d_forward(x, w, b, 1, 1)  # the parent's pool has its threads
child = os.fork()
if child == 0:  # and the child none of them
    signal.alarm(20)  # waiting for them would take for ever
    after, _ = conv2d_forward(x, w, b, 1, 1)
    os._exit(0 if np.array_equal(after, before) else 1)
_, status = os.waitpid(child, 0)
sys.exit(os.waitstatus_to_exitcode(status))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_makes_its_own_pool():
    environment = {**os.environ, "SSD_NP_THREADS": "2"}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORK],
        env=environment,
        timeout=60,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
