"""The checks of boxes at the public border: each names the argument and says what to do."""

import numpy as np
from numpy.typing import ArrayLike

from ssd_np.checks import as_array, check_factor, check_whole
from ssd_np.config import Config
from ssd_np.errors import ConfigError, DegenerateBox, ShapeError
from ssd_np.kinds.feature_map import FeatureMap
from ssd_np.nn.checks import check_floats

IN_PIXELS = "boxes are fractions of the image; divide pixels by its width and height"


def check_boxes(boxes: ArrayLike, name: str) -> np.ndarray:
    """`boxes` as an array (..., 4), or a ShapeError that names the argument."""
    boxes = as_array(boxes, name)
    if boxes.ndim == 0 or boxes.shape[-1] != 4:
        hint = "boxes need four numbers in the last axis"
        raise ShapeError(f"{name} has shape {boxes.shape}", hint=hint)
    boxes = as_numbers(boxes, name)
    return boxes.astype(np.float64) if boxes.dtype.itemsize > 8 else boxes


def as_numbers(values: object, name: str, what: str = "boxes") -> np.ndarray:
    """`values` as an array of numbers, or a ShapeError that names the argument."""
    array = as_array(values, name)
    if array.dtype.kind not in "fiu":
        raise ShapeError(f"{name} is {array.dtype}", hint=f"{what} are numbers, float32 or float64")
    return array


