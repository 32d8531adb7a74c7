"""What the machine can do at most, how long a fresh process takes, and how much memory a forward.

A fresh process is started for what can be seen only once in a process: importing, compiling with an
empty cache, and the highest memory.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ssd_np.engine.threads import for_each, thread_count

SIDE = 1536  # of the matrices
BYTES = 64 << 20  # of the copied array

FIRST_DETECTION = """
import time; start = time.perf_counter()
import numpy as np
from ssd_np.infer.detect import Detector
from ssd_np.model.weights import load
Detector(load("shapes")).detect(np.full((128, 128, 3), 99, np.uint8))
print(time.perf_counter() - start)
"""

FORWARD_MEMORY = """
import dataclasses, sys
import numpy as np
from ssd_np.config import load_config
from ssd_np.model.ssd import SSD
def mebibytes(key):
    lines = open("/proc/self/status").read().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith(key))) / 1024
def run(name):
    config = dataclasses.replace(load_config(name), convolution=sys.argv[2])
    model = SSD(config)
    images = np.zeros((1, *config.input.shape, config.input.channels), np.float32)
    loaded = mebibytes("VmRSS")
    model.forward(images)
    return loaded
run("tiny")  # loads the kernels
loaded = run(sys.argv[1])
print(mebibytes("VmHWM") - loaded)
"""


def processor_name() -> str:
    """What the processor calls itself, as far as Python or Linux can tell."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.partition(":")[2].strip() for line in lines if "model name" in line)
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def gemm_peak() -> float:
    """GFLOP/s of large float32 matrix products, one on each thread: the best of a few."""
    threads = thread_count()
    rng = np.random.default_rng(0)
    a, b = (rng.random((threads, SIDE, SIDE), np.float32) for _ in range(2))
    out = np.empty_like(a)
    seconds = _best(lambda: for_each(lambda i: np.matmul(a[i], b[i], out=out[i]), threads))
    return 2e-9 * threads * SIDE**3 / seconds


def copy_rate() -> float:
    """GB/s read and written together by copying a large array, each thread its own."""
    threads = thread_count()
    source = np.ones((threads, BYTES), np.uint8)
    target = np.empty_like(source)
    seconds = _best(lambda: for_each(lambda i: np.copyto(target[i], source[i]), threads))
    return 2e-9 * threads * BYTES / seconds


def _best(run: Callable[[], object], times: int = 5) -> float:
    seconds = []
    for _ in range(times):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def start_times() -> dict[str, float]:
    """Seconds of a fresh process: importing, `--help`, a first detection compiling and warm."""
    with tempfile.TemporaryDirectory() as empty:
        return {
            "import ssd_np": _lowest("-c", "import ssd_np"),
            "ssd-np --help": _lowest("-m", "ssd_np", "--help"),
            "first detection, compiling": float(_fresh("-c", FIRST_DETECTION, cache=empty)),
            "first detection, warm": float(_fresh("-c", FIRST_DETECTION, cache=empty)),
        }


def forward_memory(network: str, algorithm: str) -> float | None:
    """MiB of a forward of one image at its highest, above the loaded model; None but on Linux."""
    if not sys.platform.startswith("linux"):
        return None
    return float(_fresh("-c", FORWARD_MEMORY, network, algorithm))


def _lowest(*arguments: str, times: int = 3) -> float:
    """Wall clock of a whole process."""
    return _best(lambda: _fresh(*arguments), times)


def _fresh(*arguments: str, cache: str | None = None) -> str:
    environment = os.environ | ({"NUMBA_CACHE_DIR": cache} if cache else {})
    command = [sys.executable, *arguments]
    return subprocess.run(
        command, env=environment, check=True, capture_output=True, text=True
    ).stdout
