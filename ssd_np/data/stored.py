"""A data set of files, whatever their format: images, truths, and what was left out of them."""

from __future__ import annotations

import copy
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ssd_np.boxes.coords import clip
from ssd_np.data.decoding import undecodable
from ssd_np.data.exif import TRANSPOSED, turn_boxes
from ssd_np.data.image import LARGE, Header, halvings, read_header, read_image
from ssd_np.data.items import Effect, Item, Problem, Source
from ssd_np.data.labels import labels_of, similar_names
from ssd_np.errors import DataError
from ssd_np.geometry import Size
from ssd_np.records import Sample, Truth
from ssd_np.terminal import listed

ENOUGH = 4  # times the sides of the input: what a crop enlarges is sharp still
MEMORY = 512 << 20  # bytes of large pictures, made smaller, that a training keeps


class StoredDataset:
    """Images and truths of a source (see `items.py`).

    class_names     labels in this order, from 1; left out, those that the source declares, or the
                    names found in it, sorted
    keep_difficult  False leaves out objects marked as difficult
    drawn           the names of the images of both splits, where the source brought none

    All annotations and the headers of all images are read at once, so that errors show before the
    training starts. Left out and listed in `problems`: images without a readable file or
    annotation, boxes without area in their image. Listed too: sizes that disagree, names of classes
    that look like one. Anything else raises DataError that names the place, as do an unknown class
    and a source of which nothing is left.
    """

    def __init__(
        self, source: Source, class_names: Sequence[str] | None = None, keep_difficult: bool = True
    ) -> None:
        if isinstance(class_names, str):
            what = f"class_names is the text {class_names!r}, expected a list of names"
            raise DataError(what, hint=f"[{class_names!r}]")
        self.drawn: dict[str, list[str]] | None = getattr(source, "drawn", None)
        self.problems: list[Problem] = []
        usable: list[tuple[Item, Header]] = []
        # first all annotations, then all headers: by turns either is read a seventh slower
        for item in [_unless_it_stops(item) for item in source.items()]:
            if isinstance(item, Problem):
                self.problems.append(item)
            elif isinstance(header := header_of(item), Problem):
                self.problems.append(header)
            else:
                usable.append((item, header))
        if not usable and len(source):
            what = f"none of the {len(source)} images can be used; the first: {self.problems[0]}"
            raise DataError(what)
        found = {item.objects[i].name for item, _ in usable for i in range(len(item.objects))}
        names = source.class_names if class_names is None else class_names
        self.class_names = tuple(sorted(found) if names is None else names)
        self.problems += similar_names(self.class_names, str(source))
        self.names = [item.name for item, _ in usable]
        self.image_ids = [item.id for item, _ in usable]
        self.category_ids = source.category_ids or list(range(1, len(self.class_names) + 1))
        self._files = [item.image for item, _ in usable]
        self._pictures = Pictures(LARGE)
        labels = labels_of(self.class_names)
        self._truths = Truths(usable, labels, source.annotated_size, keep_difficult)
        self.problems += self._truths.problems
        self._places = list(range(len(usable)))  # of each image in `_truths`

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> Sample:
        truth, name = self.truth(index), self.names[index]
        image = self._pictures.read(self._files[index], truth.size)
        return Sample(image, truth, name, self.class_names)

    def truth(self, index: int) -> Truth:
        """The objects of image `index`, without decoding the image."""
        return self._truths[self._places[index]]

    def identities(self) -> list[str]:
        """What tells each image from all others: its file, whatever it is called here."""
        return [os.path.realpath(file) for file in self._files]

    def leave_out_undecodable(self) -> None:
        """Decodes every image once (see `decoding.py`); those that can not be are left out, and
        listed in `problems`. DataError if none is left."""
        faults = undecodable(self._files)
        for i, what in faults.items():
            self.problems.append(Problem("image", "left out", str(self._files[i]), what))
        if faults and len(faults) == len(self):
            raise DataError(f"none of the {len(self)} images can be decoded; {self.problems[-1]}")
        self._keep([i for i in range(len(self)) if i not in faults])

    def sized_for(self, shape: Size) -> StoredDataset:
        """The same images, to train on at an input of this height and width: large ones are read at
        a part of their sides, and what was read so is kept, as far as there is room. A photograph
        of 6 megapixels takes longer to read and to change than a network to learn from it."""
        chosen = copy.copy(self)
        chosen._pictures = Pictures(min(LARGE, math.prod(shape) * ENOUGH**2), MEMORY)
        return chosen

    def part(self, indices: Sequence[int]) -> StoredDataset:
        """A data set of some of the images."""
        chosen = copy.copy(self)
        chosen._keep(indices)
        return chosen

    def _keep(self, indices: Sequence[int]) -> None:
        for column in ("names", "image_ids", "_files", "_places"):
            setattr(self, column, [getattr(self, column)[i] for i in indices])


