"""A value in a few lines, as a student can read it: small arrays whole, large ones in summary."""

import textwrap
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

MOST_NUMBERS = 24  # of an array that are printed
MOST_ITEMS = 6  # of a list
WIDTH = 96


def show(value: Any, name: str = "") -> str:
    """`name` tells kernels, (kh, kw, C_in, C_out), from maps, (N, H, W, C)."""
    if isinstance(value, np.ndarray):
        return _array(value, name)
    if isinstance(value, tuple | list):
        shown = [show(v) for v in value[:MOST_ITEMS]]
        more = [f"... {len(value)} in all"] if len(value) > MOST_ITEMS else []
        if any("\n" in text for text in shown):
            items = [line for i, text in enumerate(shown) for line in labelled(f"[{i}] = ", text)]
            return "\n".join(items + more)
        return "(" + ", ".join(shown + more) + ")"
    if isinstance(value, Exception):
        return f"{type(value).__name__}: {value}"
    if isinstance(value, np.random.Generator):
        return "a generator"
    if type(value).__repr__ is object.__repr__:  # would tell an address
        inside = show(list(value)) if isinstance(value, Iterable) else getattr(value, "name", "")
        return f"{type(value).__name__} {inside}".strip()
    return textwrap.shorten(repr(value), WIDTH)


def labelled(label: str, text: str) -> list[str]:
    """The lines of a text behind a label, its own lines below each other."""
    first, *rest = text.splitlines()
    return [label + first, *(" " * len(label) + line for line in rest)]


def _array(value: np.ndarray, name: str) -> str:
    if value.size > MOST_NUMBERS:
        return f"array {value.shape} {value.dtype}{_range(value)}"
    if value.ndim <= 2 or not value.size:
        return _numbers(value) + ("" if value.size else f" of shape {value.shape}")
    lines = [f"array {value.shape}"]
    for place, matrix in _matrices(value, name):
        lines += labelled(f"{place} = ", _numbers(matrix))
    return "\n".join(lines)


def _matrices(value: np.ndarray, name: str) -> Iterator[tuple[str, np.ndarray]]:
    """An array of more axes as matrices: a map for each image and channel, (N, H, W, C), a
    kernel's window for each pair of channels, else the last two axes."""
    rows, columns = value.ndim - 2, value.ndim - 1
    if value.ndim == 4:
        rows, columns = (0, 1) if name in ("w", "dw") else (1, 2)
    others = tuple(n for axis, n in enumerate(value.shape) if axis not in (rows, columns))
    for index in np.ndindex(others):
        left = iter(index)
        place = [slice(None) if a in (rows, columns) else next(left) for a in range(value.ndim)]
        text = ", ".join(":" if isinstance(i, slice) else str(i) for i in place)
        yield f"[{text}]", value[tuple(place)]


def _numbers(value: np.ndarray) -> str:
    return np.array2string(
        value, precision=4, suppress_small=True, separator=", ", max_line_width=WIDTH
    )


def _range(value: np.ndarray) -> str:
    """ ", from -1.5 to 2.25": what a large array holds; NaN and infinities are counted."""
    if value.dtype.kind == "b":
        return f", {int(value.sum())} of {value.size} True"
    if value.dtype.kind not in "fiu":
        return ""
    finite = value[np.isfinite(value)]
    odd = f", {value.size - finite.size} not finite" if finite.size < value.size else ""
    return (f", from {finite.min():.6g} to {finite.max():.6g}" if finite.size else "") + odd
