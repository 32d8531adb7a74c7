"""Convolution, forward and backward.

    out[n, y, x, o] = b[o] + sum_ijc  w[i, j, c, o] * in[n, s y + d i - p, s x + d j - p, c]

(cross-correlation, as every detector's "convolution"; s stride, p padding, d dilation). Laid out by
im2col this is one matrix product, and so are its gradients:

    out  = cols @ W + b         cols (N*Ho*Wo, kh*kw*C),  W (kh*kw*C, Co)
    dW   = cols.T @ dout        db = sum over pixels of dout
    dcols = dout @ W.T          dx = col2im(dcols)
"""

import numpy as np

from ssd_np.errors import ShapeError
from ssd_np.nn import tiled, winograd
from ssd_np.nn.im2col import col2im_plain, im2col_plain

ALGORITHMS = ("im2col", "plain", "winograd2", "winograd4")


def conv2d_forward(
    x: np.ndarray,
    w: np.ndarray,
    b: np.ndarray,
    stride: int = 1,
    pad: int = 0,
    dilation: int = 1,
    algorithm: str = "im2col",
    *,
    relu: bool = False,
    out: np.ndarray | None = None,
) -> tuple[np.ndarray, tuple]:
    """x (N, H, W, C), w (kh, kw, C, Co), b (Co,) -> out (N, Ho, Wo, Co) and the cache for backward.

    algorithm: "plain", the three lines above in NumPy; "im2col", the same in tiles on threads;
    "winograd2" and "winograd4", fewer multiplications where the shape allows it, else im2col.
    relu=True applies max(0, .) to the result on the way; backward then wants the gradient after
    `relu_backward`. `out` receives the result, if given. Raises ShapeError when shapes, types or
    layouts do not fit.
    """
    _check(x, w, b, algorithm)
    shape = tiled.output_shape(x.shape, w.shape, stride, pad, dilation)
    out = _memory(out, shape, x.dtype)
    if algorithm == "plain":
        cols = im2col_plain(x, w.shape[:2], stride, pad, dilation)  # (N*Ho*Wo, kh*kw*C)
        out[...] = (cols @ w.reshape(-1, w.shape[3]) + b).reshape(shape)  # (N, Ho, Wo, Co)
        if relu:
            np.maximum(out, 0, out=out)
    else:
        x, w = np.ascontiguousarray(x), np.ascontiguousarray(w)
        if size := _winograd_size(algorithm, shape, w, stride, dilation):
            winograd.convolve(x, w, b, pad, relu, size, out)
        else:
            tiled.convolve(x, w, b, stride, pad, dilation, relu, out)
    return out, (x, w, stride, pad, dilation, algorithm)


def conv2d_backward(
    dout: np.ndarray,
    cache: tuple,
    *,
    input_gradient: bool = True,
    kernel_gradient: bool = True,
    dx: np.ndarray | None = None,
) -> tuple[np.ndarray | None, np.ndarray | None, np.ndarray | None]:
    """dout (N, Ho, Wo, Co) -> dx (N, H, W, C), dw (kh, kw, C, Co), db (Co,).

    The first layer of a network needs no dx, a frozen one no dw and db: either can be left out
    (None is returned). `dx` receives the input's gradient, if given.
    Derivation: docs/derivations.md#convolution, (3) and (4).
    """
    x, w, stride, pad, dilation, algorithm = cache
    shape = tiled.output_shape(x.shape, w.shape, stride, pad, dilation)
    if dout.shape != shape or dout.dtype != x.dtype:
        raise ShapeError(
            f"dout is {dout.shape} {dout.dtype}, the output was {shape} {x.dtype}",
            hint="dout is the gradient of what conv2d_forward returned",
        )
    dw = db = None
    dx = _memory(dx, x.shape, x.dtype) if input_gradient else None
    if algorithm == "plain":
        cols = im2col_plain(x, w.shape[:2], stride, pad, dilation)
        rows = dout.reshape(-1, w.shape[3])  # (N*Ho*Wo, Co)
        if kernel_gradient:
            dw, db = (cols.T @ rows).reshape(w.shape), rows.sum(axis=0)
        if input_gradient:
            dcols = rows @ w.reshape(-1, w.shape[3]).T  # (N*Ho*Wo, kh*kw*C)
            dx[...] = col2im_plain(dcols, x.shape, w.shape[:2], stride, pad, dilation)
        return dx, dw, db
    dout = np.ascontiguousarray(dout)
    size = _winograd_size(algorithm, shape, w, stride, dilation)
    if kernel_gradient and size:
        dw, db = winograd.kernel_gradient(dout, x, pad, size)
    elif kernel_gradient:
        dw, db = tiled.kernel_gradient(dout, x, w.shape[:2], stride, pad, dilation)
    if input_gradient and size and pad <= 2:
        winograd.input_gradient(dout, w, pad, size, dx)
    elif input_gradient:
        tiled.input_gradient(dout, w, stride, pad, dilation, dx)
    return dx, dw, db


def _winograd_size(
    algorithm: str, out_shape: tuple[int, ...], w: np.ndarray, stride: int, dilation: int
) -> int:
    """Side of Winograd's output tiles, or 0 for im2col."""
    size = {"winograd2": 2, "winograd4": 4}.get(algorithm, 0)
    return size if winograd.applies(out_shape, w.shape, stride, dilation) else 0


def _memory(given: np.ndarray | None, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """The caller's array for a result, or a new one. The tiles write to it as one flat block."""
    if given is None:
        return np.empty(shape, dtype)
    if given.shape != shape or given.dtype != dtype or not given.flags.c_contiguous:
        raise ShapeError(
            f"memory for a result of {shape} {np.dtype(dtype)} is {given.shape} {given.dtype}",
            hint="it must be C-contiguous",
        )
    return given


def _check(x: np.ndarray, w: np.ndarray, b: np.ndarray, algorithm: str) -> None:
    shapes = f"x {x.shape} {x.dtype}, w {w.shape} {w.dtype}, b {b.shape} {b.dtype}"
    if x.ndim != 4 or w.ndim != 4 or 0 in x.shape:
        raise ShapeError(
            f"convolution got {shapes}", hint="x is (N, H, W, C), none of them 0, w (kh, kw, C, Co)"
        )
    if x.shape[3] != w.shape[2]:
        swapped = x.shape[1] == w.shape[2]
        hint = "x looks like (N, C, H, W); use x.transpose(0, 2, 3, 1)" if swapped else ""
        raise ShapeError(
            f"x has {x.shape[3]} channels, w expects {w.shape[2]}: {shapes}", hint=hint
        )
    if b.shape != w.shape[3:]:
        raise ShapeError(f"one bias for each output channel is needed: {shapes}")
    if not x.dtype == w.dtype == b.dtype or x.dtype not in (np.float32, np.float64):
        raise ShapeError(f"types must be equal, float32 or float64: {shapes}", hint="use x.astype")
    if algorithm not in ALGORITHMS:
        raise ShapeError(f"unknown algorithm {algorithm!r}", hint=f"known: {', '.join(ALGORITHMS)}")
