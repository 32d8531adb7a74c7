"""Reader of COCO's layout: a folder of images and one JSON file of instances.

COCO's categories have ids from 1 to 90, of which 80 are in use. A data set's labels have no gaps:
the categories of its file, in the order of their ids, are 1, 2, 3, ... Boxes are (x, y, width,
height) in pixels counted from 0, so x / width of the image is a fraction without more ado.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from ssd_np.boxes.coords import clip
from ssd_np.data.image import read_image
from ssd_np.data.voc import Problem
from ssd_np.errors import DataError
from ssd_np.records import Sample, Truth

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
COCO_LABELS = {number: label for label, number in enumerate(COCO_CATEGORIES, 1)}  # 1..90 -> 1..80


class CocoDataset:
    """Images and truths of one instances file.

    images       the folder of the image files
    annotations  the JSON file, with the lists "images", "categories" and "annotations"

    Crowd regions stay in the truth, flagged: evaluation needs them, training leaves them out.
    Images without objects are kept. `area` is the annotation's own. The image sizes are the file's.
    Left out and listed in `problems`: images without a file, with all their objects; boxes without
    area in their image, with the annotation's id. Everything else that is wrong raises DataError
    naming file and annotation.
    `category_ids[k - 1]` is the file's id of label k, `image_ids[i]` that of image i.
    """

    def __init__(self, images: str | Path, annotations: str | Path) -> None:
        path = Path(annotations)
        content = read_instances(path)
        categories = _by_id(content["categories"], f"{path}: category")
        self.category_ids = sorted(categories)
        self.class_names = tuple(
            str(field(categories[number], "name", str, f"{path}: category {number}"))
            for number in self.category_ids
        )
        for number, name in zip(self.category_ids, self.class_names, strict=True):
            if not name.strip() or self.class_names.count(name) > 1:
                what = f"name {name!r} is empty or not unique"
                raise DataError(what, where=f"{path}: category {number}")
        labels = {number: label for label, number in enumerate(self.category_ids, 1)}

        self.problems: list[Problem] = []
        records = _by_id(content["images"], f"{path}: image")
        files = self._find_files(Path(images), path, records)
        if records and not files:
            raise DataError(
                f"none of the {len(records)} images can be used; the first: {self.problems[0]}"
            )
        self.image_ids, self._files = list(files), list(files.values())
        self.names = [file.name for file in self._files]
        objects: dict[int, list[tuple]] = {number: [] for number in records}
        for number, item in _by_id(content["annotations"], f"{path}: annotation").items():
            where = f"{path}: annotation {number}"
            image = _known(field(item, "image_id", int, where), records, "image", where)
            category = _known(field(item, "category_id", int, where), labels, "category", where)
            size = image_size(records[image], f"{path}: image {image}")
            box = clip(pixels_to_fractions(pixel_box(item, where), size))
            if box[2] <= box[0] or box[3] <= box[1]:
                what = f"box {item['bbox']} has no area in the image; left out"
                name = self.class_names[labels[category] - 1]
                if image in files:
                    self.problems.append(Problem(str(path), number, name, what, left_out=True))
                continue
            area = item.get("area", (box[2] - box[0]) * (box[3] - box[1]) * size[0] * size[1])
            if not _is_number(area):
                raise DataError(f"area is {area!r}, expected a number", where=where)
            objects[image].append((box, labels[category], bool(item.get("iscrowd", 0)), area))
        self._truths = [
            _truth(objects[number], image_size(records[number], f"{path}: image {number}"))
            for number in files
        ]

    def _find_files(self, folder: Path, path: Path, records: dict[int, dict]) -> dict[int, Path]:
        """The image files by id; those that do not exist become problems."""
        files = {}
        for number, record in records.items():
            file = folder / field(record, "file_name", str, f"{path}: image {number}")
            if os.path.isfile(file):  # and not an error of a name that no file can have
                files[number] = file
            else:
                what = f"no such image file: {file}; the image is left out"
                where = f"{path}: image {number}"
                self.problems.append(Problem(where, None, "", what, left_out=True))
        return files

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> Sample:
        return Sample(read_image(self._files[index]), self._truths[index], self.names[index])

    def truth(self, index: int) -> Truth:
        """The objects of image `index`, without decoding the image."""
        return self._truths[index]


def _truth(objects: list[tuple], size: tuple[int, int]) -> Truth:
    if not objects:
        return Truth(np.empty((0, 4)), [], size=size)
    boxes, labels, crowd, area = zip(*objects, strict=True)
    return Truth(np.array(boxes), labels, crowd=crowd, area=area, size=size)


# --- the file ------------------------------------------------------------------------------------


def read_instances(path: Path) -> dict[str, list]:
    """The JSON file's content; DataError if it is missing, no JSON, or no list of instances."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DataError("no such annotation file", where=str(path)) from error
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"not a readable JSON file: {error}", where=str(path)) from error
    for key in ("images", "categories", "annotations"):
        if not isinstance(content, dict) or not isinstance(content.get(key), list):
            raise DataError(
                f"has no list {key!r}", where=str(path), hint="expected COCO's instances format"
            )
    return content


def _by_id(records: list, where: str) -> dict[int, dict]:
    """Records by their "id", in the file's order."""
    found: dict[int, dict] = {}
    for i, record in enumerate(records):
        number = field(record, "id", int, f"{where} at position {i}")
        if number in found:
            raise DataError("its id occurs twice", where=f"{where} {number}")
        found[number] = record
    return found


def field(record: Any, key: str, kind: type, where: str) -> Any:
    """A required entry of a JSON object, of a given type."""
    value = record.get(key) if isinstance(record, dict) else None
    too_large = isinstance(value, int) and not _is_number(value)
    if not isinstance(value, kind) or isinstance(value, bool) or too_large:
        words = {int: "a whole number", str: "a text", list: "a list"}
        raise DataError(f"{key} is {value!r}, expected {words[kind]}", where=where)
    return value


def _known(number: int, known: dict, what: str, where: str) -> int:
    if number not in known:
        raise DataError(f"there is no {what} {number} in the file", where=where)
    return number


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


def _is_number(value: Any) -> bool:
    """Finite, and exact as a float64: JSON has whole numbers of any size."""
    return isinstance(value, int | float) and abs(value) <= MAX_NUMBER


def pixels_to_fractions(box: tuple[float, ...], size: tuple[int, int]) -> np.ndarray:
    """(x, y, width, height) in pixels -> corner box (4,), not clipped; size (height, width)."""
    x, y, w, h = box
    height, width = size
    return np.array([x / width, y / height, (x + w) / width, (y + h) / height])
