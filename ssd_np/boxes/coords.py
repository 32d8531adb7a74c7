"""Two ways to write a box, and the way from one to the other.

`corner` form is (xmin, ymin, xmax, ymax), `center` form is (cx, cy, w, h); both are fractions of
the image. IoU and clipping are natural on corners, encoding on centers (SSD paper, section 2.2).
"""

import numpy as np

from ssd_np.boxes.checks import check_boxes


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
