"""Reader of Ultralytics' YOLO layout: a data.yaml, images, and a text of boxes for each.

    data.yaml             names of the classes; path, train, val, test: folders, or lists of images
    images/train/a.jpg    an image
    labels/train/a.txt    its objects, a line each: class x y width height

The classes count from 0; x and y are the centre of the box, all four in fractions of the image. The
text lies where "images" in the path is "labels", else beside its image; without one, or without a
line in it, an image has no objects. A line of more numbers is an outline, x y x y ..., of which the
surrounding box is taken.

The paths of data.yaml say where the data are, so they may lie anywhere; the names in a list of
images lead to files below the list's folder (`reading.py`).
"""

import math
import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from ssd_np.boxes.coords import center_to_corner, clip
from ssd_np.data.data_yaml import Value, read_data_yaml
from ssd_np.data.image import ENDINGS
from ssd_np.data.items import Item, Labelled, Problem, Source
from ssd_np.data.reading import LISTING, below, read_text
from ssd_np.errors import DataError
from ssd_np.signatures import checked

SPLITS = ("train", "val", "test")
KEYS = ("path", "names", "nc", "kpt_shape", *SPLITS)
ROUNDING = 1e-3  # of the image: an edge beyond the border by less is at the border
MOST = 1.01  # of a fraction; above it, it is none


class YoloSource(Source):
    """The items of some images, with the class names of their data.yaml."""

    def __init__(self, where: Path, class_names: tuple[str, ...], images: dict[str, Path]) -> None:
        self.class_names: tuple[str, ...] = class_names
        self._where, self._images = where, images
        labels = [label_file(image) for image in images.values()]
        if not any(os.path.exists(path) for path in labels):
            what = f"none of the {len(images)} images has a text of labels"
            raise DataError(what, str(where), f"the first would be {labels[0]}")

    def __str__(self) -> str:
        return str(self._where)

    def __len__(self) -> int:
        return len(self._images)

    def items(self) -> Iterator[Item | Problem]:
        outlines = 0
        for name, image in self._images.items():
            path = label_file(image)
            try:
                text = read_text(path, "label file") if os.path.exists(path) else ""
                lines = enumerate(text.splitlines(), 1)
                rows = [parse_line(line, f"{path}: line {i}") for i, line in lines if line.strip()]
            except DataError as error:
                yield Problem("annotation", "left out", error.where, error.what)
                continue
            objects = []
            for i, (label, numbers, is_outline) in enumerate(rows):
                fault = self._fault(label, numbers, path, i)
                if fault is not None:
                    yield fault
                    continue
                outlines += is_outline
                objects.append(Labelled(i, self.class_names[label], numbers.tolist()))
            corners = center_to_corner(np.reshape([o.numbers for o in objects], (-1, 4)))
            inside = clip(corners)  # edges at the border, as far as rounding moved them
            corners = np.where(np.abs(corners - inside) < ROUNDING, inside, corners)
            yield Item(name, name, image, str(path), None, corners, objects, True)
        if outlines:
            what = f"{outlines} objects are outlines (polygons); the box around each is taken"
            yield Problem("outline", "kept", str(self), what)

    def _fault(self, label: int, numbers: np.ndarray, path: Path, index: int) -> Problem | None:
        """What is wrong with an object, apart from what `stored.box_faults` sees."""
        known = len(self.class_names)
        if label >= known:
            which = f"0 to {known - 1}" if known > 1 else "0"
            what = f"class {label}, but data.yaml names {known}: {which}"
            return Problem("class", "stops", str(path), what, index)
        if numbers.max() > MOST:
            what = f"has {numbers.max():g}; YOLO's boxes are fractions of the image, not pixels"
            name = self.class_names[label]
            return Problem("above 1", "left out", str(path), what, index, name)
        return None


def parse_line(line: str, where: str) -> tuple[int, np.ndarray, bool]:
    """A line of a label file: the class, the box (x, y, width, height), whether it is an outline's.
    DataError for anything else."""
    words = line.split() or ["nothing"]
    try:
        numbers = np.array([float(word) for word in words])
    except ValueError:
        numbers = np.array([math.nan])
    if not np.isfinite(numbers).all() or numbers[0] < 0 or numbers[0] != int(numbers[0]):
        raise DataError(f"{line.strip()[:60]!r} is no class and its box", where)
    label, rest = int(numbers[0]), numbers[1:]
    if len(rest) == 4:
        return label, rest, False
    if len(rest) >= 6 and len(rest) % 2 == 0:
        points = rest.reshape(-1, 2)
        low, high = points.min(axis=0), points.max(axis=0)
        return label, np.concatenate([(low + high) / 2, high - low]), True
    extra = "; the last is a score, so these are predictions" if len(rest) == 5 else ""
    raise DataError(f"{len(words)} numbers, expected class x y width height{extra}", where)