class Pictures:
    """Reads pictures, those of `large` pixels or more smaller; keeps as many of these in memory as
    there is `room` for (bytes), for they take long to decode. Threads may share it: two that read
    one file at once keep the same picture."""

    def __init__(self, large: int, room: int = 0) -> None:
        self.large, self.room = large, room
        self.kept: dict[Path, np.ndarray] = {}

    def read(self, file: Path, size: Size | None) -> np.ndarray:
        """The picture in a file that has this size, if that is known."""
        kept = self.kept.get(file)
        if kept is not None:
            return kept
        image = read_image(file, self.large)
        if size and halvings(size, self.large) and self.room >= image.nbytes:
            self.kept[file] = image
            self.room -= image.nbytes
        return image


def _unless_it_stops(found: Item | Problem) -> Item | Problem:
    if isinstance(found, Problem) and found.effect == "stops":
        raise DataError(found.what, found.place)
    return found


class Truths:
    """The truths of many images in a few columns: each is made when it is asked for.

    `problems` has what was left out or corrected. DataError for an unknown class.
    """

    def __init__(
        self,
        usable: Sequence[tuple[Item, Header]],
        labels: Mapping[str, int],
        annotated_size: bool,
        keep_difficult: bool = True,
    ) -> None:
        for item, _ in usable:
            check_classes_of(item, labels)
        placed = [place(item, header, annotated_size) for item, header in usable]
        counts = np.array([len(item.objects) for item, _ in usable], int)
        boxes = np.concatenate([np.zeros((0, 4)), *(boxes for boxes, _ in placed)])  # (M, 4)
        starts = np.concatenate([[0], np.cumsum(counts)])
        kept = np.ones(len(boxes), bool)
        faulty = {i for i, (_, problem) in enumerate(placed) if problem}
        bad = np.flatnonzero(~_good(boxes))
        faulty |= set((np.searchsorted(starts, bad, "right") - 1).tolist())
        self.problems: list[Problem] = []
        for i in sorted(faulty):
            (item, header), (mine, problem) = usable[i], placed[i]
            self.problems += [problem] if problem else []
            for row, fault in enumerate(box_faults(item, mine, header.size), start=starts[i]):
                if fault and fault.left_out:
                    self.problems.append(fault)
                    kept[row] = False
        objects = [labelled for item, _ in usable for labelled in item.objects]
        difficult = np.array([o.difficult for o in objects], bool)
        if not keep_difficult:
            kept &= ~difficult
        boxes = clip(boxes)
        self._sizes = [header.size for _, header in usable]
        height, width = np.repeat(np.reshape(self._sizes, (-1, 2)), counts, axis=0).T
        sides = boxes[:, 2:] - boxes[:, :2]
        area = np.array([np.nan if o.area is None else o.area for o in objects], float)
        area = np.where(np.isnan(area), sides[:, 0] * sides[:, 1] * height * width, area)
        columns: dict[str, Any] = {
            "boxes_corner": boxes,
            "labels": np.array([labels[o.name] for o in objects], np.int64),
            "difficult": difficult,
            "crowd": np.array([o.crowd for o in objects], bool),
            "area": area,
        }
        self._columns: dict[str, Any] = {name: column[kept] for name, column in columns.items()}
        Truth(**self._columns)  # all of them once: what no truth can be is said now
        self._starts = np.concatenate([[0], np.cumsum(kept)])[starts].tolist()

    def __getitem__(self, index: int) -> Truth:
        rows = slice(self._starts[index], self._starts[index + 1])
        columns = {name: column[rows].copy() for name, column in self._columns.items()}
        return Truth(**columns, size=self._sizes[index])


