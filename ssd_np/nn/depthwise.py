"""Depthwise convolution: every channel has a kernel of its own, and channels do not mix.

    out[n, y, x, c] = b[c] + sum_ij  w[i, j, c] * in[n, s y + d i - p, s x + d j - p, c]

kh kw products for each output number instead of kh kw C. A 1x1 convolution behind it mixes the
channels; together they take the place of a full convolution at a fraction of its cost (Howard et
al. 2017, MobileNets, arXiv 1704.04861, section 3.1). With the windows laid out by im2col,

    out = sum over taps of cols * w     dw = sum over pixels of cols * dout     dcols = dout * w
"""

import numpy as np

from ssd_np.errors import ShapeError
from ssd_np.geometry import output_size
from ssd_np.nn.checks import check_floats, check_gradient, check_image
from ssd_np.nn.conv import described
from ssd_np.nn.im2col import col2im, im2col


def depthwise_forward(
    x: np.ndarray,
    w: np.ndarray,
    b: np.ndarray,
    stride: int = 1,
    pad: int | tuple = 0,
    dilation: int = 1,
) -> tuple[np.ndarray, tuple]:
    """x (N, H, W, C), w (kh, kw, C), b (C,) -> out (N, Ho, Wo, C) and the cache for backward."""
    check_depthwise(x, w, b)
    kh, kw, c = w.shape
    cols = im2col(x, (kh, kw), stride, pad, dilation).reshape(-1, kh * kw, c)  # (N*Ho*Wo, taps, C)
    out = np.einsum("ptc,tc->pc", cols, w.reshape(-1, c)) + b
    vertical, _ = np.broadcast_to(pad, (2, 2)).tolist()
    ho = output_size(x.shape[1], kh, stride, vertical, dilation)
    out = out.reshape(len(x), ho, -1, c)
    return out, (x, w, stride, pad, dilation, out.shape)


def depthwise_backward(dout: np.ndarray, cache: tuple) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """dout (N, Ho, Wo, C) -> dx (N, H, W, C), dw (kh, kw, C), db (C,).

    Derivation: docs/derivations.md#depthwise-convolution, (21).
    """
    x, w, stride, pad, dilation, shape = cache
    check_gradient(dout, shape, "depthwise_forward", x.dtype)
    kh, kw, c = w.shape
    cols = im2col(x, (kh, kw), stride, pad, dilation).reshape(-1, kh * kw, c)  # (N*Ho*Wo, taps, C)
    rows = dout.reshape(-1, c)  # (N*Ho*Wo, C)
    dw, db = np.einsum("ptc,pc->tc", cols, rows).reshape(w.shape), rows.sum(axis=0)
    dcols = rows[:, None] * w.reshape(-1, c)  # (N*Ho*Wo, taps, C)
    dcols = dcols.reshape(len(rows), -1)
    return col2im(dcols, x.shape, (kh, kw), stride, pad, dilation), dw, db


def check_depthwise(x: np.ndarray, w: np.ndarray, b: np.ndarray) -> None:
    """Raises ShapeError unless image, kernel and bias fit each other."""
    check_image(x)
    for array, name in ((w, "w"), (b, "b")):
        check_floats(array, name)
    if w.ndim != 3 or w.shape[2:] != x.shape[3:] or b.shape != w.shape[2:]:
        hint = "w is (kh, kw, C), b (C,)"
        raise ShapeError(f"depthwise convolution got {described(x, w, b)}", hint=hint)
    if not x.dtype == w.dtype == b.dtype:
        what = f"types must be equal, float32 or float64: {described(x, w, b)}"
        raise ShapeError(what, hint="use x.astype")
