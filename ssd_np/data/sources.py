"""What `--data` names, and the source behind it. Every kind of data is spelled here and only here.

shapes                    generated pictures
voc:FOLDER[+FOLDER...]    Pascal VOC's layout; the split names a list of ImageSets/Main, or several.
                          Without lists, XML beside the images of FOLDER, or of FOLDER/train, ...
coco:FILE.json:IMAGES     COCO's layout; {split} in it stands for the split
coco:FOLDER               Roboflow's: FOLDER/{split}/_annotations.coco.json beside the images
yolo:data.yaml            Ultralytics' YOLO; or the folder with the data.yaml
csv:FILE.csv[:IMAGES]     a table of boxes with a header; {split} in it stands for the split
csv:FOLDER                Roboflow's: FOLDER/{split}/_annotations.csv

The text alone is checked without loading a reader, for the command line reads it before anything.
"""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ssd_np.errors import DataError, NoSuchSplit
from ssd_np.signatures import checked

if TYPE_CHECKING:
    from ssd_np.data.items import Source

FOLDER = "folder:"  # a folder of pictures for each class, which pretraining reads
KINDS = ("voc", "coco", "yolo", "csv")
STORED = (
    "voc:FOLDER[+FOLDER...], coco:FILE.json:IMAGES, coco:FOLDER, yolo:data.yaml, csv:FILE.csv "
    "or csv:FOLDER"
)
SHAPES = "shapes"
WHOLE = ""  # data without splits
TABLES = {"coco": "_annotations.coco.json", "csv": "_annotations.csv"}  # as Roboflow calls them


@checked
def is_stored(text: str) -> bool:
    """Whether the text means stored data, and not a file by its path."""
    return text.partition(":")[0] in KINDS and ":" in text


def check_spec(spec: str) -> None:
    """DataError if the text is no name of stored data."""
    if not isinstance(spec, str):
        raise DataError(f"{spec!r} is no data set", hint=f"known: {STORED}")
    kind, _, place = spec.partition(":")
    annotations, colon, images = place.partition(":")
    incomplete = kind == "coco" and (annotations.endswith(".json") or colon) and not images
    if spec.startswith(FOLDER):
        raise DataError(f"{spec!r} has classes, no boxes", hint="it is for ssd-np pretrain")
    if kind not in KINDS or not place or not annotations or incomplete:
        raise DataError(f"{spec!r} is no data set", hint=f"known: {STORED}")


def open_source(spec: str, split: str, classes: Sequence[str] | None = None) -> Source:
    """The source that `spec` and a split name, with all or some of its classes. DataError if
    nothing is there."""
    if classes is not None:
        from ssd_np.data.subset import SubsetSource

        return SubsetSource(open_source(spec, split), classes)
    from ssd_np.data.splits import ALL, JoinedSource, open_split, resolve_all

    check_spec(spec)
    kind, _, place = spec.partition(":")
    if kind == "voc" and any(_voc_lists(place)):
        from ssd_np.data.voc import VOCSource

        return VOCSource(voc_roots(place), split)
    parts = _parts(kind, place)
    if WHOLE in parts:
        return open_split(parts[WHOLE](), split)
    found, missing = resolve_all(split, list(parts))
    if missing or not found:
        table = place.partition(":")[0]
        what, where = f"no such split: {missing!r}", place
        if "{split}" in place:
            what, where = "no such annotation file", table.replace("{split}", missing)
        known = ", ".join([*sorted(parts), ALL]) if parts else "none"
        raise NoSuchSplit(what, where, f"the split is {missing!r}; splits there: {known}")
    sources = {name: parts[name]() for name in found}
    return next(iter(sources.values())) if len(sources) == 1 else JoinedSource(sources)


@checked
def listed_splits(spec: str) -> list[str] | None:
    """The splits that the data brings, sorted; None where it brings none, and two can be drawn."""
    check_spec(spec)
    kind, _, place = spec.partition(":")
    if kind == "voc" and any(found := _voc_lists(place)):
        return sorted(set.intersection(*found))
    parts = _parts(kind, place)
    return None if WHOLE in parts else sorted(parts)


