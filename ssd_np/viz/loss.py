"""The loss of a training, step by step.

Takes `out`: a file to write, or a matplotlib figure to draw on (see `canvas`).
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ssd_np.errors import DataError
from ssd_np.viz.canvas import BLUE, VERMILION, Out, canvas, plain_numbers, tidy

LOSSES = (("total", "black", "-"), ("location", BLUE, "--"), ("confidence", VERMILION, "-."))


def loss_curve(csv_path_or_columns: str | Path | Mapping[str, np.ndarray], out: Out) -> None:
    """The parts of the loss over the steps, raw (light) and smoothed; below, the learning rate.

    Takes the CSV file of a training run or its columns: step, total, location, confidence and
    learning_rate, each (steps,). Smoothed means the centred average of a fortieth of all steps.
    Raises DataError for a file or columns that can not be used, OutputError if writing fails.
    """
    columns = csv_path_or_columns
    where = "columns" if isinstance(columns, Mapping) else str(columns)
    if not isinstance(columns, Mapping):
        columns = _read_columns(Path(columns))
    missing = [k for k in ("step", "learning_rate", *(n for n, _, _ in LOSSES)) if k not in columns]
    if missing:
        raise DataError(f"no column {', '.join(missing)}", where=where)
    step = np.asarray(columns["step"], np.float64)
    if len(step) == 0:
        raise DataError("no step was logged yet", where=where)

    with canvas(out, 7, 5) as figure:
        loss_axes, rate_axes = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
        window = max(1, len(step) // 40)
        marker = "o" if len(step) < 20 else None  # a line through one point would not be seen
        for name, color, style in LOSSES:
            raw = np.asarray(columns[name], np.float64)
            loss_axes.plot(step, raw, color=color, alpha=0.2, linewidth=0.7)
            loss_axes.plot(
                step,
                _smoothed(raw, window),
                style,
                color=color,
                linewidth=2,
                label=name,
                marker=marker,
            )
        if np.any(np.asarray(columns["total"]) > 0):  # without any object it may be 0 throughout
            loss_axes.set_yscale("log")
            plain_numbers(loss_axes.yaxis)
        loss_axes.set_ylabel(f"loss ({loss_axes.get_yscale()} scale)")
        loss_axes.set_title("the loss, step by step", fontsize=11)
        loss_axes.legend(title=f"average of {window} steps" if window > 1 else None, frameon=False)
        rate_axes.plot(
            step, np.asarray(columns["learning_rate"], np.float64), color="black", marker=marker
        )
        rate_axes.set(xlabel="step", ylabel="learning\nrate", ylim=(0, None))
        for axes in (loss_axes, rate_axes):
            tidy(axes)


def _read_columns(path: Path) -> dict[str, np.ndarray]:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            names, *rows = [row for row in csv.reader(file) if row] or [[]]
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"can not be read: {error}", where=str(path)) from error
    values = np.empty((len(rows), len(names)))
    for i, row in enumerate(rows):
        try:
            values[i] = [float(cell) for cell in row]
        except ValueError as error:
            raise DataError(
                f"expected {len(names)} numbers, got {','.join(row)!r}",
                where=f"{path}: line {i + 2}",
            ) from error
    return dict(zip(names, values.T, strict=True))


def _smoothed(values: np.ndarray, window: int) -> np.ndarray:
    """Centred average; at both ends of the steps that there are. (S,) -> (S,)"""
    ones = np.ones(window)
    count = np.convolve(np.ones(len(values)), ones, "same")
    return np.convolve(values, ones, "same") / count
