"""Mined against easy negatives: who is trained, and what that does to the gradient."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import ScalarFormatter

from ssd_np.checks import check_axes
from ssd_np.loss.cross_entropy import cross_entropy_backward, cross_entropy_forward
from ssd_np.signatures import checked
from ssd_np.viz.canvas import BLUE, GREY, VERMILION, Out, canvas, plain_numbers, tidy


@checked
def mining_figure(logits: np.ndarray, labels: np.ndarray, mined: np.ndarray, out: Out) -> None:
    """Mined against easy negatives of one image.

    logits (T, K), labels (T,): class, 0 background, -1 neutral; mined (T,) bool. Left, every
    negative's loss by rank, with the cut; right, what share of the boxes each group is, and what
    share of the gradient (sum of |dlogits|) it would have if every box were trained.
    """
    check_axes(labels, "labels", None)
    check_axes(logits, "logits", len(labels), None)
    check_axes(mined, "mined", len(labels))
    mined, known = mined.astype(bool), labels >= 0
    loss, cache = cross_entropy_forward(logits, np.maximum(labels, 0))
    pull = np.abs(cross_entropy_backward(np.ones_like(loss), cache)).sum(axis=1)  # (T,)
    groups = (
        ("positive", labels > 0, BLUE, None),
        ("mined negative", mined, VERMILION, "//"),
        ("easy negative", (labels == 0) & ~mined, GREY, None),
    )
    with canvas(out, 7.4, 4) as figure:
        ranks, bars = figure.subplots(1, 2, width_ratios=(1.4, 1))
        negatives = np.flatnonzero(labels == 0)
        order = negatives[np.argsort(-loss[negatives], kind="stable")]
        draw_ranks(ranks, loss[order], mined[order])
        left = np.zeros(2)
        for name, part, color, hatch in groups:
            shares = np.array([pull[part].sum() / pull[known].sum(), part.sum() / known.sum()])
            look = {"color": color, "hatch": hatch, "ec": "black", "lw": 0.7}
            label = f"{name}: {part.sum():,}"
            bars.barh(("gradient", "boxes"), 100 * shares, left=left, **look, label=label)
            left += 100 * shares
        bars.set(xlabel="share in %", xlim=(0, 100), title="if all were trained")
        handles = bars.get_legend_handles_labels()
        figure.legend(*handles, loc="outside lower right", ncols=3, frameon=False)
        bars.spines[["top", "right"]].set_visible(False)


@checked
def draw_ranks(axes: Axes, losses: np.ndarray, mined: np.ndarray) -> None:
    """The losses (R,) of negatives, costliest first, and the cut between those mined (R,) bool."""
    check_axes(losses, "losses", None)
    check_axes(mined, "mined", len(losses))
    rank = np.arange(1, len(losses) + 1)
    for name, color, marker in (("easy", GREY, "."), ("mined", VERMILION, "o")):
        part = mined == (name == "mined")
        label = f"{name}: {part.sum():,}"
        axes.plot(rank[part], losses[part], marker, color=color, ms=5, label=label)
    axes.axvline(mined.sum() + 0.5, color="black", ls="--", lw=1)
    axes.set(xscale="log", yscale="log", xlabel="rank among the negatives (log scale)")
    axes.set(ylabel="loss as background (log scale)", title="negatives and the cut")
    plain_numbers(axes.yaxis)
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.legend(frameon=False)
    tidy(axes)
