"""Dataclasses from JSON and back: one set of rules for every section of a config.

Which keys there are, and of which type, is read off the dataclass itself. A section that is made in
Python is read by the same rules as one in a file, so that whatever can be made can be saved. Every
refusal names the path of the key, such as `training.milestones[1]`, and what was expected there.
"""

import dataclasses
import functools
import json
import re
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from ssd_np.errors import ConfigError
from ssd_np.terminal import fault_of_name

LONGEST = 300  # characters of a wrong value in a message


def require(condition: bool, key: str, expected: str, got: Any, hint: str = "") -> None:
    """ConfigError at `key` unless the condition holds."""
    if not condition:
        text = repr(got)
        text = text if len(text) <= LONGEST else f"{text[:LONGEST]}..."
        raise ConfigError(f"expected {expected}, got {text}", key, hint)


def require_name(name: str, key: str, file: bool = False) -> None:
    """ConfigError unless `name` may be shown; if it is part of a file's name, unless it may be."""
    fault = fault_of_name(name)
    if not fault and file and (re.search(r"[/\\:]", name) or not name.strip(". ")):
        fault = "would lead to another folder"
    require(not fault, key, f"a name (it {fault})", name)


def join(path: str, key: str, by: str = ".") -> str:
    """The path of a key inside `path`; either may be empty."""
    return f"{path}{by}{key}" if path and key else path or key


class Section:
    """What all sections of a config share: they check themselves when they are made.

    Types come first, by `read`: lists become tuples, NumPy's numbers and arrays Python's own, a
    whole number where a fraction may stand a float. Then `check` looks at the values.
    """

    def __post_init__(self) -> None:
        own: type = type(self)
        for key, kind in _types(own).items():
            # a frozen dataclass is set once more, before anybody sees it
            object.__setattr__(self, key, read(kind, getattr(self, key), key, {}))
        self.check()

    def check(self) -> None:
        """ConfigError where values of the right types make no sense."""


# of a base class those of its subclasses that a file may name; their default of `kind` is the name
Families = Mapping[type, Sequence[type]]


def read(kind: Any, value: Any, path: str, families: Families) -> Any:
    """Turns a JSON value into `kind` (a dataclass, a tuple, a number, ...) or says why not."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    value = value.tolist() if hasattr(value, "tolist") else value  # NumPy's scalars and arrays
    section = isinstance(kind, type) and dataclasses.is_dataclass(kind)
    if section and isinstance(value, kind):
        return value  # it has checked itself
    if kind in families:
        return _read_dataclass(_member(kind, families[kind], value, path), value, path, families)
    if section:
        return _read_dataclass(kind, value, path, families)
    if origin is Literal:
        choices = " or ".join(map(repr, arguments))
        require(isinstance(value, str) and value in arguments, path, choices, value)
        return value
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in arguments:
            return None
        options = [option for option in arguments if option is not type(None)]
        # a number or a list of numbers: a list is read as one, all else as a number
        lists = [option for option in options if typing.get_origin(option) is tuple]
        chosen = lists if lists and isinstance(value, list | tuple) else options
        return read(chosen[0], value, path, families)
    if origin is tuple:
        require(isinstance(value, list | tuple), path, "a list", value)
        if arguments[-1] is not Ellipsis:
            require(len(value) == len(arguments), path, f"{len(arguments)} values", value)
        items = enumerate(value)
        return tuple(read(arguments[0], item, f"{path}[{i}]", families) for i, item in items)
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


def _member(base: type, family: Sequence[Any], value: Any, path: str) -> type:
    """The class whose `kind` the JSON object names, or which is usual; of two of one name the later
    one."""
    by_name = {member.kind: member for member in family}
    found = value.get("kind", getattr(base, "usual", None)) if isinstance(value, dict) else None
    choices = "an object whose kind is " + " or ".join(map(repr, by_name))
    known = isinstance(found, str) and found in by_name
    require(known, path, choices, value, getattr(base, "others", ""))
    return by_name[found]


def _read_dataclass(kind: type, value: Any, path: str, families: Families) -> Any:
    require(isinstance(value, dict), path, "an object in braces", value)
    value = kind.upgrade(value) if hasattr(kind, "upgrade") else value  # what older files say
    fields = {f.name: f for f in dataclasses.fields(kind)}
    for key in value:
        if key not in fields:
            raise ConfigError("unknown key", join(path, key), f"known: {', '.join(fields)}")
    hints = _types(kind)
    found = {key: read(hints[key], item, join(path, key), families) for key, item in value.items()}
    for name, f in fields.items():
        optional = (
            f.default is not dataclasses.MISSING or f.default_factory is not dataclasses.MISSING
        )
        if name not in found and not optional:
            raise ConfigError("missing key", where=join(path, name))
    try:
        return kind(**found)
    except ConfigError as error:  # raised by the section, which knows only its own keys
        raise ConfigError(error.what, join(path, error.where), error.hint) from error


@functools.cache
def _types(kind: type) -> dict[str, Any]:
    """The type of every field of a dataclass."""
    hints = typing.get_type_hints(kind)
    return {field.name: hints[field.name] for field in dataclasses.fields(kind)}


def differences(value: Any, other: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """The key path and both values wherever two dataclasses of one kind differ."""
    if type(value) is type(other) and dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            mine, theirs = getattr(value, field.name), getattr(other, field.name)
            yield from differences(mine, theirs, join(path, field.name))
    elif _alike(value) and _alike(other) and len(value) == len(other):
        for i, pair in enumerate(zip(value, other, strict=True)):
            yield from differences(*pair, f"{path}[{i}]")
    elif value != other:
        yield path, value, other


def _alike(value: Any) -> bool:
    """Whether it is a list of sections, whose items are told apart one by one."""
    return isinstance(value, tuple) and bool(value) and dataclasses.is_dataclass(value[0])


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
