"""The same every time: in two processes, on eight threads, with and without a place for a cache."""

import os
import shutil
import stat
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from training_runs import (
    ENVIRONMENT,
    assert_same_run,
    make_trainer,
    narrow_config,
    start_arguments,
)

import ssd_np
from ssd_np.boxes.nms import nms
from ssd_np.boxes.targets import make_targets
from ssd_np.data.shapes import ShapesDataset
from ssd_np.infer.detect import Detector
from ssd_np.model.ssd import SSD

TIMEOUT = 300


KERNELS = """
import numpy as np
from ssd_np.engine.boxes import iou_matrix
assert iou_matrix(np.eye(4), np.eye(4)).shape == (4, 4)
"""


def test_two_processes_at_once_with_one_new_compile_cache(tmp_path, voc, full, tell):
    """Both compile, store and read the same files; both end alike."""
    cache = tmp_path / "cache"
    cache.mkdir()
    environment = {**ENVIRONMENT, "NUMBA_CACHE_DIR": str(cache)}
    runs = [tmp_path / "a", tmp_path / "b"]
    start = start_arguments(tmp_path, voc, narrow_config(steps=3))
    jobs = [["-m", "ssd_np", *start, "--out", str(run)] for run in runs]
    if not full:  # a few kernels instead of all
        jobs = [["-c", KERNELS]] * 2
    processes = [
        subprocess.Popen([sys.executable, *job], env=environment, stderr=subprocess.PIPE, text=True)
        for job in jobs
    ]
    for process in processes:
        _, err = process.communicate(timeout=2 * TIMEOUT)
        assert process.returncode == 0, err
    assert list(cache.rglob("*.nbi"))  # the cache was really used
    if full:
        assert_same_run(*runs)
    tell("2 processes, one empty cache: both done" + ", two trainings bit-equal" * full)


def as_somebody(code: str, package: Path, environment: dict) -> subprocess.CompletedProcess:
    """Runs code with the package of `package`, without root's right to write everywhere."""
    # Numba is complete before: root's Python may be in a folder that nobody else can read
    drop = """
import atexit, os, shutil, tempfile, concurrent.futures.thread, threadpoolctl
import numba, numpy, numpy.typing
numba.njit(lambda x: x[0] + 1.0)(numpy.zeros(1))
if os.geteuid() == 0: os.setuid(65534)
"""
    return subprocess.run(
        [sys.executable, "-B", "-c", drop + code],
        cwd=package,
        env={**ENVIRONMENT, "PYTHONPATH": str(package), **environment},
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )


@pytest.fixture
def read_only_package(tmp_path_factory):
    """A copy of the package that can be read by all and written by nobody."""
    root = Path(os.path.realpath(subprocess.check_output(["mktemp", "-d"], text=True).strip()))
    shutil.copytree(Path(ssd_np.__file__).parent, root / "ssd_np",
                    ignore=shutil.ignore_patterns("__pycache__", "*.npz"))  # fmt: skip
    folders = [root, *(p for p in root.rglob("*") if p.is_dir())]
    for folder in folders:
        folder.chmod(0o555)
    yield root
    for folder in folders:
        folder.chmod(0o755)
    shutil.rmtree(root)


@pytest.mark.parametrize("named", ["a folder of a package that nobody can write to", "a file"])
def test_no_folder_for_compiled_kernels(read_only_package, named, tell):
    """Neither the package nor the named cache nor a home can be written to: it works all the same,
    says so in one line, and leaves nothing behind."""
    place = "cache" if named.startswith("a folder") else "ssd_np/__init__.py"
    nowhere = {"HOME": "/nonexistent", "NUMBA_CACHE_DIR": str(read_only_package / place)}
    nowhere["XDG_CACHE_HOME"] = "/nonexistent"
    done = as_somebody(KERNELS, read_only_package, nowhere)
    assert done.returncode == 0, done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith("ssd_np: compiled kernels can be kept nowhere")
    assert "nb" not in {path.suffix[1:3] for path in read_only_package.rglob("*")}
    tell("works without any folder for compiled kernels")


def test_a_disk_that_fills_up_under_the_cache(tmp_path):
    """A kernel that can not be stored, or was stored by half, is compiled again."""
    resource = pytest.importorskip("resource")
    environment = {**ENVIRONMENT, "NUMBA_CACHE_DIR": str(tmp_path)}

    def full_disk():
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))

    for fault in (full_disk, None, None):
        done = subprocess.run([sys.executable, "-c", KERNELS], env=environment, text=True,
                              preexec_fn=fault, capture_output=True, timeout=TIMEOUT,
                              check=False)  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert ("kept nowhere" in done.stderr) == (fault is not None)
        for index in tmp_path.rglob("*.nbi"):
            index.write_bytes(b"")  # as a power failure leaves it


