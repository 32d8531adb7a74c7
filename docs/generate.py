"""Writes what follows from the code anew: rooms' tables of contents, trees, the order of reading.

    python docs/generate.py

tests/course/test_generated.py fails where a text is not what this would write.
"""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "ssd_np"
# rooms whose __init__.py offers their public names
OPEN = ("nn", "kinds", "boxes", "loss", "model", "data", "fit", "infer", "evaluate", "viz", "train")
FOLDERS = {  # of the top level
    "ssd_np/": "the package, room by room",
    "examples/": "the lessons of the course, to be run and stepped through",
    "tests/": "a file a concept, in folders: concepts, engine, data, model, commands, course,"
    " reliability",
    "docs/": "these texts; built, they are pages with the lessons' pictures",
}

# what to read in an evening, in this order: (file of the package, names in it, none for all of it)
READING = (
    ("boxes/coords.py", ()),
    ("boxes/iou.py", ()),
    ("boxes/default_boxes.py", ("box_shapes", "default_boxes_for_map", "default_boxes")),
    ("boxes/codec.py", ()),
    ("boxes/matching.py", ()),
    ("boxes/targets.py", ()),
    ("gradcheck.py", ()),
    ("nn/im2col.py", ()),
    ("nn/conv.py", ()),
    ("nn/pool.py", ()),
    ("nn/relu.py", ()),
    ("nn/l2norm.py", ()),
    ("nn/softmax.py", ()),
    ("loss/smooth_l1.py", ()),
    ("loss/cross_entropy.py", ()),
    ("loss/mining.py", ()),
    ("loss/multibox.py", ()),
    ("kinds/kind.py", ()),
    ("kinds/conv.py", ()),
    ("nn/layers.py", ("Conv",)),
    ("model/base.py", ()),
    ("model/heads.py", ()),
    ("model/ssd.py", ()),
    ("nn/sgd.py", ()),
    ("train/schedule.py", ()),
    ("train/trainer.py", ("Trainer",)),
    ("boxes/nms.py", ()),
    ("infer/detect.py", ()),
)
MOST_LINES = 2000


def texts() -> dict[Path, str]:
    """File -> what it should hold."""
    found = {PACKAGE / room / "__init__.py": table_of_contents(PACKAGE / room) for room in OPEN}
    architecture, readme = ROOT / "docs" / "architecture.md", ROOT / "README.md"
    found[readme] = between(readme.read_text(encoding="utf-8"), "tree", tree_of_rooms())
    text = between(architecture.read_text(encoding="utf-8"), "tree", tree_of_files())
    found[architecture] = between(text, "reading", order_of_reading())
    return found


def between(text: str, mark: str, new: str) -> str:
    """The text with what stands between <!-- mark --> and <!-- /mark --> replaced."""
    start, end = f"<!-- {mark} -->\n", f"<!-- /{mark} -->"
    before, rest = text.split(start)
    return before + start + new + end + rest.split(end)[1]


# --- tables of contents --------------------------------------------------------------------------


def table_of_contents(room: Path) -> str:
    """The `__init__.py` of a room: its own docstring, then every public function and class.

    A name that is also a file's name stays the file: `ssd_np.boxes.nms.nms`. Checks of arguments
    are left out.
    """
    doc = ast.get_docstring(ast.parse((room / "__init__.py").read_text(encoding="utf-8")))
    files = sorted(path.stem for path in room.glob("*.py") if path.name != "__init__.py")
    named = {file: public_names(room / f"{file}.py") for file in files if file != "checks"}
    names = [(file, name) for file in named for name in sorted(named[file], key=as_sorted)]
    every = [name for _, name in names]
    lines = [
        f"    from ssd_np.{room.name}.{file} import {name} as {name}"
        for file, name in names
        if name not in files and every.count(name) == 1
    ]
    return "\n".join(
        [
            f'"""{doc}\n"""' if "\n" in doc else f'"""{doc}"""',
            "",
            "from typing import TYPE_CHECKING",
            "",
            "from ssd_np.contents import contents",
            "",
            "if TYPE_CHECKING:",
            *lines,
            "else:",
            "    __getattr__, __dir__ = contents(__name__, __file__)",
            "",
        ]
    )


