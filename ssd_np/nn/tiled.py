"""The convolution engine: im2col in tiles, one matrix product a tile, on threads.

It computes exactly what `conv.py` says; only the order of the work differs. Pixels are flattened
over the batch and cut into tiles. For each tile a thread lays the windows out in its own buffer
(im2col_rows), multiplies them with the kernel straight into the output, and adds the bias while the
tile is still in the cache. The whole (N * Ho * Wo, kh * kw * C) matrix never exists.
"""

import numba
import numpy as np

from ssd_np.nn.im2col import col2im_image, im2col_rows, output_size
from ssd_np.nn.parallel import for_each, scratch, shares, thread_count

TILE_BYTES = 1 << 20  # of im2col rows: what a core's cache holds beside kernel and output
LEAST_WORK = 8 << 20  # multiply-adds; less is done before another thread would be awake
LONG_ROW = 2 << 10  # bytes; longer rows count as this: each tile packs the whole kernel anew


def convolve(
    x: np.ndarray,
    w: np.ndarray,
    b: np.ndarray | None,
    stride: int,
    pad: int,
    dilation: int,
    relu: bool,
    out: np.ndarray,
) -> np.ndarray:
    """(N, H, W, C), (kh, kw, C, Co), (Co,) -> out (N, Ho, Wo, Co); `b` None adds nothing."""
    kh, kw, _, c_out = w.shape
    _, ho, wo, _ = out.shape
    matrix = w.reshape(-1, c_out)  # (kh * kw * C, Co)
    pixels = out.reshape(-1, c_out)  # (N * Ho * Wo, Co)
    tile_rows, tiles = _tiles(len(pixels), matrix.shape, x.itemsize)
    geometry = (kh, kw, stride, pad, dilation, ho, wo)

    def job(tile: int, _worker: int) -> None:
        first, last = tile * tile_rows, min((tile + 1) * tile_rows, len(pixels))
        cols = _windows(x, first, last, geometry)
        np.matmul(cols, matrix, out=pixels[first:last])
        if b is not None:
            _bias_kernel(pixels[first:last], b, relu)

    for_each(job, tiles)
    return out


