"""Patches of a picture, and which of them show enough of an object to be a crop (paper, 2.2).

Patches are (P, 4) corners in fractions of the picture, in whole pixels.
"""

import numpy as np

from ssd_np.boxes.iou import iou_matrix
from ssd_np.config import Crop


def draw_patches(size: tuple[int, int], rng: np.random.Generator, rule: Crop) -> np.ndarray:
    """All tries of one minimum at once: (P, 4), those of an allowed shape; whole pixels, as
    fractions.

    "scale_and_ratio"  a scale s and a ratio r are drawn, the sides are s * sqrt(r) and s / sqrt(r)
                       of the picture's; r is kept so near to 1 that both fit
    "sides"            both sides are drawn; of patches in pixels those within the ratios stay
    """
    height, width = size
    if rule.shape == "scale_and_ratio":
        scale = rng.uniform(*rule.scale, rule.tries)  # (P,)
        least, most = np.maximum(rule.ratio[0], scale**2), np.minimum(rule.ratio[1], scale**-2)
        root = np.sqrt(rng.uniform(least, np.maximum(least, most)))
        across, down = scale * root, scale / root
    else:
        across, down = rng.uniform(*rule.scale, (2, rule.tries))
    w = np.clip(np.rint(width * across), 1, width)
    h = np.clip(np.rint(height * down), 1, height)
    left = np.floor(rng.random(rule.tries) * (width - w + 1))
    top = np.floor(rng.random(rule.tries) * (height - h + 1))
    patches = np.stack([left, top, left + w, top + h], axis=1) / (width, height, width, height)
    if rule.shape == "scale_and_ratio":
        return patches
    return patches[(w / h >= rule.ratio[0]) & (w / h <= rule.ratio[1])]


def patches_pass(patches: np.ndarray, boxes_corner: np.ndarray, min_iou: float) -> np.ndarray:
    """(P, 4), (G, 4) -> (P,) bool: which patches show enough of the objects.

    At least one object has its centre inside, and the IoU of some object, the same or another, with
    the patch is at least `min_iou`. Where there are no objects every patch passes.
    """
    if len(boxes_corner) == 0:
        return np.ones(len(patches), bool)
    overlap = iou_matrix(patches, boxes_corner).max(axis=1)  # (P,)
    return (overlap >= min_iou) & centres_inside(patches, boxes_corner).any(axis=1)


def centres_inside(patches: np.ndarray, boxes_corner: np.ndarray) -> np.ndarray:
    """(P, 4), (G, 4) -> (P, G) bool: whether a box's centre is inside a patch, not on its edge."""
    centre = (boxes_corner[:, :2] + boxes_corner[:, 2:]) / 2  # (G, 2)
    low, high = patches[:, None, :2], patches[:, None, 2:]  # (P, 1, 2)
    return ((centre > low) & (centre < high)).all(axis=-1)
