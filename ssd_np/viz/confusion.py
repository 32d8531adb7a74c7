"""The confusion matrix, and detections with what is wrong with them."""

from __future__ import annotations

import numpy as np

from ssd_np.evaluate.confusion import CONFUSED, FOUND, LEFT_OUT, MISSED, Confusion, Outcome
from ssd_np.picture import draw_boxes
from ssd_np.records import Detections, Truth
from ssd_np.viz.canvas import Out, canvas

MOST = 20  # classes that are drawn by name


def confusion_figure(found: Confusion, out: Out) -> None:
    """Objects by class in rows, what they were taken for in columns; the shade is the share of the
    row. Of more than 20 classes those with the most mistakes are drawn."""
    counts, names = found.matrix, found.class_names
    wrong = counts.sum(axis=0)[:-1] + counts.sum(axis=1)[:-1] - 2 * np.diag(counts)[:-1]  # (K,)
    shown = np.sort(np.argsort(-wrong, kind="stable")[:MOST])
    places = np.append(shown, len(names))
    counts = counts[np.ix_(places, places)]
    rows = [*(names[i] for i in shown), "background"]
    columns = [*(names[i] for i in shown), "missed"]
    shares = counts / np.maximum(1, counts.sum(axis=1, keepdims=True))
    side = 2.6 + 0.42 * len(rows)
    with canvas(out, side + 1, side) as figure:
        axes = figure.subplots()
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        for (row, column), count in np.ndenumerate(counts):
            if count:
                ink = "white" if shares[row, column] > 0.5 else "black"
                axes.text(column, row, f"{count:,}", ha="center", va="center", color=ink, size=8)
        axes.set_xticks(range(len(columns)), columns, rotation=45, ha="right")
        axes.set_yticks(range(len(rows)), rows)
        axes.set(xlabel="taken for", ylabel="is")
        title = f"score ≥ {found.min_score:g}, IoU ≥ {found.iou_threshold:g}"
        if len(shown) < len(names):
            title = f"the {MOST} most mistaken of {len(names)} classes\n{title}"
        axes.set_title(title, fontsize=10)


def draw_outcome(
    image: np.ndarray, found: Detections, truth: Truth, outcome: Outcome
) -> tuple[np.ndarray, np.ndarray]:
    """The objects, and what was detected, each with what went wrong; `found` best first."""
    names = found.class_names
    objects = truth.captions(names)
    for i, by in enumerate(outcome.by):
        if outcome.counted[i] and by == MISSED:
            objects[i] += ": missed"
        elif by != MISSED and outcome.kinds[by] == CONFUSED:
            objects[i] += f": taken for {names[found.labels[by] - 1]}"
    captions = [
        caption if kind in (FOUND, LEFT_OUT) else f"{caption} {kind}"
        for caption, kind in zip(found.captions(), outcome.kinds, strict=True)
    ]
    left = draw_boxes(image, truth.boxes_corner, truth.labels, objects)
    return left, draw_boxes(image, found.boxes_corner, found.labels, captions)
