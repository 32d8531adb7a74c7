"""The part of YAML that `data.yaml` files are written in, and no more of it.

    path: ../datasets/chess      # a text, plain or in quotes
    train: [images/a, images/b]  # a list, or a line `- images/a` each
    names: {0: bishop, 1: king}  # a map, or a line `0: bishop` each

That is what Ultralytics and Roboflow write. Keys that are not asked for are passed over with all
that stands below them; what else stands at one that is asked for (anchors, tags, texts over several
lines) is refused by its line, for YAML has more ways to say a thing than are known here.
"""

import json
import re
from pathlib import Path

from ssd_np.data.reading import MIB, read_text
from ssd_np.errors import DataError
from ssd_np.signatures import checked

Value = str | list[str] | dict[str, str] | None
QUOTED = r""""(?:\\.|[^"\\])*"|'(?:''|[^'])*\'"""
TEXT = rf"""((?:{QUOTED})\s*|(?:[^][{{}},:\s"']|:(?!\s))(?:[^][{{}},:]|:(?!\s))*)"""
ENTRY = re.compile(rf"\s*(?:{TEXT}:\s+)?{TEXT}(?:,|$)")  # of a list or map in brackets
PAIR = re.compile(rf"""({QUOTED}|[^\s:"'#-][^:"'#]*?)\s*:(?:\s+(.*))?""")  # a line `key: rest`


@checked
def read_data_yaml(path: Path, wanted: tuple[str, ...]) -> dict[str, Value]:
    """The values of the keys that are wanted and there; DataError for a line beyond this YAML."""
    blocks: dict[str, list[tuple[str, str]]] = {}  # key -> lines, each with its place
    key = None
    for number, line in enumerate(read_text(path, "data.yaml", MIB).splitlines(), 1):
        line, where = line.rstrip(), f"{path}: line {number}"
        if line in ("", "---") or line.lstrip().startswith("#"):
            continue
        if line[0] in " \t-]}" and key is not None:
            blocks[key].append((line, where))
            continue
        key, rest = _pair(line, where)
        if key in blocks:
            raise DataError(f"has the key {key!r} twice", where)
        blocks[key] = [(rest, where)]
    return {key: _value(blocks[key]) for key in wanted if key in blocks}


def _value(block: list[tuple[str, str]]) -> Value:
    """What stands behind a key and below it: a text, a list, a map, or nothing."""
    lines = [(_without_comment(line), where) for line, where in block]
    (first, where), below = lines[0], [line for line in lines[1:] if line[0]]
    if first.startswith(("[", "{")):
        return _bracketed(" ".join([first, *(line for line, _ in below)]), where)
    if first:
        if below:
            raise _refused(*below[0])
        return _text(first, where)
    if not below:
        return None
    indents = [len(line) - len(line.lstrip()) for line, _ in block[1:] if _without_comment(line)]
    if len(set(indents)) > 1:
        raise _refused(*below[indents.index(max(indents))])
    if below[0][0].startswith("-"):
        return [_text(line.removeprefix("- "), place) for line, place in below]
    pairs = [(*_pair(line, place), place) for line, place in below]
    return {key: _text(rest, place) for key, rest, place in pairs}


def _bracketed(text: str, where: str) -> Value:
    """[a, b] or {a: b, c: d}, of texts."""
    mapping, inner = text[0] == "{", text[1:-1].strip()
    if text[-1] != "]}"[mapping]:
        raise _refused(text, where)
    found, end = [], 0
    while end < len(inner):
        entry = ENTRY.match(inner, end)
        if entry is None or (entry[1] is not None) != mapping:
            raise _refused(text, where)
        found.append((_text(entry[1] or "", where), _text(entry[2], where)))
        end = entry.end()
    return dict(found) if mapping else [value for _, value in found]


def _pair(line: str, where: str) -> tuple[str, str]:
    pair = PAIR.fullmatch(line.strip())
    if pair is None:
        raise _refused(line, where)
    return _text(pair[1], where), pair[2] or ""


def _without_comment(line: str) -> str:
    quote = ""
    for i, (before, letter) in enumerate(zip(f" {line}", line, strict=False)):
        if quote:
            quote = "" if letter == quote and before != "\\" else quote
        elif letter in "\"'" and before in " [{,:'":  # elsewhere it is an apostrophe
            quote = letter
        elif letter == "#" and before == " ":
            return line[:i].strip()
    return line.strip()


def _text(text: str, where: str) -> str:
    """A text without its quotes. A plain one is what it looks like: `no` and `7` are names."""
    text = text.strip()
    if re.fullmatch(r"'(?:''|[^'])*'", text):
        return text[1:-1].replace("''", "'")
    if text.startswith('"'):
        try:
            return str(json.loads(re.sub(r"\\x([0-9a-fA-F]{2})", r"\\u00\1", text)))
        except ValueError as error:
            raise _refused(text, where) from error
    if text.startswith(tuple("'&*!|>%@`?-[{")) or ": " in text or text.endswith(":"):
        raise _refused(text, where)
    return text


def _refused(line: str, where: str) -> DataError:
    known = (
        "plain or quoted texts, and lists and maps of them: names: [a, b], or a line `0: a` each"
    )
    return DataError(f"{line.strip()[:60]!r} is beyond the YAML that is read here", where, known)
