"""Writes the pages of examples/one_file: each file beside its notes, marked where it is new.

A page is made of the source itself, so that it can not say anything else. The notes stand in
one_file_notes.txt, each under the line of code that it belongs to. tests/course/test_one_file.py
sees to it that those lines are there.
"""

import ast
import difflib
import html
import re
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

HERE = Path(__file__).parent
SOURCES = HERE.parent / "examples" / "one_file"
TITLES = {
    "ssd0": "one grid, one box a cell",
    "ssd1": "default boxes, matching, encoding",
    "ssd2": "the loss, and every gradient by hand",
    "ssd3": "several maps",
    "ssd": "suppression, and the whole of it",
}


@dataclass(frozen=True)
class Note:
    """A text that belongs to a line of a file, named by the line itself."""

    file: str
    line: str
    text: str


def read_notes() -> list[Note]:
    """The notes of one_file_notes.txt: "= file", then "> line of code" and the text below it."""
    notes: list[Note] = []
    for block in (HERE / "one_file_notes.txt").read_text(encoding="utf-8").split("\n\n"):
        if block.startswith("= "):
            file = block[2:].strip()
        else:
            line, text = block.strip().split("\n", 1)
            notes.append(Note(file, line.removeprefix("> "), " ".join(text.split())))
    return notes


def read_source(file: str) -> list[str]:
    return (SOURCES / f"{file}.py").read_text(encoding="utf-8").splitlines()


def places(file: str) -> dict[int, str]:
    """Line number (from 0) -> note. The last file, read as a whole, shows the others' notes too."""
    lines, found = [line.strip() for line in read_source(file)], {}
    for note in read_notes():
        if note.file == file or (file == "ssd" and lines.count(note.line) == 1):
            found[lines.index(note.line)] = note.text
    return found


def differences(file: str) -> tuple[set[int], dict[int, list[str]]]:
    """Against the file before it: numbers of the new lines, and lines gone, by where they were."""
    before = dict(map(reversed, pairwise(TITLES))).get(file)
    if before is None:
        return set(), {}
    new, gone = set(), {}
    old, now = read_source(before), read_source(file)
    for kind, a0, a1, b0, b1 in difflib.SequenceMatcher(None, old, now, False).get_opcodes():
        if kind != "equal":
            new |= set(range(b0, b1))
            gone[b0] = old[a0:a1]
    return new, {line: text for line, text in gone.items() if any(map(str.strip, text))}


def headers(file: str, changed: set[int]) -> set[int]:
    """Lines with the `def` of a function that holds a changed line: they say where one is."""
    tree = ast.parse("\n".join(read_source(file)))
    spans = [(n.lineno - 1, n.end_lineno) for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)]
    return {first for first, end in spans if changed & set(range(first, end))}


def page(file: str) -> str:
    """The page as reStructuredText around HTML."""
    new, gone = differences(file)
    kept, notes, lines = headers(file, new | set(gone)), places(file), read_source(file)
    coloured = highlight("\n".join(lines), PythonLexer(stripnl=False), HtmlFormatter(nowrap=True))
    parts, part = [], []
    for n, (line, shown) in enumerate(zip(lines, coloured.split("\n"), strict=False)):
        starts = n in notes or line.startswith("# ---")
        if starts and part:
            parts.append(part)
            part = []
        if n in notes:
            part.append(f'<aside class="note">{_text(notes[n])}</aside>')
        if n in gone:
            part.append(_removed(gone[n]))
        kind = "new" if n in new else "kept" if n in kept or n in notes else "same"
        kind += " rule" if line.startswith("# ---") else ""
        indent = len(line) - len(line.lstrip())
        part.append(
            f'<span class="line {kind}" id="l{n + 1}" data-number="{n + 1}" '
            f'style="--indent: {indent + 4}ch">{shown or " "}</span>'
        )
    parts.append(part)
    title = f"{file}.py: {TITLES[file]}"
    switch = ""
    if new:
        before = list(TITLES)[list(TITLES).index(file) - 1]
        switch = (
            '<input type="checkbox" id="only-new"><label for="only-new"> Show only what is new: '
            f"{len(new)} lines, marked green. The rest stands in {before}.py too.</label>"
        )
    body = "\n".join(f'<div class="part">{_part(part)}</div>' for part in parts)
    text = f'{switch}\n<div class="walk highlight">\n{body}\n</div>'
    indented = "\n".join(f"   {line}" for line in text.splitlines())
    return (
        f":hide-toc:\n\n{title}\n{'=' * len(title)}\n\n"
        f"``python examples/one_file/{file}.py`` runs it.\n\n.. raw:: html\n\n{indented}\n"
    )


def _part(part: list[str]) -> str:
    """One row of the page: a note, if there is one, and the lines that it stands beside."""
    note = part[0] if part[0].startswith("<aside") else ""
    return f'{note}<div class="code">{"".join(part[1:] if note else part)}</div>'


def _removed(lines: list[str]) -> str:
    """Lines of the file before that are gone, folded."""
    count = sum(bool(line.strip()) for line in lines)
    word = "line" if count == 1 else "lines"
    text = html.escape("\n".join(lines).strip("\n")).replace("\n", "&#10;")
    return f"<details><summary>instead of {count} {word}</summary><pre>{text}</pre></details>"


def _text(note: str) -> str:
    """Plain text with `code` and [links](to) -> HTML."""
    shown = re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(note, quote=False))
    return re.sub(r"\[([^]]+)\]\(([^)]+)\)", r'<a href="\2">\1</a>', shown)


def write_pages(app) -> None:
    (HERE / "one_file").mkdir(exist_ok=True)
    for file in TITLES:
        (HERE / "one_file" / f"{file}.rst").write_text(page(file), encoding="utf-8")


def lead_to_pages(app, docname, source) -> None:
    """Links to a file, right on GitHub, lead to its page."""
    source[0] = re.sub(
        r"\]\(\.\./examples/one_file/(\w+)\.py\)", r"](one_file/\1.rst)", source[0]
    ).replace("](../examples/one_file)", "](one_file.md)")


def setup(app) -> dict:
    app.connect("builder-inited", write_pages)
    app.connect("source-read", lead_to_pages)
    return {"parallel_read_safe": True}
