"""Every command, as test_outputs.py runs it, under every fault: it says one line, inputs stay as
they were, and what it wrote is whole."""

import itertools
import mmap
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from alone import (
    PATIENCE,
    address_space,
    alone,
    assert_sound,
    assert_whole,
    command,
    contents,
    limit,
    needs_fork,
)
from test_outputs import WALK, outputs, stored  # noqa: F401, the fixture too
from training_runs import ENVIRONMENT

from ssd_np.cli import main

pytest.importorskip("resource")  # of POSIX systems
pytestmark = needs_fork
RUN = [name for name in WALK if name not in ("bench", "exercise check")]  # which time and grade
WRITE = [name for name in WALK if outputs(name)]
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL)


def read_only_folder():
    """The folder that results go to; root, whom no permission stops, becomes someone else."""
    Path.cwd().chmod(0o555)
    if os.geteuid() == 0:
        os.seteuid(65534)


def to(stream: int, place: str):
    def redirect():
        number = os.open(place, os.O_WRONLY)
        os.dup2(number, stream)

    return redirect


def reader_gone(*streams: int):
    def redirect():
        read, write = os.pipe()
        for stream in streams:
            os.dup2(write, stream)
        os.close(read)
        os.close(write)

    return redirect


def closed_stderr():
    os.close(2)
    sys.stderr = None


FAULTS = {
    "a full disk": limit("RLIMIT_FSIZE", 700),
    "a disk that fills up": limit("RLIMIT_FSIZE", 20_000),
    "a read-only folder": read_only_folder,
    "output to a full disk": to(1, "/dev/full"),
    "the reader of the output gone": reader_gone(1),
    "the reader of everything gone": reader_gone(1, 2),
    "stderr closed": closed_stderr,
    "4 MiB left": address_space(4),
    "12 MiB left": address_space(12),
    "40 MiB left": address_space(40),
    "150 MiB left": address_space(150),
    "12 open files": limit("RLIMIT_NOFILE", 12),
}


@pytest.fixture
def place(stored, monkeypatch):  # noqa: F811
    """A folder with the inputs, which any user may enter, and we are in it."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    shutil.copytree(stored / "in", folder / "in")
    monkeypatch.chdir(folder)
    yield folder
    folder.chmod(0o755)
    shutil.rmtree(folder)


def afresh(place: Path) -> dict[str, bytes]:
    """Takes the results away; the inputs."""
    place.chmod(0o755)
    for path in place.iterdir():
        if path.name != "in":
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    return contents(place)


def warm(name: str) -> None:
    """Runs it once in this process, so that its forks have all modules and kernels."""
    assert main([*name.split(), *WALK[name]]) == 0


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="no word of memory here")
def test_a_job_answers_for_its_own_memory():
    """Not for what the process that began it holds. The pages are asked of the system: an allocator
    that has kept some of earlier tests would hand these out, and nothing would be held anew."""

    def held() -> mmap.mmap:
        pages = mmap.mmap(-1, 320 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        pages.write(bytes(320 << 20))
        return pages

    lean = alone(lambda: None).memory
    ballast = held()
    assert abs(alone(lambda: None).memory - lean) < 50
    assert alone(lambda: held().close()).memory > lean + 270
    ballast.close()


@pytest.mark.parametrize("name", RUN)
def test_faults(name, place, full, tell):
    warm(name)
    faults = list(FAULTS) if full else random.Random(name).sample(list(FAULTS), 3)
    refused = 0
    for fault in faults:
        if "full" in fault and "output" in fault and not os.path.exists("/dev/full"):
            continue
        before = afresh(place)
        ended = command([*name.split(), *WALK[name]], FAULTS[fault])
        assert_sound(ended, f"{name}, {fault}")
        lines = ended.said.count("ssd-np: ")
        assert lines <= 1 + (name == "detect"), ended  # which counts the pictures it could not draw
        place.chmod(0o755)
        after = contents(place)
        assert {key: after[key] for key in before} == before, fault
        assert_whole(after)
        leftovers = [path for path in place.rglob(".*") if path.is_file()]
        assert not leftovers, fault
        if ended.code == 0 and outputs(name):
            assert after.keys() != before.keys()
        refused += ended.code != 0
    tell(f"{len(faults)} faults, {refused} ended it with one line, nothing lost")


@pytest.mark.parametrize("name", WRITE)
def test_signals(name, place, full, tell):
    """At random moments of its run; a result is there whole, or not at all."""
    warm(name)
    afresh(place)
    usual = command([*name.split(), *WALK[name]], seconds=300)
    assert usual.code == 0, usual
    whole, draw = contents(place), random.Random(name)
    moments = 20 if full else 1
    for number, _ in itertools.product(SIGNALS, range(moments)):
        before = afresh(place)
        delay = draw.uniform(0, usual.seconds)

        def send(process, number=number, delay=delay):
            time.sleep(delay)
            os.kill(process, number)

        ended = command([*name.split(), *WALK[name]], meanwhile=send, seconds=PATIENCE)
        assert ended.code in (0, 1, 2, 70, -number, 128 + number), f"{name}, {number}: {ended}"
        assert "unexpected" not in ended.said, f"{name}, {number}: {ended}"
        after = contents(place)
        assert {key: after[key] for key in before} == before
        assert after.keys() <= whole.keys()
        assert_whole(after)
    tell(f"{len(SIGNALS) * moments} signals at random moments, every file whole or not there")


@pytest.mark.parametrize("kilobytes", [60_000, 200_000, 300_000, 400_000, 600_000])
def test_ulimit_before_the_start(kilobytes, place):
    """Too little even for the libraries: whichever of them finds it out first, no traceback. Some
    end the process: OpenBLAS with a line of its own; the C library by 127, where a thread has no
    memory for its own variables; LLVM by an abort, with a line or as a C++ exception that nobody
    catches: that it is LLVM's, and no other's, Python's stack must say."""
    line = f"ulimit -v {kilobytes}; exec {sys.executable} -m ssd_np detect in/pictures/photo.png"
    done = subprocess.run(["sh", "-c", line], env=ENVIRONMENT | {"PYTHONFAULTHANDLER": "1"},
                          capture_output=True, text=True, timeout=300, check=False)  # fmt: skip
    ends = {
        0: "",
        1: "not enough memory|does not fit into memory|OpenBLAS error",
        127: "cannot allocate memory for thread-local data",
        -signal.SIGABRT: r"LLVM ERROR: out of memory|"
        r"std::bad_alloc\n(.*\n)*Current thread .*\n  File .*llvmlite",
    }
    assert re.search(ends[done.returncode], done.stderr), done
    assert "Traceback" not in done.stderr, done
