"""How well the default boxes cover the objects of a data set."""

import numpy as np

from ssd_np.errors import ShapeError
from ssd_np.signatures import checked
from ssd_np.viz.canvas import BLUE, ORANGE, VERMILION, Out, canvas, plain_numbers, tidy


@checked
def coverage(best_iou: np.ndarray, sizes: np.ndarray, out: Out, threshold: float = 0.5) -> None:
    """How well the default boxes cover the objects of a data set.

    best_iou  (G,) each object's largest IoU with any default box
    sizes     (G,) its size, the root of its area, in pixels of the network's input

    Above, every object; below, the share in each range of sizes that no default box reaches with
    `threshold`, over each bar the objects in the range. An object that is not covered has only the
    one default box that bipartite matching gives it.
    """
    best_iou, sizes = np.asarray(best_iou, np.float64), np.asarray(sizes, np.float64)
    good = best_iou.shape == sizes.shape and best_iou.ndim == 1 and len(sizes)
    if not good or not ((sizes > 0) & (sizes < np.inf)).all():
        what = f"best_iou {best_iou.shape} and sizes {sizes.shape} are no coverage"
        hint = "expected one IoU and one size above 0 for each object, and at least one object"
        raise ShapeError(what, hint=hint)
    covered = best_iou >= threshold
    with canvas(out, 7, 5.5) as figure:
        cloud, bars = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1.2))
        alpha = float(np.clip(40 / np.sqrt(len(sizes)), 0.15, 0.8))
        groups = (covered, "o", BLUE, "covered"), (~covered, "x", VERMILION, "not covered")
        for part, marker, color, word in groups:
            look = {"color": color, "marker": marker, "alpha": alpha}
            label = f"{word}: {part.sum()} of {len(part)} ({part.mean():.1%})"
            cloud.scatter(sizes[part], best_iou[part], 14, **look, label=label)
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
        look = {"color": ORANGE, "edgecolor": "black", "lw": 0.7}
        drawn = bars.bar(edges[:-1], share, np.diff(edges), align="edge", **look)
        bars.bar_label(drawn, [str(n) if n else "" for n in count], fontsize=8, padding=1)
        bars.set(xlabel="object size: root of area, pixels (log scale)")
        bars.set(ylabel="% not covered\nof how many", ylim=(0, max(10.0, 1.25 * share.max())))
        plain_numbers(bars.xaxis)
        for axes in (cloud, bars):
            tidy(axes)
