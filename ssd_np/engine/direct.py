"""Steps of a network straight from the image, without im2col, and all threads through all of them.

A step is cut into tiles: some lines of the output by some vectors of its channels. A thread lays
the lines that a tile needs out in its own buffer, with zeros around where there is padding, and
goes over them with the microkernel. A depthwise convolution and the 1x1 convolution behind it are
one step: what lies between the two stays in the buffer, and so in the nearest cache.

Each thread has its share of a step's tiles, takes them one after the other, and then helps with
what others have left. So a thread that comes late, or never, only makes the others work longer, and
nobody has to be waited for before a call begins. A tile is computed in the same way by whoever
computes it: runs are bit-equal. Where a step needs what an earlier one gave, threads look at its
counter until all tiles are done.
"""

import numpy as np

from ssd_np.engine.atomic import give_way, look, take
from ssd_np.engine.memory import LINE
from ssd_np.engine.microkernel import PIXELS, VECTOR_BYTES, tile
from ssd_np.kernels import njit

DENSE, DEPTHWISE, MAX = 0, 1, 2  # kinds of steps
IMAGE = -1  # the source that is what came in
BLOCK = 96  # pixels for which a panel of the kernel is used while it lies in the nearest cache
PATIENCE = 1000  # looks at a counter before another thread may have the core

_FIELDS = (
    "kind source height width channels kh kw stride above beside dilation ho wo c_out "
    "weight bias target lays_out front lines groups panels splits tiles places after"
)
NODE = np.dtype(
    [(name, np.int64) for name in _FIELDS.split()] + [("low", np.float64), ("high", np.float64)]
)
"""A step, as kernels read it. Sizes are (height, width, channels) in and (ho, wo, c_out) out.

source, target  where its input and output begin in `maps`
weight, bias    where its packed kernel and its bias begin in `weights`
lays_out        whether lines go to the buffer first: not where a 1x1 convolution reads all pixels
front           number of the depthwise convolution that is computed together with it, or -1
lines, groups   of the output: lines of a tile, tiles that an image has of them
panels, splits  the same for vectors of output channels
places          where its table in `places` begins: the way from a tile's first pixel to each
after           so many of the steps must be done before it begins
low, high       limits of the activation
"""


