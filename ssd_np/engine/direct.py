"""Steps of a network straight from the image, without im2col, and all threads through all of them.

A step is cut into tiles: some lines of the output by some vectors of its channels. A thread goes
over the lines that a tile needs with the microkernel, where they lie: with zeros around, that the
step before has written as well (engine/borders.py). A depthwise convolution and the 1x1 convolution
behind it are one step: what lies between the two stays in the thread's own buffer, and so in the
nearest cache.

Each thread has its share of a step's tiles, takes them one after the other, and then helps with
what others have left. So a thread that comes late, or never, only makes the others work longer, and
nobody has to be waited for before a call begins. A tile is computed in the same way by whoever
computes it: runs are bit-equal. Where a step needs what an earlier one gave, threads look at its
counter until all tiles are done.
"""

import functools
from collections.abc import Callable

import numpy as np

from ssd_np.engine.atomic import leave_last, take, watch
from ssd_np.engine.borders import enclose, lay_out
from ssd_np.engine.filtering import filtered
from ssd_np.engine.microkernel import PIXELS, VECTOR_BYTES, multiply, tile
from ssd_np.engine.sliding import slide, slides
from ssd_np.kernels import inlined, njit

DENSE, DEPTHWISE, MAX, NORM, WINOGRAD = range(5)  # kinds of steps
IMAGE = -1  # the source that is what came in
BLOCK = 96  # pixels for which a panel of the kernel is used while it lies in the nearest cache

_FIELDS = (
    "kind source height width channels kh kw stride above beside dilation ho wo c_out "
    "weight bias target lays_out line image front row head tail size lines groups panels splits "
    "tiles places goes after side unit block abreast"
)
NODE = np.dtype(
    [(name, np.int64) for name in _FIELDS.split()] + [("low", np.float64), ("high", np.float64)]
)
"""A step, as kernels read it. Sizes are (height, width, channels) in and (ho, wo, c_out) out.

source, target  where the first pixels of its input and output lie in `maps`
weight, bias    where its packed kernel and its bias begin in `weights`
lays_out        whether lines go to the buffer first: those of what came in, which has no border
line, image     where it reads, pixels of a line and numbers from one image to the next
front           number of the depthwise convolution that is computed together with it, or -1
row, size       the same where it writes; head, tail: zeros around an image, see engine/borders.py
lines, groups   of the output: lines of a tile, tiles that an image has of them
panels, splits  the same for vectors of output channels
side, unit      of Winograd's tiles, and the lines that it fills with those of the dilation
block, abreast  patches, and vectors of output channels, that go through its steps together
places          where its table in `places` begins: the way from a tile's first pixel to each, where
                it reads; `goes` behind it the one where it writes
after           so many of the steps must be done before it begins
low, high       limits of the activation; of a normalisation eps, and which form
"""


