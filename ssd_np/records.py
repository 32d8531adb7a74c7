"""The three things that travel between the rooms: a truth, a sample, and detections.

All boxes are corner boxes (xmin, ymin, xmax, ymax) as fractions of the image in [0, 1].
Labels count from 1; 0 is the background and never appears in a record.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ssd_np.errors import ShapeError


@dataclass(frozen=True)
class Truth:
    """The annotated objects of one image.

    boxes_corner  (G, 4) float64
    labels        (G,) int64, from 1
    difficult     (G,) bool: too hard to count in Pascal VOC's metric; default none
    crowd         (G,) bool: COCO's region of many objects, used in evaluation only; default none
    area          (G,) float64, square pixels: the annotation's own (COCO measures the outline);
                  default the area of the box
    size          (height, width) of the image in pixels
    """

    boxes_corner: np.ndarray
    labels: np.ndarray
    difficult: np.ndarray | None = None
    crowd: np.ndarray | None = None
    area: np.ndarray | None = None
    size: tuple[int, int] = (1, 1)

    def __post_init__(self) -> None:
        boxes = _check_boxes(self.boxes_corner)
        count = len(boxes)
        width, height = (boxes[:, 2:] - boxes[:, :2]).T
        box_area = width * height * self.size[0] * self.size[1]
        columns = {
            "boxes_corner": boxes,
            "labels": _check_labels(self.labels),
            "difficult": _flags(self.difficult, count),
            "crowd": _flags(self.crowd, count),
            "area": box_area if self.area is None else np.asarray(self.area, np.float64),
        }
        for name, column in columns.items():
            if len(column) != count:
                raise ShapeError(
                    f"Truth.{name} has {len(column)} rows, boxes_corner has {count}",
                    hint="one row for each object",
                )
            object.__setattr__(self, name, column)

    def __len__(self) -> int:
        return len(self.labels)


def _check_boxes(boxes_corner: np.ndarray) -> np.ndarray:
    boxes = np.asarray(boxes_corner)
    if boxes.size and (boxes.shape[-1] != 4 or boxes.dtype.kind not in "fiu"):
        raise ShapeError(
            f"Truth.boxes_corner is {boxes.shape} {boxes.dtype}", hint="expected numbers (G, 4)"
        )
    if boxes.size and np.abs(boxes).max() > 2:  # a box may stand out of its image, so not 1
        raise ShapeError(
            f"Truth.boxes_corner holds {np.abs(boxes).max():g}",
            hint="boxes are fractions of the image; divide pixels by its width and height",
        )
    return boxes.astype(np.float64).reshape(-1, 4)


def _check_labels(labels: np.ndarray) -> np.ndarray:
    labels = np.asarray(labels).reshape(-1)
    whole = labels.dtype.kind in "iuf" and (labels == np.trunc(labels)).all()
    if labels.size and not whole:
        raise ShapeError(f"Truth.labels are {labels.dtype}", hint="classes are whole numbers")
    if labels.size and labels.min() < 1:
        raise ShapeError(
            f"Truth.labels holds {labels.min()}", hint="classes count from 1, 0 is the background"
        )
    return labels.astype(np.int64)


def _flags(values: np.ndarray | None, count: int) -> np.ndarray:
    return np.zeros(count, bool) if values is None else np.asarray(values, bool)


@dataclass(frozen=True)
class Sample:
    """One item of a data set: an RGB image (H, W, 3) uint8, its truth, a name to report it by."""

    image: np.ndarray
    truth: Truth
    name: str

    def __post_init__(self) -> None:
        shape, dtype = np.shape(self.image), getattr(self.image, "dtype", type(self.image).__name__)
        if len(shape) != 3 or shape[2] != 3 or dtype != np.uint8:
            channels_first = len(shape) == 3 and shape[0] == 3 and dtype == np.uint8
            hint = "it looks like (3, H, W); use image.transpose(1, 2, 0)"
            raise ShapeError(
                f"its image is {shape} {dtype}, expected (H, W, 3) uint8",
                where=self.name,
                hint=hint if channels_first else "data.image.read_image reads files so",
            )


@dataclass(frozen=True)
class Detections:
    """What a detector found in one image, best first.

    boxes_corner (D, 4), labels (D,) int64 from 1, scores (D,) in (0, 1]; names of the classes
    without the background: label k is names[k - 1].
    """

    boxes_corner: np.ndarray
    labels: np.ndarray
    scores: np.ndarray
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.labels)
