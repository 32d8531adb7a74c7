"""The thread pool that the kernels run on, and the hold on BLAS's own threads.

A heavy layer is cut into tiles. Each tile is a job for one thread: a kernel that releases the
interpreter, then a matrix product on a BLAS that keeps to that one thread. Tiles go to whoever is
free first: one that sleeps may need longer to wake than a tile takes. Sums belong to tiles, never
to threads, so that they are added in the same order in every run with the same number of threads.

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
from queue import SimpleQueue

import numpy as np
from threadpoolctl import ThreadpoolController

from ssd_np.engine.memory import aligned
from ssd_np.errors import ConfigError

LEAST_SHARE = 1 << 17  # numbers for which another thread is worth the call


def thread_count() -> int:
    """Threads to use: `SSD_NP_THREADS` if set, else the cores this process may run on."""
    wish = os.environ.get("SSD_NP_THREADS", "")
    if not wish:
        if hasattr(os, "sched_getaffinity"):
            return len(os.sched_getaffinity(0))
        return os.cpu_count() or 1
    if not wish.isdecimal() or int(wish) < 1:
        raise ConfigError(
            f"expected a whole number from 1, got {wish!r}",
            where="SSD_NP_THREADS",
            hint="unset it to use all cores",
        )
    return int(wish)


def for_each(job: Callable[[int], None], count: int, pays: bool = True) -> None:
    """Calls job(tile) for every tile in range(count), each in the thread that is free first, or all
    in this one where another would not pay.

    So a thread that wakes late finds less to do, and where it has begun nothing it is not waited
    for. An error of a job is raised again here, once no thread is at work any more.
    """
    tiles = iter(range(count))  # the next one goes to whoever asks
    begun: list[int] = []
    errors: list[BaseException] = []
    told: SimpleQueue = SimpleQueue()

    def work(lane: int) -> None:
        if lane:  # this thread needs not be waited for
            begun.append(lane)
        try:
            # what is not finite goes on as inf or NaN, and who reads the result says where it began
            with np.errstate(over="ignore", invalid="ignore"):
                for tile in tiles:
                    try:
                        job(tile)
                    except BaseException as error:
                        errors.append(error)
        finally:
            if lane:
                told.put(None)

    with one_blas_thread():
        try:
            together(work, min(thread_count(), count) if pays else 1)
        finally:
            for _ in tiles:  # of an interrupted call none is begun any more
                pass
            for _ in begun:
                told.get()
    for error in errors:
        raise error


def together(work: Callable[[int], None], lanes: int) -> None:
    """Calls work(lane) in as many threads, of which this one is lane 0, and ends with that one.

    For work that lane 0 can do alone: what another lane has not begun by then must not matter, nor
    what it says.
    """
    works = [work]

    def join_in(lane: int) -> None:
        for work in works:
            work(lane)

    for lane in range(1, lanes):
        _helper(lane).put((join_in, lane, SimpleQueue()))
    try:
        work(0)
    finally:
        works.clear()  # who comes now has nothing to do, and holds no memory


def shares(count: int, least: int = LEAST_SHARE) -> list[int]:
    """Bounds that cut `count` items into equal shares, one a thread, of at least `least` items."""
    lanes = max(1, min(thread_count(), count // least))
    return [count * lane // lanes for lane in range(lanes + 1)]


def each_share(count: int, work: Callable[[slice], None], least: int = LEAST_SHARE) -> None:
    """Calls work(slice) for each thread's share of `count` items."""
    bounds = shares(count, least)
    if len(bounds) == 2:
        work(slice(0, count))
    else:
        for_each(lambda i: work(slice(bounds[i], bounds[i + 1])), len(bounds) - 1)


_helpers: list[SimpleQueue] = []  # what each of our threads is to do, first come first served
_hiring = threading.Lock()


def _helper(number: int) -> SimpleQueue:
    """The queue of one of our threads, counted from 1; it sleeps while there is nothing in it."""
    if number > len(_helpers):
        with _hiring:
            while number > len(_helpers):
                queue: SimpleQueue = SimpleQueue()
                name = f"ssd_np {len(_helpers) + 1}"
                threading.Thread(target=_serve, args=(queue,), name=name, daemon=True).start()
                _helpers.append(queue)
    return _helpers[number - 1]


def _serve(queue: SimpleQueue) -> None:
    """In these threads NumPy warns of no overflow: see `Engine.at_work`."""
    np.seterr(over="ignore", invalid="ignore")
    while True:
        work, lane, told = queue.get()
        try:
            work(lane)
        except BaseException as error:  # raised again where it is waited for
            told.put(error)
        else:
            told.put(None)
        del work, told  # nothing is held while it sleeps


_blas = threading.Lock()
_blas_holders: list[int] = []  # a thread's number for each time that it is inside
_blas_limit = None


def _alone() -> None:
    """A forked child has none of its parent's threads: it makes its own pool, and gives back what
    was held by those that were at work."""
    global _blas, _hiring
    _helpers.clear()
    _hiring = threading.Lock()
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
        memory = _scratch.memory[name] = aligned(size)
    return memory[:size].view(dtype).reshape(shape)