@functools.cache
def network(depthwise: bool, norms: bool, side: int) -> Callable:
    """The kernel for all steps; depthwise ones, normalisations and Winograd's tiles of a side are
    compiled only for networks that have them."""
    two, four = side == 2, side == 4

    @njit(nogil=True, error_model="numpy")
    def run(x, maps, buffers, table, places, weights, counters, lane, lanes):
        """All steps of `table` by one of the `lanes` threads; lane 0 comes back when all is done.

        x         what comes in, flat (N H W C); maps: what all steps give, at their places
        buffers   memory for laid out lines, an equal part for each thread
        counters  zeros: of each step the tiles that are done, then those taken of each share; last
                  whether lane 0 is done
        """
        buffer, done = lane * (len(buffers) // lanes), 0
        for s in range(len(table)):
            step = table[s]
            reads = table[step.front] if step.front >= 0 else step
            done = _wait(table, counters, done, step.after)
            while True:
                number = _take_tile(step.tiles, counters, len(table) + s * lanes, lane, lanes)
                if number < 0:
                    break
                image, first, last, begin, end = _bounds(step, number, x.itemsize)
                target = step.target + image * step.size + first * step.row * step.c_out
                pixels = (last - first) * step.wo
                source = x if reads.source == IMAGE else maps
                start, behind = image * reads.image + max(0, reads.source), buffer
                if step.kind == MAX:
                    _max_lines(source, start, step, first, last, maps, target)
                elif norms and step.kind == NORM:
                    _unit_lines(source, start, weights, step, first, last, maps, target)
                elif reads.lays_out:
                    below = first + -(-(last - first) // reads.unit) * reads.unit
                    behind += lay_out(source, start, reads, first, below, buffers, buffer)
                    source, start = buffers, buffer
                else:
                    line = (first * reads.stride - reads.above) * reads.line
                    start += (line - reads.beside) * reads.channels
                if depthwise and reads.kind == DEPTHWISE:
                    alone = step.front < 0
                    out, to = (maps, target) if alone else (buffers, behind)
                    panels = -(-reads.c_out // (VECTOR_BYTES // x.itemsize))
                    low, high = (begin, end) if alone else (0, panels)
                    _depthwise(source, start, places, weights, reads, pixels, low, high, out, to)
                    if not alone:
                        source, start = buffers, behind
                if step.kind == DENSE:
                    _dense(source, start, places, weights, step, pixels, begin, end, maps, target)
                if two and step.kind == WINOGRAD:
                    _filtered2(source, start, places, weights, step, last - first, begin, end,
                               buffers, behind, maps, target)  # fmt: skip
                if four and step.kind == WINOGRAD:
                    _filtered4(source, start, places, weights, step, last - first, begin, end,
                               buffers, behind, maps, target)  # fmt: skip
                if begin == 0:
                    enclose(maps, target, step, first, last)
                take(counters, s)
        if lane == 0:
            _wait(table, counters, done, len(table))
            take(counters, len(counters) - 1)
        else:
            leave_last(counters, len(counters) - 1)

    return run


@inlined
def _wait(table, counters, done, steps):
    """Until the first `steps` steps are done, of which `done` are known to be."""
    for s in range(done, steps):
        watch(counters, s, table[s].tiles)
    return max(done, steps)


@inlined
def _take_tile(tiles, counters, place, lane, lanes):
    """Number of the next tile that nobody has taken, of its own share first; -1 where none is."""
    for k in range(lanes):
        share = (lane + k) % lanes
        number = tiles * share // lanes + take(counters, place + share)
        if number < tiles * (share + 1) // lanes:
            return number
    return -1


@inlined
def _bounds(step, number, item):
    """A tile: image, lines `first` to `last` of it, vectors `begin` to `end`."""
    group, split = number // step.splits, number % step.splits
    image, first = group // step.groups, group % step.groups * step.lines
    begin, vectors = split * step.panels, -(-step.c_out // (VECTOR_BYTES // item))
    last, end = min(first + step.lines, step.ho), min(begin + step.panels, vectors)
    return image, first, last, begin, end


@inlined
def _dense(source, start, places, weights, step, pixels, first, last, out, target):
    """Some pixels by the vectors `first` to `last` of a convolution, from `source` to `out`."""
    lanes = VECTOR_BYTES // source.itemsize
    segment, length = step.dilation * step.line * step.channels, step.kw * step.channels
    low, high = source.dtype.type(step.low), source.dtype.type(step.high)
    channel, vector = first * lanes, step.kh * length * lanes
    for begin in range(0, pixels, BLOCK):
        end = min(begin + BLOCK, pixels)
        multiply(source, start, places, step.places + begin, step.places + end,
                 step.places + pixels - 1, step.kh, segment, length, 1, weights,
                 step.weight + first * vector, vector, length * lanes, lanes, weights,
                 step.bias + channel, lanes, 0, low, high, out, target + channel, step.goes,
                 step.c_out - channel, last - first)  # fmt: skip


def _by_channel(taps: int):
    """The kernel of a depthwise convolution; of 3 x 3 taps it needs no loop."""

    @inlined
    def convolve(source, start, places, weights, step, pixels, first, last, out, target):
        lanes = VECTOR_BYTES // source.itemsize
        segment, hop = step.dilation * step.line * step.channels, step.dilation * step.channels
        low, high = source.dtype.type(step.low), source.dtype.type(step.high)
        for begin in range(0, pixels, BLOCK):
            end = min(begin + BLOCK, pixels)
            for channel in range(first * lanes, last * lanes, lanes):
                w0 = step.weight + channel * step.kh * step.kw
                for pixel in range(begin, end, PIXELS):
                    tile(1, PIXELS, 0, taps, source, start + channel, places, step.places + pixel,
                         step.places + pixels - 1, step.kh, segment, step.kw, hop, weights, w0, 0,
                         step.kw * lanes, lanes, weights, step.bias + channel, 0, 0,
                         low, high, out, target + channel, step.goes,
                         step.c_out - channel)  # fmt: skip

    return convolve


_filtered2, _filtered4 = filtered(2), filtered(4)
_around, _around3 = _by_channel(0), _by_channel(3)


@inlined
def _depthwise(source, start, places, weights, step, pixels, first, last, out, target):
    if slides(step):
        slide(source, start, weights, step, pixels, first, last, out, target)
    elif step.kh == step.kw == 3:
        _around3(source, start, places, weights, step, pixels, first, last, out, target)
    else:
        _around(source, start, places, weights, step, pixels, first, last, out, target)


@inlined
def _max_lines(source, start, step, first, last, out, target):
    """The maximum of each window, without borders; NaN wins, so that it is not hidden."""
    c = step.channels
    for oy in range(first, last):
        top, left = oy * step.stride - step.above, -step.beside
        for _ in range(step.wo):
            fresh = True
            for y in range(max(0, top), min(step.height, top + step.kh)):
                for column in range(max(0, left), min(step.width, left + step.kw)):
                    place = np.uint64(start + (y * step.line + column) * c)
                    to = np.uint64(target)
                    for k in range(np.uint64(c)):
                        value, best = source[place + k], out[to + k]
                        larger = fresh or value > best or value != value
                        out[to + k] = value if larger else best
                    fresh = False
            target, left = target + c, left + step.stride
        target += (step.row - step.wo) * c


@inlined
def _unit_lines(source, start, weights, step, first, last, out, target):
    """Each pixel divided by its length, times the scales: L2 normalisation (nn/l2norm.py)."""
    c, eps = step.channels, source.dtype.type(step.low)
    for y in range(first, last):
        for x in range(step.wo):
            place, to = np.uint64(start + (y * step.line + x) * c), np.uint64(target + x * c)
            square = square_sum(source, place, c)
            length = np.sqrt(square + eps if step.high == 0 else square)
            length = max(length, eps) if step.high == 1 else length
            length = length + eps if step.high == 2 else length
            for k in range(np.uint64(c)):
                out[to + k] = source[place + k] / length * weights[np.uint64(step.weight) + k]
        target += step.row * c


@inlined
def square_sum(x, place, count):
    """In four sums, which need not wait for each other."""
    a = b = c = d = x.dtype.type(0)
    whole = np.uint64(count // 4 * 4)
    for k in range(np.uint64(0), whole, np.uint64(4)):
        at = place + k
        a, b = a + x[at] * x[at], b + x[at + np.uint64(1)] * x[at + np.uint64(1)]
        at += np.uint64(2)
        c, d = c + x[at] * x[at], d + x[at + np.uint64(1)] * x[at + np.uint64(1)]
    for k in range(whole, np.uint64(count)):
        a += x[place + k] * x[place + k]
    return (a + b) + (c + d)
