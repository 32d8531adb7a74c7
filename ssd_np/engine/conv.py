"""Convolution on threads: straight from the image, by Winograd's algorithm, or by im2col in tiles.

It computes exactly what `nn/conv.py` says; only the order of the work differs. What neither goes
straight nor by Winograd's is im2col's: pixels are flattened over the batch and cut into tiles. For
each a thread lays the windows out in its own buffer (im2col_rows), multiplies them with the kernel
straight into the output, and adds bias and activation while the tile is still in the cache. The
whole (N * Ho * Wo, kh * kw * C) matrix never exists.
"""

import numpy as np

from ssd_np.engine.algorithms import training_side
from ssd_np.engine.filter_gradient import gradient_of_filter
from ssd_np.engine.im2col import col2im_image, im2col_rows
from ssd_np.engine.kernel_gradient import gradient_of_kernel
from ssd_np.engine.memory import FRESH, Place
from ssd_np.engine.pointwise import activation_backward, bias_kernel, column_sums, limits
from ssd_np.engine.steps import convolve
from ssd_np.engine.threads import for_each, scratch, thread_count
from ssd_np.geometry import borders, output_size
from ssd_np.nn.blocks import Gradients
from ssd_np.nn.checks import check_gradient
from ssd_np.nn.conv import check_convolution
from ssd_np.nn.relu import check_activation

TILE_BYTES = 1 << 20  # of im2col rows: what a core's cache holds beside kernel and output
LEAST_WORK = 8 << 20  # multiply-adds; less is done before another thread would be awake
LARGEST_KERNEL = 1 << 20  # bytes; larger ones do not stay in a core's cache
LONG_ROW = 2 << 10  # bytes; longer rows count as this: each tile packs the whole kernel anew


def conv2d_forward(
    x: np.ndarray,
    w: np.ndarray,
    b: np.ndarray,
    stride: int = 1,
    pad: int | tuple = 0,
    dilation: int = 1,
    *,
    memory: Place = FRESH,
) -> tuple[np.ndarray, tuple]:
    """x (N, H, W, C), w (kh, kw, C, Co), b (Co,) -> out (N, Ho, Wo, Co) and the cache."""
    out, (cache, _) = conv_block_forward(x, w, b, stride, pad, dilation, "none", memory=memory)
    return out, cache


def conv2d_backward(dout: np.ndarray, cache: tuple, *, memory: Place = FRESH) -> Gradients:
    """dout (N, Ho, Wo, Co) -> dx (N, H, W, C), dw (kh, kw, C, Co), db (Co,)."""
    return _gradients(dout, cache, True, True, memory)


def conv_block_forward(
    x: np.ndarray,
    w: np.ndarray,
    b: np.ndarray,
    stride: int = 1,
    pad: int | tuple = 0,
    dilation: int = 1,
    activation: str = "relu",
    *,
    memory: Place = FRESH,
) -> tuple[np.ndarray, tuple]:
    """The same with the activation in the same pass."""
    check_convolution(x, w, b)
    check_activation(activation)
    x, w = np.ascontiguousarray(x), np.ascontiguousarray(w)
    pad, (kh, kw, _, c_out) = borders(pad), w.shape
    ho = output_size(x.shape[1], kh, stride, pad[0], dilation)
    wo = output_size(x.shape[2], kw, stride, pad[1], dilation)
    out = memory.empty((len(x), ho, wo, c_out), x.dtype)
    corner = (pad[0][0], pad[1][0])
    _convolve(x, w, b, stride, corner, dilation, activation, out, memory.convolution)
    return out, ((x, w, stride, pad, dilation, out.shape), (out, activation))


def conv_block_backward(
    dout: np.ndarray,
    cache: tuple,
    input_gradient: bool = True,
    kernel_gradient: bool = True,
    *,
    memory: Place = FRESH,
) -> Gradients:
    """What is not wanted is not computed."""
    conv_cache, activation_cache = cache
    dz = activation_backward(dout, activation_cache, memory=memory)
    return _gradients(dz, conv_cache, input_gradient, kernel_gradient, memory)


def _gradients(
    dout: np.ndarray, cache: tuple, input_gradient: bool, kernel_gradient: bool, memory: Place
) -> Gradients:
    x, w, stride, pad, dilation, shape = cache
    check_gradient(dout, shape, "conv2d_forward", x.dtype)
    dout, corner = np.ascontiguousarray(dout), (pad[0][0], pad[1][0])
    side = training_side(memory.convolution, shape, w.shape, stride, dilation)
    dx = dw = db = None
    if kernel_gradient and side and dilation == 1:
        dw, db = gradient_of_filter(dout, x, corner, side)
    elif kernel_gradient and _straight(w, dilation):
        dw, db = gradient_of_kernel(dout, x, w.shape, stride, corner, dilation)
    elif kernel_gradient:
        dw, db = _kernel_gradient(dout, x, w.shape[:2], stride, corner, dilation)
    if input_gradient:
        dx = memory.empty(x.shape, x.dtype)
        _input_gradient(dout, w, stride, corner, dilation, memory.convolution, dx)
    return dx, dw, db


