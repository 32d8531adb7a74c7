"""Default boxes and the objects they are for, by width and height: before fitting and after."""

from collections.abc import Sequence

import numpy as np

from ssd_np.boxes.default_boxes import cell_shapes
from ssd_np.checks import check_axes, check_whole
from ssd_np.config import Config
from ssd_np.data.coverage import coverage
from ssd_np.signatures import checked
from ssd_np.viz.canvas import BLUE, VERMILION, Out, canvas, panels_in, plain_numbers, tidy

MARKERS = "sDo^vP*X"  # a map each
HEIGHT = 4.2  # inches, of a panel of the same width


@checked
def boxes_figure(boxes_corner: np.ndarray, configs: Sequence[Config], out: Out) -> None:
    """A panel for each config: objects (G, 4), in fractions of their images, as its input has them,
    and the boxes of a cell of each map (large marks, shallow maps first)."""
    check_axes(boxes_corner, "boxes_corner", None, 4)
    boxes_corner = boxes_corner.astype(np.float64)
    check_whole(len(configs), "the number of configs")
    with canvas(out, HEIGHT * len(configs), HEIGHT) as figure:
        shown = zip(panels_in(figure, len(configs), len(configs)), configs, strict=True)
        for axes, config in shown:
            height, width = config.input.shape
            sides = (boxes_corner[:, 2:] - boxes_corner[:, :2]) * (width, height)
            found = coverage(boxes_corner, config)
            covered = found.best_iou >= found.threshold
            for part, marker, color in ((covered, ".", BLUE), (~covered, "x", VERMILION)):
                axes.plot(*sides[part].T, marker, color=color, markersize=4, alpha=0.4, zorder=1)
            for i, feature_map in enumerate(config.feature_maps[: len(MARKERS)]):
                boxes, label = cell_shapes(config, i), f"{feature_map.steps[0]:.3g} px"
                (marks,) = axes.plot(*boxes.T, MARKERS[i], color="black", label=label, zorder=2)
                marks.set(markerfacecolor="white", markersize=8)
            axes.set(xscale="log", yscale="log", xlabel="width, pixels of the input")
            axes.set_ylabel("height, pixels of the input")
            title = f"{config.name}, {width} × {height}: {config.num_boxes:,} boxes"
            axes.set_title(f"{title}\ncover {covered.mean():.1%} of the objects", fontsize=10)
            axes.legend(title="cells every", fontsize=8, title_fontsize=8, loc="lower right")
            for axis in (axes.xaxis, axes.yaxis):
                plain_numbers(axis)
            tidy(axes)
