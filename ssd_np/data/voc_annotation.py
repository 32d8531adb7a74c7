"""One annotation file of Pascal VOC: XML, checked as far as it can be without the image."""

import math
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path

from ssd_np.data.reading import read_bytes
from ssd_np.errors import DataError
from ssd_np.terminal import fault_of_name


@dataclass(frozen=True)
class VOCObject:
    """An object as the XML has it: (xmin, ymin, xmax, ymax) in pixels counted from 1."""

    name: str
    pixels: tuple[float, float, float, float]
    difficult: bool


@dataclass(frozen=True)
class Annotation:
    """One XML file. `size` is (height, width), or None where the file does not tell."""

    filename: str
    size: tuple[int, int] | None
    objects: tuple[VOCObject, ...]


class _NoDoctype(ElementTree.TreeBuilder):
    """Refuses document types: entities can expand a small file to fill the memory."""

    def doctype(self, *_: object) -> None:
        raise DataError("XML with a DOCTYPE is refused", hint="remove the <!DOCTYPE ...> line")


def parse_annotation(path: Path) -> Annotation:
    """Reads one XML file. Raises DataError naming the file and, where it is one's, the object."""
    data = read_bytes(path, "annotation file")
    try:
        # a target of our own is half the speed; a zero byte is UTF-16, all else writes "<!" so
        plain = b"<!" not in data and b"\0" not in data
        parser = ElementTree.XMLParser(target=None if plain else _NoDoctype())
        root = ElementTree.fromstring(data, parser)
    except DataError as error:
        raise DataError(error.what, str(path), error.hint) from error
    except (ElementTree.ParseError, ValueError, LookupError) as error:  # the latter two: encoding
        raise DataError(f"XML can not be parsed: {error}", where=str(path)) from error
    objects = tuple(
        _parse_object(node, f"{path}: object {i}") for i, node in enumerate(root.findall("object"))
    )
    return Annotation(_text(root, "filename"), _parse_size(root), objects)


def _text(node: ElementTree.Element, tag: str) -> str:
    return (node.findtext(tag) or "").strip()


def _parse_size(root: ElementTree.Element) -> tuple[int, int] | None:
    try:
        height, width = int(_text(root, "size/height")), int(_text(root, "size/width"))
    except ValueError:
        return None
    return height, width


def _parse_object(node: ElementTree.Element, where: str) -> VOCObject:
    told = _texts(node)
    if not (name := told.get("name", "")):
        raise DataError("object without a <name>", where=where)
    if fault := fault_of_name(name):
        raise DataError(f"its <name> {fault}", where=where)
    where = f"{where} ({name})"
    inner = node.find("bndbox")
    box = {} if inner is None else _texts(inner)
    left, top = _coordinate(box, "xmin", where), _coordinate(box, "ymin", where)
    right, bottom = _coordinate(box, "xmax", where), _coordinate(box, "ymax", where)
    return VOCObject(name, (left, top, right, bottom), told.get("difficult") == "1")


def _texts(node: ElementTree.Element) -> dict[str, str]:
    """What is in a node by tag, looked through once; of several the first counts."""
    return {child.tag: (child.text or "").strip() for child in reversed(node)}


def _coordinate(box: dict[str, str], key: str, where: str) -> float:
    text = box.get(key, "")
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise DataError(f"<{key}> of its <bndbox> is {text!r}, expected a number", where=where)
    return value
