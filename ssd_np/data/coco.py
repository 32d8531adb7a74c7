"""Reader of COCO's layout: a folder of images and one JSON file of instances.

COCO's categories have ids from 1 to 90, of which 80 are in use. A data set's labels have no gaps:
the categories of its file, in the order of their ids, are 1, 2, 3, ... Boxes are (x, y, width,
height) in pixels counted from 0, so x / width of the image is a fraction without more ado.
"""

import math
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ssd_np.data.items import Item, Labelled, Problem, Source
from ssd_np.data.reading import LISTING, below, read_json
from ssd_np.data.stored import StoredDataset
from ssd_np.errors import DataError
from ssd_np.files import as_path
from ssd_np.signatures import checked
from ssd_np.terminal import LONGEST_NAME, fault_of_name

# The 80 categories of COCO's detection task, by the ids of its files.
COCO_CATEGORIES = {
    1: "person", 2: "bicycle", 3: "car", 4: "motorcycle", 5: "airplane", 6: "bus", 7: "train",
    8: "truck", 9: "boat", 10: "traffic light", 11: "fire hydrant", 13: "stop sign",
    14: "parking meter", 15: "bench", 16: "bird", 17: "cat", 18: "dog", 19: "horse", 20: "sheep",
    21: "cow", 22: "elephant", 23: "bear", 24: "zebra", 25: "giraffe", 27: "backpack",
    28: "umbrella", 31: "handbag", 32: "tie", 33: "suitcase", 34: "frisbee", 35: "skis",
    36: "snowboard", 37: "sports ball", 38: "kite", 39: "baseball bat", 40: "baseball glove",
    41: "skateboard", 42: "surfboard", 43: "tennis racket", 44: "bottle", 46: "wine glass",
    47: "cup", 48: "fork", 49: "knife", 50: "spoon", 51: "bowl", 52: "banana", 53: "apple",
    54: "sandwich", 55: "orange", 56: "broccoli", 57: "carrot", 58: "hot dog", 59: "pizza",
    60: "donut", 61: "cake", 62: "chair", 63: "couch", 64: "potted plant", 65: "bed",
    67: "dining table", 70: "toilet", 72: "tv", 73: "laptop", 74: "mouse", 75: "remote",
    76: "keyboard", 77: "cell phone", 78: "microwave", 79: "oven", 80: "toaster", 81: "sink",
    82: "refrigerator", 84: "book", 85: "clock", 86: "vase", 87: "scissors", 88: "teddy bear",
    89: "hair drier", 90: "toothbrush",
}  # fmt: skip
MAX_NUMBER = 2**53


class CocoDataset(StoredDataset):
    """Images and truths of one instances file.

    images       the folder of the image files
    annotations  the JSON file, with the lists "images", "categories" and "annotations"

    Crowd regions stay in the truth, flagged: evaluation needs them, training leaves them out.
    Images without objects are kept. `area` is the annotation's own. What is left out: see
    StoredDataset; a record that is no record raises DataError naming file and annotation.
    `category_ids[k - 1]` is the file's id of label k, `image_ids[i]` that of image i.
    """

    def __init__(self, images: str | Path, annotations: str | Path) -> None:
        super().__init__(CocoSource(images, annotations))


class CocoSource(Source):
    """The items of one instances file; its boxes are pixels of the sizes that it claims."""

    annotated_size = True

    def __init__(self, images: str | Path, annotations: str | Path) -> None:
        self._folder, self._path = as_path(images), as_path(annotations)
        self._content = read_instances(self._path)
        if not os.path.isdir(self._folder):
            raise DataError("no such folder", str(images), "the images are looked up in it")
        self._names, self._faults = self._categories()
        self.category_ids = sorted(self._names)
        self.class_names = tuple(self._names[number] for number in self.category_ids)

    def __str__(self) -> str:
        return str(self._path)

    def __len__(self) -> int:
        return len(self._content["images"])

    def items(self) -> Iterator[Item | Problem]:
        yield from self._faults
        records: dict[int, tuple[str, Path, tuple[int, int]]] = {}
        for i, record in enumerate(self._content["images"]):
            try:
                number, where = _id(record, f"{self._path}: image", i)
                file = field(record, "file_name", str, where)
                size, image = image_size(record, where), below(self._folder, file, where)
            except DataError as error:
                yield Problem("image record", "stops", error.where, error.what)
                continue
            if number in records:
                yield Problem("duplicate image", "stops", where, "its id occurs twice")
            records[number] = file, image, size
        objects: dict[int, list[Labelled]] = {number: [] for number in records}
        yield from self._objects(objects)
        for number, (file, image, size) in records.items():
            where = f"{self._path}: image {number}"
            if os.path.isfile(image):  # and not an error of a name that no file can have
                boxes = np.array([o.numbers for o in objects[number]], float).reshape(-1, 4)
                boxes[:, 2:] += boxes[:, :2]  # x, y, width, height -> corners
                yield Item(number, file, image, str(self._path), size, boxes, objects[number])
            else:
                yield Problem("no image", "left out", where, f"no such image file: {image}")

    def _categories(self) -> tuple[dict[int, str], list[Problem]]:
        """Names by id, and the records that have none."""
        names: dict[int, str] = {}
        taken: set[str] = set()
        faults = []
        for i, record in enumerate(self._content["categories"]):
            try:
                number, where = _id(record, f"{self._path}: category", i)
                name = field(record, "name", str, where)
            except DataError as error:
                faults.append(Problem("class", "stops", error.where, error.what))
                continue
            if number in names:
                faults.append(Problem("class", "stops", where, "its id occurs twice"))
            elif fault := fault_of_name(name) or ("is not unique" if name in taken else ""):
                what = f"name {name[:LONGEST_NAME]!r} {fault}"
                faults.append(Problem("class", "stops", where, what))
            names[number] = name
            taken.add(name)
        for number in self._unused_parents(names):
            del names[number]
        return names, faults

    def _unused_parents(self, names: dict[int, str]) -> list[int]:
        """Categories that others name as their supercategory, and no object has, are no classes:
        Roboflow's export begins with one."""
        records = [r for r in self._content["categories"] if isinstance(r, dict)]
        parents = {
            r["supercategory"]
            for r in records
            if isinstance(r.get("supercategory"), str) and r["supercategory"] != r.get("name")
        }
        found = {number for number, name in names.items() if name in parents}
        for record in self._content["annotations"] if found else ():
            number = record.get("category_id") if isinstance(record, dict) else None
            if isinstance(number, int):
                found.discard(number)
        return sorted(found)

    def _objects(self, objects: dict[int, list[Labelled]]) -> Iterator[Problem]:
        """Fills in the objects of each image; yields the records that are none."""
        ids: set[int] = set()
        file = str(self._path)
        for i, record in enumerate(self._content["annotations"]):
            try:
                number, image, category, box, area = _numbers(record, file, i)
            except DataError as error:
                yield Problem("annotation", "stops", error.where, error.what)
                continue
            name = self._names.get(category, "")
            if number in ids:
                yield Problem("annotation", "stops", file, "its id occurs twice", number, name)
            ids.add(number)
            if category not in self._names:
                what = f"there is no category {category} in the file"
                yield Problem("class", "stops", file, what, number)
            elif image not in objects:
                what = f"there is no image {image} in the file"
                yield Problem("no image", "stops", file, what, number, name)
            else:
                crowd = bool(record.get("iscrowd", 0))
                objects[image].append(Labelled(number, name, box, False, crowd, area))