READ_ONLY_ROOT = """
mount -o remount,ro,bind / && for f in /tmp /var/tmp /dev/shm "$1"; do
  mount --bind "$f" "$f" && mount -o remount,ro,bind "$f" || exit 77; done
cd "$1" && exec "$2" -B -m ssd_np --version
"""


def test_the_version_on_a_root_that_is_read_only():
    """A container whose every folder is read-only, a temporary one too."""
    if not shutil.which("unshare"):
        pytest.skip("no unshare to mount a root read-only with")
    home = Path(ssd_np.__file__).parents[1]
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", READ_ONLY_ROOT, "sh", str(home), sys.executable],
        env={**ENVIRONMENT, "HOME": "/nonexistent"},
        capture_output=True, text=True, timeout=TIMEOUT, check=False,
    )  # fmt: skip
    if done.returncode != 0 and "Traceback" not in done.stderr:
        pytest.skip(f"no root can be mounted read-only here: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"ssd-np {ssd_np.__version__}, engine fast\n" and not done.stderr


def test_a_home_is_cache_enough(read_only_package):
    home = read_only_package.with_name(read_only_package.name + "-home")
    home.mkdir()
    home.chmod(stat.S_IRWXU | stat.S_IRWXG | stat.S_IRWXO)
    try:
        environment = {"HOME": str(home), "XDG_CACHE_HOME": str(home / "cache")}
        done = as_somebody(KERNELS, read_only_package, environment)
        assert done.returncode == 0, done.stderr
        assert list(home.rglob("*.nbi"))
    finally:
        shutil.rmtree(home)


def at_once(jobs) -> list:
    """The results of all jobs, each in a thread of its own, begun together."""
    results, barrier = [None] * len(jobs), threading.Barrier(len(jobs))

    def run(i):
        barrier.wait()
        try:
            results[i] = jobs[i]()
        except BaseException as error:
            results[i] = error

    threads = [threading.Thread(target=run, args=(i,)) for i in range(len(jobs))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(TIMEOUT)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return results


def assert_same_detections(found, expected):
    np.testing.assert_array_equal(found.boxes_corner, expected.boxes_corner)
    np.testing.assert_array_equal(found.labels, expected.labels)
    np.testing.assert_array_equal(found.scores, expected.scores)


def test_one_detector_for_eight_threads(full, tell):
    images = [sample.image for sample in map(ShapesDataset(1, 8).__getitem__, range(8))]
    detector = Detector(SSD(narrow_config()), score_threshold=0.1)
    expected = [detector.detect(image) for image in images]
    assert len({len(found) for found in expected} | {0}) > 1  # there is something to mix up
    rounds = 20 if full else 3
    for _ in range(rounds):
        results = at_once([lambda image=image: detector.detect(image) for image in images])
        for found, reference in zip(results, expected, strict=True):
            assert_same_detections(found, reference)
    tell(f"{8 * rounds} detections with one model, all as in one thread")


def test_eight_threads_train_detect_and_match(tmp_path, full, tell):
    """Two train, two detect with models of their own, two match, two suppress."""
    config, data = narrow_config(), ShapesDataset(1, 4)
    priors = SSD(config).default_boxes

    def train(name):
        learner = make_trainer(tmp_path / name, steps=3)
        learner.fit()
        return [p.value for p in learner.model.parameters.values()]

    def detect():
        detector = Detector(SSD(config), score_threshold=0.1)
        return [detector.detect(data[i].image).boxes_corner for i in range(4)]

    def targets():
        truth = data.truth(0)
        return [make_targets(truth.boxes_corner, truth.labels, priors)[1] for _ in range(20)]

    def suppress():
        rng = np.random.default_rng(0)
        low = rng.random((300, 2)) / 2
        boxes = np.hstack([low, low + rng.random((300, 2)) / 2])
        return [nms(boxes, rng.random(300)) for _ in range(20)]

    expected = [train("alone"), detect(), targets(), suppress()]
    rounds = 4 if full else 1
    for k in range(rounds):
        jobs = [lambda k=k: train(f"a{k}"), detect, targets, suppress,
                lambda k=k: train(f"b{k}"), detect, targets, suppress]  # fmt: skip
        for result, reference in zip(at_once(jobs), expected * 2, strict=True):
            for array, other in zip(result, reference, strict=True):
                np.testing.assert_array_equal(array, other)
    tell(f"{8 * rounds} jobs of four kinds, all bit-equal to the same jobs alone")
