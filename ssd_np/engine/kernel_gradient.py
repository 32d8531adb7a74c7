"""The gradient of a kernel straight from the image: the microkernel with its roles exchanged.

Its "pixels" are numbers of the kernel, whose sums stay in registers, and its "taps" are the pixels
of some lines, x at that tap times dout. A depthwise kernel has a number a tap, whose channels keep
to themselves; a full one has a number for each tap and channel, which meets all channels of dout.
"""

import numpy as np

from ssd_np.engine.borders import copy, lay_out
from ssd_np.engine.memory import LINE
from ssd_np.engine.microkernel import VECTOR_BYTES, multiply, tile
from ssd_np.engine.steps import single, writable
from ssd_np.engine.threads import for_each, scratch, shares
from ssd_np.kernels import njit

LEAST_PRODUCTS = 1 << 21  # for which another thread is worth the call
TAPS = 9  # of a depthwise kernel whose sums are in registers together
NEAR = 32  # pixels whose x and dout lie in the nearest cache


def gradient_of_kernel(dout, x, w_shape, stride, corner, dilation) -> tuple[np.ndarray, np.ndarray]:
    """dw (kh, kw, C) or (kh, kw, C, Co) and db, each thread over its share of the batch's lines."""
    n, ho, wo, c_out = dout.shape
    size, mixes = int(np.prod(w_shape)), len(w_shape) == 4
    steps = single(x, w_shape, stride, corner, dilation, dout.shape)
    bounds = shares(n * ho, least=1 + LEAST_PRODUCTS // (wo * size))
    numbers = _taps_of(steps.table[0])
    if mixes:
        numbers = (numbers[:, None] + np.arange(x.shape[3])).reshape(-1)  # (kh kw C)
    numbers = np.concatenate([numbers, np.arange(len(numbers)) * c_out])  # from where, to where
    vector = VECTOR_BYTES // x.itemsize
    sums = np.zeros((len(bounds) - 1, size + vector), x.dtype)
    db, one = np.zeros((len(bounds) - 1, c_out + vector), x.dtype), np.ones(1, x.dtype)
    pixels, gradient = writable(x).reshape(-1), writable(dout).reshape(-1)
    room = steps.buffer + int(steps.table[0]["lines"]) * wo * c_out + 2 * LINE
    kernel = _full if mixes else _depthwise

    def job(share: int) -> None:
        first, last = bounds[share], bounds[share + 1]
        buffer = scratch((room,), x.dtype)
        kernel(pixels, gradient, steps.table, first, last, numbers, buffer, one, sums[share],
               db[share])  # fmt: skip

    for_each(job, len(sums))
    return sums.sum(axis=0)[:-vector].reshape(w_shape), db.sum(axis=0)[:-vector]


def _taps_of(step: np.void) -> np.ndarray:
    """Where in laid out lines each tap of the kernel lies, from the first one on."""
    line, column = np.arange(step["kh"])[:, None], np.arange(step["kw"])
    return ((line * step["line"] + column) * step["dilation"] * step["channels"]).reshape(-1)


def _kernel(mixes: bool):
    """The sums over the pixels of some lines."""

    @njit(nogil=True)
    def add_up(x, dout, table, first, last, numbers, buffer, one, sums, db):
        step = table[0]
        c, c_out, wo, lanes = step.channels, step.c_out, step.wo, VECTOR_BYTES // x.itemsize
        low, high = x.dtype.type(-np.inf), x.dtype.type(np.inf)
        hop = step.stride * c
        down = step.stride * step.line * c
        near, none, goes = max(1, NEAR // wo), np.zeros(1, np.int64), len(numbers) // 2
        while first < last:
            image, oy = first // step.ho, first % step.ho
            lines = min(step.lines, last - first, step.ho - oy)
            source, origin = x, image * step.height * step.width * c
            gradient, begin, size = dout, first * wo * c_out, 0
            if step.lays_out:
                size = lay_out(x, origin, step, oy, oy + lines, buffer, 0)
                source, origin = buffer, 0
            else:
                origin += oy * down
            if c_out % lanes:  # the last vector would reach behind the array
                copy(dout, begin, buffer, size, lines * wo * c_out)
                gradient, begin = buffer, size
            for line in range(0, lines, near):
                count = min(near, lines - line)
                dout0, x0 = begin + line * wo * c_out, origin + line * down
                for k in range(0, c_out, lanes):
                    # the bias's: each number of dout times one, while it is in the nearest cache
                    tile(1, 1, 1, 0, one, 0, none, 0, 0, count, 0, wo, 0, gradient, dout0 + k,
                         0, wo * c_out, c_out, db, k, 0, 0, low, high, db, k, 0,
                         c_out - k)  # fmt: skip
                    for number in range(0, 0 if mixes else goes, TAPS):
                        tile(1, TAPS, 0, 0, source, x0 + k, numbers, number, goes - 1, count, down,
                             wo, hop, gradient, dout0 + k, 0, wo * c_out, c_out, sums, k, 0, c_out,
                             low, high, sums, k, goes, c_out - k)  # fmt: skip
                if mixes:
                    multiply(source, x0, numbers, 0, goes, goes - 1, count, down, wo, hop,
                             gradient, dout0, lanes, wo * c_out, c_out, sums, 0, lanes, c_out,
                             low, high, sums, 0, goes, c_out, -(-c_out // lanes))  # fmt: skip
            first += lines

    return add_up


_full, _depthwise = _kernel(True), _kernel(False)
