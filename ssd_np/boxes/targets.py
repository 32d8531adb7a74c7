"""Targets: what the network should have said for an image, default box by default box.

The only place where matches become labels and offsets.
"""

import numpy as np

from ssd_np.boxes.checks import check_default_boxes, check_matches, check_truth
from ssd_np.boxes.codec import encode
from ssd_np.boxes.coords import center_to_corner, corner_to_center
from ssd_np.boxes.matching import NEUTRAL, match


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
    gt_corner, gt_labels = check_truth(gt_corner, gt_labels)
    default_corner = center_to_corner(check_default_boxes(default_boxes)[:, :4])
    matched = match(gt_corner, default_corner, threshold, neutral_threshold)
    return targets_of_matches(matched, gt_corner, gt_labels, default_boxes)


def targets_of_matches(
    matched: np.ndarray, gt_corner: np.ndarray, gt_labels: np.ndarray, default_boxes: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The same from what `match` gave, (T,)."""
    check_matches(matched, gt_corner, gt_labels, default_boxes)
    labels = np.where(matched == NEUTRAL, -1, 0)  # (T,)
    offsets = np.zeros((len(default_boxes), 4), default_boxes.dtype)
    positive = matched >= 0
    mine = matched[positive]  # (positives,): the object of each
    labels[positive] = gt_labels[mine]
    offsets[positive] = encode(corner_to_center(gt_corner[mine]), default_boxes[positive])
    return labels, offsets
