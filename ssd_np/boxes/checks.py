"""The checks of boxes at the public border: each names the argument and says what to do."""

from __future__ import annotations

import numpy as np

from ssd_np.errors import ConfigError, DegenerateBox, ShapeError

IN_PIXELS = "boxes are fractions of the image; divide pixels by its width and height"


def check_boxes(boxes: np.ndarray, name: str) -> np.ndarray:
    """`boxes` as an array (..., 4), or a ShapeError that names the argument."""
    boxes = np.asarray(boxes)
    if boxes.ndim == 0 or boxes.shape[-1] != 4:
        raise ShapeError(
            f"{name} has shape {boxes.shape}", hint="boxes need four numbers in the last axis"
        )
    if boxes.dtype.kind not in "fiu":
        raise ShapeError(f"{name} is {boxes.dtype}", hint="boxes are numbers, float32 or float64")
    return boxes.astype(np.float64) if boxes.dtype.itemsize > 8 else boxes


def check_two_lists(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Two lists of corner boxes, as floats of one type: (A, 4) and (B, 4)."""
    a = check_boxes(a, "a_corner").reshape(-1, 4)
    b = check_boxes(b, "b_corner").reshape(-1, 4)
    dtype = np.result_type(a, b, np.float32)  # whole numbers become floats
    return a.astype(dtype, copy=False), b.astype(dtype, copy=False)


def check_fractions(boxes: np.ndarray, name: str) -> np.ndarray:
    """`boxes`, which must be fractions of the image: pixels are refused."""
    boxes = check_boxes(boxes, name)
    if boxes.size and np.abs(boxes).max() > 2:  # a box may stand out of its image, so not 1
        raise ShapeError(f"{name} holds {np.abs(boxes).max():g}", hint=IN_PIXELS)
    return boxes


def check_grid(boxes_corner: np.ndarray, name: str) -> np.ndarray:
    """The same, for default boxes: of any size, but the middle of most is near the image."""
    boxes = check_boxes(boxes_corner, name)
    if boxes.size and np.abs(boxes).max() <= 2:  # as nearly always: no need to look at middles
        return boxes
    far = np.abs(boxes[..., :2] + boxes[..., 2:]) / 2 > 2  # the middle, across and down
    if 2 * np.count_nonzero(far) > far.size:
        raise ShapeError(f"{name} holds {np.abs(boxes).max():g}", hint=IN_PIXELS)
    return boxes


def check_zone(threshold: float, neutral_threshold: float | None) -> None:
    """A neutral zone, if there is one, ends at the threshold."""
    if neutral_threshold is not None and neutral_threshold > threshold:
        raise ConfigError(
            f"neutral_threshold {neutral_threshold} is above threshold {threshold}",
            hint="the neutral zone is [neutral_threshold, threshold)",
        )


def check_count(count: int | None, name: str) -> int | None:
    """A whole number from 1 on, or None for no limit."""
    if count is not None and (not isinstance(count, int | np.integer) or count < 1):
        raise ConfigError(f"{name} is {count!r}", hint="expected a whole number from 1 on, or None")
    return count


def check_truth(gt_corner: np.ndarray, gt_labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """An image's objects, boxes (G, 4) with an area and a label (G,) from 1 each."""
    gt_corner = check_fractions(gt_corner, "gt_corner").reshape(-1, 4)
    gt_labels = np.asarray(gt_labels)
    if gt_labels.shape != (len(gt_corner),):
        raise ShapeError(
            f"gt_labels has shape {gt_labels.shape}, gt_corner {gt_corner.shape}",
            hint="one label for each box",
        )
    if not len(gt_corner):
        return gt_corner, gt_labels.astype(np.int64)
    if gt_labels.dtype.kind not in "iu":
        raise ShapeError(f"gt_labels are {gt_labels.dtype}", hint="classes are whole numbers")
    if gt_labels.min() < 1:
        raise ShapeError(
            f"gt_labels holds {gt_labels.min()}", hint="classes count from 1, 0 is the background"
        )
    flat = ~((gt_corner[:, 2:] > gt_corner[:, :2]).all(axis=1))  # catches NaN too
    if flat.any():
        row = int(flat.argmax())
        raise DegenerateBox(
            f"xmax <= xmin or ymax <= ymin: {gt_corner[row].tolist()}",
            where=f"gt_corner[{row}]",
            hint="leave boxes without area out of the data",
        )
    return gt_corner, gt_labels


def check_default_boxes(default_boxes: np.ndarray) -> np.ndarray:
    """Default boxes with their variances, (T, 8)."""
    default_boxes = np.asarray(default_boxes)
    if default_boxes.shape[-1:] != (8,):
        raise ShapeError(
            f"default_boxes has shape {default_boxes.shape}",
            hint="expected (T, 8): cx cy w h and four variances",
        )
    return default_boxes


def check_pairs(boxes: np.ndarray, default_boxes: np.ndarray, name: str) -> None:
    """One default box (T, 8) for each of the boxes (..., T, 4)."""
    shapes = boxes.shape[:-1], np.shape(default_boxes)[:-1]
    if shapes[0][len(shapes[0]) - len(shapes[1]) :] != shapes[1]:
        raise ShapeError(
            f"{name} has shape {boxes.shape}, default_boxes {np.shape(default_boxes)}",
            hint="one default box for each: (..., T, 4) and (T, 8)",
        )


def check_area(boxes_center: np.ndarray, name: str) -> None:
    """Boxes in center form have a width and a height, whose logarithms exist."""
    if boxes_center.size and not (boxes_center[..., 2:] > 0).all():
        row = np.argwhere(~(boxes_center[..., 2:] > 0).all(axis=-1))[0]
        raise DegenerateBox(
            f"width and height must be above 0, got {boxes_center[tuple(row)].tolist()}",
            where=f"{name}[{row[0] if len(row) else 0}]",
            hint="leave boxes without area out of the data",
        )


def check_scored(
    boxes: np.ndarray, scores: np.ndarray, expected: str = "(D, 4) and (D,)"
) -> tuple[np.ndarray, np.ndarray]:
    """Corner boxes and a score for each, or, as `expected` says, one for each and each class."""
    boxes, scores = check_boxes(boxes, "boxes_corner"), np.asarray(scores)
    dimensions = 2 if expected.endswith("K)") else 1
    if boxes.ndim != 2 or scores.ndim != dimensions or len(scores) != len(boxes):
        raise ShapeError(
            f"boxes_corner has shape {boxes.shape}, scores {scores.shape}",
            hint=f"expected {expected}",
        )
    return boxes, scores
