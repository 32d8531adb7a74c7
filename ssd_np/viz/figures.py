"""Figures that tell how training goes and what a detector can do.

Every figure takes `out`: a file to write, or a matplotlib figure to draw on (see `canvas`).
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.ticker import NullFormatter, ScalarFormatter

from ssd_np.errors import DataError, ShapeError
from ssd_np.evaluate.average_precision import ClassResult, VocResult
from ssd_np.loss.cross_entropy import cross_entropy_backward, cross_entropy_forward
from ssd_np.viz.canvas import BLUE, COLORS, GREY, ORANGE, VERMILION, YELLOW, Out, canvas, tidy

STYLES = ("-", "--", "-.", ":")
LINES = [color for color in COLORS if color != YELLOW]  # yellow is too pale on white
LOSSES = (("total", "black", "-"), ("location", BLUE, "--"), ("confidence", VERMILION, "-."))
MOST_CURVES = 20  # of precision and recall with a colour and a name each


# --- training ------------------------------------------------------------------------------------


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
            _plain_numbers(loss_axes.yaxis)
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


# --- mining --------------------------------------------------------------------------------------


def mining_figure(logits: np.ndarray, labels: np.ndarray, mined: np.ndarray, out: Out) -> None:
    """Mined against easy negatives of one image.

    logits (T, K), labels (T,): class, 0 background, -1 neutral; mined (T,) bool. Left, every
    negative's loss by rank, with the cut; right, what share of the boxes each group is, and what
    share of the gradient (sum of |dlogits|) it would have if every box were trained.
    """
    known = labels >= 0
    loss, cache = cross_entropy_forward(logits, np.maximum(labels, 0))
    pull = np.abs(cross_entropy_backward(np.ones_like(loss), cache)).sum(axis=1)  # (T,)
    groups = (
        ("positive", labels > 0, BLUE, None),
        ("mined negative", mined, VERMILION, "//"),
        ("easy negative", (labels == 0) & ~mined, GREY, None),
    )
    with canvas(out, 7.4, 4) as figure:
        ranks, bars = figure.subplots(1, 2, width_ratios=(1.4, 1))
        negatives = np.flatnonzero(labels == 0)
        order = negatives[np.argsort(-loss[negatives], kind="stable")]
        rank = np.arange(1, len(order) + 1)
        for name, color, marker in (("easy", GREY, "."), ("mined", VERMILION, "o")):
            part = mined[order] == (name == "mined")
            label = f"{name}: {part.sum():,}"
            ranks.plot(rank[part], loss[order[part]], marker, color=color, ms=5, label=label)
        ranks.axvline(mined.sum() + 0.5, color="black", ls="--", lw=1)
        ranks.set(xscale="log", yscale="log", xlabel="rank among the negatives (log scale)")
        ranks.set(ylabel="loss as background (log scale)", title="negatives and the cut")
        _plain_numbers(ranks.yaxis)
        ranks.xaxis.set_major_formatter(ScalarFormatter())
        ranks.legend(frameon=False)
        tidy(ranks)
        left = np.zeros(2)
        for name, part, color, hatch in groups:
            shares = 100 * np.array(
                [pull[part].sum() / pull[known].sum(), part.sum() / known.sum()]
            )
            bars.barh(
                ("gradient", "boxes"), shares, left=left, color=color, hatch=hatch, ec="black",
                lw=0.7, label=f"{name}: {part.sum():,}"
            )  # fmt: skip
            left += shares
        bars.set(xlabel="share in %", xlim=(0, 100), title="if all were trained")
        figure.legend(
            *bars.get_legend_handles_labels(), loc="outside lower right", ncols=3, frameon=False
        )
        bars.spines[["top", "right"]].set_visible(False)


# --- precision and recall ------------------------------------------------------------------------


def precision_recall(voc_result: VocResult, out: Out, show_score: float = 0.5) -> None:
    """Precision against recall for every class that has truth, best AP first in the legend.

    A dot marks where each curve stands when only scores of at least `show_score` are shown.
    With more than 20 classes the five best and the five worst are named, the others grey.
    """
    classes = sorted((c for c in voc_result.classes if c.truths), key=lambda c: -c.ap)
    if not classes:
        raise ShapeError("no class has an object to find, so there is no curve to draw")
    few = len(classes) <= MOST_CURVES
    named = classes if few else classes[:5] + classes[-5:]
    with canvas(out, 7, 5) as figure:
        axes = figure.subplots()
        for c in [] if few else classes[5:-5]:
            axes.plot(*_curve(c), color="0.8", linewidth=0.8)
        for i, c in enumerate(named):
            color, style = LINES[i % len(LINES)], STYLES[i % len(STYLES)]
            axes.plot(*_curve(c), style, color=color, linewidth=2, label=f"{c.name}  {c.ap:.3f}")
            shown = int(np.sum(c.scores >= show_score))
            if shown:
                at = c.recall[shown - 1], c.precision[shown - 1]
                axes.plot(*at, "o", color=color, markeredgecolor="black", markersize=7, zorder=3)
        axes.plot(
            [], [], "o", color="white", markeredgecolor="black", label=f"score {show_score:g}"
        )
        axes.set(xlim=(0, 1.01), ylim=(0, 1.03), xlabel="recall", ylabel="precision")
        axes.set_title(
            f"mean AP {voc_result.mean_ap:.3f} over {len(classes)} classes "
            f"({voc_result.metric}, IoU ≥ {voc_result.iou_threshold:g})",
            fontsize=11,
        )
        title = "class and AP" if few else f"5 best, 5 worst of {len(classes)}"
        figure.legend(loc="outside right upper", title=title, fontsize=9, frameon=False)
        tidy(axes)


def _curve(c: ClassResult) -> tuple[np.ndarray, np.ndarray]:
    """Recall and precision from recall 0 on, each (D + 1,)."""
    start = c.precision[:1]  # the first detection's precision, 0 or 1
    return np.append(np.zeros(len(start)), c.recall), np.append(start, c.precision)


# --- default boxes -------------------------------------------------------------------------------


def coverage(best_iou: np.ndarray, sizes: np.ndarray, out: Out, threshold: float = 0.5) -> None:
    """How well the default boxes cover the objects of a data set.

    best_iou  (G,) each object's largest IoU with any default box
    sizes     (G,) its size, the root of its area, in pixels of the network's input

    Above, every object; below, the share in each range of sizes that no default box reaches with
    `threshold`, over each bar the objects in the range. An object that is not covered has only the
    one default box that bipartite matching gives it.
    """
    best_iou, sizes = np.asarray(best_iou, np.float64), np.asarray(sizes, np.float64)
    if best_iou.shape != sizes.shape or best_iou.ndim != 1 or len(sizes) == 0 or sizes.min() <= 0:
        raise ShapeError(
            f"best_iou {best_iou.shape} and sizes {sizes.shape} are no coverage",
            hint="expected one IoU and one size above 0 for each object, and at least one object",
        )
    covered = best_iou >= threshold
    with canvas(out, 7, 5.5) as figure:
        cloud, bars = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1.2))
        for part, marker, color, word in (
            (covered, "o", BLUE, "covered"),
            (~covered, "x", VERMILION, "not covered"),
        ):
            alpha = float(np.clip(40 / np.sqrt(len(sizes)), 0.15, 0.8))
            label = f"{word}: {part.sum()} of {len(part)} ({part.mean():.1%})"
            cloud.scatter(
                sizes[part],
                best_iou[part],
                14,
                color=color,
                marker=marker,
                alpha=alpha,
                label=label,
            )
        cloud.axhline(threshold, color="black", linewidth=1, linestyle="--")
        cloud.set(ylabel="best IoU with a default box", ylim=(0, 1.02), xscale="log")
        legend = cloud.legend(loc="lower right")
        for handle in legend.legend_handles:
            handle.set_alpha(1)

        edges = np.geomspace(sizes.min() * 0.999, sizes.max() * 1.001, 13)
        place = np.digitize(sizes, edges) - 1
        count = np.bincount(place, minlength=12)
        missed = np.bincount(place[~covered], minlength=12)
        share = np.divide(100 * missed, count, out=np.zeros(12), where=count > 0)
        drawn = bars.bar(
            edges[:-1], share, np.diff(edges), align="edge", color=ORANGE, edgecolor="black", lw=0.7
        )
        bars.bar_label(drawn, [str(n) if n else "" for n in count], fontsize=8, padding=1)
        bars.set(
            xlabel="object size: root of area, pixels (log scale)",
            ylabel="% not covered\nof how many",
        )
        bars.set_ylim(0, max(10.0, 1.25 * share.max()))
        _plain_numbers(bars.xaxis)
        for axes in (cloud, bars):
            tidy(axes)


# --- common to all -------------------------------------------------------------------------------


def _plain_numbers(axis) -> None:
    """10 instead of 10^1 on a logarithmic axis, with 2 and 5 marked as well."""
    axis.get_major_locator().set_params(subs=(1, 2, 5))
    axis.set_major_formatter(ScalarFormatter())
    axis.set_minor_formatter(NullFormatter())