def kernel_gradient(
    dout: np.ndarray, x: np.ndarray, kernel: tuple[int, int], stride: int, pad: int, dilation: int
) -> tuple[np.ndarray, np.ndarray]:
    """dw (kh, kw, C, Co) = cols.T @ dout and db (Co,), summed over tiles by each thread.

    Derivation: docs/derivations.md#convolution, (3).
    """
    kh, kw = kernel
    _, ho, wo, c_out = dout.shape
    pixels = dout.reshape(-1, c_out)
    row_length = kh * kw * x.shape[3]
    # a sum larger than a tile is seldom added to: larger tiles
    size = max(1, row_length * c_out * x.itemsize // (2 * TILE_BYTES))
    tile_rows, tiles = _tiles(len(pixels), (row_length, c_out), x.itemsize, size)
    geometry = (kh, kw, stride, pad, dilation, ho, wo)
    workers = min(thread_count(), tiles)
    sums = [np.empty((row_length, c_out), x.dtype) for _ in range(workers)]
    db = np.zeros((workers, c_out), x.dtype)

    def job(tile: int, worker: int) -> None:
        first, last = tile * tile_rows, min((tile + 1) * tile_rows, len(pixels))
        cols = _windows(x, first, last, geometry)
        _add_rows(pixels[first:last], db[worker])
        if tile < workers:  # this worker's first
            np.matmul(cols.T, pixels[first:last], out=sums[worker])
        else:
            product = scratch((row_length, c_out), x.dtype, "product")
            sums[worker] += np.matmul(cols.T, pixels[first:last], out=product)

    for_each(job, tiles)
    for other in sums[1:]:
        sums[0] += other
    return sums[0].reshape(kh, kw, x.shape[3], c_out), db.sum(axis=0)


def input_gradient(
    dout: np.ndarray, w: np.ndarray, stride: int, pad: int, dilation: int, out: np.ndarray
) -> np.ndarray:
    """dx (N, H, W, C). With stride 1 it is a convolution of dout with the flipped kernel.

    Derivation: docs/derivations.md#convolution, (4) and (5).
    """
    kh, kw, c, c_out = w.shape
    pad_h, pad_w = dilation * (kh - 1) - pad, dilation * (kw - 1) - pad
    if stride == 1 and pad_h == pad_w >= 0:
        flipped = flipped_kernel(w)
        return convolve(dout, flipped, None, 1, pad_h, dilation, False, out)
    transposed = np.ascontiguousarray(w.reshape(-1, c_out).T)  # (Co, kh * kw * C)
    n, ho, wo, _ = dout.shape

    def job(image: int, _worker: int) -> None:
        dcols = scratch((ho * wo, kh * kw * c), dout.dtype)
        np.matmul(dout[image].reshape(-1, c_out), transposed, out=dcols)
        out[image] = 0
        col2im_image(dcols, out[image], kh, kw, stride, pad, dilation, wo)

    for_each(job, n)
    return out


def flipped_kernel(w: np.ndarray) -> np.ndarray:
    """(kh, kw, C, Co) -> (kh, kw, Co, C), turned by 180 degrees: what takes dout to dx."""
    kh, kw, c, c_out = w.shape
    flipped = np.empty((kh, kw, c_out, c), w.dtype)

    def job(tap: int, _worker: int) -> None:
        i, j = tap // kw, tap % kw
        flipped[i, j] = w[kh - 1 - i, kw - 1 - j].T

    for_each(job, kh * kw)
    return flipped


def _tiles(rows: int, matrix: tuple[int, int], itemsize: int, size: int = 1) -> tuple[int, int]:
    """Rows of a tile, about size * TILE_BYTES, and number of tiles; equal shares for threads."""
    row_length, c_out = matrix
    threads = thread_count() if rows * row_length * c_out >= LEAST_WORK else 1
    tiles = -(-rows * min(row_length * itemsize, LONG_ROW) // (size * TILE_BYTES))
    tiles = min(-(-tiles // threads) * threads, rows)
    tile_rows = -(-rows // tiles)
    return tile_rows, -(-rows // tile_rows)


def _windows(x, first, last, geometry) -> np.ndarray:
    """im2col of the output pixels `first` to `last`, in this thread's buffer."""
    kh, kw, stride, pad, dilation, ho, wo = geometry
    c = x.shape[3]
    if kh == kw == stride == 1 and pad == 0:  # a 1 x 1 convolution reads the pixels as they are
        return x.reshape(-1, c)[first:last]
    cols = scratch((last - first, kh * kw * c), x.dtype)
    im2col_rows(x, cols, first, last, kh, kw, stride, pad, dilation, ho, wo)
    return cols


def output_shape(x_shape, w_shape, stride: int, pad: int, dilation: int) -> tuple[int, ...]:
    """(N, Ho, Wo, Co)"""
    n, h, w, _ = x_shape
    kh, kw, _, c_out = w_shape
    ho, wo = (output_size(s, k, stride, pad, dilation) for s, k in ((h, kh), (w, kw)))
    return n, ho, wo, c_out


@numba.njit(nogil=True, cache=True)
def _bias_kernel(rows, b, relu):  # (P, Co) in place
    zero = rows.dtype.type(0)
    for i in range(rows.shape[0]):
        if relu:
            for j in range(rows.shape[1]):
                value = rows[i, j] + b[j]
                rows[i, j] = zero if value < zero else value  # NaN stays NaN
        else:
            for j in range(rows.shape[1]):
                rows[i, j] += b[j]


def column_sums(rows: np.ndarray) -> np.ndarray:
    """(P, Co) -> (Co,), each thread its share of the rows."""
    bounds = shares(len(rows), least=256)
    sums = np.zeros((len(bounds) - 1, rows.shape[1]), rows.dtype)

    def job(share: int, _worker: int) -> None:
        _add_rows(rows[bounds[share] : bounds[share + 1]], sums[share])

    for_each(job, len(sums))
    return sums.sum(axis=0)


@numba.njit(nogil=True, cache=True)
def _add_rows(rows, total):  # (P, Co) added up into (Co,)
    for i in range(rows.shape[0]):
        for j in range(rows.shape[1]):
            total[j] += rows[i, j]
