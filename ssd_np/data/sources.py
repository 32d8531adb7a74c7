"""What `--data` names, and the source behind it. Every kind of data is spelled here and only here.

shapes                    generated pictures
voc:FOLDER[+FOLDER...]    Pascal VOC's layout; the split names a list of ImageSets/Main, or several
coco:FILE.json:IMAGES     COCO's layout; {split} in it stands for the split

The text alone is checked without loading a reader, for the command line reads it before anything.
"""

from __future__ import annotations

import glob
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from ssd_np.errors import DataError, NoSuchSplit

if TYPE_CHECKING:
    from ssd_np.data.items import Source

STORED = "voc:FOLDER[+FOLDER...] or coco:FILE.json:IMAGES"
SHAPES = "shapes"


def is_stored(text: str) -> bool:
    """Whether the text means stored data, and not a file by its path."""
    return text.startswith(("voc:", "coco:"))


def check_spec(spec: str) -> None:
    """DataError if the text is no name of stored data."""
    kind, _, place = spec.partition(":")
    annotations, _, images = place.partition(":")
    if not ((kind == "voc" and place) or (kind == "coco" and annotations and images)):
        raise DataError(f"{spec!r} is no data set", hint=f"known: {STORED}")


def open_source(spec: str, split: str) -> Source:
    """The source that `spec` and a split name. DataError if nothing is there."""
    check_spec(spec)
    kind, _, place = spec.partition(":")
    if kind == "voc":
        from ssd_np.data.voc import VOCSource

        return VOCSource(voc_roots(place), split)
    from ssd_np.data.coco import CocoSource

    annotations, images = place.replace("{split}", split).split(":", 1)
    if "{split}" in place and not os.path.isfile(annotations):
        raise NoSuchSplit("no such annotation file", annotations, f"the split is {split!r}")
    return CocoSource(images, annotations)


def split_names(spec: str) -> list[str]:
    """The splits that there are, sorted; of data that has none what is read instead."""
    check_spec(spec)
    kind, _, place = spec.partition(":")
    if kind == "voc":
        from ssd_np.data.voc import ALL, list_splits

        found = [list_splits(Path(root)) for root in voc_roots(place)]
        return sorted(set.intersection(*found)) or [ALL]
    pattern = place.partition(":")[0]
    before, *after = pattern.split("{split}")
    if not after:
        return ["trainval"]  # the one file stands for every split
    # the part of the path that differs is one name, and the same wherever it stands
    rest = "(?P=split)".join(map(re.escape, after))
    names = re.compile(f"{re.escape(before)}(?P<split>[^/]+){rest}")
    files = glob.glob("*".join(map(glob.escape, [before, *after])))
    return sorted(match["split"] for file in files if (match := names.fullmatch(file)))


def describe(spec: str, split: str) -> str:
    """For people: which images these are."""
    if spec.startswith("coco:"):
        return spec.replace("{split}", split)
    return f"{spec}, split {split}"


def voc_roots(place: str) -> list[str]:
    """The folders of FOLDER+FOLDER; a "+" in the name of an existing folder is part of it."""
    return [place] if os.path.isdir(place) else place.split("+")