def public_names(path: Path) -> list[str]:
    """Functions and classes of a file."""
    body = ast.parse(path.read_text(encoding="utf-8")).body
    kinds = (ast.FunctionDef, ast.ClassDef)
    return [node.name for node in body if isinstance(node, kinds) and node.name[0] != "_"]


def as_sorted(name: str) -> tuple[int, str]:
    """As imports are sorted: constants, classes, functions."""
    return 0 if name.isupper() else 1 if name[0].isupper() else 2, name.lower()


# --- trees ---------------------------------------------------------------------------------------


def first_line(path: Path) -> str:
    """Of a file's docstring, without the full stop."""
    doc = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    if not doc:
        raise ValueError(f"{path.relative_to(ROOT)} has no docstring")
    return doc.splitlines()[0].rstrip(".")


def tree_of_rooms() -> str:
    """The top folders, and in the package its rooms and single files."""
    lines = []
    for folder, about in FOLDERS.items():
        lines.append((folder, about))
        if folder == "ssd_np/":
            lines += [(f"  {name}", first_line(path)) for name, path in rooms()]
    return block(lines)


def tree_of_files() -> str:
    """The package, file by file."""
    lines = []
    for name, path in rooms():
        lines.append((name, first_line(path)))
        if path.name == "__init__.py":
            inner = sorted(p for p in path.parent.glob("*.py") if p.name != "__init__.py")
            lines += [(f"  {p.name}", first_line(p)) for p in inner]
            folders = sorted(path.parent.glob("*/__init__.py"))
            lines += [(f"  {p.parent.name}/", first_line(p)) for p in folders]
    return block(lines)


def rooms() -> list[tuple[str, Path]]:
    """In the order of the table in architecture.md: what a room imports stands above it."""
    table = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`.+?) \| .+? \| .+? \|$", table, re.M)
    names = [name for row in rows for name in re.findall(r"`(\w+(?:\.py|/))`", row)]
    return [(n, PACKAGE / n / "__init__.py" if n.endswith("/") else PACKAGE / n) for n in names]


def block(lines: list[tuple[str, str]]) -> str:
    width = max(len(name) for name, _ in lines) + 2
    return "```text\n" + "".join(f"{name:{width}}{about}\n" for name, about in lines) + "```\n"


# --- the order of reading ------------------------------------------------------------------------


def order_of_reading() -> str:
    """A table with the places of READING as they are now, and how many lines they are."""
    rows, total = [], 0
    for number, (file, names) in enumerate(READING, 1):
        first, last = place(PACKAGE / file, names)
        total += last - first + 1
        what = "".join(f" `{name}`" for name in names)
        link = f"[{file}](../ssd_np/{file}){what}"
        about = first_line(PACKAGE / file)
        rows.append(f"| {number} | {link} | {first} to {last} | {about} | {total:,} |")
    if total > MOST_LINES:
        raise ValueError(f"an evening has {MOST_LINES} lines, not {total}")
    head = "| | File | Lines | About | Lines so far |\n|---|---|---|---|---|\n"
    return head + "\n".join(rows) + "\n"


def place(path: Path, names: tuple[str, ...]) -> tuple[int, int]:
    """First and last line of the functions and classes of these names, or of the whole file."""
    text = path.read_text(encoding="utf-8")
    if not names:
        return 1, len(text.splitlines())
    nodes = {node.name: node for node in ast.parse(text).body if hasattr(node, "name")}
    return min(nodes[n].lineno for n in names), max(nodes[n].end_lineno for n in names)


if __name__ == "__main__":
    for file, new in texts().items():
        file.write_text(new, encoding="utf-8")
