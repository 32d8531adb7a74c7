"""Convolutions in a row, for inference: each thread takes its lines through all of them.

What a thread computed of one layer is still in its core's cache when it goes on to the next, and
threads meet once at the end, not after each layer. Behind the first layer, the lines at the border
of a share are computed by both neighbours; so a chain ends where its work is worth a meeting.
"""

import functools
import math

import numpy as np

from ssd_np.engine.conv import conv_block_forward
from ssd_np.engine.depthwise import depthwise_block_forward
from ssd_np.engine.direct import LEAST_WORK, convolve_lines, fits
from ssd_np.engine.memory import FRESH, Place
from ssd_np.engine.threads import for_each, scratch, thread_count
from ssd_np.geometry import borders, output_size
from ssd_np.nn.blocks import Block
from ssd_np.nn.checks import check_image

CHAIN_WORK = 12 << 20  # multiply-adds for which another meeting costs little
PIECE_BYTES = 256 << 10  # of a map between two layers, for a core's cache

Lines = tuple[int, int]  # the first, and the end
Shape = tuple[int, int, int]  # height, width, channels


def chain_forward(x: np.ndarray, blocks: list[Block], *, memory: Place = FRESH) -> np.ndarray:
    """x (N, H, W, C), blocks of depthwise and other convolutions -> the output of the last."""
    check_image(x)
    windows = tuple(
        (w.shape, stride, borders(pad), dilation, fits(w, stride, dilation, 1))
        for w, _, stride, pad, dilation, _ in blocks
    )
    for first, last, shapes, shares in _plan(x.shape, windows, thread_count()):
        if not shares:
            convolve = depthwise_block_forward if blocks[first][0].ndim == 3 else conv_block_forward
            x, _ = convolve(x, *blocks[first], memory=memory)
            continue
        out = memory.empty((len(x), *shapes[-1]), x.dtype)
        _go(np.ascontiguousarray(x), blocks[first:last], shapes, shares, out)
        x = out
    return x


def _go(x, blocks, shapes, shares, out) -> None:
    """Every share of the lines of `out`, of every image, through all blocks."""

    def job(index: int, _worker: int) -> None:
        image, share = divmod(index, len(shares))
        lines = shares[share]
        some = x[image : image + 1, slice(*lines[0])]
        for k, (w, b, stride, pad, dilation, activation) in enumerate(blocks):
            (above, _), (beside, _) = borders(pad)
            first, last = lines[k + 1]
            ho, wo, c = shapes[k]
            if k == len(blocks) - 1:
                target = out[image, first:last]
            else:
                target = scratch((last - first, wo, c), x.dtype, f"chain {k % 2}")
            geometry = stride, above + lines[k][0], beside, dilation, ho
            convolve_lines(some, w, b, geometry, activation, first, last, target)
            some = target[None]

    for_each(job, len(x) * len(shares))


@functools.lru_cache(maxsize=1024)
def _plan(shape: tuple[int, ...], windows: tuple, threads: int) -> list[tuple]:
    """Of each chain its first block and the end, the shapes of its outputs, and of each share the
    lines of its input and of all outputs; no shares for a block that goes its own way."""
    n, *size, _ = shape
    shapes: list[Shape] = []
    for kernel, stride, pad, dilation, _ in windows:
        size = [
            output_size(cells, taps, stride, border, dilation)
            for cells, taps, border in zip(size, kernel, pad, strict=False)
        ]
        shapes.append((*size, kernel[-1]))
    chains, first = [], 0
    while first < len(windows):
        last, work = first, 0
        while last < len(windows) and windows[last][4] and work < CHAIN_WORK:
            work += math.prod(shapes[last][:2]) * math.prod(windows[last][0])
            last += 1
        if last < len(windows) and windows[last][4] and len(windows[last][0]) == 4:
            last += 1  # a 1x1 convolution belongs to the depthwise one before it
        height = shapes[first - 1][0] if first else shape[1]
        if last == first:
            last, shares = first + 1, []
        else:
            deep = sum(len(window[0]) == 3 for window in windows[first:last])
            cuts = threads if n < threads and n * work >= 2 * LEAST_WORK else 1
            if deep < 2:  # nothing is computed twice
                cuts *= -(-4 * math.prod(shapes[first]) // (cuts * PIECE_BYTES))
            end = shapes[last - 1][0]
            cuts = min(cuts, end)
            shares = [
                _lines(
                    (end * i // cuts, end * (i + 1) // cuts), height, shapes, windows, first, last
                )
                for i in range(cuts)
            ]
        chains.append((first, last, shapes[first:last], shares))
        first = last
    return chains


def _lines(wanted: Lines, height: int, shapes, windows, first: int, last: int) -> list[Lines]:
    """Of the chain's input and of all its outputs, for the lines that are wanted of the last."""
    lines = [wanted]
    for k in reversed(range(first, last)):
        kernel, stride, ((above, _), _), dilation, _ = windows[k]
        below = shapes[k - 1][0] if k > first else height
        start = min(max(0, lines[0][0] * stride - above), below)
        end = (lines[0][1] - 1) * stride - above + dilation * (kernel[0] - 1) + 1
        lines.insert(0, (start, max(start, min(below, end))))
    return lines
