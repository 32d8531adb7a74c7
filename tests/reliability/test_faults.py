"""A disk that is full, a folder that is read-only or gone: the last good files stay."""

import contextlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import pytest
from training_runs import command, make_trainer, narrow_config, start_arguments

from ssd_np.data.shapes import ShapesDataset
from ssd_np.errors import OutputError
from ssd_np.files import remove_leftovers, write_atomically
from ssd_np.model.archive import read_archive
from ssd_np.model.ssd import SSD
from ssd_np.train import best
from ssd_np.train.trainer import Trainer

resource = pytest.importorskip("resource")  # of POSIX systems


@pytest.fixture
def open_folder():
    """A folder that any user may enter, as pytest's own are not."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@contextlib.contextmanager
def full_disk(_folder):
    """No file may grow beyond 4 KB: the log fits, a checkpoint does not."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@contextlib.contextmanager
def read_only(folder):
    """Nobody may write to the folder; root, whom no permission stops, becomes someone else."""
    folder.chmod(0o555)
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)
        folder.chmod(0o755)


@contextlib.contextmanager
def moved_away(folder):
    elsewhere = folder.with_name("elsewhere")
    folder.rename(elsewhere)
    try:
        yield
    finally:
        elsewhere.rename(folder)


@contextlib.contextmanager
def replaced_by_a_file(folder):
    with moved_away(folder):
        folder.write_text("")
        try:
            yield
        finally:
            folder.unlink()


FAULTS = {
    "full disk": (full_disk, r"last\.npz: can not be written: File too large"),
    "read-only folder": (read_only, r"log\.csv: can not be written: Permission denied"),
    "folder moved away": (moved_away, "the folder of this training has vanished after step 4"),
    "folder replaced": (replaced_by_a_file, "the folder of this training has vanished"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_while_training_leaves_the_last_checkpoint(open_folder, name, tell):
    fault, message = FAULTS[name]
    run = open_folder / "run"
    whole, learner = make_trainer(open_folder / "whole"), make_trainer(run)
    whole.fit()
    learn = learner.learn
    with contextlib.ExitStack() as stack:
        before = {}

        def break_after_step_3(*arguments):
            if learner.progress.step == 3:  # the checkpoint of step 2 is there
                before.update({path.name: path.read_bytes() for path in run.iterdir()})
                stack.enter_context(fault(run))
            return learn(*arguments)

        learner.learn = break_after_step_3
        with pytest.raises(OutputError, match=message) as caught:
            learner.fit()
    assert "\n" not in str(caught.value)
    assert before["last.npz"] == (run / "last.npz").read_bytes()
    assert read_archive(run / "last.npz")[0]["progress"]["step"] == 2
    assert before.keys() == {path.name for path in run.iterdir()}  # nothing half-written is left

    rest = make_trainer(run)  # and when the fault is repaired, it goes on
    rest.resume()
    rest.fit()
    for key, parameter in whole.model.parameters.items():
        np.testing.assert_array_equal(parameter.value, rest.model.parameters[key].value)
    tell("last checkpoint as it was, one line, resumed to bit-equal weights")


def test_a_user_sees_one_line(tmp_path, voc):
    start = start_arguments(tmp_path, voc, narrow_config())
    first = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))"
    process = command([*start, "--out", str(tmp_path / "run")], first)
    _, err = process.communicate(timeout=300)
    assert process.returncode == 1 and "Traceback" not in err
    (line,) = [line for line in err.splitlines() if line.startswith("ssd-np: ")]
    assert "last.npz: can not be written: File too large" in line
    assert "what was there before is untouched; check the folder and the free space" in line


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 256 KB, where the machine lets us have one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "none", str(folder)]
    if os.geteuid() != 0 or not shutil.which("mount"):
        pytest.skip("only root mounts a disk")
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("no disk can be mounted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_disk_that_really_is_full(small_disk):
    path = small_disk / "last.npz"
    write_atomically(path, bytes(200_000))
    with pytest.raises(OutputError, match=r"last\.npz: can not be written: No space left"):
        write_atomically(path, b"\1" * 200_000)  # the old one must stay until the new one is there
    assert path.read_bytes() == bytes(200_000)
    assert [p.name for p in small_disk.iterdir()] == ["last.npz"]
    write_atomically(path, b"\1" * 20_000)
    assert path.read_bytes() == b"\1" * 20_000


def test_an_existing_run_is_not_overwritten(tmp_path, voc, capsys):
    from ssd_np.cli import main

    run = tmp_path / "run"
    run.mkdir()
    (run / "last.npz").write_bytes(b"weeks of work")
    start = [*start_arguments(tmp_path, voc, narrow_config(steps=1)), "--out", str(run)]
    assert main(start) == 1
    assert "is not empty (choose another --out, or --force)" in capsys.readouterr().err
    assert (run / "last.npz").read_bytes() == b"weeks of work"
    assert main([*start, "--force"]) == 0
    assert read_archive(run / "last.npz")[0]["progress"]["step"] == 1


def test_what_a_killed_process_left_is_taken_away(tmp_path):
    names = [".last.npz." + "0" * 32, ".gitignore", ".hidden." + "0" * 31, "log.csv"]
    for name in names:
        (tmp_path / name).write_text("x")
    remove_leftovers(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == set(names[1:])


@pytest.mark.parametrize("fails", [1, 2])
def test_a_validation_that_fails_is_made_up_for(tmp_path, monkeypatch, fails):
    """The step before it is saved; the run that goes on measures it, and keeps the same weights."""

    def trainer(out):
        config = narrow_config(steps=4, validate_every=2)
        given = SSD(config), ShapesDataset(0, 12), config.training, out, ShapesDataset(1, 8)
        return Trainer(*given)

    trainer(tmp_path / "whole").fit()
    calls, real = [], best.detect_dataset

    def short_of_memory(*given):
        calls.append(1)
        if len(calls) == fails:
            raise MemoryError
        return real(*given)

    monkeypatch.setattr(best, "detect_dataset", short_of_memory)
    with pytest.raises(MemoryError):
        trainer(tmp_path / "run").fit()
    again = trainer(tmp_path / "run")
    again.resume()
    assert again.progress.step == 2 * fails
    again.fit()
    for name in ("last.npz", "best.npz"):
        whole, run = (read_archive(tmp_path / out / name)[1] for out in ("whole", "run"))
        assert whole.keys() == run.keys()
        assert all(np.array_equal(array, run[key]) for key, array in whole.items()), name
