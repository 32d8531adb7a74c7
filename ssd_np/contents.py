"""The table of contents of a package, imported name by name.

An `__init__.py` lists its names in a block `if TYPE_CHECKING:`, where editors and type checkers
read them. At run time the same lines say where a name is found when it is first asked for (PEP
562), so that importing one function of a room does not import the room.
"""

import ast
import functools
import importlib
from collections.abc import Callable
from pathlib import Path


def contents(package: str, file: str) -> tuple[Callable, Callable]:
    """`__getattr__` and `__dir__` of the package whose `__init__.py` is `file`. Its `__all__`, for
    `from package import *`, is what the block lists."""

    def get(name: str) -> object:
        if name == "__all__":
            return sorted(homes(file))
        if name not in homes(file):
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(importlib.import_module(homes(file)[name]), name)

    return get, lambda: sorted(homes(file))


@functools.cache
def homes(file: str) -> dict[str, str]:
    """Name -> the module that the block imports it from."""
    tree = ast.parse(Path(file).read_text(encoding="utf-8"))
    found: dict[str, str] = {}
    for block in tree.body:
        if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING":
            for line in block.body:
                if isinstance(line, ast.ImportFrom) and line.module:
                    found |= {alias.name: line.module for alias in line.names}
    return found
