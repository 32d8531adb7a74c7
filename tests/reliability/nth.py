"""A short training and an evaluation of which the n-th write, or the n-th large allocation, fails.

    python nth.py writes|allocations FOLDER [EVERY]

The job runs once. At its *points*, where it is about to open a file that it writes, it stands
still, and forks go on from there: in the first the next write fails, in the second the one after
it, until one comes to the next point and none has failed. Each is waited for and its files are put
back, so that no n costs the job anew. A broken training is then gone on with, once for each state
that its folder was left in.

Prints a line of JSON for each n: how it ended, what it said, and what came of going on with it.
FOLDER holds the data and a config; `allocations` needs `refuse.c`, compiled and loaded before.
"""

import ctypes
import errno
import hashlib
import itertools
import json
import os
import shutil
import sys
import threading
from pathlib import Path

import numpy as np
from alone import alone, assert_whole, contents, forked, leave
from training_runs import read_log

from ssd_np import files
from ssd_np.cli import main
from ssd_np.model.archive import read_archive
from ssd_np.train import log

LARGE = 1 << 17  # bytes
LIMIT = 240  # seconds: what has not ended by then stands still, and says where
BEYOND = 99  # the exit code of a fork in which nothing failed before the next point
FULL = OSError(errno.ENOSPC, "No space left on device")


class Writes:
    """Counts what `write_atomically` and `append` ask of the system: to open, cut off, write,
    flush, rename."""

    ends = True  # the job, whichever fails

    def __init__(self, point, drawn: Path) -> None:
        self.nth, self.seen = 0, 0
        # it is drawn into memory, which is no write: to draw it anew in each fork takes too long
        log.loss_curve = lambda _columns, file: file.write(drawn.read_bytes())
        real = {"open": open, "fsync": os.fsync, "replace": os.replace}
        opened = self._counted(real["open"])
        files.open = lambda *given: (point(), self._file(opened(*given)))[1]
        os.fsync, os.replace = self._counted(real["fsync"]), self._counted(real["replace"])

    def fail(self, nth: int) -> None:
        self.nth, self.seen = nth, 0

    def _counted(self, call):
        def counted(*given):
            self.seen += 1
            if self.seen == self.nth:
                raise FULL
            return call(*given)

        return counted

    def _file(self, file):
        class Counted:
            write = staticmethod(self._counted(file.write))
            flush = staticmethod(self._counted(file.flush))
            truncate = staticmethod(self._counted(file.truncate))

            def __getattr__(self, name):
                return getattr(file, name)

            def __enter__(self):
                return self

            def __exit__(self, *error):
                file.close()

        return Counted()


class Allocations:
    """Counts what is asked of malloc and its like, of at least LARGE bytes."""

    ends = False

    def __init__(self, point, _drawn: Path) -> None:
        self._library = ctypes.CDLL(None)
        files.open = lambda *given: (point(), open(*given))[1]  # noqa: SIM115

    def fail(self, nth: int) -> None:
        self._library.refuse(ctypes.c_long(nth), ctypes.c_size_t(LARGE))

    @property
    def seen(self) -> int:
        return self._library.large()


class Job:
    """The command of `line`, which writes to `results`, in a fork of its own, with its points."""

    def __init__(self, kind, folder: Path, line: list[str], results: Path, every: int) -> None:
        self.folder, self.line, self.results, self.every = folder, line, results, every
        self.kind, self.armed = kind, 0  # in a fork: which one fails

    def run(self) -> None:
        self.watch = self.kind(self.point, self.folder / "whole/loss.png")
        self.point()
        code = main(self.line)
        leave(lambda: code if self.failed else BEYOND + code)

    @property
    def failed(self) -> bool:
        return self.watch.seen >= self.armed

    def point(self) -> None:
        if self.armed:
            if not self.failed:
                os._exit(BEYOND)
            return
        # a fork has no threads to make batches: what may be done without them is counted from the
        # point before
        if not self.watch.ends and any("batches" in t.name for t in threading.enumerate()):
            return
        for nth in itertools.count(1, self.every):
            before = self.folder / "before"
            restore(before, self.results)
            ended = forked(LIMIT)
            if ended is None:
                self.armed = nth
                return self.watch.fail(nth)
            if ended.code == BEYOND:
                return None
            assert ended.code < BEYOND, f"nothing failed: {ended.said}"
            self.tell(ended)
            restore(self.results, before)

    def tell(self, ended) -> None:
        """Prints how a fork ended, and keeps the files as it left them."""
        assert_whole(contents(self.results))
        left = [path.name for path in self.results.rglob(".*")]
        assert not left, f"{left}: {ended.said}"
        state = self.folder / "states" / state_of(self.results)
        if not state.exists():
            restore(state, self.results)
        report = {"job": self.line[0], "code": ended.code, "said": ended.said, "state": state.name}
        print(json.dumps(report), flush=True)