def check_two_lists(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Two lists of corner boxes, as floats of one type: (A, 4) and (B, 4)."""
    a = check_boxes(a, "a_corner").reshape(-1, 4)
    b = check_boxes(b, "b_corner").reshape(-1, 4)
    dtype = np.result_type(a, b, np.float32)  # whole numbers become floats
    return a.astype(dtype, copy=False), b.astype(dtype, copy=False)


def check_window(window: ArrayLike) -> np.ndarray:
    """The corners (4,) of a part of a picture."""
    window = check_boxes(window, "window")
    if window.shape != (4,):
        raise ShapeError(f"window has shape {window.shape}", hint="expected (4,)")
    return window


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
    check_factor(threshold, "threshold")
    if neutral_threshold is not None:
        check_factor(neutral_threshold, "neutral_threshold")
    if neutral_threshold is not None and neutral_threshold > threshold:
        what = f"neutral_threshold {neutral_threshold} is above threshold {threshold}"
        raise ConfigError(what, hint="the neutral zone is [neutral_threshold, threshold)")


def check_overlaps(iou: np.ndarray) -> np.ndarray:
    """(G, T) floats."""
    iou = as_numbers(iou, "iou", "overlaps")
    if iou.ndim != 2:
        raise ShapeError(f"iou has shape {iou.shape}", hint="expected (G, T)")
    return iou.astype(np.float32 if iou.dtype.itemsize <= 4 else np.float64, copy=False)


def check_count(count: int | None, name: str) -> int | None:
    """A whole number from 1 on, or None for no limit."""
    known = count is None or (isinstance(count, int | np.integer) and 1 <= count < 1 << 31)
    if not known:
        raise ConfigError(f"{name} is {count!r}", hint="expected a whole number from 1 on, or None")
    return count


def check_truth(gt_corner: np.ndarray, gt_labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """An image's objects, boxes (G, 4) with an area and a label (G,) from 1 each."""
    gt_corner = check_fractions(gt_corner, "gt_corner").reshape(-1, 4)
    gt_labels = as_array(gt_labels, "gt_labels")
    if gt_labels.shape != (len(gt_corner),):
        what = f"gt_labels has shape {gt_labels.shape}, gt_corner {gt_corner.shape}"
        raise ShapeError(what, hint="one label for each box")
    if not len(gt_corner):
        return gt_corner, gt_labels.astype(np.int64)
    if gt_labels.dtype.kind not in "iu":
        raise ShapeError(f"gt_labels are {gt_labels.dtype}", hint="classes are whole numbers")
    if gt_labels.min() < 1:
        hint = "classes count from 1, 0 is the background"
        raise ShapeError(f"gt_labels holds {gt_labels.min()}", hint=hint)
    flat = ~((gt_corner[:, 2:] > gt_corner[:, :2]).all(axis=1))  # catches NaN too
    if flat.any():
        row = int(flat.argmax())
        what = f"xmax <= xmin or ymax <= ymin: {gt_corner[row].tolist()}"
        raise DegenerateBox(what, f"gt_corner[{row}]", "leave boxes without area out of the data")
    return gt_corner, gt_labels


def check_default_boxes(default_boxes: np.ndarray) -> np.ndarray:
    """Default boxes with their variances, (T, 8)."""
    default_boxes = as_numbers(default_boxes, "default_boxes")
    if default_boxes.shape[-1:] != (8,):
        hint = "expected (T, 8): cx cy w h and four variances"
        raise ShapeError(f"default_boxes has shape {default_boxes.shape}", hint=hint)
    return default_boxes


def check_matches(
    matched: np.ndarray, gt_corner: np.ndarray, gt_labels: np.ndarray, default_boxes: np.ndarray
) -> None:
    """For each default box its object, or that it has none: what `match` gives, (T,)."""
    arrays = (matched, "matched"), (gt_corner, "gt_corner"), (gt_labels, "gt_labels")
    for array, name in (*arrays, (default_boxes, "default_boxes")):
        check_floats(array, name, "fiu")
    objects = len(check_truth(gt_corner, gt_labels)[1])
    boxes = len(check_default_boxes(default_boxes))
    known = matched.shape == (boxes,) and matched.dtype.kind == "i" and gt_corner.ndim == 2
    if not known or (boxes and not -2 <= matched.min() <= matched.max() < objects):
        what = f"matched is {matched.shape} {matched.dtype} for {boxes} boxes and {objects} objects"
        hint = "expected what match gives: an object for each box, -1 none, -2 neutral"
        raise ShapeError(what, hint=hint)


def check_pairs(boxes: np.ndarray, default_boxes: np.ndarray, name: str) -> None:
    """One default box (T, 8) for each of the boxes (..., T, 4)."""
    shapes = boxes.shape[:-1], check_default_boxes(default_boxes).shape[:-1]
    if shapes[0][len(shapes[0]) - len(shapes[1]) :] != shapes[1]:
        what = f"{name} has shape {boxes.shape}, default_boxes {np.shape(default_boxes)}"
        raise ShapeError(what, hint="one default box for each: (..., T, 4) and (T, 8)")


def check_area(boxes_center: np.ndarray, name: str) -> None:
    """Boxes in center form have a width and a height, whose logarithms exist."""
    if boxes_center.size and not (boxes_center[..., 2:] > 0).all():
        row = np.argwhere(~(boxes_center[..., 2:] > 0).all(axis=-1))[0]
        what = f"width and height must be above 0, got {boxes_center[tuple(row)].tolist()}"
        hint = "leave boxes without area out of the data"
        raise DegenerateBox(what, f"{name}[{row[0] if len(row) else 0}]", hint)


def check_scores(scores: np.ndarray, name: str = "scores") -> np.ndarray:
    """A number (D,) for each box."""
    scores = as_numbers(scores, name, name)
    if scores.ndim != 1:
        raise ShapeError(f"{name} have shape {scores.shape}", hint="expected (D,)")
    return scores


def check_scored(
    boxes: np.ndarray, scores: np.ndarray, threshold: float, expected: str = "(D, 4) and (D,)"
) -> tuple[np.ndarray, np.ndarray]:
    """Corner boxes and a score for each, or, as `expected` says, one for each and each class."""
    boxes, scores = check_boxes(boxes, "boxes_corner"), as_numbers(scores, "scores", "scores")
    check_factor(threshold, "a threshold")
    dimensions = 2 if expected.endswith("K)") else 1
    if boxes.ndim != 2 or scores.ndim != dimensions or len(scores) != len(boxes):
        hint = f"expected {expected}"
        raise ShapeError(f"boxes_corner has shape {boxes.shape}, scores {scores.shape}", hint=hint)
    return boxes, scores


def check_sizes(maps: int, **sizes: float) -> None:
    """How many maps, and sizes by their names."""
    check_whole(maps, "maps", 0)
    for name, size in sizes.items():
        check_factor(size, name)
        if not 0 <= size < 1e9:
            raise ConfigError(f"{name} is {size!r}", hint="expected a size from 0 on")


def map_of(config: Config, index: int) -> FeatureMap:
    """One of the feature maps of a config."""
    check_whole(index, "index", -len(config.feature_maps))  # -1 is the last
    if index >= len(config.feature_maps):
        hint = f"{config.name} has {len(config.feature_maps)} maps"
        raise ShapeError(f"index is {index}", hint=hint)
    return config.feature_maps[index]
