"""How the time of a forward grows with image size, batch and threads, ours beside two peers.

    pip install torch onnx onnxruntime
    python tests/peers/scaling.py     # table and chart of docs/what_it_costs.md: some minutes

The network is `small`, as fitted configs have it, with noise for images. Peers are ONNX Runtime and
PyTorch (channels-last), with the same weights and as many threads; all take turns.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FormatStrFormatter, LogLocator, NullFormatter

from ssd_np.bench import networks
from ssd_np.config import load_config, sized
from ssd_np.progress import Progress

PAGE = Path(__file__).parents[2] / "docs" / "what_it_costs.md"
CHART = PAGE.parent / "images" / "scaling.png"
SIDES, BATCHES, THREADS = (128, 192, 256, 384, 512), (1, 4, 16, 32), (1, 2)
CASES = [(side, 1) for side in SIDES] + [(256, batch) for batch in BATCHES[1:]]
NAMES = {"ours": "ssd_np", "onnx runtime": "ONNX Runtime", "pytorch channels-last": "PyTorch"}
ROUNDS = 5

Times = dict[str, float]  # a contestant's milliseconds an image


def measure(side: int, batch: int) -> Times:
    """Medians of this process, with its number of threads."""
    config = sized(load_config("small"), (side, side))
    images = networks.images_of(config, batch)
    contestants = networks.forwards(config, images, (config.convolution,))
    contestants["ours"] = contestants.pop(config.convolution)
    with Progress(ROUNDS, f"{side} x {side}, batch {batch}", "round") as bar:
        chosen = {name: contestants[name] for name in NAMES}
        times = networks.take_turns(chosen, ROUNDS, bar)
    return {time.name: time.milliseconds / batch for time in times}


def in_a_process(threads: int) -> list[Times]:
    """All cases: how many threads there are is decided as a process begins."""
    command = sys.executable, __file__, "--json"
    environment = os.environ | {"SSD_NP_THREADS": str(threads)}
    out = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE).stdout
    return json.loads(out)


def table(measured: dict[int, list[Times]]) -> str:
    """A row for each case: ms an image of all, then ours over ONNX Runtime's."""
    names = [f"{name}, {t} thread{'s' * (t > 1)}" for t in THREADS for name in NAMES.values()]
    lines = ["| input, batch | " + " | ".join([*names, "of ONNX Runtime's"]) + " |"]
    lines.append("|---" * (len(names) + 2) + "|")
    for k, (side, batch) in enumerate(CASES):
        rows = [measured[threads][k] for threads in THREADS]
        cells = [f"{row[name]:.2f}" for row in rows for name in NAMES]
        ratios = ", ".join(f"{row['ours'] / row['onnx runtime']:.2f}" for row in rows)
        lines.append(f"| {side} x {side}, {batch} | {' | '.join(cells)} | {ratios} |")
    return "\n".join(lines)


def chart(measured: dict[int, list[Times]], path: Path) -> None:
    """Time over pixels, and over the batch; solid lines for two threads, dotted for one."""
    figure = Figure(figsize=(9, 4), layout="constrained")
    by_size, by_batch = figure.subplots(1, 2)
    first = len(SIDES)
    of_256 = SIDES.index(256)
    colours = dict(zip(NAMES, ("tab:blue", "tab:green", "0.6"), strict=True))
    for threads, style in zip(THREADS, (":", "-"), strict=True):
        rows = measured[threads]
        for name, label in NAMES.items():
            looks = {"color": colours[name], "linestyle": style, "marker": "o", "markersize": 4}
            label = f"{label}, {threads} thread{'s' * (threads > 1)}"
            sizes = [row[name] for row in rows[:first]]
            batches = [rows[k][name] for k in (of_256, *range(first, len(rows)))]
            by_size.plot(np.square(SIDES), sizes, label=label, **looks)
            by_batch.plot(BATCHES, batches, **looks)
    for axes, what, ticks in (
        (by_size, "pixels of the input, batch 1", np.square(SIDES)),
        (by_batch, "images in a batch, 256 x 256", BATCHES),
    ):
        axes.set(xscale="log", xlabel=what, ylabel="ms an image")
        axes.set_xticks(ticks, [f"{tick:,}" for tick in ticks], fontsize=7, minor=False)
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.grid(alpha=0.3)
    by_size.set_yscale("log")
    by_size.yaxis.set_major_formatter(FormatStrFormatter("%g"))
    by_size.yaxis.set_minor_locator(LogLocator(subs=(2, 5)))  # more labels would lie on each other
    by_size.yaxis.set_minor_formatter(FormatStrFormatter("%g"))
    by_size.tick_params(axis="y", which="minor", labelsize=7)
    by_batch.set_ylim(bottom=0)
    by_size.legend(fontsize=7)
    figure.savefig(path, dpi=100)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="measure here, change no file")
    if parser.parse_args().json:
        print(json.dumps([measure(*case) for case in CASES]))
        return
    measured = {threads: in_a_process(threads) for threads in THREADS}
    before, begin, rest = PAGE.read_text(encoding="utf-8").partition("<!-- scaling -->\n")
    _, end, after = rest.partition("<!-- /scaling -->\n")
    whole = f"{before}{begin}{table(measured)}\n{end}{after}"
    PAGE.write_text(whole, encoding="utf-8")
    chart(measured, CHART)


if __name__ == "__main__":
    main()