def label_file(image: Path) -> Path:
    """Where the text of an image's labels is: the last folder "images" becomes "labels"."""
    parts = list(image.with_suffix(".txt").parts)
    if "images" in parts[:-1]:
        last = len(parts) - 2 - parts[-2::-1].index("images")
        parts[last] = "labels"
    return Path(*parts)


# --- data.yaml -----------------------------------------------------------------------------------


@checked
def open_splits(place: str) -> dict[str, partial[YoloSource]]:
    """For each split that a data.yaml (or the one in a folder) names, what opens it. One of which
    nothing is there is none: Roboflow writes a `test` whether it exports one or not. Nor is one
    that is `train` once more, as in Ultralytics' small examples: it would measure what was learned.
    """
    path = find_yaml(Path(place))
    content = read_data_yaml(path, KEYS)
    if content.get("kpt_shape") is not None:
        raise DataError("its labels are key points (kpt_shape), not boxes", where=str(path))
    names = class_names(content.get("names"), content.get("nc"), path)
    base = content.get("path")
    base = base if isinstance(base, str) else ""
    found = {split: content[split] for split in SPLITS if content.get(split)}
    if not found:
        raise DataError("names no images", str(path), "train: FOLDER, val: FOLDER")
    opened = {split: partial(_open, path, names, value, base) for split, value in found.items()}
    for split in found.keys() - {"train"}:
        places = _places(path, found[split], base)
        learned = "train" in found and places == _places(path, found["train"], base)
        if learned or not any(map(os.path.exists, places)):
            del opened[split]
    return opened


@checked
def find_yaml(place: Path) -> Path:
    """The data.yaml itself, or the one of its folder."""
    if not os.path.isdir(place):
        return place
    found = sorted(p for p in place.iterdir() if p.suffix in (".yaml", ".yml"))
    usual = [p for p in found if p.stem == "data"] or found
    if len(usual) != 1:
        what = "several .yaml files" if usual else "no data.yaml"
        raise DataError(f"{what} in this folder", str(place), "name it: yolo:FOLDER/data.yaml")
    return usual[0]


@checked
def class_names(names: Value, count: Value, path: Path) -> tuple[str, ...]:
    """The names of a data.yaml, in the order of their numbers from 0."""
    if not names:
        raise DataError("has no names of classes", str(path), "names: [cat, dog]")
    if isinstance(names, dict):
        numbers = list(map(str, range(len(names))))
        if set(names) != set(numbers):
            told = ", ".join(names)
            raise DataError(f"names has the numbers {told}", str(path), "they count from 0")
        names = [names[number] for number in numbers]
    if isinstance(names, str) or not all(names) or len(set(names)) < len(names):
        raise DataError(f"names is {names!r}", str(path), "a list of names, each another")
    if count is not None and count != str(len(names)):
        what = f"nc is {count}, but names has {len(names)}"
        raise DataError(what, str(path), "make them agree: a name for each class")
    return tuple(names)


def _open(path: Path, names: tuple[str, ...], value: Value, base: str) -> YoloSource:
    """The images of one split: of a folder, of a list of names, or of several of these."""
    images: dict[str, Path] = {}
    for place in _places(path, value, base):
        for name, file in list_images(place).items():
            images[str(file) if name in images else name] = file
    if not images:
        raise DataError(f"holds no images ({', '.join(ENDINGS[:4])}, ...)", f"{path}: {value}")
    return YoloSource(path, names, images)


def _places(path: Path, value: Value, base: str) -> list[Path]:
    """Where the parts of a split lie: below `path:`, or beside data.yaml; Roboflow's "../train" is
    `train` there. Of one that is nowhere, where it was to be."""
    found = []
    for part in [value] if isinstance(value, str) else list(value or ()):
        folders, names = (path.parent / base, path.parent), (part, part.removeprefix("../"))
        tried = [folder / name for name in names for folder in folders]
        found.append(next(filter(os.path.exists, tried), tried[0]))
    return found


@checked
def list_images(place: Path) -> dict[str, Path]:
    """The image files below a folder, or those that a list names, by their names there."""
    if os.path.isdir(place):
        files = sorted(p for p in place.rglob("*") if p.suffix.lower() in ENDINGS)
        return {str(file.relative_to(place)): file for file in files}
    if not os.path.exists(place):
        hint = "below `path:`, or beside data.yaml"
        raise DataError("no such folder, or list of images", str(place), hint)
    names = read_text(place, "list of images", LISTING).split("\n")
    return {name: below(place.parent, name, str(place)) for name in map(str.strip, names) if name}