# --- the file ------------------------------------------------------------------------------------


@checked
def read_instances(path: Path) -> dict[str, list]:
    """The JSON file's content; DataError if it is missing, no JSON, or no list of instances."""
    content = read_json(path, "annotation file", LISTING, _without_outlines)
    for key in ("images", "categories", "annotations"):
        if not isinstance(content, dict) or not isinstance(content.get(key), list):
            raise DataError(f"has no list {key!r}", str(path), "expected COCO's instances format")
    return content


def _without_outlines(record: dict) -> dict:
    """Most of a file are outlines, which a detector has no use for."""
    record.pop("segmentation", None)
    return record


def _id(record: Any, where: str, position: int) -> tuple[int, str]:
    """The "id" of a record, and how messages name the record."""
    number = field(record, "id", int, f"{where} at position {position}")
    return number, f"{where} {number}"


def field(record: Any, key: str, kind: type, where: str) -> Any:
    """A required entry of a JSON object, of a given type."""
    value = record.get(key) if isinstance(record, dict) else None
    too_large = isinstance(value, int) and not _is_number(value)
    if not isinstance(value, kind) or isinstance(value, bool) or too_large:
        words = {int: "a whole number", str: "a text", list: "a list"}
        raise DataError(f"{key} is {value!r}, expected {words[kind]}", where=where)
    return value


def image_size(record: dict, where: str) -> tuple[int, int]:
    """(height, width) of an image record."""
    height, width = (field(record, key, int, where) for key in ("height", "width"))
    if height < 1 or width < 1:
        raise DataError(f"size of {width} x {height} pixels", where=where)
    return height, width


def pixel_box(item: dict, where: str) -> tuple[float, float, float, float]:
    """(x, y, width, height) of an annotation, four finite numbers."""
    box = field(item, "bbox", list, where)
    if len(box) != 4 or not all(map(_is_number, box)):
        raise DataError(f"bbox is {box!r}, expected four numbers", where=where)
    return tuple(box)


def _numbers(
    record: Any, file: str, position: int
) -> tuple[int, int, int, Sequence[float], float | None]:
    """id, image, category, box and area of an annotation; of one of very many, so what is in order
    is looked at in one go."""
    if type(record) is dict:
        values: Iterator[Any] = map(record.get, ("id", "image_id", "category_id", "bbox", "area"))
        number, image, category, box, area = values
        whole = type(number) is type(image) is type(category) is int
        if whole and type(box) is list and len(box) == 4 and type(area) is float:
            numbers = (number, image, category, *box, area)
            kinds = set(map(type, box)) <= {float, int} and area >= 0
            within = kinds and min(numbers) >= -MAX_NUMBER and max(numbers) <= MAX_NUMBER
            if within and not math.isnan(sum(numbers)):  # which min and max may pass over
                return number, image, category, box, area
    number, where = _id(record, f"{file}: annotation", position)
    image, category = (field(record, f"{key}_id", int, where) for key in ("image", "category"))
    area = record.get("area")
    box = pixel_box(record, where)
    if area is not None and not (_is_number(area) and area >= 0):
        raise DataError(f"area is {area!r}, expected a number", where=where)
    return number, image, category, box, area


def _is_number(value: Any) -> bool:
    """Finite, and exact as a float64: JSON has whole numbers of any size."""
    return isinstance(value, int | float) and abs(value) <= MAX_NUMBER
