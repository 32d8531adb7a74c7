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
from ssd_np.geometry import output_size
from ssd_np.nn.checks import check_floats, check_gradient
from ssd_np.nn.im2col import col2im, im2col


def conv2d_forward(
    x: np.ndarray,
    w: np.ndarray,
    b: np.ndarray,
    stride: int = 1,
    pad: int | tuple = 0,
    dilation: int = 1,
) -> tuple[np.ndarray, tuple]:
    """x (N, H, W, C), w (kh, kw, C, Co), b (Co,) -> out (N, Ho, Wo, Co) and the cache for backward.

    Raises ShapeError when shapes, types or layouts do not fit.
    """
    check_convolution(x, w, b)
    cols = im2col(x, w.shape[:2], stride, pad, dilation)  # (N*Ho*Wo, kh*kw*C)
    out = cols @ w.reshape(-1, w.shape[3]) + b  # (N*Ho*Wo, Co)
    vertical, _ = np.broadcast_to(pad, (2, 2)).tolist()
    ho = output_size(x.shape[1], w.shape[0], stride, vertical, dilation)
    out = out.reshape(len(x), ho, -1, w.shape[3])  # (N, Ho, Wo, Co)
    return out, (x, w, stride, pad, dilation, out.shape)


def conv2d_backward(dout: np.ndarray, cache: tuple) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """dout (N, Ho, Wo, Co) -> dx (N, H, W, C), dw (kh, kw, C, Co), db (Co,).

    Derivation: docs/derivations.md#convolution, (3) and (4).
    """
    x, w, stride, pad, dilation, shape = cache
    check_gradient(dout, shape, "conv2d_forward", x.dtype)
    cols = im2col(x, w.shape[:2], stride, pad, dilation)  # (N*Ho*Wo, kh*kw*C)
    rows = dout.reshape(-1, w.shape[3])  # (N*Ho*Wo, Co)
    dw, db = (cols.T @ rows).reshape(w.shape), rows.sum(axis=0)
    dcols = rows @ w.reshape(-1, w.shape[3]).T  # (N*Ho*Wo, kh*kw*C)
    return col2im(dcols, x.shape, w.shape[:2], stride, pad, dilation), dw, db


def check_convolution(x: np.ndarray, w: np.ndarray, b: np.ndarray) -> None:
    """Raises ShapeError unless image, kernel and bias fit each other."""
    for array, name in ((x, "x"), (w, "w"), (b, "b")):
        check_floats(array, name)
    if x.ndim != 4 or w.ndim != 4 or 0 in x.shape:
        hint = "x is (N, H, W, C), none of them 0, w (kh, kw, C, Co)"
        raise ShapeError(f"convolution got {described(x, w, b)}", hint=hint)
    if x.shape[3] != w.shape[2]:
        swapped = x.shape[1] == w.shape[2]
        hint = "x looks like (N, C, H, W); use x.transpose(0, 2, 3, 1)" if swapped else ""
        what = f"x has {x.shape[3]} channels, w expects {w.shape[2]}: {described(x, w, b)}"
        raise ShapeError(what, hint=hint)
    if b.shape != w.shape[3:]:
        raise ShapeError(f"one bias for each output channel is needed: {described(x, w, b)}")
    if not x.dtype == w.dtype == b.dtype or x.dtype not in (np.float32, np.float64):
        what = f"types must be equal, float32 or float64: {described(x, w, b)}"
        raise ShapeError(what, hint="use x.astype")


def described(x: np.ndarray, w: np.ndarray, b: np.ndarray) -> str:
    """Shapes and types, for an error."""
    return f"x {x.shape} {x.dtype}, w {w.shape} {w.dtype}, b {b.shape} {b.dtype}"