def _convolve(
    x: np.ndarray,
    w: np.ndarray,
    b: np.ndarray | None,
    stride: int,
    corner: tuple[int, int],
    dilation: int,
    activation: str,
    out: np.ndarray,
    algorithm: str,
) -> None:
    """(N, H, W, C), (kh, kw, C, Co), (Co,) -> out (N, Ho, Wo, Co); `b` None adds nothing.

    corner  padding above and to the left of the image
    """
    kh, kw, _, c_out = w.shape
    _, ho, wo, _ = out.shape
    side = training_side(algorithm, out.shape, w.shape, stride, dilation)
    if side or _straight(w, dilation):
        algorithm = algorithm if side else "im2col"
        b = np.zeros(c_out, x.dtype) if b is None else b
        convolve(x, w, b, stride, corner, dilation, activation, out, algorithm)
        return
    matrix = w.reshape(-1, c_out)  # (kh * kw * C, Co)
    pixels = out.reshape(-1, c_out)  # (N * Ho * Wo, Co)
    tile_rows, tiles = _tiles(len(pixels), matrix.shape, x.itemsize)
    geometry = (kh, kw, stride, corner, dilation, ho, wo)
    low, high = limits(activation, x.dtype)
    b = None if b is None else b.copy()  # not read-only, which would be another type to Numba

    def job(tile: int) -> None:
        first, last = tile * tile_rows, min((tile + 1) * tile_rows, len(pixels))
        cols = _windows(x, first, last, geometry)
        np.matmul(cols, matrix, out=pixels[first:last])
        if b is not None:
            bias_kernel(pixels[first:last], b, low, high)

    for_each(job, tiles)


def _straight(w: np.ndarray, dilation: int) -> bool:
    """Whether a convolution is faster without im2col and a matrix product."""
    return w.shape[:2] == (1, 1) or (dilation == 1 and w.nbytes <= LARGEST_KERNEL)


def _kernel_gradient(
    dout: np.ndarray,
    x: np.ndarray,
    kernel: tuple[int, int],
    stride: int,
    corner: tuple[int, int],
    dilation: int,
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
    geometry = (kh, kw, stride, corner, dilation, ho, wo)
    workers = min(thread_count(), tiles)
    sums = [np.empty((row_length, c_out), x.dtype) for _ in range(workers)]
    db = np.zeros((workers, c_out), x.dtype)

    def job(worker: int) -> None:
        out = sums[worker]
        for tile in range(worker, tiles, workers):
            first, last = tile * tile_rows, min((tile + 1) * tile_rows, len(pixels))
            cols = _windows(x, first, last, geometry)
            db[worker] += column_sums(pixels[first:last])
            np.matmul(cols.T, pixels[first:last], out=out)
            if tile > worker:
                sums[worker] += out
            out = scratch((row_length, c_out), x.dtype, "product")

    for_each(job, workers)
    for other in sums[1:]:
        sums[0] += other
    return sums[0].reshape(kh, kw, x.shape[3], c_out), db.sum(axis=0)


def _input_gradient(
    dout: np.ndarray,
    w: np.ndarray,
    stride: int,
    corner: tuple[int, int],
    dilation: int,
    algorithm: str,
    out: np.ndarray,
) -> None:
    """dx (N, H, W, C). With stride 1 it is a convolution of dout with the flipped kernel.

    Derivation: docs/derivations.md#convolution, (4) and (5).
    """
    kh, kw, c, c_out = w.shape
    if stride == 1:
        turned = dilation * (kh - 1) - corner[0], dilation * (kw - 1) - corner[1]
        _convolve(dout, _flipped(w), None, 1, turned, dilation, "none", out, algorithm)
        return
    transposed = np.ascontiguousarray(w.reshape(-1, c_out).T)  # (Co, kh * kw * C)
    n, ho, wo, _ = dout.shape

    def job(image: int) -> None:
        dcols = scratch((ho * wo, kh * kw * c), dout.dtype)
        np.matmul(dout[image].reshape(-1, c_out), transposed, out=dcols)
        out[image] = 0
        col2im_image(dcols, out[image], kh, kw, stride, corner, dilation, wo)

    for_each(job, n)


def _flipped(w: np.ndarray) -> np.ndarray:
    """(kh, kw, C, Co) -> (kh, kw, Co, C), turned by 180 degrees: what takes dout to dx."""
    kh, kw, c, c_out = w.shape
    flipped = np.empty((kh, kw, c_out, c), w.dtype)

    def job(tap: int) -> None:
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
    kh, kw, stride, corner, dilation, ho, wo = geometry
    _, h, w, c = x.shape
    if kh == kw == stride == 1 and corner == (0, 0) and (ho, wo) == (h, w):
        return x.reshape(-1, c)[first:last]  # a 1 x 1 convolution reads the pixels as they are
    cols = scratch((last - first, kh * kw * c), x.dtype)
    im2col_rows(x, cols, first, last, kh, kw, stride, corner, dilation, ho, wo)
    return cols
