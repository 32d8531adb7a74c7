"""What can be decided about a network's steps once: tiles, memory, what waits for what.

A plan holds for one shape of input, one geometry and one number of threads. Weights come later.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np

from ssd_np.engine.algorithms import tile_side
from ssd_np.engine.borders import frame, whole_tiles
from ssd_np.engine.direct import DENSE, DEPTHWISE, MAX, NODE, NORM, WINOGRAD
from ssd_np.engine.memory import LINE
from ssd_np.engine.microkernel import PIXELS, VECTOR_BYTES
from ssd_np.engine.pointwise import limits
from ssd_np.geometry import output_size
from ssd_np.nn.l2norm import FORMS
from ssd_np.nn.pool import pool_output_size

TILE_WORK = 1 << 19  # multiply-adds, about 10 microseconds: what a thread may wait for another
TILES = 4  # for each thread, if there is work for as many
BUFFER_BYTES = 256 << 10  # of a tile's laid out lines, for a core's cache
COPY, TILE = 4, 1 << 14  # what laying out a number costs, and a tile as such, in multiply-adds
LANES = VECTOR_BYTES // 4  # of the smallest numbers
TRANSFORM = 8  # the same for a number of a patch or of Winograd's products, or of its kernel
PATCHES, PANELS = 16, 4  # that go through Winograd's steps together
LARGE_KERNEL, MANY = 16 << 20, 128  # bytes: it comes from memory, for as many patches at once

Shape = tuple[int, ...]
# source, shape of the kernel (a number: max-pooling), stride, borders, dilation, activation (of a
# pool: whether it rounds up; of an L2 normalisation: eps and form)
Window = tuple[int, Shape | int, int, tuple, int, str | bool | tuple]


@dataclass(frozen=True)
class Plan:
    """table and places: see engine/direct.py; shapes (N, H, W, C) of all outputs; ends: of those
    that no step reads first and last place in `maps`, and shape; maps, buffer (of a thread) and
    weights: how many numbers they are; kinds: what `network` has to compile."""

    table: np.ndarray
    places: np.ndarray
    shapes: tuple[Shape, ...]
    ends: tuple[tuple[int, int, Shape], ...]
    maps: int
    buffer: int
    weights: int
    lanes: int
    kinds: tuple[bool, bool, int]


@functools.lru_cache(maxsize=1024)
def plan(
    shape: Shape,
    windows: tuple[Window, ...],
    dtype: np.dtype,
    threads: int,
    convolution: str = "im2col",
) -> Plan:
    """For an input (N, H, W, C) on so many threads, by the algorithms that are allowed."""
    images, read = shape[0], [window[0] for window in windows]
    weights = VECTOR_BYTES // dtype.itemsize  # zeros
    table, shapes = np.zeros(len(windows), NODE), [shape]
    for step, window in zip(table, windows, strict=True):
        shapes.append(_describe(step, window, shapes[window[0]], dtype, convolution))
        weights = _place_weights(step, weights, dtype)
    _join(table, read, -(-TILES * threads // images), dtype)
    frame(table, read)
    for step in table:
        _cut(step, table, images, threads, dtype)
    maps = _arrange(table, read, images)
    places = _tabulate(table, dtype)
    work = images * sum(_work(step) for step in table)
    buffer = max(_buffer(step, table) for step in table) + LINE
    ends = []
    for step, shape, k in zip(table, shapes[1:], range(1, len(shapes)), strict=True):
        if k not in read:
            start = int(step["target"])
            ends.append((start, start + math.prod(shape), shape))
    lanes = threads if work >= 2 * TILE_WORK else 1
    depthwise, norms = (bool((table["kind"] == kind).any()) for kind in (DEPTHWISE, NORM))
    kinds = depthwise, norms, int(table["side"].max())
    sizes = maps, buffer, weights, lanes
    return Plan(table, places, tuple(shapes[1:]), tuple(ends), *sizes, kinds)


def _describe(
    step: np.void, window: Window, shape: Shape, dtype: np.dtype, convolution: str
) -> Shape:
    """Writes the geometry to a row of the table -> the shape of the output."""
    source, kernel, stride, pad, dilation, activation = window
    n, *sides, c = shape
    side, between = 0, (-np.inf, np.inf)
    if isinstance(activation, tuple):
        taps, kind, c_out, cells = (1, 1), NORM, c, list(sides)
        between = activation[0], FORMS.index(activation[1])
    elif isinstance(kernel, int):
        taps, kind, c_out = (kernel, kernel), MAX, c
        cells = [
            pool_output_size(side, kernel, stride, border, bool(activation))
            for side, border in zip(sides, pad, strict=True)
        ]
    else:
        kh, kw, *_, c_out = kernel
        taps = kh, kw
        low, high = limits(str(activation), dtype)
        between = float(low), float(high)
        cells = [
            output_size(side, tap, stride, border, dilation, least=-side)
            for side, tap, border in zip(sides, taps, pad, strict=True)
        ]
        side = tile_side(convolution, (cells[0], cells[1]), kernel, stride, dilation)
        kind = DEPTHWISE if len(kernel) == 3 else WINOGRAD if side else DENSE
    whole = (*taps, stride) == (1, 1, 1) and not any(pad[0] + pad[1])
    step["kind"], step["source"], step["front"] = kind, source - 1, -1
    step["height"], step["width"], step["channels"] = (*sides, c)
    (step["kh"], step["kw"]), step["stride"], step["dilation"] = taps, stride, dilation
    step["above"], step["beside"] = pad[0][0], pad[1][0]
    step["ho"], step["wo"], step["c_out"] = (*cells, c_out)
    step["low"], step["high"] = between
    step["side"], step["unit"] = side, side * dilation or 1
    reach = (whole_tiles(cells[1], step) - 1) * stride + dilation * (taps[1] - 1) + 1
    step["lays_out"] = kind in (DEPTHWISE, WINOGRAD) or (kind == DENSE and not whole)
    step["line"], step["image"] = reach if step["lays_out"] else sides[1], math.prod(shape[1:])
    if side:
        large = _taps(step) * c_out * dtype.itemsize > LARGE_KERNEL
        step["block"] = min(MANY if large else PATCHES, _patches(step, cells[0]))
        step["abreast"] = PANELS
    return (n, *cells, c_out)


def _place_weights(step: np.void, start: int, dtype: np.dtype) -> int:
    """Gives kernel and bias their places from `start` on -> the end of both."""
    if step["kind"] == MAX:
        return start
    row = _vectors(step, dtype) * VECTOR_BYTES // dtype.itemsize
    step["weight"], step["bias"] = start, start + _taps(step) * row
    return int(step["bias"] + row)


def _taps(step: np.void) -> int:
    """Numbers of the packed kernel for an output channel."""
    taps = (step["side"] + 2) ** 2 if step["side"] else step["kh"] * step["kw"]
    return int(taps * (step["channels"] if step["kind"] in (DENSE, WINOGRAD) else 1))


def _vectors(step: np.void, dtype: np.dtype) -> int:
    """Vectors of output channels."""
    return int(-(-step["c_out"] // (VECTOR_BYTES // dtype.itemsize)))


def _work(step: np.void) -> int:
    """Multiply-adds for an image."""
    products = step["ho"] * step["wo"] if step["kind"] != WINOGRAD else _patches(step, step["ho"])
    return int(products * step["c_out"] * _taps(step))


def _patches(step: np.void, lines: int) -> int:
    """Of Winograd's, in so many lines."""
    return int(whole_tiles(lines, step) * whole_tiles(step["wo"], step) // step["side"] ** 2)


def _join(table: np.ndarray, read: list[int], tiles: int, dtype: np.dtype) -> None:
    """A depthwise convolution goes with the 1x1 convolution that alone reads it, if that can be cut
    into so many tiles of an image, of two lines or of four groups of pixels, or into nothing else.
    """
    for k in range(1, len(table)):
        front, step = table[k - 1], table[k]
        alone = read[k] == k and read.count(k) == 1
        pointwise = step["kind"] == DENSE and not step["lays_out"]
        lines, pixels = front["ho"] // tiles, front["ho"] * front["wo"] // tiles
        shared = lines >= 2 or (lines and pixels >= 4 * PIXELS) or _vectors(step, dtype) == 1
        if front["kind"] == DEPTHWISE and pointwise and alone and shared:
            step["front"] = k - 1


def _cut(step: np.void, table: np.ndarray, images: int, threads: int, dtype: np.dtype) -> None:
    """Into tiles, lines by channels: of the cuts with enough tiles the one that should take least.

    What a thread takes is counted in multiply-adds: whole groups of pixels, lines to be laid out,
    and what a tile costs whatever it holds.
    """
    reads = table[step["front"]] if step["front"] >= 0 else step
    height, width, vectors = int(step["ho"]), int(step["wo"]), _vectors(step, dtype)
    work = _work(step) + (_work(reads) if reads is not step else 0)
    enough = min(TILES * threads, images * work // TILE_WORK) if threads > 1 else 1
    mixes = step["kind"] in (DENSE, WINOGRAD) and reads is step
    ranks = []
    for groups in (*range(1, min(height, 8 * TILES * threads) + 1), height):  # a line at least
        lines = step["lines"] = whole_tiles(-(-height // groups), step)
        small = lines <= step["unit"] or step["kind"] == WINOGRAD
        if not small and _buffer(step, table) * dtype.itemsize > BUFFER_BYTES:
            continue
        rows = (lines - 1) * int(reads["stride"]) + int(reads["kh"])
        copied = rows * int(reads["width"] * reads["channels"]) if reads["lays_out"] else 0
        waste = -(-lines * width // PIXELS) * PIXELS / (height * width)
        for splits in (1, 2, 4, 8) if mixes else (1,):
            panels = -(-vectors // splits)
            tiles = images * -(-height // lines) * -(-vectors // panels)
            cost = work * waste * panels / vectors + COPY * copied + TILE
            if step["kind"] == WINOGRAD:
                cost = _filtering(step, lines, panels, dtype) + COPY * copied + TILE
            ranks.append((tiles < enough, -(-tiles // threads) * cost, lines, panels))
    _, _, lines, panels = min(ranks)
    step["lines"], step["groups"] = lines, -(-height // lines)
    step["panels"], step["splits"] = panels, -(-vectors // panels)
    step["tiles"] = images * step["groups"] * step["splits"]


def _filtering(step: np.void, lines: int, panels: int, dtype: np.dtype) -> int:
    """What Winograd's steps cost for some lines and panels, in multiply-adds."""
    channels, patches = panels * VECTOR_BYTES // dtype.itemsize, _patches(step, lines)
    entries, c = (step["side"] + 2) ** 2, step["channels"]
    groups = -(-patches // PIXELS) * PIXELS
    moved = patches * (c + channels) + -(-patches // step["block"]) * c * channels
    return int(entries * (groups * c * channels + TRANSFORM * moved))


def _buffer(step: np.void, table: np.ndarray) -> int:
    """Numbers of a tile's laid out lines and what the depthwise convolution in front gives, or of
    Winograd's patches and products."""
    reads = table[step["front"]] if step["front"] >= 0 else step
    lines = whole_tiles(step["lines"], step)
    rows = (lines - 1) * reads["stride"] + reads["dilation"] * (reads["kh"] - 1) + 1
    between = step["lines"] * reads["wo"] * reads["c_out"] if step["front"] >= 0 else 0
    if step["kind"] == WINOGRAD:
        numbers = _rounded(step["channels"], LANES) + step["abreast"] * LANES
        between = (step["side"] + 2) ** 2 * (step["block"] * numbers + 2 * LANES)
    laid_out = rows * reads["line"] * reads["channels"] if reads["lays_out"] else 0
    return _rounded(laid_out) + _rounded(between)


def _rounded(numbers: int, unit: int = LINE) -> int:
    """So that what comes behind begins at a line of the cache, of whatever type."""
    return int(-(-numbers // unit) * unit)


def _tabulate(table: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """The tables of pixels: the way from the first of a tile to each, where it reads and writes.
    Of Winograd's patches and products the same, in the buffer."""
    tables, start = [], 0
    lines_of = table["lines"].copy()
    lines_of[table["front"][table["front"] >= 0]] = table["lines"][table["front"] >= 0]
    for step, lines in zip(table, lines_of, strict=True):
        line, column = np.arange(lines)[:, None], np.arange(step["wo"])
        places = (line * step["line"] + column) * step["stride"] * step["channels"]
        goes = (line * step["row"] + column) * step["c_out"]
        if step["kind"] == WINOGRAD:
            patch, lanes = np.arange(step["block"]), VECTOR_BYTES // dtype.itemsize
            places, goes = (
                patch * _rounded(step["channels"], lanes),
                patch * step["abreast"] * lanes,
            )
        step["places"], step["goes"] = start, places.size
        tables += [places.reshape(-1), goes.reshape(-1)]
        start += 2 * places.size
    return np.concatenate(tables)


def _arrange(table: np.ndarray, read: list[int], images: int) -> int:
    """Gives each output its place and each step those it waits for -> numbers of all places.

    Memory is free again once the last step that reads it is done; then who writes there waits for
    that step.
    """
    fronts = {int(front) for front in table["front"]}
    # in which step an output is read last; a front is computed in the step behind it
    last = [
        max((k + (k in fronts) for k, source in enumerate(read) if source == j), default=len(table))
        for j in range(1, len(table) + 1)
    ]
    taken: list[tuple[int, int, int]] = []  # start, end, step whose output lies there
    after = total = 0
    for k, step in enumerate(table):
        if k in fronts:
            step["tiles"], step["after"] = 0, after
            continue
        source = read[k - 1] if step["front"] >= 0 else read[k]
        head = _rounded(step["head"])
        size = int(head + images * step["size"] - step["head"])
        # by an eighth at most: a map fits where one with a narrower border was
        start, size = 0, _rounded(size, max(LINE, (1 << size.bit_length()) // 16))
        for a, b in sorted((a, b) for a, b, j in taken if last[j] >= k):
            if a - start >= size:
                break
            start = max(start, b)
        free = [last[j] + 1 for a, b, j in taken if last[j] < k and a < start + size and start < b]
        step["after"] = after = max(after, source, *free)
        taken.append((start, start + size, k))
        step["target"], total = start + head, max(total, start + size)
    for step, source in zip(table, read, strict=True):
        if source:
            step["source"] = table[source - 1]["target"]
    return total + LINE
