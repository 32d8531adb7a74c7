"""Two ways to write a box, and the way from one to the other.

`corner` form is (xmin, ymin, xmax, ymax), `center` form is (cx, cy, w, h); both are fractions of
the image. IoU and clipping are natural on corners, encoding on centers (SSD paper, section 2.2).
"""

import numpy as np

from ssd_np.errors import ShapeError


def check_boxes(boxes: np.ndarray, name: str) -> np.ndarray:
    """`boxes` as an array (..., 4), or a ShapeError that names the argument."""
    boxes = np.asarray(boxes)
    if boxes.ndim == 0 or boxes.shape[-1] != 4:
        raise ShapeError(
            f"{name} has shape {boxes.shape}", hint="boxes need four numbers in the last axis"
        )
    if boxes.dtype.kind not in "fiu":
        raise ShapeError(f"{name} is {boxes.dtype}", hint="boxes are numbers, float32 or float64")
    return boxes


def check_fractions(boxes: np.ndarray, name: str) -> np.ndarray:
    """The same, for boxes that must be fractions of the image: pixels are refused."""
    boxes = check_boxes(boxes, name)
    if boxes.size and np.abs(boxes).max() > 2:  # a box may stand out of its image, so not 1
        raise ShapeError(
            f"{name} holds {np.abs(boxes).max():g}",
            hint="boxes are fractions of the image; divide pixels by its width and height",
        )
    return boxes


def check_grid(boxes_corner: np.ndarray, name: str) -> np.ndarray:
    """The same, for default boxes: of any size, but the middle of most is near the image."""
    boxes = check_boxes(boxes_corner, name)
    middle = np.abs(boxes[..., :2] + boxes[..., 2:]) / 2
    if boxes.size and np.median(middle) > 2:
        raise ShapeError(
            f"{name} holds {np.abs(boxes).max():g}",
            hint="boxes are fractions of the image; divide pixels by its width and height",
        )
    return boxes


def corner_to_center(boxes: np.ndarray) -> np.ndarray:
    """(xmin, ymin, xmax, ymax) -> (cx, cy, w, h), for any shape (..., 4).

    >>> corner_to_center(np.array([0.0, 0.2, 0.4, 0.6])).tolist()
    [0.2, 0.4, 0.4, 0.39999999999999997]
    """
    boxes = check_boxes(boxes, "boxes")
    xmin, ymin, xmax, ymax = np.moveaxis(boxes, -1, 0)  # each (...)
    return np.stack([(xmin + xmax) / 2, (ymin + ymax) / 2, xmax - xmin, ymax - ymin], axis=-1)


def center_to_corner(boxes: np.ndarray) -> np.ndarray:
    """(cx, cy, w, h) -> (xmin, ymin, xmax, ymax), for any shape (..., 4)."""
    boxes = check_boxes(boxes, "boxes")
    cx, cy, w, h = np.moveaxis(boxes, -1, 0)  # each (...)
    return np.stack([cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2], axis=-1)


def clip(boxes_corner: np.ndarray) -> np.ndarray:
    """Corner boxes cut at the border of the image, [0, 1]."""
    return np.clip(check_boxes(boxes_corner, "boxes_corner"), 0, 1)


def area(boxes_corner: np.ndarray) -> np.ndarray:
    """(..., 4) -> (...): width times height, as a share of the image; 0 for a reversed box."""
    boxes = check_boxes(boxes_corner, "boxes_corner")
    sides = np.maximum(boxes[..., 2:] - boxes[..., :2], 0)
    return sides[..., 0] * sides[..., 1]
