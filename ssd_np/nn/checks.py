"""What functions check at the border, one line each."""

import threading
from collections.abc import Iterable, Sequence
from numbers import Integral
from typing import Any

import numpy as np

from ssd_np.checks import check_factor, check_shape, check_whole, sides
from ssd_np.errors import ConfigError, ShapeError


def check_gradient(
    dout: np.ndarray, shape: tuple[int, ...], of: str, dtype: np.dtype | None = None
) -> None:
    """`dout` must have the shape of what the forward function `of` returned, and its type."""
    check_floats(dout, "dout", "fiu")
    if dout.shape != shape:
        hint = f"dout is the gradient of what {of} returned"
        raise ShapeError(f"dout has shape {dout.shape}, the output had {shape}", hint=hint)
    if dtype is not None and dout.dtype != dtype:
        raise ShapeError(f"dout is {dout.dtype}, the output was {dtype}", hint="use dout.astype")


def check_head(start: str, starts: Iterable[str], **numbers: int) -> None:
    """How many of each thing a head has, by name, and which of the starts its kernels take."""
    for name, number in numbers.items():
        check_whole(number, name)
    if start not in [*starts]:
        raise ConfigError(f"start is {start!r}"[:80], hint=f"one of {', '.join(starts)}")


def check_turn(kept: bool, learner: int | None) -> None:
    """Something is kept for backward, and by a forward of this thread."""
    if not kept or learner != threading.get_ident():
        what = "backward needs forward(images, training=True) first"
        raise ShapeError(f"{what}, in this thread, with no call of another thread between")


def check_outputs(expected: Sequence[tuple[int, ...]], **gradients: np.ndarray) -> None:
    """Gradients, by name, of outputs of these shapes."""
    for name, gradient in gradients.items():
        check_floats(gradient, name)
    if [gradient.shape for gradient in gradients.values()] != list(expected):
        got = ", ".join(f"{name} {array.shape}" for name, array in gradients.items())
        of = ", ".join(map(str, expected))
        raise ShapeError(f"{got}: gradients of outputs are {of}")


def check_floats(array: np.ndarray, name: str, kinds: str = "f") -> None:
    """An array of float32 or float64 in the machine's order of bytes, which is what is compiled;
    of whole numbers too, if `kinds` has them."""
    if not isinstance(array, np.ndarray):
        raise ShapeError(f"{name} is a {type(array).__name__}", hint="expected a NumPy array")
    dtype = array.dtype
    odd = not dtype.isnative or (dtype.kind == "f" and dtype.itemsize not in (4, 8))
    if dtype.kind not in kinds or odd:
        hint = f"use {name}.astype"
        raise ShapeError(f"{name} is {dtype}, expected float32 or float64", hint=hint)


def check_colours(
    image: np.ndarray, factor: float, name: str, kinds: str = "f", channels: tuple[int, ...] = (3,)
) -> None:
    """An image (H, W, channels) of floats, and the number that it is changed by."""
    check_floats(image, "image", kinds)
    if image.ndim != 3 or image.shape[2] not in channels:
        hint = f"expected (H, W, {' or '.join(map(str, channels))})"
        raise ShapeError(f"image has shape {image.shape}", hint=hint)
    check_factor(factor, name)


def check_image(x: np.ndarray, kinds: str = "f") -> None:
    """Images or maps (N, H, W, C)."""
    check_floats(x, "x", kinds)
    if x.ndim != 4 or 0 in x.shape:
        raise ShapeError(f"x has shape {x.shape}", hint="expected (N, H, W, C), none of them 0")


def check_logits(logits: np.ndarray) -> None:
    """Numbers (..., K), K at least 1."""
    known = isinstance(logits, np.ndarray | np.generic)
    if not known or (logits.ndim and logits.dtype.kind == "f"):
        check_floats(logits, "logits")
    whole = logits.dtype.kind in "iu" and logits.dtype.itemsize > 1  # of a byte: float16
    if not logits.ndim or not logits.shape[-1] or not (whole or logits.dtype.kind == "f"):
        hint = "expected numbers (..., K)"
        raise ShapeError(f"logits are {logits.shape} {logits.dtype}", hint=hint)


def check_update(w: np.ndarray, v: np.ndarray, g: np.ndarray, **factors: float) -> None:
    """A tensor, its velocity and its gradient have one shape; the factors are numbers."""
    for array, name in ((w, "w"), (v, "v"), (g, "g")):
        check_floats(array, name)
    if not w.shape == v.shape == g.shape:
        raise ShapeError(f"w {w.shape}, v {v.shape}, g {g.shape}", hint="expected equal shapes")
    for name, factor in factors.items():
        check_factor(factor, name)


def numbers(x: np.ndarray) -> np.ndarray:
    """x, an array of floats or whole numbers of any shape."""
    check_floats(x, "x", "fiu")
    return x


def check_maps(x: np.ndarray) -> None:
    """(N, H, W, C), of any numbers and any size."""
    if numbers(x).ndim != 4:
        raise ShapeError(f"x has shape {x.shape}", hint="expected (N, H, W, C)")


def check_windows(kernel: Any, pad: Any) -> None:
    """Height and width of windows, or one number for both, and the border that they may reach."""
    if not isinstance(kernel, Integral):
        check_shape(kernel, "(kh, kw)", 2, 2)
    sides(pad)


def check_columns(cols: np.ndarray, shape: tuple[int, int]) -> None:
    """What im2col gives for maps and windows of these sizes."""
    check_floats(cols, "cols", "fiu")
    if cols.shape != shape:
        raise ShapeError(f"cols has shape {cols.shape}, im2col of such maps gives {shape}")


def check_scaled(x: np.ndarray, scale: np.ndarray, eps: float) -> None:
    """Maps (..., C) and a scale (C,) for their channels."""
    check_floats(x, "x")
    check_floats(scale, "scale")
    check_factor(eps, "eps")
    if scale.shape != x.shape[-1:]:
        raise ShapeError(f"scale has shape {scale.shape}, x {x.shape}", hint="one scale a channel")


def check_cells(grid: np.ndarray, boxes: int) -> None:
    """Predictions (N, H, W, boxes * (K + 4)) of any numbers, K at least 1."""
    check_image(grid, "fiu")
    check_whole(boxes, "boxes")
    if grid.shape[3] % boxes or grid.shape[3] < 5 * boxes:
        raise ShapeError(f"grid has {grid.shape[3]} channels for {boxes} boxes", hint="K + 4 each")


def check_rows(dlogits: np.ndarray, doffsets: np.ndarray, shape: tuple[int, ...]) -> None:
    """The gradients of a grid's rows: (N, H*W*A, K) and (N, H*W*A, 4) for (N, H, W, A*K + A*4)."""
    check_shape(shape, "(N, H, W, A*K + A*4)", 4)
    n, h, w, channels = shape
    for rows, name in ((dlogits, "dlogits"), (doffsets, "doffsets")):
        check_floats(rows, name, "fiu")
        if rows.ndim != 3 or len(rows) != n or rows.shape[1] % (h * w):
            raise ShapeError(f"{name} has shape {rows.shape}, the grid {shape}")
    if dlogits.size + doffsets.size != n * h * w * channels:
        raise ShapeError(f"dlogits {dlogits.shape} and doffsets {doffsets.shape}, the grid {shape}")
