"""Pascal VOC's layout: Annotations/*.xml, JPEGImages, ImageSets/Main/<split>.txt.

Also that of labelImg and others: images and XML side by side in one folder. Where no list of the
name exists, the split "all" is every annotation there.

VOC counts pixels from 1: a coordinate v of an image of `size` pixels becomes (v - 1) / size,
clipped to [0, 1], for all four sides alike. The development kit's "+1" on widths is not used.
"""

import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from ssd_np.checks import check_list
from ssd_np.data.image import ENDINGS
from ssd_np.data.items import Item, Labelled, Problem, Source
from ssd_np.data.reading import LISTING, below, read_text
from ssd_np.data.splits import ALL, resolve
from ssd_np.data.stored import StoredDataset
from ssd_np.data.voc_annotation import Annotation, parse_annotation
from ssd_np.errors import DataError, NoSuchSplit
from ssd_np.files import as_path
from ssd_np.signatures import checked

PREFERRED = (".jpg", ".jpeg", ".png")  # of several files with one stem; all others come last


class VOCDataset(StoredDataset):
    """Images and truths of one or several VOC folders.

    root        the folder that holds Annotations, JPEGImages and ImageSets, or XML beside images;
                or a list of folders
    split       a name of ImageSets/Main, or several: "train+val" or ["train", "val"]. Several roots
                and splits go together pairwise (07+12); a single root or split serves all others.
    class_names, keep_difficult, and what is left out: see StoredDataset
    """

    def __init__(
        self,
        root: str | Path | Sequence[str | Path],
        split: str | Sequence[str],
        class_names: Sequence[str] | None = None,
        keep_difficult: bool = True,
    ) -> None:
        super().__init__(VOCSource(root, split), class_names, keep_difficult)


class VOCSource(Source):
    """The items of one or several VOC folders; root and split as in VOCDataset.

    The size of the *image* counts: a wrong one in the XML is more frequent than an image resized.
    An image is there once, however often the lists name it.
    """

    def __init__(self, root: str | Path | Sequence[str | Path], split: str | Sequence[str]) -> None:
        pairs = pair_roots(root, split)
        self._roots = list(dict.fromkeys(folder for folder, _ in pairs))
        self._files: dict[Path, tuple[str, Path]] = {}  # by annotation: id, image's folder
        self._times: Counter[Path] = Counter()
        for folder, part in pairs:
            annotations, images = layout(folder)
            for name, times in read_ids(folder, part, annotations).items():
                xml = below(annotations, f"{name}.xml", f"{folder}: split {part}")
                self._files[xml] = name, images
                self._times[xml] += times

    def __str__(self) -> str:
        return "+".join(map(str, self._roots))

    def __len__(self) -> int:
        return len(self._files)

    def items(self) -> Iterator[Item | Problem]:
        folders = {folder for _, folder in self._files.values()}
        by_stem = {folder: images_by_stem(folder) for folder in folders}
        for xml, (name, folder) in self._files.items():
            if self._times[xml] > 1:
                what = f"{self._times[xml]} times in the split; it is taken once"
                yield Problem("duplicate image", "kept", str(xml), what)
            yield _item_or_problem(name, xml, by_stem[folder])

    def item_of(self, image: Path) -> Item:
        files = [layout(root)[0] / f"{image.stem}.xml" for root in self._roots]
        for xml in files:
            if os.path.isfile(xml):
                return annotation_of(xml, image)
        raise DataError("no annotation of this image", where=str(files[0]))


def read_item(name: str, xml: Path, by_stem: dict[str, Path]) -> Item | Problem:
    """The image of id `name` with its annotation: its file is found by the id, else by the
    annotation's <filename>, for extensions vary."""
    annotation = parse_annotation(xml)
    image = by_stem.get(name) or by_stem.get(Path(annotation.filename).stem)
    if image is None:
        what = f"no image of the name {name!r}"
        return Problem("no image", "left out", str(xml), what)
    return make_item(name, xml, annotation, image)


def _item_or_problem(name: str, xml: Path, by_stem: dict[str, Path]) -> Item | Problem:
    try:
        return read_item(name, xml, by_stem)
    except DataError as error:
        return Problem("annotation", "left out", error.where or str(xml), error.what)


