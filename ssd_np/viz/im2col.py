"""A picture of im2col: windows of an image become rows, a convolution becomes one product."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from ssd_np.checks import check_axes
from ssd_np.nn.im2col import im2col
from ssd_np.signatures import checked
from ssd_np.viz.canvas import BLUE, GREEN, ORANGE, VERMILION

COLOURS = (BLUE, ORANGE, GREEN, VERMILION)
INSET = 0.06  # between the frames of windows that lie over each other


@checked
def im2col_figure(picture: np.ndarray, kernel: np.ndarray, figure: Figure) -> None:
    """A picture (H, W) with the windows of a kernel (k, k) framed, the matrix whose rows they
    become, and its product with the kernel as a column. Colours tell which window is which row."""
    check_axes(picture, "picture", None, None)
    check_axes(kernel, "kernel", len(kernel) if kernel.ndim else 0, *kernel.shape[:1])
    side, places = len(kernel), picture.shape[1] - len(kernel) + 1
    rows = im2col(picture[None, :, :, None], side)  # (windows, k * k)
    column = kernel.reshape(-1, 1)
    parts = (picture, rows, column, rows @ column)
    titles = (f"picture, {len(rows)} windows", "im2col: a window a row", "kernel", "answers")
    panels = figure.subplots(1, 4, width_ratios=[part.shape[1] for part in parts])
    for axes, numbers, title, sign in zip(panels, parts, titles, ("", "→", "·", "="), strict=True):
        _numbers(axes, numbers)
        axes.set_title(title, fontsize="medium")
        axes.text(-0.75, len(numbers) / 2, sign, fontsize="x-large", ha="center", va="center")
    for window in range(len(rows)):
        colour, inset = COLOURS[window % len(COLOURS)], INSET * (1 + window % len(COLOURS))
        i, j = divmod(window, places)
        corner, inner = (j + inset, i + inset), side - 2 * inset
        frame = Rectangle(corner, inner, inner, fill=False, edgecolor=colour, linewidth=2)
        panels[0].add_patch(frame)
        for axes, width in ((panels[1], rows.shape[1]), (panels[3], 1)):
            row = Rectangle((0, window), width, 1, facecolor=colour, alpha=0.25, edgecolor="none")
            axes.add_patch(row)


def _numbers(axes: Axes, numbers: np.ndarray) -> None:
    """A grid of cells with a number in each; row 0 on top."""
    height, width = numbers.shape
    axes.set(xlim=(0, width), ylim=(height, 0), aspect="equal", xticks=[], yticks=[])
    for (i, j), number in np.ndenumerate(numbers):
        axes.add_patch(Rectangle((j, i), 1, 1, fill=False, edgecolor="0.7"))
        axes.text(j + 0.5, i + 0.5, f"{number:g}", ha="center", va="center")
