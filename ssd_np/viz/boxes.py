"""Boxes in pictures: default boxes over an image, detections side by side.

Every figure takes `out`: a file to write, or a matplotlib figure to draw on (see `canvas`).
"""

import itertools
import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from ssd_np.boxes.coords import center_to_corner
from ssd_np.boxes.default_boxes import default_boxes_for_map
from ssd_np.checks import check_whole
from ssd_np.config import Config
from ssd_np.picture import label_spot
from ssd_np.signatures import checked
from ssd_np.viz.canvas import (
    COLORS,
    ORANGE,
    VERMILION,
    Out,
    canvas,
    draw_box,
    leave_room,
    panels_in,
    show_image,
)

PANEL = 3.7  # inches: two of them are as wide as a page's text


@checked
def default_box_figure(
    config: Config, image: np.ndarray, out: Out, cell: tuple[float, float] = (0.5, 0.5)
) -> None:
    """For each feature map its cells' centres, and all boxes of one cell, over an image (H, W, 3).

    cell  where to look, (x, y) in [0, 1]: the cell of each map that lies there
    """
    maps = config.feature_maps
    lines = 1 if len(maps) <= 4 else 2
    across = math.ceil(len(maps) / lines)
    with canvas(out, 2.5 * across, 2.9 * lines) as figure:
        shown = zip(panels_in(figure, len(maps), across), maps, strict=True)
        for i, (axes, feature_map) in enumerate(shown):
            boxes = default_boxes_for_map(config, i)  # (H, W, A, 8)
            rows, columns = feature_map.shape
            show_image(axes, image, pale=True)
            grid = boxes[:, :, 0, :2].reshape(-1, 2)
            size = np.clip(24 / max(rows, columns), 1, 6)
            axes.plot(*grid.T, ".", color="black", markersize=size)
            column = min(int(cell[0] * columns), columns - 1)
            row = min(int(cell[1] * rows), rows - 1)
            for box, color in zip(boxes[row, column], itertools.cycle(COLORS), strict=False):
                draw_box(axes, center_to_corner(box[:4]), color)
            corner = center_to_corner(boxes[row, column, :, :4])
            leave_room(axes, np.concatenate([grid, corner[:, :2], corner[:, 2:]]))
            each = f"{boxes.shape[2]} box{'es' * (boxes.shape[2] > 1)} each"
            title = f"{feature_map.name}\n{rows} × {columns} cells, {each}"
            axes.set_title(title, fontsize=10)


@checked
def detection_figure(
    panels: Sequence[tuple[str, np.ndarray, np.ndarray | Sequence[np.ndarray], Sequence[str]]],
    out: Out,
) -> None:
    """Images side by side with boxes: (title, image (H, W, 3), boxes_corner (D, 4), a text each).

    An empty text draws its box thin, as one of a crowd.
    """
    check_whole(len(panels), "the number of pictures")
    count, height = len(panels), max(im.shape[0] / im.shape[1] for _, im, _, _ in panels)
    with canvas(out, PANEL * count, PANEL * height + 0.25) as figure:
        shown = zip(panels_in(figure, count, count), panels, strict=True)
        for axes, (title, image, boxes, texts) in shown:
            show_image(axes, image)
            axes.set_title(title, fontsize=11)
            for box, text in zip(boxes, texts, strict=True):
                draw_box(axes, box, ORANGE if text else VERMILION, width=2.4 if text else 1.2)
            _write_labels(axes, np.reshape(boxes, (-1, 4)), list(texts), height)


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
