"""The transforms of Winograd's gradient as kernels: `winograd.py` says what they compute and why.

Each works on a group of up to 64 lanes at a time: 64 channels of one tile, or 4 tiles of 16
channels. A group's patch is gathered into a buffer (a, a, 64), transformed along its first axis,
then along its second, and scattered. So the inner loops have a fixed length and work on whole
vectors, and whatever lies in between never leaves the nearest cache.

Tile t has place t - origin in an array of patches or products (a * a, T, C). In the transforms
`d` are values of the input, `y` gradients of the output; each is B.T d or A y, written out.
"""

import numba
import numpy as np

from ssd_np.kernels import njit

LANES = 64
TWO, FOUR, FIVE, EIGHT = (np.float32(number) for number in (2, 4, 5, 8))  # exact in float64 too


@njit(nogil=True, fastmath={"contract"})
def input_tiles(x, size, corner, first, last, origin, rows, columns, v):
    """v = B.T d B for the tiles `first` to `last`: x (N, H, W, C) -> v (a * a, T, C)."""
    _, h, w, c = x.shape
    above, beside = corner  # padding there
    a = size + 2
    source, target = x.reshape(-1), v.reshape(-1)
    patch, half = np.zeros(a * a * LANES, x.dtype), np.zeros(a * a * LANES, x.dtype)
    group = max(1, LANES // c)  # tiles at a time
    for base in range(first, last, group):
        for start in range(0, c, LANES):
            count = min(LANES, c - start)
            for g in range(min(group, last - base)):
                image, row, column = _place(base + g, rows, columns)
                for i in range(a):
                    y = row * size - above + i
                    for j in range(a):
                        z = column * size - beside + j
                        lane = (i * a + j) * LANES + g * c
                        if y < 0 or y >= h or z < 0 or z >= w:
                            _fill(patch, lane, count)
                        else:
                            _copy(source, ((image * h + y) * w + z) * c + start, patch, lane, count)
            if size == 2:
                _input_2(patch, half)
            else:
                _input_4(patch, half)
            for g in range(min(group, last - base)):
                for i in range(a * a):
                    place = (i * v.shape[1] + base + g - origin) * c + start
                    _copy(patch, i * LANES + g * c, target, place, count)


@njit(nogil=True, fastmath={"contract"})
def output_gradient_tiles(dout, size, first, last, origin, rows, columns, dm):
    """dm = A y A.T, the adjoint of what makes the output of products:
    dout (N, Ho, Wo, Co) -> dm (a * a, T, Co)."""
    _, ho, wo, c = dout.shape
    a = size + 2
    source, target = dout.reshape(-1), dm.reshape(-1)
    patch, half = np.zeros(a * a * LANES, dm.dtype), np.zeros(a * a * LANES, dm.dtype)
    group = max(1, LANES // c)
    for base in range(first, last, group):
        for start in range(0, c, LANES):
            count = min(LANES, c - start)
            for g in range(min(group, last - base)):
                image, row, column = _place(base + g, rows, columns)
                for i in range(size):
                    y = row * size + i
                    for j in range(size):
                        z = column * size + j
                        lane = (i * size + j) * LANES + g * c
                        if y >= ho or z >= wo:
                            _fill(patch, lane, count)
                        else:
                            place = ((image * ho + y) * wo + z) * c + start
                            _copy(source, place, patch, lane, count)
            if size == 2:
                _output_gradient_2(patch, half)
            else:
                _output_gradient_4(patch, half)
            for g in range(min(group, last - base)):
                for i in range(a * a):
                    place = (i * dm.shape[1] + base + g - origin) * c + start
                    _copy(patch, i * LANES + g * c, target, place, count)


@numba.njit
def _place(tile, rows, columns):
    """Image, row and column of a tile."""
    return tile // (rows * columns), tile // columns % rows, tile % columns


@numba.njit
def _copy(source, origin, target, start, count):
    # unsigned: Numba need not ask whether an index counts from the end
    a, b = np.uint64(origin), np.uint64(start)
    for k in range(np.uint64(count)):
        target[b + k] = source[a + k]


@numba.njit
def _fill(target, start, count):
    a = np.uint64(start)
    for k in range(np.uint64(count)):
        target[a + k] = 0


# --- F(2x2, 3x3): patches of 4 x 4 -------------------------------------------------------------


@numba.njit(fastmath={"contract"})
def _b2(d0, d1, d2, d3):
    return d0 - d2, d1 + d2, d2 - d1, d1 - d3


@numba.njit(fastmath={"contract"})
def _a2_adjoint(y0, y1):
    return y0, y0 + y1, y0 - y1, -y1


@numba.njit(fastmath={"contract"})
def _input_2(p, h):  # p (4, 4, LANES) in place
    line = 4 * LANES
    for k in range(line):
        h[k], h[line + k], h[2 * line + k], h[3 * line + k] = _b2(
            p[k], p[line + k], p[2 * line + k], p[3 * line + k]
        )
    for i in range(0, 4 * line, line):
        for k in range(i, i + LANES):
            p[k], p[LANES + k], p[2 * LANES + k], p[3 * LANES + k] = _b2(
                h[k], h[LANES + k], h[2 * LANES + k], h[3 * LANES + k]
            )


@numba.njit(fastmath={"contract"})
def _output_gradient_2(p, h):  # the first (2, 2, LANES) of p -> (4, 4, LANES)
    line = 2 * LANES
    for k in range(line):
        h[k], h[line + k], h[2 * line + k], h[3 * line + k] = _a2_adjoint(p[k], p[line + k])
    for i in range(4):
        for k in range(LANES):
            s, t = i * line + k, i * 4 * LANES + k
            p[t], p[LANES + t], p[2 * LANES + t], p[3 * LANES + t] = _a2_adjoint(h[s], h[LANES + s])


# --- F(4x4, 3x3): patches of 6 x 6 -------------------------------------------------------------


@numba.njit(fastmath={"contract"})
def _b4(d0, d1, d2, d3, d4, d5):
    return (
        FOUR * d0 - FIVE * d2 + d4,
        d4 + d3 - FOUR * (d1 + d2),
        d4 - d3 + FOUR * (d1 - d2),
        d4 - d2 + TWO * (d3 - d1),
        d4 - d2 - TWO * (d3 - d1),
        FOUR * d1 - FIVE * d3 + d5,
    )


@numba.njit(fastmath={"contract"})
def _a4_adjoint(y0, y1, y2, y3):
    even, odd, far_even, far_odd = y0 + y2, y1 + y3, y0 + FOUR * y2, TWO * y1 + EIGHT * y3
    return y0, even + odd, even - odd, far_even + far_odd, far_even - far_odd, y3


@numba.njit(fastmath={"contract"})
def _input_4(p, h):  # p (6, 6, LANES) in place
    line, s = 6 * LANES, LANES
    for k in range(line):
        (h[k], h[line + k], h[2 * line + k], h[3 * line + k], h[4 * line + k], h[5 * line + k]) = (
            _b4(p[k], p[line + k], p[2 * line + k], p[3 * line + k], p[4 * line + k],
                p[5 * line + k])
        )  # fmt: skip
    for i in range(0, 6 * line, line):
        for k in range(i, i + LANES):
            p[k], p[s + k], p[2 * s + k], p[3 * s + k], p[4 * s + k], p[5 * s + k] = _b4(
                h[k], h[s + k], h[2 * s + k], h[3 * s + k], h[4 * s + k], h[5 * s + k]
            )


@numba.njit(fastmath={"contract"})
def _output_gradient_4(p, h):  # the first (4, 4, LANES) of p -> (6, 6, LANES)
    line, n = 4 * LANES, LANES
    for k in range(line):
        (h[k], h[line + k], h[2 * line + k], h[3 * line + k], h[4 * line + k], h[5 * line + k]) = (
            _a4_adjoint(p[k], p[line + k], p[2 * line + k], p[3 * line + k])
        )
    for i in range(6):
        for k in range(LANES):
            s, t = i * line + k, i * 6 * LANES + k
            p[t], p[n + t], p[2 * n + t], p[3 * n + t], p[4 * n + t], p[5 * n + t] = _a4_adjoint(
                h[s], h[n + s], h[2 * n + s], h[3 * n + s]
            )
