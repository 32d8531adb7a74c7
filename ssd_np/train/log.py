"""The log of a training, a line for each step, and the curve of its losses."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np

from ssd_np.errors import DataError
from ssd_np.files import write_atomically
from ssd_np.progress import in_notebook
from ssd_np.train.callbacks import Callback, Step
from ssd_np.viz.loss import loss_curve

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


class Log(Callback):
    """Keeps log.csv; on resume, lines after the checkpoint are taken back.

    rows  a tuple of text for each step, in the order of COLUMNS
    """

    def __init__(self) -> None:
        self.rows: list[tuple] = []

    def columns(self) -> dict[str, np.ndarray]:
        """An array (steps,) for each of COLUMNS."""
        table = np.array(self.rows, np.float64).reshape(-1, len(COLUMNS))
        return dict(zip(COLUMNS, table.T, strict=True))

    def resume(self, trainer) -> None:
        self.rows = read_log(trainer.out_dir / "log.csv", trainer.progress.step)

    def after_step(self, trainer, step: Step) -> None:
        loss, speed = step.loss, len(step.batch.images) / step.seconds
        numbers = (loss.total, loss.location, loss.confidence, loss.num_positive)
        numbers = (*numbers, step.rate, step.norm, speed)
        self.rows.append((step.number, *(f"{number:.6g}" for number in numbers)))

    def save(self, trainer) -> None:
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([COLUMNS, *self.rows])
        write_atomically(trainer.out_dir / "log.csv", text.getvalue())


class LossCurve(Callback):
    """Draws loss.png of the log's lines whenever a checkpoint is written; a notebook shows it."""

    def __init__(self, log: Log) -> None:
        self.log = log

    def begin(self, trainer) -> None:
        self._shown = None

    def save(self, trainer) -> None:
        if self.log.rows:
            path = trainer.out_dir / "loss.png"
            loss_curve(self.log.columns(), path)
            if in_notebook():
                self._show(path)

    def _show(self, path: Path) -> None:
        """In the cell, in the place of the curve that stands there."""
        from IPython.display import Image, display

        picture = Image(path.read_bytes(), width=600)
        if self._shown is None:
            self._shown = display(picture, display_id=True)
        else:
            self._shown.update(picture)
