"""Precision against recall, a curve a class."""

import numpy as np

from ssd_np.errors import ShapeError
from ssd_np.evaluate.average_precision import ClassResult, VocResult
from ssd_np.signatures import checked
from ssd_np.viz.canvas import COLORS, YELLOW, Out, canvas, tidy

STYLES = ("-", "--", "-.", ":")
LINES = [color for color in COLORS if color != YELLOW]  # yellow is too pale on white
MOST_CURVES = 20  # of precision and recall with a colour and a name each


@checked
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
        label = f"score {show_score:g}"
        axes.plot([], [], "o", color="white", markeredgecolor="black", label=label)
        axes.set(xlim=(0, 1.01), ylim=(0, 1.03), xlabel="recall", ylabel="precision")
        rule = f"({voc_result.metric}, IoU ≥ {voc_result.iou_threshold:g})"
        title = f"mean AP {voc_result.mean_ap:.3f} over {len(classes)} classes {rule}"
        axes.set_title(title, fontsize=11)
        title = "class and AP" if few else f"5 best, 5 worst of {len(classes)}"
        figure.legend(loc="outside right upper", title=title, fontsize=9, frameon=False)
        tidy(axes)


def _curve(c: ClassResult) -> tuple[np.ndarray, np.ndarray]:
    """Recall and precision from recall 0 on, each (D + 1,)."""
    start = c.precision[:1]  # the first detection's precision, 0 or 1
    return np.append(np.zeros(len(start)), c.recall), np.append(start, c.precision)
