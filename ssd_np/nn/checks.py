"""What functions check at the border, one line each."""

import numpy as np

from ssd_np.errors import ShapeError


def check_gradient(
    dout: np.ndarray, shape: tuple[int, ...], of: str, dtype: np.dtype | None = None
) -> None:
    """`dout` must have the shape of what the forward function `of` returned, and its type."""
    if np.shape(dout) != shape:
        raise ShapeError(
            f"dout has shape {np.shape(dout)}, the output had {shape}",
            hint=f"dout is the gradient of what {of} returned",
        )
    if dtype is not None and dout.dtype != dtype:
        raise ShapeError(f"dout is {dout.dtype}, the output was {dtype}", hint="use dout.astype")


def check_floats(array: np.ndarray, name: str, kinds: str = "f") -> None:
    """An array of float32 or float64 in the machine's order of bytes, which is what is compiled;
    of whole numbers too, if `kinds` has them."""
    if not isinstance(array, np.ndarray):
        raise ShapeError(f"{name} is a {type(array).__name__}", hint="expected a NumPy array")
    dtype = array.dtype
    odd = dtype.kind == "f" and (dtype.itemsize not in (4, 8) or not dtype.isnative)
    if dtype.kind not in kinds or odd:
        raise ShapeError(
            f"{name} is {dtype}, expected float32 or float64", hint=f"use {name}.astype"
        )


def check_colours(image: np.ndarray) -> None:
    """An image (H, W, 3) of floats."""
    check_floats(image, "image")
    if image.ndim != 3 or image.shape[2] != 3:
        raise ShapeError(f"image has shape {image.shape}", hint="expected (H, W, 3)")


def check_update(w: np.ndarray, v: np.ndarray, g: np.ndarray) -> None:
    """A tensor, its velocity and its gradient, of one shape."""
    for array, name in ((w, "w"), (v, "v"), (g, "g")):
        check_floats(array, name)
    if not w.shape == v.shape == g.shape:
        raise ShapeError(f"w {w.shape}, v {v.shape}, g {g.shape}", hint="expected equal shapes")


def check_image(x: np.ndarray) -> None:
    """Images or maps (N, H, W, C)."""
    check_floats(x, "x")
    if x.ndim != 4 or 0 in x.shape:
        raise ShapeError(f"x has shape {x.shape}", hint="expected (N, H, W, C), none of them 0")


def check_logits(logits: np.ndarray) -> None:
    """Numbers (..., K), K at least 1."""
    known = isinstance(logits, np.ndarray | np.generic)
    if not known or (logits.ndim and logits.dtype.kind == "f"):
        check_floats(logits, "logits")
    if logits.ndim == 0 or logits.shape[-1] == 0 or logits.dtype.kind not in "fiu":
        raise ShapeError(
            f"logits are {logits.shape} {logits.dtype}", hint="expected numbers (..., K)"
        )
