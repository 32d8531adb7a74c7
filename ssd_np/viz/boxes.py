"""Default boxes in pictures: where they lie, and which of them stand for an object and why.

Every figure takes `out`: a file to write, or a matplotlib figure to draw on (see `canvas`).
"""

from __future__ import annotations

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from ssd_np.boxes.coords import center_to_corner
from ssd_np.boxes.default_boxes import default_boxes_for_map
from ssd_np.boxes.matching import NEUTRAL, match
from ssd_np.config import Config
from ssd_np.viz.canvas import (
    BLUE,
    COLORS,
    GREY,
    ORANGE,
    VERMILION,
    Out,
    canvas,
    draw_box,
    show_image,
)
from ssd_np.viz.draw import label_spot

MOST_BOXES = 60  # neutral boxes drawn; more would be a grey cloud
PANEL = 3.7  # inches: two of them are as wide as a page's text


def default_box_figure(
    config: Config, image: np.ndarray, out: Out, cell: tuple[float, float] = (0.5, 0.5)
) -> None:
    """For each feature map its cells' centres, and all boxes of one cell, over an image (H, W, 3).

    cell  where to look, (x, y) in [0, 1]: the cell of each map that lies there
    """
    count = len(config.feature_maps)
    rows = 1 if count <= 4 else 2
    across = math.ceil(count / rows)
    with canvas(out, 2.5 * across, 2.9 * rows) as figure:
        panels = figure.subplots(rows, across, squeeze=False).ravel()
        for axes in panels[count:]:
            axes.set_visible(False)
        for i, feature_map in enumerate(config.feature_maps):
            axes = panels[i]
            boxes = default_boxes_for_map(config, i)  # (H, W, A, 8)
            rows, columns = feature_map.shape
            show_image(axes, image // 2 + 128)  # pale, so that lines can be seen
            grid = boxes[:, :, 0, :2].reshape(-1, 2)
            axes.plot(
                *grid.T, ".", color="black", markersize=np.clip(24 / max(rows, columns), 1, 6)
            )
            column, row = (
                min(int(v * n), n - 1) for v, n in zip(cell, (columns, rows), strict=True)
            )
            for box, color in zip(boxes[row, column], _colors(boxes.shape[2]), strict=True):
                draw_box(axes, center_to_corner(box[:4]), color)
            corner = center_to_corner(boxes[row, column, :, :4])
            _leave_room(axes, np.concatenate([grid, corner[:, :2], corner[:, 2:]]))
            title = f"{feature_map.name}\n{rows} × {columns} cells, {boxes.shape[2]} boxes each"
            axes.set_title(title, fontsize=10)


def _colors(count: int) -> list:
    return [COLORS[i % len(COLORS)] for i in range(count)]


def _leave_room(axes: Axes, points: np.ndarray) -> None:
    """Widens the view to points (P, 2) that leave the image."""
    low, high = min(0, points.min()) - 0.02, max(1, points.max()) + 0.02
    axes.set(xlim=(low, high), ylim=(high, low))


def match_figure(
    image: np.ndarray,
    gt_corner: np.ndarray,
    default_boxes: np.ndarray,
    out: Out,
    threshold: float = 0.5,
    neutral_threshold: float | None = None,
) -> None:
    """Default boxes (T, 8) that stand for the objects (G, 4) of an image, coloured by rule.

    Black and white: the objects. Blue: the best box of each object (the first rule). Orange,
    dashed: boxes that reach the threshold (the second). Grey, dotted: neutral ones.
    """
    corner = center_to_corner(default_boxes[:, :4])
    matched = match(gt_corner, corner, threshold, neutral_threshold)  # (T,)
    best = match(gt_corner, corner, threshold=np.inf) >= 0  # no IoU reaches it: only rule one
    groups = (
        ("neutral", np.flatnonzero(matched == NEUTRAL)[:MOST_BOXES], GREY, ":", 1.8),
        (f"IoU of at least {threshold:g}", np.flatnonzero((matched >= 0) & ~best), ORANGE, "--", 2),
        ("best of its object", np.flatnonzero(best), BLUE, "-", 2.6),
    )
    with canvas(out, 5.5, 6) as figure:
        axes = figure.subplots()
        show_image(axes, image // 2 + 128)  # pale, so that lines can be seen
        axes.set_title("default boxes that stand for the objects", fontsize=11)
        handles = []
        for name, rows, color, style, width in groups:
            for row in rows:
                draw_box(axes, corner[row], color, style, width)
            handles.append(Line2D([], [], color=color, linestyle=style, linewidth=width))
            handles[-1].set_label(f"{name}: {len(rows)}")
        for box in gt_corner:
            draw_box(axes, box, "white", width=1.2)
        handles.append(Line2D([], [], color="black", linewidth=2.4, label="object, white inside"))
        figure.legend(handles=handles[::-1], loc="outside lower center", ncols=2, frameon=False)


def detection_figure(panels: list[tuple[str, np.ndarray, np.ndarray, list[str]]], out: Out) -> None:
    """Images side by side with boxes: (title, image (H, W, 3), boxes_corner (D, 4), a text each).

    An empty text draws its box thin, as one of a crowd.
    """
    height = max(image.shape[0] / image.shape[1] for _, image, _, _ in panels)
    with canvas(out, PANEL * len(panels), PANEL * height + 0.25) as figure:
        for axes, panel in zip(
            figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True
        ):
            title, image, boxes, texts = panel
            show_image(axes, image)
            axes.set_title(title, fontsize=11)
            for box, text in zip(boxes, texts, strict=True):
                draw_box(axes, box, ORANGE if text else VERMILION, width=2.4 if text else 1.2)
            _write_labels(axes, boxes, texts, height)


def _write_labels(axes: Axes, boxes: np.ndarray, texts: list[str], aspect: float) -> None:
    """Each text at a corner of its box where it hides least of the texts before it."""
    placed: list[tuple[int, int, int, int]] = []
    for box, text in zip(boxes, texts, strict=True):
        if text:  # in thousandths of the panel; a letter is about 0.075 inches wide
            size = round(75 / PANEL * len(text) + 20), round(190 / PANEL / aspect)
            corners = tuple(np.rint(np.clip(box, 0, 1) * 1000).astype(int).tolist())
            placed.append(label_spot(corners, size, (1000, 1000), placed))
            x, y = placed[-1][0] / 1000 + 0.01, (placed[-1][1] + size[1] / 2) / 1000
            pad = {"boxstyle": "square,pad=0.2", "facecolor": ORANGE, "edgecolor": "none"}
            axes.text(x, y, text, fontsize=9, va="center", bbox=pad)
