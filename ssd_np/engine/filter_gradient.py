"""The gradient of a 3x3 kernel by Winograd's algorithm: engine/filtering.py on the way back.

engine/winograd.py says what is computed: dg = G.T [ sum of (B.T d B) * (A dY A.T) ] G.

    patch     d, a vector of channels at a time, becomes v = B.T d B in registers     (a * a, T, C)
    spread    dY becomes m = A dY A.T                                                 (a * a, T, Co)
    multiply  the microkernel adds v[k].T m[k] to dU[k], for each of the a * a entries

A thread has a dU of its own and goes through all three with some rows of tiles while they are in
its cache. Where dU is so large that it would come from memory each time, all tiles are transformed
first, and then each thread has entries of its own.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ssd_np.engine.borders import lay_out
from ssd_np.engine.direct import NODE
from ssd_np.engine.filtering import patch, spread
from ssd_np.engine.kernel_gradient import LEAST_PRODUCTS
from ssd_np.engine.memory import LINE
from ssd_np.engine.microkernel import VECTOR_BYTES, multiply, tile
from ssd_np.engine.steps import writable
from ssd_np.engine.threads import for_each, scratch, shares
from ssd_np.engine.winograd import MATRICES
from ssd_np.kernels import inlined, njit

TILES = 32  # that are multiplied together, or those of a row
LARGE = 5 << 19  # bytes of dU that are too many for each thread
WIDE = 8  # vectors of a tile from which on their number is odd
CHUNK_BYTES = 96 << 20  # of v and m at once, then


class _Tiles(NamedTuple):
    """Rows of tiles in the batch, tiles in a row; numbers from a tile of v and of m to the next."""

    rows: int
    columns: int
    v: int
    m: int


def gradient_of_filter(
    dout: np.ndarray, x: np.ndarray, corner: tuple[int, int], side: int
) -> tuple[np.ndarray, np.ndarray]:
    """dw (3, 3, C, Co) and db (Co,); tiles have so many lines and columns.

    Derivation: docs/derivations.md#winograds-convolution, (18) and (19).
    """
    (n, ho, wo, c_out), (_, h, width, c) = dout.shape, x.shape
    entries, lanes = (side + 2) ** 2, VECTOR_BYTES // x.itemsize
    apart = (lanes * _odd(-(-channels // lanes)) for channels in (c, c_out))
    tiles = _Tiles(n * -(-ho // side), -(-wo // side), *apart)
    table = np.zeros(2, NODE)  # how the lines of x and of dout are laid out
    table["height"], table["width"], table["channels"] = (h, ho), (width, wo), (c, c_out)
    table["kh"], table["stride"], table["dilation"] = (3, 1), 1, 1
    table["above"], table["beside"] = (corner[0], 0), (corner[1], 0)
    table["line"] = tiles.columns * side + 2, tiles.columns * side
    table["row"] = tiles.v, tiles.m
    numbers = np.concatenate([np.arange(c), np.arange(c) * c_out])
    given = writable(x).reshape(-1), writable(dout).reshape(-1), table, numbers
    sums = _by_entry if entries * c * c_out * x.itemsize > LARGE else _by_thread
    du, db = sums(given, tiles, side, c, c_out)
    g = MATRICES[side][1]
    dw = np.kron(g, g).T.astype(x.dtype) @ du.reshape(entries, -1)  # (9, C * Co): G.T dU G
    return dw.reshape(3, 3, c, c_out), db


def _odd(vectors: int) -> int:
    """Lines of the cache from a tile to the next: at powers of two few tiles would have a place."""
    return vectors | 1 if vectors >= WIDE else vectors


def _by_thread(given: tuple, tiles: _Tiles, side: int, c: int, c_out: int) -> tuple:
    """dU (a * a * C * Co) and db (Co,): each thread adds up its rows of tiles."""
    x, add_up, entries = given[0], _kernels(side)[0], (side + 2) ** 2
    lanes = VECTOR_BYTES // x.itemsize
    bounds = shares(tiles.rows, least=1 + LEAST_PRODUCTS // (tiles.columns * entries * c * c_out))
    du = np.zeros((len(bounds) - 1, entries * c * c_out + lanes), x.dtype)
    db = np.zeros((len(bounds) - 1, c_out + lanes), x.dtype)
    block = max(TILES, tiles.columns)

    def job(share: int) -> None:
        room = _lines(given, side), *_room(tiles, side, block, x.dtype)
        add_up(*given, bounds[share], bounds[share + 1], block, *room, du[share], db[share])

    for_each(job, len(du))
    return du.sum(axis=0)[:-lanes], db.sum(axis=0)[:-lanes]


def _by_entry(given: tuple, tiles: _Tiles, side: int, c: int, c_out: int) -> tuple:
    """The same; all tiles first, then each thread the sums of its entries."""
    x, entries = given[0], (side + 2) ** 2
    _, transform, add_entry = _kernels(side)
    lanes = VECTOR_BYTES // x.itemsize
    du, db = np.zeros(entries * c * c_out + lanes, x.dtype), np.zeros(c_out + lanes, x.dtype)
    row_bytes = entries * tiles.columns * (tiles.v + tiles.m) * x.itemsize
    chunk = max(1, CHUNK_BYTES // row_bytes)
    for first in range(0, tiles.rows, chunk):
        rows = min(chunk, tiles.rows - first)
        count, bounds = rows * tiles.columns, shares(rows)
        v, m = _room(tiles, side, count, x.dtype)

        def spread_out(share: int, first=first, bounds=bounds, count=count, v=v, m=m) -> None:
            begin, end = first + bounds[share], first + bounds[share + 1]
            place, lines = bounds[share] * tiles.columns, _lines(given, side)
            transform(*given, begin, end, place, count, lines, v, m)

        def add(entry: int, count=count, v=v, m=m) -> None:
            add_entry(*given, entry, count, v, m, du, db)

        for_each(spread_out, len(bounds) - 1)
        for_each(add, entries)
    return du[:-lanes], db[:-lanes]


def _lines(given: tuple, side: int) -> np.ndarray:
    """Memory for the lines of a row of tiles."""
    x, _, table, _ = given
    numbers = (table["line"] * table["channels"] * (side + table["kh"] - 1)).sum()
    return scratch((int(numbers) + 2 * LINE + VECTOR_BYTES // x.itemsize,), x.dtype, "lines")


def _room(tiles: _Tiles, side: int, count: int, dtype: np.dtype) -> tuple[np.ndarray, np.ndarray]:
    """Memory for v and m of so many tiles. An entry is a line of the cache longer than its numbers:
    at powers of two all would share a place in it."""
    lanes, entries = VECTOR_BYTES // dtype.itemsize, (side + 2) ** 2
    v = scratch((entries * (count * tiles.v + lanes),), dtype, "patches")
    return v, scratch((entries * (count * tiles.m + lanes),), dtype, "gradients")


@functools.cache
def _kernels(side: int) -> tuple[Callable, Callable, Callable]:
    """For tiles of so many lines and columns; compiled when first called."""
    entries, all_of_it = (side + 2) ** 2, side + 3  # A y A.T's entry that is the sum of all y

    @inlined
    def transform_row(x, dout, table, row, t, count, lines, v, m):
        """The tiles of a row, to the places from `t` on of `count`."""
        of_x, of_dout = table[0], table[1]
        c, c_out, lanes = of_x.channels, of_dout.channels, VECTOR_BYTES // x.itemsize
        rows, columns = -(-of_dout.height // side), -(-of_dout.width // side)
        image, y = row // rows, row % rows * side
        origin, begin = image * of_x.height * of_x.width, image * of_dout.height * of_dout.width
        behind = lay_out(x, origin * c, of_x, y, y + side, lines, 0)
        lay_out(dout, begin * c_out, of_dout, y, y + side, lines, behind)
        for column in range(columns):
            for k in range(0, c, lanes):
                patch(side, lines, column * side * c + k, of_x.line * c, c,
                      v, (t + column) * of_x.row + k, count * of_x.row + lanes)  # fmt: skip
            for k in range(0, c_out, lanes):
                spread(side, lines, behind + column * side * c_out + k, of_dout.line * c_out, c_out,
                       m, (t + column) * of_dout.row + k, count * of_dout.row + lanes)  # fmt: skip

    @inlined
    def add_products(table, numbers, entry, first, last, count, v, m, du, db):
        """Of the tiles `first` to `last`, of `count`, to an entry of dU, and to db."""
        c, c_out, lanes = table[0].channels, table[1].channels, VECTOR_BYTES // v.itemsize
        low, high = v.dtype.type(-np.inf), v.dtype.type(np.inf)
        across, wide = table[0].row, table[1].row
        v0 = entry * (count * across + lanes) + first * across
        m0 = entry * (count * wide + lanes) + first * wide
        to = entry * c * c_out
        multiply(v, v0, numbers, 0, c, c - 1, 1, 0, last - first, across, m, m0, lanes, 0, wide,
                 du, to, lanes, c_out, low, high, du, to, c, c_out, -(-c_out // lanes))  # fmt: skip
        if entry == all_of_it:
            one, none = np.ones(1, v.dtype), np.zeros(1, np.int64)
            for k in range(0, c_out, lanes):
                tile(1, 1, 1, 0, one, 0, none, 0, 0, 1, 0, last - first, 0, m, m0 + k, 0, 0, wide,
                     db, k, 0, 0, low, high, db, k, 0, c_out - k)  # fmt: skip

    @njit(nogil=True)
    def add_up(x, dout, table, numbers, first, last, block, lines, v, m, du, db):
        columns, t = -(-table[1].width // side), 0
        for row in range(first, last):
            transform_row(x, dout, table, row, t, block, lines, v, m)
            t += columns
            if t + columns > block or row + 1 == last:
                for entry in range(entries):
                    add_products(table, numbers, entry, 0, t, block, v, m, du, db)
                t = 0

    @njit(nogil=True)
    def transform(x, dout, table, numbers, first, last, t, count, lines, v, m):
        for row in range(first, last):
            transform_row(x, dout, table, row, t, count, lines, v, m)
            t += -(-table[1].width // side)

    @njit(nogil=True)
    def add_entry(x, dout, table, numbers, entry, count, v, m, du, db):
        for first in range(0, count, TILES):
            last = min(first + TILES, count)
            add_products(table, numbers, entry, first, last, count, v, m, du, db)

    return add_up, transform, add_entry
