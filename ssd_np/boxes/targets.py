"""Targets: what the network should have said for an image, default box by default box.

The only place where matches become labels and offsets.
"""

import numpy as np

from ssd_np.boxes.codec import encode
from ssd_np.boxes.coords import center_to_corner, check_fractions, corner_to_center
from ssd_np.boxes.matching import NEUTRAL, match
from ssd_np.errors import DegenerateBox, ShapeError


def make_targets(
    gt_corner: np.ndarray,
    gt_labels: np.ndarray,
    default_boxes: np.ndarray,
    threshold: float = 0.5,
    neutral_threshold: float | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """(G, 4), (G,), (T, 8) -> labels (T,) int64 and offsets (T, 4).

    labels: the class of the matched object, 0 background, -1 neutral.
    offsets: encoded from the matched object; zeros where there is none.
    Raises DegenerateBox for a box without area, ShapeError for boxes in pixels or labels below 1.
    """
    gt_corner, gt_labels = _check_truth(gt_corner, gt_labels)
    matched = match(gt_corner, center_to_corner(default_boxes[:, :4]), threshold, neutral_threshold)
    labels = np.where(matched == NEUTRAL, -1, 0)  # (T,)
    offsets = np.zeros((len(default_boxes), 4), default_boxes.dtype)
    positive = matched >= 0
    labels[positive] = gt_labels[matched[positive]]
    gt_center = corner_to_center(gt_corner[matched[positive]])  # (positives, 4)
    offsets[positive] = encode(gt_center, default_boxes[positive])
    return labels, offsets


def _check_truth(gt_corner: np.ndarray, gt_labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    gt_corner = check_fractions(gt_corner, "gt_corner").reshape(-1, 4)
    gt_labels = np.asarray(gt_labels)
    if gt_labels.shape != (len(gt_corner),):
        raise ShapeError(
            f"gt_labels has shape {gt_labels.shape}, gt_corner {gt_corner.shape}",
            hint="one label for each box",
        )
    if not len(gt_corner):
        return gt_corner, gt_labels
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
