"""Matching in pictures: which default boxes stand for an object, and by which rule.

`out` is a file to write, or a matplotlib figure to draw on (see `canvas`).
"""

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ssd_np.boxes.coords import center_to_corner
from ssd_np.boxes.iou import iou_matrix
from ssd_np.boxes.matching import NEUTRAL, match
from ssd_np.checks import check_axes, check_picture
from ssd_np.signatures import checked
from ssd_np.viz.canvas import (
    BLUE,
    GREY,
    ORANGE,
    Color,
    LineStyle,
    Out,
    canvas,
    draw_box,
    number_at,
    panels_in,
    show_image,
)

TOGETHER = 3  # objects in one panel; with more, each has a panel of its own, or nothing is seen
MOST_PANELS, ACROSS = 40, 6
MOST_BOXES = 60  # neutral boxes drawn; more would be a grey cloud
Style = tuple[Color, LineStyle, float]
STYLES: tuple[Style, ...] = ((GREY, ":", 1.2), (ORANGE, "--", 2), (BLUE, "-", 2.6))


@checked
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
    dashed: boxes that reach the threshold (the second). Grey, dotted: neutral ones. More than three
    objects are numbered in the image, and each gets a panel with its boxes below.
    """
    image = check_picture(image, "image")
    check_axes(default_boxes, "default_boxes", None, 8)
    corner = center_to_corner(default_boxes[:, :4])
    matched = match(gt_corner, corner, threshold, neutral_threshold)  # (T,)
    best = match(gt_corner, corner, threshold=np.inf) >= 0  # no IoU reaches it: only rule one
    rules = {
        "neutral": np.flatnonzero(matched == NEUTRAL),
        f"IoU of at least {threshold:g}": np.flatnonzero((matched >= 0) & ~best),
        "best of its object": np.flatnonzero(best),
    }
    if len(gt_corner) <= TOGETHER:
        with canvas(out, 5.5, 5.5 * image.shape[0] / image.shape[1] + 0.9) as figure:
            axes = figure.subplots()
            show_image(axes, image, pale=True)
            axes.set_title("default boxes that stand for the objects", fontsize=11)
            _draw(axes, [corner[rows[:MOST_BOXES]] for rows in rules.values()], gt_corner)
            _legend(figure, rules)
        return
    iou = iou_matrix(gt_corner, corner)  # (G, T)
    nearest = np.where(matched == NEUTRAL, iou.argmax(axis=0), matched)  # (T,)
    shown = min(len(gt_corner), MOST_PANELS)
    rows_of_panels = math.ceil(shown / ACROSS)
    aspect = image.shape[0] / image.shape[1]
    heights = 4.6 * aspect + 0.3, (1.6 * aspect + 0.3) * rows_of_panels
    with canvas(out, 10, sum(heights) + 0.7) as figure:
        ((above,), (below,)) = figure.subfigures(2, 1, height_ratios=heights, squeeze=False)
        _overview(above.subplots(), image, gt_corner, shown)
        for g, axes in enumerate(panels_in(below, shown, ACROSS)):
            mine = [rows[nearest[rows] == g] for rows in rules.values()]
            show_image(axes, image, pale=True)
            _draw(axes, [corner[rows] for rows in mine], gt_corner[[g]])
            _, others, first = mine
            _look_at(axes, np.concatenate([gt_corner[[g]], corner[others], corner[first]]))
            fit = f"IoU {iou[g, first[0]]:.2f}" if len(first) else "no box"
            axes.set_title(f"{g}: {fit}, {len(others)} more", fontsize=9)
        _legend(figure, rules)


def _draw(axes: Axes, groups: list[np.ndarray], objects: np.ndarray) -> None:
    """Corner boxes of the three rules (neutral, threshold, best), the objects above them."""
    for boxes, style in zip(groups, STYLES, strict=True):
        for box in boxes:
            draw_box(axes, box, *style)
    for box in objects:
        draw_box(axes, box, "white", width=1.2)


def _overview(axes: Axes, image: np.ndarray, objects: np.ndarray, shown: int) -> None:
    show_image(axes, image, pale=True)
    for g, box in enumerate(objects):
        draw_box(axes, box, "white", width=1.2)
        number_at(axes, (box[:2] + box[2:]) / 2, g)
    rest = "" if shown == len(objects) else f" of the first {shown}"
    title = f"{len(objects)} objects, and below the default boxes of each{rest}"
    axes.set_title(title, fontsize=11)


def _look_at(axes: Axes, boxes: np.ndarray) -> None:
    """Shows the corner boxes (B, 4) with a little around them, in the image's own aspect."""
    low, high = boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)
    middle, half = (low + high) / 2, 0.55 * (high - low).max()
    axes.set(xlim=(middle[0] - half, middle[0] + half), ylim=(middle[1] + half, middle[1] - half))


def _legend(figure: Figure, rules: dict[str, np.ndarray]) -> None:
    handles = [Line2D([], [], color="black", linewidth=2.4, label="object, white inside")]
    pairs = reversed(list(zip(rules.items(), STYLES, strict=True)))
    for (name, rows), (color, style, width) in pairs:
        look = {"color": color, "linestyle": style, "linewidth": width}
        handles.append(Line2D([], [], **look, label=f"{name}: {len(rows)}"))
    figure.legend(handles=handles, loc="outside lower center", ncols=2, frameon=False)
