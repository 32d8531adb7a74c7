"""What all figures share: where they are drawn, their colours, and how they are written.

A figure goes to a file, or onto a matplotlib figure that the caller made, such as a notebook's
`plt.figure()`. For a file it is drawn on a `matplotlib.figure.Figure` of its own, never through
pyplot: no window, no backend to choose, no state shared between threads.

Colours are those of Okabe and Ito, which colour-blind eyes tell apart. Where two things must be
told apart they differ in line style, marker or width as well, so that they survive a black-and-
white printer.
"""

import gc
import io
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.colors import is_color_like
from matplotlib.figure import Figure, SubFigure
from matplotlib.patches import Rectangle
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from ssd_np.boxes.checks import check_window
from ssd_np.checks import check_axes, check_picture, check_whole
from ssd_np.errors import ConfigError, OutputError, ShapeError
from ssd_np.files import as_path, write_atomically
from ssd_np.picture import OKABE_ITO
from ssd_np.signatures import checked

Color = tuple[float, float, float]
LineStyle = Literal["-", "--", ":"]
COLORS: list[Color] = [(r / 255, g / 255, b / 255) for r, g, b in OKABE_ITO]
ORANGE, SKY, GREEN, YELLOW, VERMILION, BLUE, PURPLE = COLORS
GREY = (0.55, 0.55, 0.55)

# a file to write, memory for a PNG, or a figure to draw on
Out = str | Path | io.BytesIO | Figure


@contextmanager
def canvas(out: Out, width: float, height: float) -> Iterator[Figure]:
    """The figure to draw on, width x height inches; a file is written when the block ends.

    Raises OutputError if the file can not be written.
    """
    if isinstance(out, Figure):
        out.set_size_inches(width, height)
        out.set_layout_engine("constrained")
        yield out
        return
    path = out if isinstance(out, io.BytesIO) else as_path(out)
    # a figure's parts refer to each other: without this, those drawn before would wait for Python's
    # collector, 40 MB of them in a long training
    gc.collect()
    figure = Figure(figsize=(width, height), layout="constrained")
    yield figure
    if isinstance(path, io.BytesIO):
        buffer, kind = path, "png"
    else:
        buffer, kind = io.BytesIO(), path.suffix[1:] or "png"
    try:
        figure.savefig(buffer, dpi=150, format=kind)
    except ValueError as error:
        raise OutputError(f"can not be written: {error}", where=str(out)) from error
    if not isinstance(path, io.BytesIO):
        write_atomically(path, buffer.getvalue())


@checked
def tidy(axes: Axes) -> None:
    """A light grid behind the data and no frame on the right and above."""
    axes.grid(color="0.9")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


@checked
def show_image(axes: Axes, image: np.ndarray, pale: bool = False) -> None:
    """An image (H, W, 3) in coordinates of boxes, x and y from 0 to 1; pale, so that lines show."""
    image = check_picture(image, "image")
    image = image // 2 + 128 if pale else image
    axes.imshow(image, extent=(0, 1, 1, 0), aspect=image.shape[0] / image.shape[1])
    axes.set(xticks=[], yticks=[], xlim=(0, 1), ylim=(1, 0))


@checked
def leave_room(axes: Axes, points: np.ndarray) -> None:
    """Widens the view to points (P, 2) that leave the image."""
    check_axes(points, "points", None, 2)
    if not len(points) or not np.isfinite(points).all():
        raise ShapeError("points are none, or not finite", hint="(P, 2), at least one")
    low, high = min(0, points.min()) - 0.02, max(1, points.max()) + 0.02
    axes.set(xlim=(low, high), ylim=(high, low))


@checked
def panels_in(figure: Figure | SubFigure, count: int, across: int) -> list[Axes]:
    """So many panels in reading order, `across` in a row; what is left of the last row is empty."""
    check_whole(count, "count")
    check_whole(across, "across")
    found = figure.subplots(-(-count // across), across, squeeze=False).ravel().tolist()
    for axes in found[count:]:
        axes.set_visible(False)
    return found[:count]


@checked
def number_at(axes: Axes, place: Iterable[float], number: int) -> None:
    """A number in a white field, its middle at a place (x, y)."""
    check_axes(np.array([*place]), "place", 2)
    (x, y), field = place, {"boxstyle": "round,pad=0.15", "facecolor": "white"}
    axes.text(x, y, str(number), fontsize=9, ha="center", va="center", bbox=field)


@checked
def draw_box(
    axes: Axes,
    box_corner: Iterable[float],
    color: Color | str,
    style: LineStyle = "-",
    width: float = 2,
) -> None:
    """A box (xmin, ymin, xmax, ymax), with a dark rim that keeps it visible on any ground."""
    xmin, ymin, xmax, ymax = check_window([*box_corner]).tolist()
    if not is_color_like(color):
        raise ConfigError(f"color is {color!r}"[:80], hint="a name, or red, green and blue to 1")
    place = ((xmin, ymin), xmax - xmin, ymax - ymin)
    if style == "-":
        axes.add_patch(Rectangle(*place, fill=False, edgecolor="black", linewidth=width + 1.2))
    axes.add_patch(Rectangle(*place, fill=False, edgecolor=color, linewidth=width, linestyle=style))


@checked
def plain_numbers(axis: Axis) -> None:
    """10 instead of 10^1 on a logarithmic axis, with 2 and 5 marked as well."""
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axis.set_minor_formatter(NullFormatter())
