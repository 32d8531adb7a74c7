"""Winograd's minimal filtering: the same 3x3 convolution with fewer multiplications.

In one dimension. Two outputs of a filter g of three taps over four inputs d cost six products:

    y0 = d0 g0 + d1 g1 + d2 g2
    y1 = d1 g0 + d2 g1 + d3 g2

F(2, 3) needs four. With

    m0 = (d0 - d2) g0                      m1 = (d1 + d2) (g0 + g1 + g2) / 2
    m3 = (d1 - d3) g2                      m2 = (d2 - d1) (g0 - g1 + g2) / 2

it is y0 = m0 + m1 + m2 and y1 = m1 - m2 - m3. Check the first: m1 + m2 = d1 g1 + d2 (g0 + g2), and
with m0 the d2 g0 goes away. The sums of g are made once for the whole image, those of d are cheap.
As matrices, with * for products of entries:

    y = A.T [ (G g) * (B.T d) ]     B.T (4, 4) is the d column above, G (4, 3) the g column,
                                    A.T (2, 4) the last line

In two dimensions the same along both axes: a tile of 2x2 outputs from a patch of 4x4 inputs,

    Y = A.T [ (G g G.T) * (B.T d B) ] A              16 products instead of 36: F(2x2, 3x3)

and a tile of 4x4 outputs from a patch of 6x6 costs 36 instead of 144: F(4x4, 3x3), whose larger
constants lose about one decimal digit. (Lavin and Gray 2016, arXiv 1509.09308, sections 2 and 4.)

With channels, the product of entries becomes a matrix product for each of the 16 or 36 entries:
over all tiles, (tiles, C) @ (C, Co). That is where the time goes, and it is 2.25 or 4 times less
than im2col's. Everything is linear in d and in g, so the gradients are the transposed transforms:

    dG' = (B.T d B) * (A dY A.T)  summed over tiles,   dg = G.T dG' G
    dd: dY convolved with the turned kernel, as for every convolution of stride 1
    db: the sum of dY, one of the 16 or 36 entries of A dY A.T
"""

import math
from collections.abc import Callable
from itertools import pairwise

import numpy as np

from ssd_np.engine import winograd_kernels as kernels
from ssd_np.engine.threads import for_each, scratch, thread_count

# tile size: B.T (a, a), G (a, 3), A.T (size, a), a = size + 2
MATRICES = {
    2: (
        np.array([[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]]),
        np.array([[1, 0, 0], [1 / 2, 1 / 2, 1 / 2], [1 / 2, -1 / 2, 1 / 2], [0, 0, 1]]),
        np.array([[1, 1, 1, 0], [0, 1, -1, -1]]),
    ),
    4: (
        np.array([
            [4, 0, -5, 0, 1, 0], [0, -4, -4, 1, 1, 0], [0, 4, -4, -1, 1, 0],
            [0, -2, -1, 2, 1, 0], [0, 2, -1, -2, 1, 0], [0, 4, 0, -5, 0, 1],
        ]),
        np.array([
            [1 / 4, 0, 0], [-1 / 6, -1 / 6, -1 / 6], [-1 / 6, 1 / 6, -1 / 6],
            [1 / 24, 1 / 12, 1 / 6], [1 / 24, -1 / 12, 1 / 6], [0, 0, 1],
        ]),
        np.array([
            [1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1],
        ]),
    ),
}  # fmt: skip

LEAST_CHANNELS = 8  # else the transform of the patches costs more than it saves
LEAST_PIXELS = 512  # else the transform of the kernel does
LEAST_WORK = 32 << 20  # multiply-adds of im2col, else the steps are too short for several threads
# A thread's block has as many tiles as there are channels (each product packs its (C, Co) kernel
# anew), but at least so many, or so many bytes of patches and products:
BLOCK_TILES = 128
BLOCK_BYTES = 1 << 20
SMALL_KERNEL = 5 << 19  # bytes of a transformed kernel that each thread sums up on its own
CHUNK_BYTES = 96 << 20  # of patches and gradients kept at once for larger ones


def tile_size(
    convolution: str,
    out_shape: tuple[int, ...],
    w_shape: tuple[int, ...],
    stride: int,
    dilation: int,
) -> int:
    """Side of the tiles by which the gradient of a kernel is summed up, or 0.

    Asks for 3x3, stride 1, no dilation, and so much work that the transforms cost less than they
    save.
    """
    size = {"winograd2": 2, "winograd4": 4}.get(convolution, 0)
    fits = w_shape[:2] == (3, 3) and stride == dilation == 1
    narrow = min(w_shape[2:]) < LEAST_CHANNELS
    return size if fits and not narrow and large(out_shape, w_shape) else 0


def large(out_shape: tuple[int, ...], w_shape: tuple[int, ...]) -> bool:
    """Whether it pays in training, which transforms the kernel at each step. What is small goes
    straight, and a gradient that is zero stays so to the last bit."""
    pixels = out_shape[0] * out_shape[1] * out_shape[2]
    return pixels >= LEAST_PIXELS and pixels * math.prod(w_shape) >= LEAST_WORK