def restore(folder: Path, origin: Path) -> None:
    """Makes the folder what the origin is; both may not be there."""
    shutil.rmtree(folder, ignore_errors=True)
    if origin.exists():
        shutil.copytree(origin, folder)


def state_of(run: Path) -> str:
    """A digest of all files, but for times and speeds in them."""
    digest = hashlib.sha256()
    for name, content in sorted(contents(run).items()):
        if name.endswith(".npz"):
            content = json.dumps(read_archive(run / name)[0]).encode()  # with a digest of the rest
        elif name == "log.csv":
            content = json.dumps(read_log(run)).encode()
        digest.update(f"{name} {len(content)} ".encode() + content)
    return digest.hexdigest()


def arguments(job: str, folder: Path) -> list[str]:
    data = ["--data", f"voc:{folder / 'voc'}"]
    if job == "eval":
        return ["eval", str(folder / "whole/best.npz"), *data, "--split", "all", "--out",
                str(folder / "eval")]  # fmt: skip
    splits = ["--split", "all", "--val-split", "all", "--eval-split", "all"]
    out = folder / ("whole" if job == "whole" else "run")
    return ["train", "--config", str(folder / "narrow.json"), *data, *splits, "--out", str(out)]


def tensors(run: Path) -> dict[str, np.ndarray]:
    return {f"{name}: {key}": array for name in ("last.npz", "best.npz")
            for key, array in read_archive(run / name)[1].items()}  # fmt: skip


def go_on(folder: Path, state: str) -> str:
    """Resumes the broken training, or begins it anew where it had not begun."""
    run = folder / "run"
    restore(run, folder / "states" / state)
    begun = (run / "run.json").exists() and (run / "last.npz").exists()
    line = ["train", "--resume", str(run)] if begun else [*arguments("train", folder), "--force"]
    ended = alone(lambda: main(line), LIMIT)
    if ended.code:
        return f"does not go on: {ended.said}"
    expected, found = tensors(folder / "whole"), tensors(run)
    same = expected.keys() == found.keys() and all(
        np.array_equal(array, found[key]) for key, array in expected.items()
    )
    return "bit-equal" if same else "other weights"


def run(what: str, folder: Path, every: int) -> None:
    kind = {"writes": Writes, "allocations": Allocations}[what]
    assert main(arguments("whole", folder)) == 0  # imports and compiles for all that follow
    for job in ("train", "eval"):
        line, results = arguments(job, folder), folder / ("run" if job == "train" else "eval")
        if job == "eval":
            assert main(line) == 0
            shutil.rmtree(results)
        ended = alone(Job(kind, folder, line, results, every).run, 99 * LIMIT)
        assert ended.code == 0, ended.said
        found = [json.loads(line) for line in ended.said.splitlines() if line[:1] == "{"]
        states = dict.fromkeys(report["state"] for report in found)
        if job == "train":
            states = {state: go_on(folder, state) for state in states}
        for report in found:
            then = {"then": states[report["state"]] or "whole", "states": len(states)}
            print(json.dumps(report | then), flush=True)


if __name__ == "__main__":
    run(sys.argv[1], Path(sys.argv[2]), int((*sys.argv[3:], 1)[0]))