@njit(nogil=True)
def run(x, maps, buffers, table, places, weights, counters, lane, lanes):
    """All steps of `table` by one of the `lanes` threads; lane 0 comes back when all is done.

    x         what comes in, flat (N H W C); maps: what all steps give, at their places
    buffers   memory for laid out lines, an equal part for each thread
    counters  zeros: of each step the tiles that are done, then those that are taken of each share
    """
    buffer, done = lane * (len(buffers) // lanes), 0
    for s in range(len(table)):
        step = table[s]
        done = _wait(table, counters, done, step.after)
        for k in range(lanes):
            share = (lane + k) % lanes  # its own first
            start, end = step.tiles * share // lanes, step.tiles * (share + 1) // lanes
            while True:
                number = start + take(counters, len(table) + s * lanes + share)
                if number >= end:
                    break
                _compute(x, maps, buffers, buffer, table, s, places, weights, number)
                take(counters, s)
    if lane == 0:
        _wait(table, counters, done, len(table))


@njit(nogil=True)
def _wait(table, counters, done, steps):
    """Until the first `steps` steps are done, of which `done` are known to be."""
    for s in range(done, steps):
        looks = 0
        while look(counters, s) < table[s].tiles:
            looks += 1
            if looks > PATIENCE:
                give_way()
    return max(done, steps)


@njit(nogil=True)
def _compute(x, maps, buffers, buffer, table, s, places, weights, number):
    """A tile: lines `first` to `last` of an image, panels `begin` to `end`."""
    step = table[s]
    group, split = number // step.splits, number % step.splits
    image, first = group // step.groups, group % step.groups * step.lines
    last, begin = min(first + step.lines, step.ho), split * step.panels
    end = min(begin + step.panels, -(-step.c_out // (VECTOR_BYTES // x.itemsize)))
    target = step.target + (image * step.ho + first) * step.wo * step.c_out
    pixels = (last - first) * step.wo
    reads = table[step.front] if step.front >= 0 else step
    source = x if reads.source == IMAGE else maps
    start = max(0, reads.source) + image * reads.height * reads.width * reads.channels
    if step.kind == MAX:
        _max_lines(source, start, step, first, last, maps, target)
        return
    if not reads.lays_out:
        start += first * step.wo * step.channels
        _dense(source, start, places, weights, step, pixels, begin, end, maps, target)
        return
    size = lay_out(source, start, reads, first, last, buffers, buffer)
    if step.front >= 0:
        panels = -(-reads.c_out // (VECTOR_BYTES // x.itemsize))
        _depthwise(buffers, buffer, places, weights, reads, pixels, 0, panels,
                   buffers, buffer + size)  # fmt: skip
        _dense(buffers, buffer + size, places, weights, step, pixels, begin, end, maps, target)
    elif step.kind == DENSE:
        _dense(buffers, buffer, places, weights, step, pixels, begin, end, maps, target)
    else:
        _depthwise(buffers, buffer, places, weights, step, pixels, begin, end, maps, target)


@njit(nogil=True)
def lay_out(source, start, step, first, last, buffers, buffer):
    """The lines that the lines `first` to `last` of the output look at, zeros where nothing is."""
    h, w, c = step.height, step.width, step.channels
    width = laid_out_width(step)
    left, skipped = max(0, min(step.beside, width)), max(0, -step.beside)
    inside = max(0, min(w - skipped, width - left))
    target = buffer
    top = first * step.stride - step.above
    for y in range(top, (last - 1) * step.stride - step.above + step.dilation * (step.kh - 1) + 1):
        there = inside * c if 0 <= y < h else 0
        _fill(buffers, target, left * c)
        copy(source, start + (y * w + skipped) * c, buffers, target + left * c, there)
        _fill(buffers, target + left * c + there, (width - left) * c - there)
        target += width * c
    return -(-(target - buffer) // LINE) * LINE


@njit(nogil=True)
def laid_out_width(step):
    """Pixels of a laid out line."""
    return (step.wo - 1) * step.stride + step.dilation * (step.kw - 1) + 1


# indices are unsigned: Numba need not ask whether they count from the end
@njit(nogil=True)
def _fill(target, start, count):
    place = np.uint64(start)
    for k in range(np.uint64(count)):
        target[place + k] = 0


@njit(nogil=True)
def copy(source, start, target, to, count):
    here, there = np.uint64(start), np.uint64(to)
    for k in range(np.uint64(count)):
        target[there + k] = source[here + k]


def _convolution(mixes: int, taps: int = 0):
    """The kernel for some pixels and panels, from `source` to `out`."""

    @njit(nogil=True)
    def convolve(source, start, places, weights, step, pixels, first, last, out, target):
        lanes = VECTOR_BYTES // source.itemsize
        segment = step.dilation * laid_out_width(step) * step.channels
        hop = 1 if mixes else step.dilation * step.channels
        length = step.kw * step.channels if mixes else step.kw
        low, high = source.dtype.type(step.low), source.dtype.type(step.high)
        for begin in range(0, pixels, BLOCK):
            end = min(begin + BLOCK, pixels)
            for panel in range(first, last):
                channel = panel * lanes
                x0 = start if mixes else start + channel
                w0 = step.weight + channel * step.kh * length
                for pixel in range(begin, end, PIXELS):
                    tile(PIXELS, mixes, taps, source, x0, places, step.places + pixel,
                         step.places + pixels - 1, step.kh, segment, length, hop,
                         weights, w0, length * lanes, lanes, weights, step.bias + channel, 0,
                         low, high, out, target + channel - step.places * step.c_out, step.c_out,
                         step.c_out - channel)  # fmt: skip

    return convolve


_dense, _around, _around3 = _convolution(1), _convolution(0), _convolution(0, taps=3)


@njit(nogil=True)
def _depthwise(source, start, places, weights, step, pixels, first, last, out, target):
    if step.kh == step.kw == 3:
        _around3(source, start, places, weights, step, pixels, first, last, out, target)
    else:
        _around(source, start, places, weights, step, pixels, first, last, out, target)


@njit(nogil=True)
def _max_lines(source, start, step, first, last, out, target):
    """The maximum of each window; NaN wins, so that it is not hidden."""
    c = step.channels
    for oy in range(first, last):
        top, left = oy * step.stride - step.above, -step.beside
        for _ in range(step.wo):
            fresh = True
            for y in range(max(0, top), min(step.height, top + step.kh)):
                for column in range(max(0, left), min(step.width, left + step.kw)):
                    place = np.uint64(start + (y * step.width + column) * c)
                    to = np.uint64(target)
                    for k in range(np.uint64(c)):
                        value, best = source[place + k], out[to + k]
                        larger = fresh or value > best or value != value
                        out[to + k] = value if larger else best
                    fresh = False
            target, left = target + c, left + step.stride


@njit(nogil=True)
def pack(w, out):
    """w (taps, Co) -> out (panels, taps, vector): the kernel as the microkernel reads it."""
    panels, taps, lanes = out.shape
    for panel in range(panels):
        count = min(lanes, w.shape[1] - panel * lanes)
        for t in range(taps):
            for k in range(count):
                out[panel, t, k] = w[t, panel * lanes + k]
            for k in range(count, lanes):
                out[panel, t, k] = 0
