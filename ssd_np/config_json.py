"""Dataclasses from JSON and back: one reader for every section of a config.

Which keys there are, and of which type, is read off the dataclass itself. Every refusal names the
path of the key, such as `training.milestones[1]`, and what was expected there.
"""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from typing import Any, Literal

from ssd_np.errors import ConfigError


def require(condition: bool, key: str, expected: str, got: Any) -> None:
    """ConfigError at `key` unless the condition holds."""
    if not condition:
        raise ConfigError(f"expected {expected}, got {got!r}", where=key)


def join(path: str, key: str, by: str = ".") -> str:
    """The path of a key inside `path`; either may be empty."""
    return f"{path}{by}{key}" if path and key else path or key


def read(kind: Any, value: Any, path: str) -> Any:
    """Turns a JSON value into `kind` (a dataclass, a tuple, a number, ...) or says why not."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if dataclasses.is_dataclass(kind):
        return _read_dataclass(kind, value, path)
    if origin is Literal:
        choices = " or ".join(map(repr, arguments))
        require(isinstance(value, str) and value in arguments, path, choices, value)
        return value
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in arguments:
            return None
        options = [option for option in arguments if option is not type(None)]
        if len(options) == 1:
            return read(options[0], value, path)
        by_kind = {option.kind: option for option in options}  # the layers: conv or pool
        found = value.get("kind") if isinstance(value, dict) else None
        choices = "an object whose kind is " + " or ".join(map(repr, by_kind))
        require(isinstance(found, str) and found in by_kind, path, choices, value)
        return read(by_kind[found], value, path)
    if origin is tuple:
        require(isinstance(value, list | tuple), path, "a list", value)
        if arguments[-1] is not Ellipsis:
            require(len(value) == len(arguments), path, f"{len(arguments)} values", value)
        return tuple(read(arguments[0], item, f"{path}[{i}]") for i, item in enumerate(value))
    if kind is float:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        require(number and abs(value) < 1e300, path, "a finite number", value)
        return float(value)
    if kind is int:
        whole = isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**31
        require(whole, path, "a whole number below 2**31", value)
        return value
    words = {str: "a text in quotes", bool: "true or false"}
    require(isinstance(value, kind), path, words[kind], value)
    return value


def _read_dataclass(kind: type, value: Any, path: str) -> Any:
    require(isinstance(value, dict), path, "an object in braces", value)
    fields = {f.name: f for f in dataclasses.fields(kind)}
    for key in value:
        if key not in fields:
            raise ConfigError("unknown key", join(path, key), f"known: {', '.join(fields)}")
    hints = typing.get_type_hints(kind)
    found = {key: read(hints[key], item, join(path, key)) for key, item in value.items()}
    for name, f in fields.items():
        optional = (
            f.default is not dataclasses.MISSING or f.default_factory is not dataclasses.MISSING
        )
        if name not in found and not optional:
            raise ConfigError("missing key", where=join(path, name))
    try:
        return kind(**found)
    except ConfigError as error:  # raised by __post_init__, which knows only its own keys
        raise ConfigError(error.what, join(path, error.where), error.hint) from error


def write(value: Any) -> str:
    """A dataclass as JSON, all values, one section, layer or feature map a line."""
    values = dataclasses.asdict(value)
    lines = [f'  "{key}": {_one_line_each(item)}' for key, item in values.items()]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _one_line_each(value: Any) -> str:
    """JSON with the items of a section or of a list of objects on a line each."""
    if isinstance(value, dict):
        items = [f'    "{key}": {json.dumps(item)}' for key, item in value.items()]
        return "{\n" + ",\n".join(items) + "\n  }"
    if isinstance(value, tuple) and value and isinstance(value[0], dict):
        return "[\n" + ",\n".join(f"    {json.dumps(item)}" for item in value) + "\n  ]"
    return json.dumps(value)
