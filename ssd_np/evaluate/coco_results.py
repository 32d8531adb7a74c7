"""COCO's file formats for boxes: results (what was detected) and instances (what is there).

A results file is a list of {"image_id", "category_id", "bbox": [x, y, width, height], "score"} in
pixels counted from 0. Every tool that scores COCO submissions reads it, pycocotools first of all.
COCO's own image ids are whole numbers; pycocotools takes texts as well, so that images of a Pascal
VOC folder go by their names.
"""

import math
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ssd_np.checks import check_list, check_shape
from ssd_np.data.reading import LISTING, read_json
from ssd_np.errors import DataError, ShapeError
from ssd_np.evaluate.coco_matching import check_sizes, clean, measured, to_pixels
from ssd_np.files import as_path
from ssd_np.records import Detections, Truth

KINDS: dict[str, type] = {  # of what the lists hold
    "detections": Detections, "truths": Truth, "image_ids": Hashable, "sizes": Sequence,
    "category_ids": object, "class_names": str,
}  # fmt: skip
ImageId = int | str


def to_coco_results(
    detections: Sequence[Detections],
    image_ids: Sequence[ImageId],
    sizes: Sequence[tuple[int, int]],
    category_ids: Sequence[int | None],
) -> list[dict]:
    """The list of a COCO results file.

    One id and one (height, width) for each image; `category_ids[k - 1]` is the id of label k, or
    None for a class that the data set does not have: its detections are left out.
    """
    lists = {"detections": detections, "image_ids": image_ids, "sizes": sizes}
    _require_equal_lengths("image", lists)
    check_list(category_ids, object, "category_ids")
    most = max((int(found.labels.max(initial=0)) for found in detections), default=0)
    if most > len(category_ids):
        raise ShapeError(f"{len(category_ids)} category_ids for label {most}", hint="one a class")
    results = []
    for found, image_id, size in zip(detections, image_ids, sizes, strict=True):
        boxes = _xywh(found.boxes_corner, size)
        for box, label, score in zip(boxes, found.labels, found.scores, strict=True):
            what = {"image_id": image_id, "category_id": category_ids[label - 1]}
            if what["category_id"] is not None:
                results.append({**what, "bbox": box.tolist(), "score": float(score)})
    return results


def from_coco_results(
    results: Sequence[Mapping],
    image_ids: Sequence[ImageId],
    sizes: Sequence[tuple[int, int]],
    category_ids: Sequence[int],
    class_names: Sequence[str],
    where: str = "results",
) -> list[Detections]:
    """The detections of a COCO results file, one item for each of `image_ids`, best first.

    Raises DataError for a result without its keys, or of an image or a category not listed, and for
    an image id that occurs twice; `where` names the file.
    """
    _require_equal_lengths("image", {"image_ids": image_ids, "sizes": sizes})
    _require_equal_lengths("class", {"category_ids": category_ids, "class_names": class_names})
    image_of = {image_id: i for i, image_id in enumerate(image_ids)}
    if len(image_of) < len(image_ids):
        raise DataError("an image id occurs twice in the data set", where=where)
    label_of = {category_id: k for k, category_id in enumerate(category_ids, start=1)}
    check_list(results, object, "results")
    rows: list[list[tuple]] = [[] for _ in image_ids]  # of (x, y, w, h, label, score)
    for i, result in enumerate(results):
        try:
            image, label = image_of[result["image_id"]], label_of[result["category_id"]]
            x, y, w, h = map(float, result["bbox"])
            row = (x, y, w, h, label, float(result["score"]))
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            what = f"not usable ({type(error).__name__}: {error})"
            hint = "needs image_id and category_id from the data set, bbox [x, y, w, h], score"
            raise DataError(what, f"{where}[{i}]", hint) from error
        if not all(map(math.isfinite, row)):
            raise DataError("a number is NaN or infinite", where=f"{where}[{i}]")
        rows[image].append(row)
    pairs = zip(rows, sizes, strict=True)
    return [_detections_from_rows(found, size, tuple(class_names)) for found, size in pairs]


def read_results(path: str | Path) -> list[dict]:
    """The list in a results file; DataError if it is missing or holds something else."""
    results = read_json(as_path(path), "results file", LISTING)
    if not isinstance(results, list):
        raise DataError("is no list", where=str(path), hint="expected COCO's results format")
    return results


def to_coco_instances(
    truths: Sequence[Truth],
    image_ids: Sequence[ImageId],
    category_ids: Sequence[int],
    class_names: Sequence[str],
) -> dict[str, list]:
    """The truth as the content of an instances file, for tools that compare with one.

    `difficult` has no counterpart there and is lost: COCO's metric counts such objects like others.
    """
    _require_equal_lengths("image", {"truths": truths, "image_ids": image_ids})
    _require_equal_lengths("class", {"category_ids": category_ids, "class_names": class_names})
    check_sizes(truths)
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for truth, image_id in zip(truths, image_ids, strict=True):
        (height, width), area = measured(truth)
        size = {"height": height, "width": width}
        images.append({"id": image_id, "file_name": str(image_id), **size})
        for k, box in enumerate(_xywh(truth.boxes_corner, (height, width))):
            number, category = len(annotations) + 1, category_ids[truth.labels[k] - 1]
            what = {"id": number, "image_id": image_id, "category_id": category}
            shape = {"bbox": box.tolist(), "area": float(clean(area[k]))}
            annotations.append({**what, **shape, "iscrowd": int(truth.crowd[k])})
    pairs = zip(category_ids, class_names, strict=True)
    categories = [{"id": number, "name": name} for number, name in pairs]
    return {"images": images, "annotations": annotations, "categories": categories}


def _xywh(boxes_corner: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Corner boxes (D, 4) in fractions -> (x, y, width, height) (D, 4) in pixels."""
    boxes = to_pixels(boxes_corner, size)
    boxes[:, 2:] = clean(boxes[:, 2:] - boxes[:, :2])
    return boxes


def _detections_from_rows(
    rows: list[tuple], size: tuple[int, int], names: tuple[str, ...]
) -> Detections:
    table = np.array(rows, np.float64).reshape(-1, 6)
    table = table[np.argsort(-table[:, 5], kind="stable")]
    height, width = size
    corner = np.hstack([table[:, :2], table[:, :2] + table[:, 2:4]])
    corner /= (width, height, width, height)
    return Detections(corner, table[:, 4].astype(np.int64), table[:, 5], names)


def _require_equal_lengths(each: str, lists: dict[str, Sequence]) -> None:
    for name, values in lists.items():
        check_list(values, KINDS[name], name)
    for size in lists.get("sizes", ()):
        check_shape(size, "(height, width)", 2, 2)
    lengths = {name: len(values) for name, values in lists.items()}
    if len(set(lengths.values())) > 1:
        raise ShapeError(f"lists of different lengths: {lengths}", hint=f"one item for each {each}")