def check_classes_of(item: Item, labels: Mapping[str, int]) -> None:
    """DataError for an object of another class."""
    for labelled in item.objects:
        if labelled.name not in labels:
            what = f"unknown class {labelled.name!r}"
            hint = f"known: {listed([*labels])}; eval and train leave others out by --classes"
            raise DataError(what, f"{item.where}: object {labelled.object_index}", hint)


def header_of(item: Item) -> Header | Problem:
    """What the image's file says before its pixels."""
    try:
        return read_header(item.image)
    except DataError as error:
        return Problem("image", "left out", str(item.image), error.what)


def place(item: Item, header: Header, annotated_size: bool) -> tuple[np.ndarray, Problem | None]:
    """Boxes (G, 4) as fractions of the image as `read_image` gives it, not clipped; and a problem
    where the annotation claims another size.

    If that is the size before the camera's turn, the boxes were drawn in the picture as stored,
    and are turned like its pixels. Otherwise either the image was resized since (`annotated_size`),
    or the claim is wrong and the boxes are pixels of the image.
    """
    size, turned = header.size, False
    problem = None
    if item.size not in (None, header.size):
        turned = header.orientation in TRANSPOSED and item.size == header.size[::-1]
        size = item.size if turned or annotated_size else header.size
        told, found = (f"{size[1]} x {size[0]}" for size in (item.size, header.size))
        what = f"annotated as {told} pixels, the image is {found}; "
        if turned:
            what += f"its boxes are turned with it (EXIF orientation {header.orientation})"
        else:
            what += ("the annotated" if annotated_size else "the image's") + " size is used"
        problem = Problem("turned" if turned else "size", "kept", item.where, what)
    elif header.orientation != 1 and not (
        item.size and header.orientation in TRANSPOSED and size[0] != size[1]
    ):
        what = f"the camera turned it (EXIF orientation {header.orientation}), and no size tells "
        what += "whether the boxes were drawn before or after; taken as after"
        problem = Problem("turned", "kept", item.where, what)
    height, width = (1, 1) if item.fractions else size
    boxes = item.boxes_pixel / (width, height, width, height)
    return turn_boxes(boxes, header.orientation) if turned else boxes, problem


def box_faults(item: Item, boxes: np.ndarray, size: tuple[int, int]) -> list[Problem | None]:
    """For each of an item's boxes (G, 4), placed but not clipped, what is wrong with it, if
    anything. Those that reach beyond the image are kept, those without area in it left out."""
    inside = clip(boxes)
    sides, shown = boxes[:, 2:] - boxes[:, :2], inside[:, 2:] - inside[:, :2]
    faults: list[Problem | None] = [None] * len(boxes)
    for i in np.flatnonzero(~_good(boxes)).tolist():
        labelled = item.objects[i]
        box = "box (" + ", ".join(f"{number:g}" for number in labelled.numbers) + ")"
        picture = f"the image of {size[1]} x {size[0]} pixels"
        effect: Effect = "left out"
        if sides[i].min() < 0:
            kind, what = "reversed box", "ends before it begins"
        elif sides[i].min() == 0:
            kind, what = "no area", "has no area"
        elif shown[i].min() <= 0:
            kind, what = "outside", f"lies outside {picture}"
        else:
            kind, effect = "outside", "kept"
            what = f"reaches beyond {picture}; it is clipped"
        what = f"{box} {what}"
        faults[i] = Problem(kind, effect, item.where, what, labelled.object_index, labelled.name)
    return faults


def _good(boxes: np.ndarray) -> np.ndarray:
    """(M, 4) -> (M,): with an area, and inside the image."""
    return (boxes[:, 2:] > boxes[:, :2]).all(axis=1) & (boxes == clip(boxes)).all(axis=1)