def make_item(name: str, xml: Path, annotation: Annotation, image: Path) -> Item:
    """The item of an annotation and an image that belong together."""
    boxes = np.array([o.pixels for o in annotation.objects]).reshape(-1, 4) - 1  # from 0
    objects = [
        Labelled(i, item.name, item.pixels, item.difficult)
        for i, item in enumerate(annotation.objects)
    ]
    return Item(name, name, image, str(xml), annotation.size, boxes, objects)


def annotation_of(xml: Path, image: Path) -> Item:
    """What one XML file says of one image. DataError if it is of another: neither the file nor the
    <filename> in it has the image's name."""
    annotation = parse_annotation(xml)
    told = annotation.filename.replace("\\", "/")  # as Windows writes it
    if image.stem not in (xml.stem, Path(told).stem):
        what = f"is the annotation of another image, {annotation.filename!r}"
        raise DataError(what, str(xml), f"the image is {image}")
    return make_item(image.stem, xml, annotation, image)


# --- the folder ----------------------------------------------------------------------------------


def pair_roots(
    root: str | Path | Sequence[str | Path], split: str | Sequence[str]
) -> list[tuple[Path, str]]:
    """Which split is read of which folder; see VOCDataset."""
    roots = [*root] if isinstance(root, list | tuple) else [root]
    names = split.split("+") if isinstance(split, str) else split
    check_list(names, str, "split")
    splits = list(names)
    if len(splits) == 1:
        splits *= len(roots)
    if len(roots) == 1:
        roots *= len(splits)
    if len(roots) != len(splits) or not roots:
        hint = "give as many of both, or one that serves all"
        raise DataError(f"{len(roots)} folders and {len(splits)} splits", hint=hint)
    return [(as_path(folder), name.strip()) for folder, name in zip(roots, splits, strict=True)]


@checked
def layout(root: Path) -> tuple[Path, Path]:
    """The folders of the annotations and of the images: VOC's two, or one for both."""
    if not os.path.isdir(root):
        raise DataError("no such folder", where=str(root))
    if os.path.isdir(root / "Annotations"):
        return root / "Annotations", root / "JPEGImages"
    if any(root.glob("*.xml")):
        return root, root
    hint = "it has neither a folder Annotations nor XML files beside its images"
    raise DataError("is no folder of Pascal VOC's layout", str(root), hint)


@checked
def read_ids(root: Path, split: str, annotations: Path) -> Counter[str]:
    """The image ids of ImageSets/Main/<split>.txt, and how often each is there; a flag behind an id
    (-1, 0, 1) is ignored."""
    folder = root / "ImageSets" / "Main"
    path = folder / f"{split}.txt"
    if not os.path.lexists(path):
        if split == ALL:
            return Counter(sorted(file.stem for file in annotations.glob("*.xml")))
        if parts := resolve(split, sorted(list_splits(root))):
            return sum((read_ids(root, part, annotations) for part in parts), Counter())
        known = ", ".join([*sorted(list_splits(root)), ALL])
        hint = f"splits there: {known}; a new one is a file with the name of an image a line"
        raise NoSuchSplit(f"no such split: {split!r}", where=str(path), hint=hint)
    ids: Counter[str] = Counter()
    for line, times in Counter(read_text(path, "split", LISTING).splitlines()).items():
        if line.strip():
            ids[re.sub(r"\s+(-1|0|1)$", "", line.strip())] += times
    if not ids:
        raise DataError("the split names no images", where=str(path))
    return ids


@checked
def list_splits(root: Path) -> set[str]:
    """The splits for which a list of images is there."""
    folder = root / "ImageSets" / "Main"
    return {file.stem for file in folder.glob("*.txt")} if os.path.isdir(folder) else set()


@checked
def split_folders(root: Path) -> list[Path]:
    """The folders train/, ... in which XML lies beside its images, where `root` holds none."""
    if not os.path.isdir(root) or os.path.isdir(root / "Annotations") or any(root.glob("*.xml")):
        return []
    return sorted(folder for folder in root.iterdir() if any(folder.glob("*.xml")))


def images_by_stem(folder: Path) -> dict[str, Path]:
    """The image files of a folder by file name without extension."""
    if not os.path.isdir(folder):
        raise DataError("no such folder", where=str(folder), hint="VOC keeps its images there")
    names = sorted(name for name in os.listdir(folder) if name.lower().endswith(ENDINGS))
    found: dict[str, Path] = {}
    for ending in (*PREFERRED, ENDINGS):
        for name in names:
            if name.lower().endswith(ending) and (stem := os.path.splitext(name)[0]) not in found:
                found[stem] = folder / name
    return found