def kernel_gradient(
    dout: np.ndarray, x: np.ndarray, corner: tuple[int, int], size: int
) -> tuple[np.ndarray, np.ndarray]:
    """dw (3, 3, C, Co) and db (Co,).

    Derivation: docs/derivations.md#winograds-convolution, (18) and (19).
    """
    entries, c, c_out = (size + 2) ** 2, x.shape[3], dout.shape[3]
    sums = _sum_by_thread if entries * c * c_out * x.itemsize <= SMALL_KERNEL else _sum_by_entry
    du, db = sums(dout, x, corner, size)  # (a * a, C, Co), (Co,)
    g = MATRICES[size][1]
    dw = np.kron(g, g).T.astype(x.dtype) @ du.reshape(entries, -1)  # (9, C * Co): G.T dU G
    return dw.reshape(3, 3, c, c_out), db


def _sum_by_thread(
    dout: np.ndarray, x: np.ndarray, corner: tuple[int, int], size: int
) -> tuple[np.ndarray, np.ndarray]:
    """dU (a * a, C, Co) and db: each thread adds up the products of its blocks of tiles."""
    tiles, rows, columns = _grid(dout.shape, size)
    entries, c, c_out = (size + 2) ** 2, x.shape[3], dout.shape[3]
    blocks = _blocks(tiles, entries, c, c_out, x.itemsize) or _equal(0, tiles)
    workers = min(thread_count(), len(blocks) - 1)
    sums, db = np.zeros((workers, entries, c, c_out), x.dtype), np.zeros((workers, c_out), x.dtype)

    def add(worker: int) -> None:
        for first, last in list(pairwise(blocks))[worker::workers]:
            v = scratch((entries, last - first, c), x.dtype, "patches")
            dm = scratch((entries, last - first, c_out), x.dtype, "products")
            product = scratch((entries, c, c_out), x.dtype, "sum")
            kernels.input_tiles(x, size, corner, first, last, first, rows, columns, v)
            kernels.output_gradient_tiles(dout, size, first, last, first, rows, columns, dm)
            np.matmul(v.transpose(0, 2, 1), dm, out=product)
            sums[worker] += product
            db[worker] += dm[_all_of_it(size)].sum(axis=0)

    for_each(add, workers)
    return sums.sum(axis=0), db.sum(axis=0)


def _sum_by_entry(
    dout: np.ndarray, x: np.ndarray, corner: tuple[int, int], size: int
) -> tuple[np.ndarray, np.ndarray]:
    """dU (a * a, C, Co) and db: each thread does the whole sum over tiles for its share of the
    entries."""
    tiles, rows, columns = _grid(dout.shape, size)
    entries, c, c_out = (size + 2) ** 2, x.shape[3], dout.shape[3]
    chunk = max(1, CHUNK_BYTES // (entries * (c + c_out) * x.itemsize))
    du, db = scratch((entries, c, c_out), x.dtype, "kernel"), np.zeros(c_out, x.dtype)
    du[...] = 0
    for start in range(0, tiles, chunk):
        end = min(start + chunk, tiles)
        v = scratch((entries, end - start, c), x.dtype, "patches")
        dm = scratch((entries, end - start, c_out), x.dtype, "products")

        def transform(first: int, last: int, origin=start, v=v, dm=dm) -> None:
            kernels.input_tiles(x, size, corner, first, last, origin, rows, columns, v)
            kernels.output_gradient_tiles(dout, size, first, last, origin, rows, columns, dm)

        def add(entry: int, v=v, dm=dm) -> None:
            product = scratch((c, c_out), x.dtype, "sum")
            np.matmul(v[entry].T, dm[entry], out=product)
            du[entry] += product
            if entry == _all_of_it(size):
                db[...] += dm[entry].sum(axis=0)

        _share(start, end, transform)
        for_each(add, entries)
    return du, db


def _all_of_it(size: int) -> int:
    """The entry of A y A.T that is the sum of all y: the second line of A is ones."""
    return size + 3


def _grid(out_shape: tuple[int, ...], size: int) -> tuple[int, int, int]:
    """Tiles in the batch, and their rows and columns in an image."""
    n, ho, wo, _ = out_shape
    rows, columns = -(-ho // size), -(-wo // size)
    return n * rows * columns, rows, columns


def _blocks(tiles: int, entries: int, c: int, c_out: int, itemsize: int) -> list[int] | None:
    """Bounds of the threads' blocks, equal shares for all; None if there are too few tiles."""
    tile_bytes, threads = entries * (c + c_out) * itemsize, thread_count()
    rounds = tiles // (max(BLOCK_TILES, min(c, c_out), BLOCK_BYTES // tile_bytes) * threads)
    return (
        [tiles * i // (rounds * threads) for i in range(rounds * threads + 1)] if rounds else None
    )


def _equal(start: int, end: int) -> list[int]:
    """Bounds that give each thread its share of the tiles."""
    lanes = min(thread_count(), end - start)
    return [start + (end - start) * lane // lanes for lane in range(lanes + 1)]


def _share(start: int, end: int, step: Callable[[int, int], None]) -> None:
    """Calls step(first, last) for the share of each thread."""
    bounds = _equal(start, end)
    for_each(lambda lane: step(bounds[lane], bounds[lane + 1]), len(bounds) - 1)
