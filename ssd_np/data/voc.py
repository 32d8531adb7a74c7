"""Reader of Pascal VOC's folder layout: Annotations/*.xml, JPEGImages, ImageSets/Main/<split>.txt.

VOC counts pixels from 1: a coordinate v of an image of `size` pixels becomes (v - 1) / size,
clipped to [0, 1], for all four sides alike. The development kit's "+1" on widths is not used.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from ssd_np.boxes.coords import clip
from ssd_np.data.image import read_image, read_size
from ssd_np.data.voc_annotation import Annotation, parse_annotation
from ssd_np.errors import DataError
from ssd_np.records import Sample, Truth

PREFERRED = (".jpg", ".jpeg", ".png")  # of several files with one stem; all others come last


@dataclass(frozen=True)
class Problem:
    """Something that was left out or corrected: in which file, at which object (from 0), what."""

    file: str
    object_index: int | None  # None: the file as a whole
    name: str  # class of the object
    what: str
    left_out: bool  # the object, or the image with all of its objects

    def __str__(self) -> str:
        place = "" if self.object_index is None else f": object {self.object_index} ({self.name})"
        return f"{self.file}{place}: {self.what}"


class VOCDataset:
    """Images and truths of one or several VOC folders.

    root        the folder that holds Annotations, JPEGImages and ImageSets; or a list of folders
    split       a name of ImageSets/Main, or several: "train+val" or ["train", "val"]. Several roots
                and splits go together pairwise (07+12); a single root or split serves all others.
    class_names labels in this order, from 1; left out, the names found in the split, sorted
    keep_difficult  False leaves out objects marked as difficult

    All annotations are read at once, so that errors show before the training starts. Left out and
    listed in `problems`: images without a readable annotation, or whose own file is missing or has
    no readable header; boxes without area in their image. Listed too: images whose size is not the
    annotation's (the image's counts). An unknown class, a missing split or folder and a data set of
    which nothing is left raise DataError.
    """

    def __init__(
        self,
        root: str | Path | Sequence[str | Path],
        split: str | Sequence[str],
        class_names: Sequence[str] | None = None,
        keep_difficult: bool = True,
    ) -> None:
        files = [files for pair in pair_roots(root, split) for files in list_files(*pair)]
        self.problems: list[Problem] = []
        usable = []  # (name, XML file, annotation, image file, its size)
        for name, xml, by_stem in files:
            try:
                usable.append((name, xml, *_open_item(name, xml, by_stem)))
            except DataError as error:
                what = f"{error.what}; the image is left out"
                self.problems.append(Problem(error.where, None, "", what, left_out=True))
        if not usable:
            raise DataError(
                f"none of the {len(files)} images can be used; the first: {self.problems[0]}"
            )
        self.names = [name for name, *_ in usable]
        self.class_names = _class_names(class_names, [item[2] for item in usable])
        self._images = [item[3] for item in usable]
        self._truths = [
            self._truth(xml, annotation, size, keep_difficult)
            for _, xml, annotation, _, size in usable
        ]

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> Sample:
        return Sample(read_image(self._images[index]), self._truths[index], self.names[index])

    def truth(self, index: int) -> Truth:
        """The objects of image `index`, without decoding the image."""
        return self._truths[index]

    def _truth(
        self, xml: Path, annotation: Annotation, size: tuple[int, int], keep_difficult: bool
    ) -> Truth:
        if annotation.size not in (None, size):
            what = "annotated as {1} x {0} pixels, the image is {3} x {2}; the image's size is used"
            what = what.format(*annotation.size, *size)
            self.problems.append(Problem(str(xml), None, "", what, left_out=False))
        boxes, labels, difficult = [], [], []
        for i, item in enumerate(annotation.objects):
            if item.difficult and not keep_difficult:
                continue
            if item.name not in self.class_names:
                raise DataError(
                    f"unknown class {item.name!r}",
                    where=f"{xml}: object {i}",
                    hint=f"known: {', '.join(self.class_names)}",
                )
            box = clip(pixels_to_fractions(item.pixels, size))
            if box[2] <= box[0] or box[3] <= box[1]:
                pixels = ", ".join(f"{v:g}" for v in item.pixels)
                what = f"box ({pixels}) has no area in the image; left out"
                self.problems.append(Problem(str(xml), i, item.name, what, left_out=True))
                continue
            boxes.append(box)
            labels.append(self.class_names.index(item.name) + 1)
            difficult.append(item.difficult)
        return Truth(np.reshape(boxes, (-1, 4)), labels, difficult, size=size)


def _open_item(
    name: str, xml: Path, by_stem: dict[str, Path]
) -> tuple[Annotation, Path, tuple[int, int]]:
    """The annotation of an id, its image file and that file's size; DataError if one is missing."""
    annotation = parse_annotation(xml)
    image = find_image(name, annotation.filename, by_stem)
    if image is None:
        raise DataError(f"no image of the name {name!r} in JPEGImages", where=str(xml))
    return annotation, image, read_size(image)


