"""What any function may check of an argument, whatever it computes: an array, a number, a list."""

import functools
import inspect
import types
import typing
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from numbers import Integral
from typing import Any, ParamSpec, TypeVar

import numpy as np

from ssd_np.errors import ConfigError, ShapeError

P = ParamSpec("P")
R = TypeVar("R")


def checked(function: Callable[P, R]) -> Callable[P, R]:
    """The function at a border: ConfigError for an argument that is not what its signature says.

    Numbers are finite, whole ones below 2^53, arrays hold numbers. What an array's axes are, and
    which numbers make sense, the function looks at itself.
    """
    parameters = inspect.signature(function)
    hints: dict[str, Any] = {}  # of a name that is known to type checkers alone there is none

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        if not hints:
            hints.update(typing.get_type_hints(function))
        for name, value in parameters.bind(*args, **kwargs).arguments.items():
            if not fits(value, hints.get(name, Any)):
                shown = f"{value!r}"[:80] if np.isscalar(value) else f"a {type(value).__name__}"
                expected = parameters.parameters[name].annotation
                expected = getattr(expected, "__name__", str(expected))
                where = f"{function.__name__}()"
                raise ConfigError(f"{name} is {shown}", where, f"expected {expected}")
        return function(*args, **kwargs)

    return call


def fits(value: Any, kind: Any) -> bool:
    """Whether a value is of a type, as signatures write them."""
    origin, inside = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return any(fits(value, one) for one in inside)
    if origin is typing.Literal:
        return isinstance(value, str) and value in inside
    if origin is tuple and inside[-1] is not Ellipsis:
        long = isinstance(value, tuple | list) and len(value) == len(inside)
        return long and all(map(fits, value, inside))
    if origin is not None and issubclass(origin, Mapping):
        known = isinstance(value, Mapping)
        return known and all(all(map(fits, item, inside)) for item in value.items())
    if origin is not None and issubclass(origin, Iterable):
        known = isinstance(value, list | tuple if origin in (list, tuple) else origin)
        once = not isinstance(value, Collection)  # its items are not there to be looked at
        good = known and not isinstance(value, str | bytes)
        return good and (once or all(fits(one, inside[0]) for one in value))
    if kind is float:
        number = isinstance(value, int | float | np.floating | np.integer)
        return number and bool(-1e300 < value < 1e300)
    if kind is int:
        whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
        return whole and -(1 << 53) < value < 1 << 53
    if kind is np.ndarray:
        return isinstance(value, np.ndarray) and value.dtype.kind in "biuf"
    # neither Any nor a shape of methods, which whoever calls them looks at
    plain = isinstance(origin or kind, type) and kind is not Any
    if plain and not getattr(kind, "_is_protocol", False):
        return isinstance(value, origin or kind)
    return True


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
