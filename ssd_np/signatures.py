"""What a signature says of its arguments, checked where a function is a border (`@checked`).

Without NumPy, which a command's help does not wait for.
"""

import functools
import inspect
import types
import typing
from collections.abc import Callable, Collection, Iterable, Mapping
from numbers import Integral, Number, Real
from typing import Any, ParamSpec, TypeVar

from ssd_np.errors import ConfigError

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
                shown = value if isinstance(value, str | Number) else type(value)
                expected = parameters.parameters[name].annotation
                expected = getattr(expected, "__name__", str(expected))
                where = f"{function.__name__}()"
                raise ConfigError(f"{name} is {shown!r}"[:80], where, f"expected {expected}")
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
    if kind is bool:
        return type(value).__name__ in ("bool", "bool_")  # or NumPy's
    if kind is float:
        number = value if isinstance(value, int) or not isinstance(value, Real) else float(value)
        return isinstance(number, int | float) and -1e300 < number < 1e300
    if kind is int:
        return isinstance(value, Integral) and -(1 << 53) < int(value) < 1 << 53
    # neither Any nor a shape of methods, which whoever calls them looks at
    plain = isinstance(origin or kind, type) and kind is not Any
    if plain and not getattr(kind, "_is_protocol", False):
        numbers = getattr(getattr(value, "dtype", None), "kind", "f") in "biuf"  # of an array
        return isinstance(value, origin or kind) and numbers
    return True
