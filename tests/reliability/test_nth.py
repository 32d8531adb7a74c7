"""The n-th write and the n-th large allocation fail, for every n of a short training and of an
evaluation: one line, no file by half, and the training goes on to bit-equal weights."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from alone import needs_fork
from training_runs import ENVIRONMENT, narrow_config

from ssd_np.config import config_to_json

HERE = Path(__file__).parent
EVERY = {"writes": 211, "allocations": 97}  # in a quick run, of those at each point


@pytest.fixture
def shim(tmp_path):
    """The environment in which allocations can be refused."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if not compiler or not sys.platform.startswith("linux"):
        pytest.skip("no C compiler, or no Linux")
    made = [compiler, "-shared", "-fPIC", "-O1", "-o", tmp_path / "refuse.so", HERE / "refuse.c"]
    if subprocess.run(made, capture_output=True, check=False).returncode:
        pytest.skip("the C library is not glibc")
    return {"LD_PRELOAD": str(tmp_path / "refuse.so")}


def failures(what, tmp_path, voc, full, **environment):
    shutil.copytree(voc, tmp_path / "voc")
    config = narrow_config(steps=2, checkpoint_every=1, validate_every=1)
    (tmp_path / "narrow.json").write_text(config_to_json(config))
    every = 1 if full else EVERY[what]
    done = subprocess.run(
        [sys.executable, HERE / "nth.py", what, tmp_path, str(every)],
        env=ENVIRONMENT | {"PYTHONPATH": f"{HERE}:{HERE.parents[1]}"} | environment,
        capture_output=True, text=True, timeout=7200, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def numbers(found) -> str:
    jobs = [one["job"] for one in found]
    return f"{jobs.count('train')} of a training and {jobs.count('eval')} of an evaluation:"


def after(found) -> str:
    return f"bit-equal when gone on with from the {found[0]['states']} states they leave"


@needs_fork
def test_the_nth_write_fails(tmp_path, voc, full, tell):
    found = failures("writes", tmp_path, voc, full)
    for one in found:
        assert one["code"] == 1 and one["then"] in ("whole", "bit-equal"), one
        (line,) = [line for line in one["said"].splitlines() if line.startswith("ssd-np: ")]
        assert "can not be written: No space left on device" in line, one
    assert {one["job"] for one in found} == {"train", "eval"}
    tell(
        f"{numbers(found)} writes, flushes and renames fail, each told in one line; {after(found)}"
    )


@needs_fork
def test_the_nth_large_allocation_fails(tmp_path, voc, full, shim, tell):
    found = failures("allocations", tmp_path, voc, full, **shim)
    for one in found:
        assert one["code"] in (0, 1) and one["then"] in ("whole", "bit-equal"), one
        lines = [line for line in one["said"].splitlines() if line.startswith("ssd-np: ")]
        assert len(lines) == one["code"] and "unexpected" not in one["said"], one
    told = sum(one["code"] for one in found)
    assert told
    tell(f"{numbers(found)} large allocations fail, {told} told in one line, the others done "
         f"without; {after(found)}")  # fmt: skip