def pixels_to_fractions(pixels: Sequence[float], size: tuple[int, int]) -> np.ndarray:
    """(4,) corner box in pixels counted from 1 -> (4,), not clipped; size (height, width)."""
    height, width = size
    return (np.array(pixels, np.float64) - 1) / (width, height, width, height)


def _class_names(given: Sequence[str] | None, annotations: Iterable[Annotation]) -> tuple[str, ...]:
    if isinstance(given, str):
        raise DataError(
            f"class_names is the text {given!r}, expected a list of names", hint=f"[{given!r}]"
        )
    if given is not None:
        return tuple(given)
    return tuple(sorted({item.name for a in annotations for item in a.objects}))


# --- the folder ----------------------------------------------------------------------------------


def pair_roots(
    root: str | Path | Sequence[str | Path], split: str | Sequence[str]
) -> list[tuple[Path, str]]:
    """Which split is read of which folder; see VOCDataset."""
    roots = [root] if isinstance(root, str | Path) else list(root)
    splits = split.split("+") if isinstance(split, str) else list(split)
    if len(splits) == 1:
        splits *= len(roots)
    if len(roots) == 1:
        roots *= len(splits)
    if len(roots) != len(splits) or not roots:
        raise DataError(
            f"{len(roots)} folders and {len(splits)} splits",
            hint="give as many of both, or one that serves all",
        )
    return [(Path(folder), name.strip()) for folder, name in zip(roots, splits, strict=True)]


def list_files(root: Path, split: str) -> list[tuple[str, Path, dict[str, Path]]]:
    """For each id of a split: the id, its XML file, and all images of the folder by stem."""
    names = read_ids(root, split)
    by_stem = images_by_stem(root / "JPEGImages")
    return [(name, root / "Annotations" / f"{name}.xml", by_stem) for name in names]


def read_ids(root: Path, split: str) -> list[str]:
    """The image ids of ImageSets/Main/<split>.txt; a flag behind an id (-1, 0, 1) is ignored."""
    folder = root / "ImageSets" / "Main"
    path = folder / f"{split}.txt"
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in folder.glob("*.txt")))
        hint = f"splits there: {known}" if known else f"no .txt file in {folder}"
        raise DataError(f"no such split: {split!r}", where=str(path), hint=hint)
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"split can not be read: {error}", where=str(path)) from error
    ids = [re.sub(r"\s+(-1|0|1)$", "", line.strip()) for line in lines if line.strip()]
    if not ids:
        raise DataError("the split names no images", where=str(path))
    return ids


def images_by_stem(folder: Path) -> dict[str, Path]:
    """The image files of a folder by file name without extension."""
    if not folder.is_dir():
        raise DataError("no such folder", where=str(folder), hint="VOC keeps its images there")
    known = Image.registered_extensions()  # of all formats that Pillow reads or writes
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() in known)
    found: dict[str, Path] = {}
    for ending in PREFERRED:
        for path in files:
            if path.suffix.lower() == ending:
                found.setdefault(path.stem, path)
    for path in files:
        found.setdefault(path.stem, path)
    return found


def find_image(name: str, filename: str, by_stem: dict[str, Path]) -> Path | None:
    """The image of id `name`: by the id, else by the annotation's <filename> (extensions vary)."""
    return by_stem.get(name) or by_stem.get(Path(filename).stem)
