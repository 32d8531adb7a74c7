"""Pictures of an explanation: the mined negatives, and what a detection was decoded from.

Every figure takes `out`: a file to write, or a matplotlib figure to draw on (see `canvas`). Matches
are drawn by `viz.matching.match_figure`.
"""

from collections.abc import Sequence

import numpy as np
from matplotlib.font_manager import FontProperties
from matplotlib.lines import Line2D

from ssd_np.checks import check_picture
from ssd_np.infer.reports import DetectionReport, MiningReport, SuppressedReport
from ssd_np.signatures import checked
from ssd_np.viz.canvas import (
    BLUE,
    ORANGE,
    VERMILION,
    Out,
    canvas,
    draw_box,
    leave_room,
    number_at,
    show_image,
)
from ssd_np.viz.mining import draw_ranks

NUMBERED = 8  # mined boxes that are drawn; of the others only the centres, or nothing is seen


@checked
def mined_figure(image: np.ndarray, mining: MiningReport, out: Out) -> None:
    """Left, the costliest mined negatives over the image, of the others the centres.

    Right, the loss of every background box by its rank, with the line that mining drew.
    """
    with canvas(out, 10, 4.8) as figure:
        left, right = figure.subplots(1, 2, width_ratios=(1, 1.1))
        show_image(left, image, pale=True)
        for negative in mining.mined[NUMBERED:]:
            left.plot(*negative.place.center[:2], "o", color=VERMILION, markersize=3)
        for negative in mining.mined[:NUMBERED]:
            draw_box(left, negative.place.corner, VERMILION, "-", 1.6)
            xmin, ymin, xmax, ymax = np.clip(negative.place.corner, 0.02, 0.98)
            # each at another corner, so that boxes that lie close do not hide their numbers
            corner = [(xmin, ymin), (xmax, ymin), (xmax, ymax), (xmin, ymax)][negative.rank % 4]
            number_at(left, corner, negative.rank)
        losses, count = mining.losses, len(mining.mined)
        few = f"{count} mined negatives by rank"
        many = f"{count} mined: the first {NUMBERED} by rank, the others' centres"
        left.set_title(few if count <= NUMBERED else many, fontsize=11)
        draw_ranks(right, losses, np.arange(len(losses)) < count)


@checked
def decode_figure(
    image: np.ndarray, found: DetectionReport, suppressed: Sequence[SuppressedReport], out: Out
) -> None:
    """A detection, the default box it was decoded from, and the boxes it suppressed.

    Below the picture stands the arithmetic that leads from the one to the other.
    """
    image = check_picture(image, "image")
    place, aspect = found.place, image.shape[0] / image.shape[1]
    with canvas(out, 5.6, 5.4 * aspect + 2.2) as figure:
        axes = figure.subplots()
        show_image(axes, image, pale=True)
        for other in suppressed:
            draw_box(axes, other.place.corner, "black", ":", 1.2)
        draw_box(axes, place.corner, BLUE, "--", 2)
        draw_box(axes, found.corner, ORANGE, "-", 2.6)
        axes.plot(*place.center[:2], "+", color=BLUE, markersize=12, markeredgewidth=2.5)
        leave_room(axes, np.reshape(place.corner, (2, 2)))
        figure.suptitle(f"{found.name} {found.score:.2f}", fontsize=12)
        cell = f"{place.feature_map}, row {place.row}, column {place.column}, box {place.shape}"
        handles = [
            Line2D([], [], color=ORANGE, linewidth=2.6, label="detection"),
            Line2D([], [], color=BLUE, linestyle="--", linewidth=2, label=f"default box: {cell}"),
            Line2D([], [], linestyle="", label=f"{place.shape} is {place.meaning}"),
        ]
        if suppressed:
            label = f"default boxes of the {len(suppressed)} it suppressed"
            handles.append(Line2D([], [], color="black", linestyle=":", label=label))
        legend = figure.legend(handles=handles, loc="outside lower left", frameon=False)
        legend.set_title("\n".join(found.arithmetic), FontProperties(family="monospace", size=9))
        legend.set_alignment("left")
