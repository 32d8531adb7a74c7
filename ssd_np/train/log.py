"""The log of a training, a line for each step, and the curve of its losses."""

from __future__ import annotations

import io
import math
import os
from array import array
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ssd_np.checks import check_kind, check_whole
from ssd_np.data.reading import RECORD, read_bytes
from ssd_np.errors import ConfigError, DataError
from ssd_np.files import append, as_path, write_atomically
from ssd_np.progress import in_notebook
from ssd_np.train.callbacks import Callback, Step
from ssd_np.viz.loss import OTHER_COLUMNS, VALIDATION, loss_curve

if TYPE_CHECKING:
    from ssd_np.train.trainer import Trainer

FILE = "log.csv"
ROW = 1 << 10  # bytes that a step may take


def columns_for(parts: Iterable[str], validated: bool = False) -> tuple[str, ...]:
    """The columns of a log, with one for each part of the loss, and one for validations if any."""
    check_kind(parts, Iterable, "parts")
    first, *rest, validation = OTHER_COLUMNS
    return (first, "total", *parts, *rest, *([validation] if validated else []))


COLUMNS = columns_for(("location", "confidence"))  # with the SSD loss


def read_log(path: Path, steps: int) -> tuple[tuple[str, ...], np.ndarray, int]:
    """Of a log.csv: its columns, the numbers (steps, columns) of the first `steps` steps, and how
    many bytes these take. DataError if they are not all there."""
    check_whole(steps, "steps", 0)
    if steps == 0:  # the columns are known when the loss has been asked
        return (), np.empty((0, len(COLUMNS))), 0
    path = as_path(path)
    try:
        limit = RECORD + ROW * steps
        lines = read_bytes(path, "log", limit).splitlines(keepends=True)[: steps + 1]
        whole = sum(line.endswith(b"\n") for line in lines[1:])
        if whole < steps:
            what = f"has {whole} whole lines, the checkpoint beside it is of step {steps}"
            raise DataError(what, str(path), "both are written together: take a copy of both")
        names, *rows = [line.decode("ascii").strip().split(",") for line in lines]
        numbers = np.array(rows, np.float64).reshape(steps, len(names))
    except ValueError as error:
        raise DataError(f"can not be read: {error}", where=str(path)) from error
    parts = (name for name in names[2:] if name not in OTHER_COLUMNS)
    if tuple(names) != columns_for(parts, VALIDATION in names):
        hint = f"those of the SSD loss are {', '.join(COLUMNS)}"
        raise DataError(f"has the columns {', '.join(names)}", where=str(path), hint=hint)
    if not np.array_equal(numbers[:, 0], np.arange(steps)):
        raise DataError("does not count its steps 0, 1, 2, ...", where=str(path))
    return tuple(names), numbers, sum(map(len, lines))


class Log(Callback):
    """Keeps log.csv, which grows: a checkpoint appends the lines since the last one. On resume,
    lines after the checkpoint are taken back.

    names  of the columns; none before the first step
    """

    def __init__(self) -> None:
        self.names: tuple[str, ...] = ()
        self._validated = False
        self._numbers, self._written = array("d"), 0  # row by row; steps in the file
        self._bytes = 0  # of the file that are these

    @property
    def rows(self) -> np.ndarray:
        """(steps, columns), as the file has them: rounded to six digits."""
        return np.array(self._numbers).reshape(-1, len(self.names) or len(COLUMNS))

    def columns(self) -> dict[str, np.ndarray]:
        """An array (steps,) for each column."""
        return dict(zip(self.names or COLUMNS, self.rows.T, strict=True))

    def expect(self, parts: Mapping[str, float]) -> None:
        """ConfigError unless the loss has the parts that it had at all steps before."""
        names = columns_for(parts, self._validated)
        if len(set(names)) < len(names) or any(set(name) & set(',"\r\n') for name in names):
            hint = f"other names than {', '.join(columns_for(()))}, without a comma"
            raise ConfigError(f"has the parts {list(parts)}", "the loss", hint)
        if names != (self.names or names):
            before = ", ".join(self.names)
            raise ConfigError(f"has the parts {list(parts)}", "the loss", f"the log has {before}")
        self.names = names

    def begin(self, trainer: Trainer) -> None:
        fresh = trainer.validation is not None and not self.names
        self._validated = VALIDATION in self.names or fresh

    def measured(self, mean_ap: float) -> None:
        """What the validation after the last step came to."""
        if self._validated and self._numbers:
            self._numbers[-1] = float(f"{mean_ap:.6g}")
            if self._written == len(self.rows):  # the file has the step without it: written anew
                self._written = self._bytes = 0

    @property
    def unmeasured(self) -> bool:
        """Whether no validation has come to anything since the last step."""
        return bool(self._validated and self._numbers) and math.isnan(self._numbers[-1])

    def resume(self, trainer: Trainer) -> None:
        path, self._written = trainer.out_dir / FILE, trainer.progress.step
        self.names, numbers, self._bytes = read_log(path, self._written)
        self._numbers = array("d", numbers.ravel())

    def add(self, step: Step) -> None:
        """The line of a step, before the step counts: no checkpoint may be of more steps than the
        log has lines. One that was added by a try that was broken off gives way."""
        del self._numbers[step.number * len(self.names) :]
        speed = len(step.batch.images) / step.seconds
        numbers = (step.loss.total, *step.parts.values(), step.positives)
        numbers = (*numbers, step.rate, step.norm, speed, *([math.nan] * self._validated))
        self._numbers.extend((step.number, *(float(f"{number:.6g}") for number in numbers)))

    def save(self, trainer: Trainer) -> None:
        path = trainer.out_dir / FILE
        if not os.path.exists(path) or os.path.getsize(path) < self._bytes:  # somebody was there
            self._written = self._bytes = 0
        rows = self.rows[self._written :].tolist()
        if rows:
            head = [] if self._written else [",".join(self.names)]
            lines = [f"{row[0]:.0f}," + ",".join(f"{n:.6g}" for n in row[1:]) for row in rows]
            self._bytes = append(path, self._bytes, "\n".join([*head, *lines, ""]))
            self._written += len(rows)


class LossCurve(Callback):
    """Draws loss.png of the log's lines whenever a checkpoint is written; a notebook shows it."""

    def __init__(self, log: Log) -> None:
        self.log = log

    def begin(self, trainer: Trainer) -> None:
        self._shown = None

    def save(self, trainer: Trainer) -> None:
        if len(self.log.rows):
            drawn = io.BytesIO()
            loss_curve(self.log.columns(), drawn)
            write_atomically(trainer.out_dir / "loss.png", drawn.getvalue(), make_folder=False)
            if in_notebook():
                self._show(drawn.getvalue())

    def _show(self, drawn: bytes) -> None:
        """In the cell, in the place of the curve that stands there."""
        from IPython.display import Image, display

        picture = Image(drawn, width=600)
        if self._shown is None:
            self._shown = display(picture, display_id=True)
        else:
            self._shown.update(picture)
