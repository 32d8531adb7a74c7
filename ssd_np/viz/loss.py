"""The loss of a training, step by step, and what was measured on images that it does not see.

Takes `out`: a file to write, or a matplotlib figure to draw on (see `canvas`).
"""

import csv
import itertools
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes

from ssd_np.errors import DataError
from ssd_np.files import as_path
from ssd_np.viz.canvas import BLUE, GREEN, PURPLE, VERMILION, Out, canvas, plain_numbers, tidy

# of a log: all others but the total are the parts of its loss
VALIDATION = "validation"  # mAP, in the rows where it was measured
MEASURED = ("positives", "learning_rate", "gradient_norm", "images_per_second")
OTHER_COLUMNS = ("step", *MEASURED, VALIDATION)
# the total, then the parts
STYLES = (("black", "-"), (BLUE, "--"), (VERMILION, "-."), (GREEN, ":"), (PURPLE, "--"))
POINTS = 2000  # a curve, at most: a picture has not more columns


def loss_curve(csv_path_or_columns: str | Path | Mapping[str, np.ndarray], out: Out) -> None:
    """The loss and its parts over the steps, raw (light) and smoothed; below, the validations and
    the learning rate.

    Takes the CSV file of a training run or its columns: step, total, learning_rate and those of the
    parts, each (steps,). Smoothed means the centred average of a fortieth of all steps; of very
    many raw values the lowest and highest in turn are drawn. Raises DataError for a file or columns
    that can not be used, OutputError if writing fails.
    """
    columns = csv_path_or_columns
    where = "columns" if isinstance(columns, Mapping) else str(columns)
    if not isinstance(columns, Mapping):
        columns = _read_columns(as_path(columns))
    missing = [name for name in ("step", "total", "learning_rate") if name not in columns]
    if missing:
        raise DataError(f"no column {', '.join(missing)}", where=where)
    step = np.asarray(columns["step"], np.float64)
    if len(step) == 0:
        raise DataError("no step was logged yet", where=where)
    losses = ["total", *(name for name in columns if name not in ("total", *OTHER_COLUMNS))]

    scores = np.asarray(columns.get(VALIDATION, np.full(len(step), np.nan)), np.float64)
    measured = np.flatnonzero(np.isfinite(scores))
    heights = (4, 2, 1) if len(measured) else (4, 1)

    with canvas(out, 7, 4 + sum(heights) / 5) as figure:
        panels = figure.subplots(len(heights), 1, sharex=True, height_ratios=heights)
        loss_axes, rate_axes = panels[0], panels[-1]
        if len(measured):
            _draw_validations(panels[1], step[measured], scores[measured])
        window = max(1, len(step) // 40)
        marker = "o" if len(step) < 20 else None  # a line through one point would not be seen
        few = np.linspace(0, len(step) - 1, min(len(step), POINTS)).astype(np.int64)
        for name, (color, style) in zip(losses, itertools.cycle(STYLES)):
            raw = np.asarray(columns[name], np.float64)
            loss_axes.plot(*_outline(step, raw), color=color, alpha=0.2, linewidth=0.7)
            look = {"color": color, "linewidth": 2, "marker": marker}
            loss_axes.plot(step[few], _smoothed(raw, window)[few], style, **look, label=name)
        if np.any(np.asarray(columns["total"]) > 0):  # without any object it may be 0 throughout
            loss_axes.set_yscale("log")
            plain_numbers(loss_axes.yaxis)
        loss_axes.set_ylabel(f"loss ({loss_axes.get_yscale()} scale)")
        loss_axes.set_title("the loss, step by step", fontsize=11)
        title = f"average of {window} steps" if window > 1 else None
        # a place of its own choice costs more than all the rest
        loss_axes.legend(title=title, frameon=False, loc="upper right")
        rate = np.asarray(columns["learning_rate"], np.float64)
        rate_axes.plot(step[few], rate[few], color="black", marker=marker)
        rate_axes.set(xlabel="step", ylabel="learning\nrate", ylim=(0, None))
        for axes in panels:
            tidy(axes)


def _draw_validations(axes: Axes, step: np.ndarray, scores: np.ndarray) -> None:
    """A point for each of the validations (V,), a star on the first best one, and a line at its
    height, by which a single one is seen, too."""
    best = int(scores.argmax())
    axes.plot(step, scores, "o-", color=GREEN, markersize=4, linewidth=1, clip_on=False)
    axes.plot(step[best], scores[best], "*", color=VERMILION, markersize=13, clip_on=False)
    across = axes.get_yaxis_transform()
    axes.hlines(scores[best], 0, 1, VERMILION, ":", linewidth=1, transform=across)
    axes.set(ylabel="validation\nmAP", ylim=(0, 1), yticks=(0, 0.5, 1))
    which = "best" if len(scores) > 1 else "the only one"
    title = f"{which}: {scores[best]:.4f} after {step[best] + 1:.0f} steps"
    axes.set_title(title, fontsize=9, loc="right", pad=9)  # above a star at 1


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
            what = f"expected {len(names)} numbers, got {','.join(row)!r}"
            raise DataError(what, f"{path}: line {i + 2}") from error
    return dict(zip(names, values.T, strict=True))


def _outline(step: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(S,), (S,) -> the same, or of very many steps the lowest and highest of each stretch."""
    if len(step) <= POINTS:
        return step, values
    first = np.linspace(0, len(step), POINTS // 2, endpoint=False).astype(np.int64)
    ends = np.minimum.reduceat(values, first), np.maximum.reduceat(values, first)
    return np.repeat(step[first], 2), np.stack(ends, axis=1).ravel()


def _smoothed(values: np.ndarray, window: int) -> np.ndarray:
    """(S,) -> (S,): the centred average, at both ends of the steps that there are."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    place = np.arange(len(values)) - window // 2
    first, end = np.maximum(place, 0), np.minimum(place + window, len(values))
    return (sums[end] - sums[first]) / (end - first)
