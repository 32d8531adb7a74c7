"""The thread pool that the kernels run on, and the hold on BLAS's own threads.

A heavy layer is cut into tiles. Each tile is a job for one thread: a kernel that releases the
interpreter, then a matrix product on a BLAS that keeps to that one thread. Tiles go to threads by
a fixed rule (worker w takes tiles w, w + n, w + 2n, ...), never to whoever is free first, so that
sums are added in the same order in every run with the same number of threads.

BLAS's number of threads belongs to the whole process. It is taken down to one while any of our
layers is at work, counted so that overlapping calls agree, and given back when the last one ends.
Another thread of the program that calls NumPy meanwhile sees a single-threaded BLAS.
"""

from __future__ import annotations

import contextlib
import functools
import math
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait

import numpy as np
from threadpoolctl import ThreadpoolController

from ssd_np.errors import ConfigError


def thread_count() -> int:
    """Threads to use: `SSD_NP_THREADS` if set, else the cores this process may run on."""
    wish = os.environ.get("SSD_NP_THREADS", "")
    if not wish:
        has_affinity = hasattr(os, "sched_getaffinity")
        return len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count() or 1
    if not wish.isdecimal() or int(wish) < 1:
        raise ConfigError(
            f"expected a whole number from 1, got {wish!r}",
            where="SSD_NP_THREADS",
            hint="unset it to use all cores",
        )
    return int(wish)


def for_each(job: Callable[[int, int], None], count: int) -> None:
    """Calls job(tile, worker) for every tile in range(count), on `thread_count()` threads.

    An error of a job is raised again here, once no thread is at work any more.
    """
    workers = min(thread_count(), count)
    jobs = [job]

    def lane(worker: int) -> None:
        # what is not finite goes on as inf or NaN, and who reads the result says where it began
        with np.errstate(over="ignore", invalid="ignore"):
            for tile in range(worker, count, workers):
                jobs[0](tile, worker)

    with one_blas_thread():
        helpers: list[Future] = []
        try:
            for worker in range(
                1, workers
            ):  # where no thread can be had, the others are waited for
                helpers.append(_pool(thread_count()).submit(lane, worker))
            lane(0)  # the caller works too
        finally:
            wait(helpers)
        jobs.clear()  # a helper may forget `lane` later, and memory that the job uses is lent again
        for helper in helpers:
            helper.result()


def shares(count: int, least: int = 1 << 15) -> list[int]:
    """Bounds that cut `count` items into equal shares, one a thread, of at least `least` items."""
    lanes = max(1, min(thread_count(), count // least))
    return [count * lane // lanes for lane in range(lanes + 1)]


@functools.cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="ssd_np", initializer=_no_warnings)


def _no_warnings() -> None:
    """In these threads NumPy warns of no overflow: see `Engine.at_work`."""
    np.seterr(over="ignore", invalid="ignore")


_blas = threading.Lock()
_blas_holders: list[int] = []  # a thread's number for each time that it is inside
_blas_limit = None


def _alone() -> None:
    """A forked child has none of its parent's threads: it makes its own pool, and gives back what
    was held by those that were at work."""
    global _blas
    _pool.cache_clear()
    _blas = threading.Lock()
    held = bool(_blas_holders)
    _blas_holders[:] = [thread for thread in _blas_holders if thread == threading.get_ident()]
    if held and not _blas_holders:
        with _free_to_set():
            _blas_limit.restore_original_limits()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_alone)


@contextlib.contextmanager
def one_blas_thread() -> Iterator[None]:
    """While any caller is inside, BLAS runs on one thread; the last one out gives it back."""
    global _blas_limit
    with _blas:
        if not _blas_holders:
            with _free_to_set():
                _blas_limit = _blas_controller().limit(limits=1, user_api="blas")
        _blas_holders.append(threading.get_ident())
    try:
        yield
    finally:
        with _blas:
            _blas_holders.remove(threading.get_ident())
            if not _blas_holders:
                with _free_to_set():
                    _blas_limit.restore_original_limits()


@contextlib.contextmanager
def _free_to_set() -> Iterator[None]:
    """Inside, this thread may set OpenBLAS's threads, and afterwards any other thread may.

    threadpoolctl 3.8 and later obey only the thread that set them first, silently: a limit taken in
    one thread could not be given back in another.
    """
    clears = [
        library.clear_controlling_thread
        for library in _blas_controller().lib_controllers
        if hasattr(library, "clear_controlling_thread")
    ]
    for clear in clears:
        clear(force=True)
    try:
        yield
    finally:
        for clear in clears:
            clear(force=True)


@functools.cache
def _blas_controller() -> ThreadpoolController:
    return ThreadpoolController()


class _Scratch(threading.local):
    def __init__(self) -> None:
        self.memory: dict[str, np.ndarray] = {}


_scratch = _Scratch()


def scratch(shape: tuple[int, ...], dtype: np.dtype, name: str = "tile") -> np.ndarray:
    """An uninitialised array of this thread, valid until its next call with the same name.

    Kept between calls: fresh memory costs a page fault for each 4 KiB.
    """
    dtype = np.dtype(dtype)
    size = dtype.itemsize * math.prod(shape)
    memory = _scratch.memory.get(name)
    if memory is None or memory.nbytes < size:
        memory = _scratch.memory[name] = np.empty(size, np.uint8)
    return memory[:size].view(dtype).reshape(shape)
