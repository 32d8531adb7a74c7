"""An exercise's file: the library's own source with the bodies of some functions left out.

The source is read with `ast`: signatures, docstrings, the imports and helper functions they need.
The results of the worked example are computed by the library at that moment.
"""

from __future__ import annotations

import ast
import importlib
import inspect
from collections.abc import Iterable

import numpy as np

from ssd_np.exercises.catalog import LESSONS
from ssd_np.exercises.exercise import Exercise

HEAD = '''"""Exercise {name}, of lesson {lesson:02}: {title}.

Write the body of {functions}, which {verb} in {path}.

{idea}
{hint}
A worked example, which `python -m doctest {file}` tries:

{example}

Graded by {tests}: results, not the refusal of bad input.

    ssd-np exercise check {file}
"""

{imports}

EXERCISE = "{name}"  # whose tests grade this file
'''


def blank_file(exercise: Exercise, file: str) -> str:
    """The text of the file `file` to start from."""
    source = Source(exercise.module)
    bodies = [source.signature(f) + "\n" + _not_written(f, file) for f in exercise.functions]
    names = source.closure({*source.names_of_signatures(exercise.functions), *exercise.given, "np"})
    return _file(exercise, file, source, names, bodies)


def reference_file(exercise: Exercise, file: str) -> str:
    """The same with the library's own bodies: what must pass the tests."""
    source = Source(exercise.module)
    bodies = [source.segment(source.functions[f]) for f in exercise.functions]
    used = {n for f in exercise.functions for n in _names(source.nodes[f])}
    names = source.closure({*exercise.given, *used} - {*exercise.functions})
    return _file(exercise, file, source, names, bodies)


def _file(exercise: Exercise, file: str, source: Source, names: set[str], bodies: list[str]) -> str:
    names = names - {*exercise.functions}
    idea = inspect.cleandoc(ast.get_docstring(source.tree) or "")
    head = HEAD.format(
        name=exercise.name,
        lesson=exercise.lesson,
        title=LESSONS[exercise.lesson],
        functions=" and ".join(f"`{f}`" for f in exercise.functions),
        verb="stands" if len(exercise.functions) == 1 else "stand",
        path=exercise.module.replace(".", "/") + ".py",
        idea=idea,
        hint=f"\n{exercise.hint}\n" if exercise.hint else "",
        example=worked_example(exercise),
        tests=f"ssd_np/exercises/graded/{exercise.tests}",
        file=file,
        imports=source.imports(names),
    )
    blocks = [head, *source.helpers(names), *bodies]
    return "\n\n\n".join(block.strip("\n") for block in blocks) + "\n"


def _not_written(function: str, file: str) -> str:
    return f'    raise NotImplementedError("{function} is not written yet, in {file}")'


def worked_example(exercise: Exercise) -> str:
    """The example as a doctest, with what the library answers."""
    names = dict(vars(importlib.import_module(exercise.module)), np=np)
    lines = []
    for line in exercise.example:
        lines.append(f">>> {line}")
        if isinstance(ast.parse(line).body[0], ast.Expr):
            lines.append(repr(eval(line, names)))
        else:
            exec(line, names)
    return "\n".join(lines)


class Source:
    """The top level of a module: its functions, constants, classes and imports by name."""

    def __init__(self, module: str) -> None:
        self.module = module
        self.text = inspect.getsource(importlib.import_module(module))
        self.tree = ast.parse(self.text)
        self.nodes: dict[str, ast.stmt] = {}  # defined here
        self.functions: dict[str, ast.FunctionDef] = {}  # those of them that are functions
        self.origins: dict[str, ast.Import | ast.ImportFrom] = {}
        for node in self.tree.body:
            if isinstance(node, ast.Import | ast.ImportFrom):
                self.origins |= {alias.asname or alias.name: node for alias in node.names}
            elif isinstance(node, ast.FunctionDef | ast.ClassDef):
                self.nodes[node.name] = node
                if isinstance(node, ast.FunctionDef):
                    self.functions[node.name] = node
            elif isinstance(node, ast.Assign):
                names = [n for t in node.targets for n in ast.walk(t) if isinstance(n, ast.Name)]
                self.nodes |= {name.id: node for name in names}

    def signature(self, function: str) -> str:
        """From `def` to the end of the docstring."""
        node = self.functions[function]
        first = node.body[0]
        documented = ast.get_docstring(node) is not None
        last = first.end_lineno if documented else first.lineno - 1
        return "\n".join(self.text.splitlines()[node.lineno - 1 : last])

    def names_of_signatures(self, functions: Iterable[str]) -> set[str]:
        """What arguments, defaults and annotations refer to."""
        found: set[str] = set()
        for function in functions:
            node = self.functions[function]
            found |= _names(node.args) | (_names(node.returns) if node.returns else set())
        return found

    def closure(self, names: set[str]) -> set[str]:
        """These names and all that the helpers among them use."""
        waiting, found = set(names), set()
        while waiting:
            name = waiting.pop()
            if name in found or name not in self.nodes.keys() | self.origins.keys():
                continue
            found.add(name)
            if self._copied(name):
                waiting |= _names(self.nodes[name])
        return found

    def _copied(self, name: str) -> bool:
        """Plain functions and constants are copied; classes and kernels stay in the library."""
        node = self.nodes.get(name)
        return isinstance(node, ast.Assign) or (
            isinstance(node, ast.FunctionDef) and not node.decorator_list
        )

    def imports(self, names: set[str]) -> str:
        """The library's import statements, cut down to these names."""
        groups: dict[str, list[str]] = {"__future__": [], "": [], "ssd_np": []}
        for node in dict.fromkeys(self.origins.values()):
            package = (getattr(node, "module", None) or "").split(".")[0]
            kept = [alias for alias in node.names if (alias.asname or alias.name) in names]
            if kept or package == "__future__":
                cut = type(node)(**{**dict(ast.iter_fields(node)), "names": kept or node.names})
                groups[package if package in groups else ""].append(ast.unparse(cut))
        own = sorted(n for n in names if n in self.nodes and not self._copied(n))
        if own:
            groups["ssd_np"].append(f"from {self.module} import {', '.join(own)}")
        return "\n\n".join("\n".join(sorted(lines)) for lines in groups.values() if lines)

    def helpers(self, names: set[str]) -> list[str]:
        """The source of the helper functions and constants among these names."""
        nodes = dict.fromkeys(n for name, n in self.nodes.items() if name in names)
        copied = {self.nodes[name]: None for name in names if self._copied(name)}
        return [self.segment(node) for node in nodes if node in copied]

    def segment(self, node: ast.stmt) -> str:
        """The lines of a statement as they stand."""
        return ast.get_source_segment(self.text, node) or ""


def _names(node: ast.AST) -> set[str]:
    return {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