@checked
def usual_splits(spec: str, other: str | None = None) -> tuple[str, str]:
    """The splits to train and to evaluate on where nobody asks for others: `trainval` and `test`;
    without a `test`, `train` and `val`, which are drawn where the data brings no split.

    `other` is data of its own to evaluate on: `test`, `val`, or all of it; then all of the first
    is trained on, but its `test`.
    """
    from ssd_np.data.splits import ALL, TRAINVAL, resolve

    def first(names: tuple[str, ...], known: list[str]) -> str | None:
        return next((name for name in names if resolve(name, known)), None)

    apart = other is not None and other != spec
    shapes = [TRAINVAL, "test"]
    known, measured = (shapes if s == SHAPES else listed_splits(s) for s in (spec, other or spec))
    if measured is None:
        evaluated = ALL if apart else "val"
    else:
        evaluated = first(("test", "val"), measured) or "test"
    if known is None:
        return (ALL if apart else "train"), evaluated
    if evaluated == "val" and not apart:
        return "train", evaluated
    return first((TRAINVAL, "train"), known) or TRAINVAL, evaluated


@checked
def describe(spec: str, split: str) -> str:
    """For people: which images these are."""
    if "{split}" in spec:
        return spec.replace("{split}", split)
    return f"{spec}, split {split}"


@checked
def voc_roots(place: str) -> list[str]:
    """The folders of FOLDER+FOLDER; a "+" in the name of an existing folder is part of it."""
    return [place] if os.path.isdir(place) else place.split("+")


def _voc_lists(place: str) -> list[set[str]]:
    """The splits for which each of the folders has a list of images."""
    from ssd_np.data.voc import list_splits

    return [list_splits(Path(root)) for root in voc_roots(place)]


def _parts(kind: str, place: str) -> dict[str, Callable[[], Source]]:
    """What opens each split, or, under WHOLE, data that has none."""
    if kind == "yolo":
        from ssd_np.data.yolo import open_splits

        return _whole_if_single(open_splits(place))
    if kind == "voc":
        from ssd_np.data.splits import ALL
        from ssd_np.data.voc import VOCSource, split_folders

        roots = voc_roots(place)
        folders = split_folders(Path(roots[0])) if len(roots) == 1 else []
        if not folders:
            return {WHOLE: partial(VOCSource, roots, ALL)}
        return _whole_if_single({f.name: partial(VOCSource, f, ALL) for f in folders})
    table, _, images = place.partition(":")
    if (not images and not table.endswith((".json", ".csv"))) or os.path.isdir(table):
        if not os.path.isdir(table):
            raise DataError("no such folder", where=table)
        inside = Path(table, TABLES[kind])
        if os.path.isfile(inside):
            return {WHOLE: _opener(kind, str(inside), table)}
        pattern, images = f"{table}/{{split}}/{TABLES[kind]}", f"{table}/{{split}}"
        if not (found := _matches(kind, pattern, images)):
            raise DataError(f"holds no {TABLES[kind]}, and no folder with one", where=table)
        return _whole_if_single(found)
    if "{split}" not in place:
        return {WHOLE: _opener(kind, table, images)}
    return _matches(kind, table, images)


def _whole_if_single(parts: Mapping[str, Callable[[], Source]]) -> dict[str, Callable[[], Source]]:
    """A folder that has nothing but a `train` brings no split."""
    return {WHOLE: parts["train"]} if set(parts) == {"train"} else dict(parts)


def _matches(kind: str, table: str, images: str) -> dict[str, Callable[[], Source]]:
    """What opens each table that a path with {split} in it stands for."""
    before, *after = table.split("{split}")
    # the part of the path that differs is one name, and the same wherever it stands
    rest = "(?P=split)".join(map(re.escape, after))
    names = re.compile(f"{re.escape(before)}(?P<split>[^/]+){rest}")
    files = glob.glob("*".join(map(glob.escape, [before, *after])))
    splits = sorted(match["split"] for file in files if (match := names.fullmatch(file)))
    places = {split: [p.replace("{split}", split) for p in (table, images)] for split in splits}
    return {split: _opener(kind, *place) for split, place in places.items()}


def _opener(kind: str, table: str, images: str) -> Callable[[], Source]:
    if kind == "csv":
        from ssd_np.data.csv_boxes import CsvSource

        return partial(CsvSource, table, images or None)
    from ssd_np.data.coco import CocoSource

    return partial(CocoSource, images, table)
