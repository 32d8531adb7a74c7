"""A chart of what a step costs beside others: bars from the rows of a table."""

from collections.abc import Mapping

from ssd_np.errors import ShapeError
from ssd_np.signatures import checked
from ssd_np.viz.canvas import BLUE, GREEN, GREY, ORANGE, Out, canvas, tidy

OURS = 3  # of the columns: the library's own algorithms
LOOKS = ((BLUE, ""), (BLUE, "//"), (BLUE, "xx"), (GREY, ""), (ORANGE, ""), (GREEN, ""))


@checked
def costs_figure(columns: list[str], rows: Mapping[str, list[float | None]], out: Out) -> None:
    """A group of bars a row, in its order, a bar a column; a line at 1, to which all is compared.

    columns: the names of the programs, the library's own first.
    rows: what is measured -> ratios, smaller is faster, or None where there is none.
    """
    if len(columns) != len(LOOKS) or any(len(row) != len(columns) for row in rows.values()):
        raise ShapeError(f"{len(columns)} columns", hint=f"{len(LOOKS)}, and a ratio of each a row")
    step = len(columns) + 1.5
    with canvas(out, 7.4, 0.24 * step * len(rows) + 0.9) as figure:
        axes = figure.subplots()
        for k, (name, (color, hatch)) in enumerate(zip(columns, LOOKS, strict=True)):
            ratios = [(i * step + k, row[k]) for i, row in enumerate(rows.values())]
            bars = [(y, ratio) for y, ratio in ratios if ratio is not None]
            light = (*color[:3], 0.45) if k < OURS else color
            places, widths = [place for place, _ in bars], [ratio for _, ratio in bars]
            axes.barh(places, widths, color=light, hatch=hatch, edgecolor="white",
                      height=0.9, label=name)  # fmt: skip
            for y, ratio in bars:
                axes.text(ratio + 0.01, y, f"{ratio:.2f}", va="center", fontsize="x-small")
        axes.axvline(1, color="black", linewidth=1)
        middle = (len(columns) - 1) / 2
        axes.set_yticks([i * step + middle for i in range(len(rows))])
        axes.set_yticklabels([name.replace(", ", "\n") for name in rows])
        axes.set(xlabel="time, PyTorch = 1; smaller is faster", xlim=(0, None))
        axes.set_ylim(len(rows) * step - 1, -1)
        axes.set_axisbelow(True)
        axes.tick_params(axis="y", length=0)
        tidy(axes)
        figure.legend(loc="outside upper center", ncols=3, frameon=False)
