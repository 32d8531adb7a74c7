"""The log of a training: a line for each step."""

import csv
from pathlib import Path

import numpy as np

from ssd_np.errors import DataError

COLUMNS = ("step", "total", "location", "confidence", "positives", "learning_rate",
           "gradient_norm", "images_per_second")  # fmt: skip


def read_log(path: Path, steps: int) -> list[tuple]:
    """The lines of the first `steps` steps of a log.csv; DataError if they are not all there."""
    try:
        with open(path, newline="", encoding="utf-8") as file:
            rows = [tuple(row) for row in list(csv.reader(file))[1 : steps + 1]]
        numbers = np.array(rows, np.float64).reshape(-1, len(COLUMNS))
    except (OSError, ValueError, csv.Error) as error:
        raise DataError(f"can not be read: {error}", where=str(path)) from error
    if len(rows) < steps:
        what = f"has {len(rows)} whole lines, the checkpoint beside it is of step {steps}"
        raise DataError(
            what, where=str(path), hint="both are written together: take a copy of both"
        )
    if not np.array_equal(numbers[:, 0], np.arange(steps)):
        raise DataError("does not count its steps 0, 1, 2, ...", where=str(path))
    return rows
