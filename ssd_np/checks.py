"""What any function may check of an argument, whatever it computes: an array, a number, a list."""

from collections.abc import Sequence
from numbers import Integral
from typing import Any

import numpy as np

from ssd_np.errors import ConfigError, ShapeError


def check_axes(array: np.ndarray, name: str, *axes: int | None) -> None:
    """An array with so many axes, of these lengths; None: any."""
    alike = (length in (None, own) for length, own in zip(axes, array.shape, strict=False))
    if array.ndim != len(axes) or not all(alike):
        expected = ", ".join("n" if length is None else str(length) for length in axes)
        raise ShapeError(f"{name} has shape {array.shape}", hint=f"expected ({expected})")


def as_array(values: object, name: str, where: str = "") -> np.ndarray:
    """`values` as an array; ShapeError for lists of different lengths."""
    try:
        return np.asarray(values)
    except ValueError as error:
        raise ShapeError(f"{name} is no array: {error}", where) from error


def check_factor(value: float, name: str) -> None:
    """A number, as Python or NumPy has them."""
    known = isinstance(value, int | float | np.number)
    if not known or (isinstance(value, int) and abs(value) > 1 << 53):
        raise ConfigError(f"{name} is {value!r}", hint="expected a number")


def check_kind(value: object, kind: type, name: str) -> None:
    """An object of a class, such as a config, where it comes in."""
    if not isinstance(value, kind):
        raise ConfigError(f"{name} is a {type(value).__name__}", hint=f"expected {kind.__name__}")


def generator(seed: Any) -> np.random.Generator:
    """NumPy's generator of a seed, or one that is given."""
    try:
        return np.random.default_rng(seed)
    except (TypeError, ValueError) as error:
        hint = "a whole number from 0 on, or a generator of NumPy's"
        raise ConfigError(f"seed is {seed!r}"[:80], hint=hint) from error


def float_type(dtype: Any) -> np.dtype:
    """float32 or float64."""
    try:
        found = np.dtype(dtype)
    except (TypeError, ValueError) as error:
        raise ShapeError(f"dtype is {dtype!r}"[:80], hint="float32 or float64") from error
    if found not in (np.float32, np.float64):
        raise ShapeError(f"dtype is {found}", hint="float32 or float64")
    return found


def check_whole(value: Any, name: str, least: int = 1) -> None:
    """A whole number from `least` on, of a size that an image may have."""
    whole = isinstance(value, Integral) and not isinstance(value, bool)
    if not whole or not least <= value < 1 << 31:
        raise ShapeError(f"{name} is {value!r}", hint=f"expected a whole number from {least} on")


def check_shape(shape: Any, expected: str, least: int = 0, most: int = 4) -> None:
    """A tuple of so many sides, each a whole number from 1 on."""
    if not isinstance(shape, tuple | list) or not least <= len(shape) <= most:
        raise ShapeError(f"shape is {shape!r}", hint=f"expected {expected}")
    for side in shape:
        check_whole(side, "a side of the shape")


def sides(pad: Any) -> Any:
    """((top, bottom), (left, right)) of a border that is one whole number, or these four."""
    rows = ((pad, pad), (pad, pad)) if isinstance(pad, Integral) else pad
    both = isinstance(rows, tuple | list) and len(rows) == 2
    if not both or not all(isinstance(row, tuple | list) and len(row) == 2 for row in rows):
        raise ShapeError(f"pad is {pad!r}", hint="a number, or ((top, bottom), (left, right))")
    for row in rows:
        ends(row, -(1 << 30))
    return rows


def ends(border: Any, least: int = 0) -> tuple[int, int]:
    """(before, after) of an axis: a border that holds for both, or each its own."""
    both: Any = (border, border) if isinstance(border, Integral) else border
    if not isinstance(both, tuple | list) or len(both) != 2:
        raise ShapeError(f"a border is {border!r}", hint="a whole number, or (before, after)")
    for cells in both:
        check_whole(cells, "a border", least)
    return both[0], both[1]


def check_picture(picture: Any, name: str) -> np.ndarray:
    """A picture in colours or grey, whole numbers of 8 bits."""
    array = as_array(picture, name)
    known = array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (1, 3, 4))
    if array.dtype != np.uint8 or not known or array.size == 0:
        raise ShapeError(f"{name} is {array.shape} {array.dtype}", hint="expected (H, W, 3) uint8")
    return array


def check_list(items: Any, kind: type, name: str) -> None:
    """A list or tuple whose items are all of one kind."""
    known = isinstance(items, Sequence | np.ndarray) and not isinstance(items, str)
    if not known or not all(isinstance(item, kind) for item in items):
        raise ConfigError(f"{name} is no such list", hint=f"expected a list of {kind.__name__}")
