"""Showing figures, also where there is no screen: then they are saved, and their names are said."""

import io
import itertools
import sys
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt

from ssd_np.files import write_atomically
from ssd_np.terminal import say

FOLDER = Path("runs") / "lessons"

_numbers = itertools.count(1)


def show() -> None:
    """Opens the figures in windows; without a screen they become files of `runs/lessons/`.

    matplotlib falls back to its backend "agg", which draws into memory only, where it can open no
    window; `plt.show()` then does nothing. Files are named after the script: 05_convolution_1.png.
    """
    if matplotlib.get_backend().lower() != "agg":
        plt.show()
        return
    for number in plt.get_fignums():
        path = FOLDER / f"{Path(sys.argv[0]).stem}_{next(_numbers)}.png"
        buffer = io.BytesIO()
        plt.figure(number).savefig(buffer, format="png")
        write_atomically(path, buffer.getvalue())
        say(f"figure: {path}")
    plt.close("all")
