"""Pictures of one object each, a folder a class: what a base is pretrained with.

    DIR/train/CLASS/a.jpg, DIR/val/CLASS/b.jpg    folders, or
    DIR/train-0.zip, DIR/train-1.zip, DIR/val.zip  zip files with CLASS/a.jpg in them, or
    DIR/CLASS/a.jpg                                no split: two are drawn, as in splits.py

A zip file is read as it is, picture by picture. Its names are names of classes and pictures, never
places on the disk.
"""

import os
import re
import zipfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from ssd_np.data.decoding import undecodable
from ssd_np.data.image import ENDINGS, LARGE, read_image
from ssd_np.data.labels import labels_of
from ssd_np.data.reading import LISTING, PICTURE, check_regular
from ssd_np.data.splits import ALL, DRAWN, VALIDATION, draw, resolve_all
from ssd_np.errors import DataError, NoSuchSplit
from ssd_np.records import Sample, Truth
from ssd_np.signatures import checked

MOST = 2_000_000  # pictures in a zip file
BROKEN = (zipfile.BadZipFile, RuntimeError, OSError, EOFError)  # RuntimeError: a password


@dataclass(frozen=True)
class Picture:
    """A picture: its class, and its name below the folder, or the zip file, `place`."""

    kind: str
    name: str
    place: Path
    archive: zipfile.ZipFile | None = None

    def __str__(self) -> str:
        return str(self.place / self.name)

    def read(self) -> np.ndarray:
        """(H, W, 3) uint8 RGB. DataError if it can not be read."""
        if self.archive is None:
            return read_image(self.place / self.name, LARGE)
        try:
            size = self.archive.getinfo(self.name).file_size
            if size > PICTURE:
                raise DataError(f"unpacks to {size:,} bytes", hint=f"at most {PICTURE:,}")
            return read_image(self.archive.read(self.name), LARGE)
        except BROKEN as error:
            raise DataError(f"can not be unpacked: {error}", where=str(self)) from error
        except DataError as error:
            raise DataError(error.what, str(self), error.hint) from error


class FolderDataset:
    """Pictures with their class as an object that fills them; see the top of this page.

    class_names  labels in this order, from 1; left out, the names of the folders, sorted
    problems     classes with a single picture, pictures that can not be decoded and are left out
    """

    def __init__(
        self, folder: str | Path, split: str, class_names: Sequence[str] | None = None
    ) -> None:
        self._pictures = list_pictures(Path(folder), split)
        counts = Counter(picture.kind for picture in self._pictures)
        self.class_names = tuple(sorted(counts) if class_names is None else class_names)
        self._labels = labels_of(self.class_names)
        unknown = sorted(set(counts) - set(self._labels))
        if unknown:
            known = f"known: {', '.join(self.class_names[:5])}, ..."
            raise DataError(f"unknown class {unknown[0]!r}", f"{folder}, split {split}", known)
        if len(self.class_names) < 2:
            what = f"has one class, {self.class_names[0]!r}: there is nothing to tell apart"
            raise DataError(what, str(folder), "a folder for each class")
        single = sorted(kind for kind, count in counts.items() if count == 1)
        self.problems = [f"class {kind!r} has one picture" for kind in single]
        columns = ((p.place, p.name, p.read) for p in self._pictures)
        faults = undecodable(*zip(*columns, strict=True))
        self.problems += [f"{self._pictures[i]}: {what}; left out" for i, what in faults.items()]
        self._pictures = [p for i, p in enumerate(self._pictures) if i not in faults]

    def __len__(self) -> int:
        return len(self._pictures)

    def __getitem__(self, index: int) -> Sample:
        picture = self._pictures[index]
        return Sample(picture.read(), self.truth(index), str(picture), self.class_names)

    def truth(self, index: int) -> Truth:
        """One object, as large as the picture."""
        return Truth([[0.0, 0.0, 1.0, 1.0]], [self._labels[self._pictures[index].kind]])

    def identities(self) -> list[str]:
        """What tells each picture from all others."""
        return [os.path.realpath(p.place / p.name) for p in self._pictures]


def splits(folder: Path) -> dict[str, list[Path]]:
    """The folders and zip files of each split; none where the folder holds the classes."""
    if not os.path.isdir(folder):
        what = "is a file: name the folder it is in" if os.path.exists(folder) else "no such folder"
        raise DataError(what, where=str(folder))
    found: dict[str, list[Path]] = {}
    for place in sorted(folder.iterdir()):
        name = re.sub(r"[-_]?\d+$", "", place.name.removesuffix(".zip"))
        known = name in ("train", "test", *VALIDATION)
        if known and (os.path.isdir(place) or place.suffix == ".zip"):
            found.setdefault(name, []).append(place)
    return found


@checked
def list_pictures(folder: Path, split: str) -> list[Picture]:
    """The pictures of a split, sorted; DataError if there are none."""
    known = splits(folder)
    names, missing = resolve_all(split, list(known))
    if not known and (split in DRAWN or split == ALL):
        found = _in_folder(folder)
        wanted = draw([p.name for p in found])[split] if split in DRAWN else None
        found = found if wanted is None else [p for p in found if p.name in set(wanted)]
    elif names and not missing:
        places = [place for name in names for place in known[name]]
        found = [p for place in places for p in (_in_zip if place.suffix else _in_folder)(place)]
    else:
        there = ", ".join([*known, ALL]) if known else f"{', '.join(DRAWN)} (drawn), {ALL}"
        hint = f"splits there: {there}"
        raise NoSuchSplit(f"no such split: {missing or split!r}", str(folder), hint)
    if not found:
        hint = "a folder, or a zip file, with a folder of pictures for each class"
        raise DataError(f"split {split!r} holds no pictures", str(folder), hint)
    return found


def _in_folder(place: Path) -> list[Picture]:
    files = sorted(p for p in place.glob("*/**/*") if p.suffix.lower() in ENDINGS)
    names = [file.relative_to(place) for file in files]
    return [Picture(name.parts[0], str(name), place) for name in names]


def _in_zip(place: Path) -> list[Picture]:
    check_regular(place, "zip file", 64 * LISTING)
    try:
        archive = zipfile.ZipFile(place)
    except (zipfile.BadZipFile, OSError) as error:
        raise DataError(f"is damaged, or no zip file: {error}", where=str(place)) from error
    names = sorted(n for n in archive.namelist() if n.lower().endswith(ENDINGS))
    if len(names) > MOST:
        raise DataError(f"holds {len(names):,} pictures", str(place), f"at most {MOST:,}")
    parts = [PurePosixPath(name).parts for name in names]
    parts = [p for p in parts if len(p) > 1]
    # all in one folder that has folders: that one stands above the classes
    above = len({p[0] for p in parts}) == 1 and all(len(p) > 2 for p in parts)
    return [Picture(p[above], str(PurePosixPath(*p)), place, archive) for p in parts]
