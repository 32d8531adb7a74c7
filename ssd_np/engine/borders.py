"""Zeros around maps, for convolutions that look beyond the edges.

Who computes a map writes them too, as many as its readers look at, and these read it as it lies in
memory. A gap between two lines is the right border of one and the left border of the next:

    0 0 0 0 0 0
      a a a a 0     row         pixels from a line to the next
      a a a a 0     head, tail  numbers in front of an image's first pixel and behind its last
      0 0 0 0 0     size        numbers from an image to the next

What came in has no border: its lines are laid out in a buffer, tile by tile.
"""

import numpy as np

from ssd_np.engine.memory import LINE
from ssd_np.kernels import inlined


def frame(table: np.ndarray, read: list[int]) -> None:
    """Gives each output of a plan the border that its readers need, and them its lines."""
    below, right = (
        (whole_tiles(table[cells], table) - 1) * table["stride"]
        + table["dilation"] * (table[taps] - 1) + 1
        - table[before] - table[size]
        for cells, taps, before, size in (("ho", "kh", "above", "height"),
                                          ("wo", "kw", "beside", "width"))
    )  # fmt: skip
    sides = np.zeros((len(table) + 1, 4), int)  # of what came in, and of each output
    np.maximum.at(sides, read, np.stack([table["above"], table["beside"], below, right], axis=1))
    above, left, below, right = sides[1:].T
    row = table["row"] = table["wo"] + np.maximum(left, right)
    head = table["head"] = (above * row + left) * table["c_out"]
    tail = table["tail"] = (below * row + right) * table["c_out"]
    table["size"] = head + ((table["ho"] - 1) * row + table["wo"]) * table["c_out"] + tail
    for step, source in zip(table, read, strict=True):
        if source:
            written = table[source - 1]
            step["lays_out"], step["line"], step["image"] = False, written["row"], written["size"]


def whole_tiles(cells, step):
    """So many lines or columns, and those of its last tile of Winograd's that stick out."""
    return -(-cells // step["unit"]) * step["unit"]


@inlined
def enclose(maps, target, step, first, last):
    """Zeros around the lines `first` to `last` of an image, which begin at `target`."""
    gap = (step.row - step.wo) * step.c_out
    for y in range(first, last + (last == step.ho)):  # in front of each line, and behind the last
        start = target - (gap if y else step.head)
        fill(maps, start, step.head if y == 0 else gap if y < step.ho else step.tail)
        target += step.row * step.c_out


@inlined
def lay_out(source, start, step, first, last, buffers, buffer):
    """The lines that the lines `first` to `last` of the output look at, zeros where nothing is."""
    h, w, c = step.height, step.width, step.channels
    width = step.line
    left, skipped = max(0, min(step.beside, width)), max(0, -step.beside)
    inside = max(0, min(w - skipped, width - left))
    target = buffer
    top = first * step.stride - step.above
    for y in range(top, (last - 1) * step.stride - step.above + step.dilation * (step.kh - 1) + 1):
        there = inside * c if 0 <= y < h else 0
        fill(buffers, target, left * c)
        copy(source, start + (y * w + skipped) * c, buffers, target + left * c, there)
        fill(buffers, target + left * c + there, (width - left) * c - there)
        target += width * c
    return -(-(target - buffer) // LINE) * LINE


# indices are unsigned: Numba need not ask whether they count from the end
@inlined
def fill(target, start, count):
    place = np.uint64(start)
    for k in range(np.uint64(count)):
        target[place + k] = 0


@inlined
def copy(source, start, target, to, count):
    here, there = np.uint64(start), np.uint64(to)
    for k in range(np.uint64(count)):
        target[there + k] = source[here + k]
