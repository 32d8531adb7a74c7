"""A short training and an evaluation, again and again, each time with another thing that fails.

    python nth.py writes|allocations FOLDER [EVERY]

Prints a line of JSON for each n: how it ended, what it said, and what came of going on with it.
FOLDER holds the data and a config; `allocations` needs `refuse.c`, compiled and loaded before.
"""

import ctypes
import errno
import json
import os
import shutil
import sys
from pathlib import Path

import numpy as np
from alone import alone, assert_whole, contents

from ssd_np import files
from ssd_np.cli import main
from ssd_np.model.archive import read_archive

LARGE = 1 << 17  # bytes
LIMIT = 240  # seconds: what has not ended by then stands still, and says where
FULL = OSError(errno.ENOSPC, "No space left on device")


class Writes:
    """Counts what `write_atomically` asks of the system: to open, write, flush, rename."""

    def __init__(self, nth: int) -> None:
        self.nth, self.seen = nth, 0
        real = {"open": open, "fsync": os.fsync, "replace": os.replace}
        files.open = lambda *given: self._file(self._counted(real["open"])(*given))
        os.fsync, os.replace = self._counted(real["fsync"]), self._counted(real["replace"])

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

            def __getattr__(self, name):
                return getattr(file, name)

            def __enter__(self):
                return self

            def __exit__(self, *error):
                file.close()

        return Counted()


class Allocations:
    """Counts what is asked of malloc and its like, of at least LARGE bytes."""

    def __init__(self, nth: int) -> None:
        self._library = ctypes.CDLL(None)
        self._library.refuse(ctypes.c_long(nth), ctypes.c_size_t(LARGE))

    @property
    def seen(self) -> int:
        return self._library.large()


def arguments(job: str, folder: Path) -> list[str]:
    data = ["--data", f"voc:{folder / 'voc'}"]
    if job == "eval":
        return ["eval", str(folder / "whole/best.npz"), *data, "--split", "all", "--out",
                str(folder / "eval")]  # fmt: skip
    splits = ["--split", "all", "--val-split", "all", "--eval-split", "all"]
    out = folder / ("whole" if job == "whole" else "run")
    return ["train", "--config", str(folder / "narrow.json"), *data, *splits, "--out", str(out)]


def counted(kind, nth: int, told: Path, line: list[str]):
    def job():
        watch = kind(nth)
        try:
            return main(line)
        finally:
            if nth < 0:
                told.write_text(str(watch.seen))

    return job


def tensors(run: Path) -> dict[str, np.ndarray]:
    return {f"{name}: {key}": array for name in ("last.npz", "best.npz")
            for key, array in read_archive(run / name)[1].items()}  # fmt: skip


def go_on(folder: Path) -> str:
    """Resumes the broken training, or begins it anew where it had not begun."""
    run = folder / "run"
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
        results = folder / ("run" if job == "train" else "eval")
        alone(counted(kind, -1, folder / "count", arguments(job, folder)), LIMIT)
        count = int((folder / "count").read_text())
        shutil.rmtree(results, ignore_errors=True)
        if job == "eval":
            assert main(arguments(job, folder)) == 0
            shutil.rmtree(results)
        for nth in range(1, count + 1, every):
            ended = alone(counted(kind, nth, folder / "count", arguments(job, folder)), LIMIT)
            assert_whole(contents(results))
            after = go_on(folder) if job == "train" else "whole"
            report = {"job": job, "nth": nth, "of": count, "code": ended.code, "said": ended.said,
                      "then": after}  # fmt: skip
            print(json.dumps(report), flush=True)
            shutil.rmtree(results, ignore_errors=True)


if __name__ == "__main__":
    run(sys.argv[1], Path(sys.argv[2]), int((*sys.argv[3:], 1)[0]))
