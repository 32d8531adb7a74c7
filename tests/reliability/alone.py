"""A job in a process of its own: how it ended, what it said, the memory it held, the time it took.

The process is a fork, which has everything imported already and so begins within milliseconds.
"""

import contextlib
import faulthandler
import io
import json
import os
import select
import signal
import sys
import time
import traceback
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import pytest
from PIL import Image

from ssd_np.cli import main

MOST_MEMORY, MOST_SECONDS = 1024, 20  # MiB, seconds of a core: whatever a file says
PATIENCE = 60  # seconds in which nothing is said
FRESH = 200  # MiB that a command holds when it has imported what it needs
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")


@dataclass
class Ended:
    """`code` is the exit code, or the number of the signal that ended it, negative.

    memory  MiB at most, had it begun as a process of its own: a fork begins with all that pytest
            holds, be it gigabytes after thousands of tests
    worked  seconds of a core; `seconds` by the clock, in which others may have had the cores
    """

    code: int
    said: str
    memory: float
    worked: float
    seconds: float


def alone(job: Callable[[], object], seconds: int = PATIENCE, meanwhile=None) -> Ended:
    """Runs a job, which returns its exit code, or None for 0; `meanwhile(pid)` runs beside it."""
    return forked(seconds, meanwhile) or leave(job)


def forked(seconds: int = PATIENCE, meanwhile=None) -> Ended | None:
    """How the fork that begins here ended; in the fork itself None. It ends with `leave`."""
    read, write = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    begin, inherited = time.monotonic(), _resident()
    # an interrupt waits until `leave` has begun: before, it would end these tests in the fork
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    process = os.fork()
    if not process:
        os.close(read)
        _speak_to(write)
        return None
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
    os.close(write)
    if meanwhile:
        meanwhile(process)
    said = _said(read, process, seconds).decode("utf-8", "replace")
    _, status, usage = os.wait4(process, 0)
    peak = usage.ru_maxrss / (1024 if sys.platform != "darwin" else 1 << 20)
    memory = FRESH + peak - inherited if inherited else peak
    worked = usage.ru_utime + usage.ru_stime
    return Ended(os.waitstatus_to_exitcode(status), said, memory, worked, time.monotonic() - begin)


def _said(pipe: int, process: int, seconds: int) -> bytes:
    """All that it says until it ends; it is ended after so many seconds in which it says nothing.

    They are counted here and not by a clock: while both are stopped, none goes by.
    """
    parts, silent = [], 0
    while parts[-1:] != [b""]:
        if select.select([pipe], [], [], 1)[0]:
            parts.append(os.read(pipe, 1 << 16))
            continue
        silent += 1
        if silent == seconds:
            os.kill(process, signal.SIGALRM)
    os.close(pipe)
    return b"".join(parts)


def _resident() -> float:
    """MiB of this process in memory now; 0 where the system does not tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


def _speak_to(pipe: int) -> None:
    """Both streams lead there from now on, and signals do what they do in a new process."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for stream in (1, 2):
        os.dup2(pipe, stream)
    os.close(pipe)
    faulthandler.register(signal.SIGALRM, file=2, chain=True)  # says where each thread stands
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115


def leave(job: Callable[[], object]) -> NoReturn:
    """Ends this process, a fork, with what the job returns."""
    code = 70  # of a job that raised
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
        code = job() or 0
    except SystemExit as stop:
        code = int(stop.code or 0)
    except BaseException:
        with contextlib.suppress(OSError):
            traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError, AttributeError):
                stream.flush()
        os._exit(code)


def command(arguments, before: Callable[[], object] = lambda: None, **how) -> Ended:
    """`ssd-np ARGUMENTS` alone, after `before`."""

    def job():
        before()
        return main([str(argument) for argument in arguments])

    return alone(job, **how)


def limit(kind: str, value: int):
    def set_limit():
        import resource  # of POSIX systems

        _, hard = resource.getrlimit(getattr(resource, kind))
        resource.setrlimit(getattr(resource, kind), (value, hard))

    return set_limit


def address_space(more: int):
    """`ulimit -v`: so many MiB beyond what the process has already."""

    def set_limit():
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        limit("RLIMIT_AS", pages * os.sysconf("SC_PAGE_SIZE") + (more << 20))()

    return set_limit


def assert_sound(ended: Ended, what: str) -> None:
    """It ended by itself, within the limits, with results or with one line that is the library's
    own."""
    assert ended.code in (0, 1, 2), f"{what}: {ended}"
    assert ended.memory < MOST_MEMORY and ended.worked < MOST_SECONDS, f"{what}: {ended}"
    for word in ("Traceback", "unexpected", "Exception ignored"):
        assert word not in ended.said, f"{what}: {ended}"


def contents(folder: Path) -> dict[str, bytes]:
    """Every file by its path, but for those that a killed process was still writing."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.name[0] != ".")
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def assert_whole(files: dict[str, bytes]) -> None:
    """Each file is complete, as its ending tells."""
    for name, content in files.items():
        ending = name.rsplit(".")[-1]
        if ending == "npz":
            assert zipfile.ZipFile(io.BytesIO(content)).testzip() is None, name
        elif ending == "png":
            Image.open(io.BytesIO(content)).load()
        elif ending == "json":
            json.loads(content)
        elif ending == "html":
            assert content.rstrip().endswith(b"</html>"), name
        elif ending == "py":
            compile(content, name, "exec")
        else:  # a log's last line may be cut: going on takes it back
            assert ending in ("csv", "txt", "xml"), name
