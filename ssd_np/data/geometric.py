"""Geometric augmentation: the same objects elsewhere, larger or smaller (SSD paper, 2.2 and 3.6).

Every transform takes and returns `image, boxes_corner, labels`: an RGB image (H, W, 3) of any type,
corner boxes (G, 4) in [0, 1], labels (G,). A transform always applies, drawing what it needs from
`rng`; `pipeline.augment` decides whether. What was drawn is appended to `history`.

Expanding and cropping are one thing seen from two sides: a *window* (xmin, ymin, xmax, ymax), in
fractions of the old image, becomes the new image. A crop's window lies inside the image, an
expansion's reaches beyond it. `zoom_out` and `zoom_in` are the two without the pixels: they only
move a view (see `view.py`), so that a chain of both touches the pixels once.
"""

from __future__ import annotations

import numpy as np

from ssd_np.boxes.iou import iou_matrix
from ssd_np.data.photometric import History, Item
from ssd_np.data.view import look, whole


def horizontal_flip(
    image: np.ndarray,
    boxes_corner: np.ndarray,
    labels: np.ndarray,
    rng: np.random.Generator,
    history: History | None = None,
) -> Item:
    """Left becomes right. Nothing is drawn."""
    if history is not None:
        history.append(("horizontal_flip", {}))
    return image[:, ::-1].copy(), mirror_x(boxes_corner), labels


def vertical_flip(
    image: np.ndarray,
    boxes_corner: np.ndarray,
    labels: np.ndarray,
    rng: np.random.Generator,
    history: History | None = None,
) -> Item:
    """Top becomes bottom. Nothing is drawn."""
    if history is not None:
        history.append(("vertical_flip", {}))
    return image[::-1].copy(), mirror_y(boxes_corner), labels


def mirror_x(boxes_corner: np.ndarray) -> np.ndarray:
    """(G, 4) -> (G, 4): x -> 1 - x, after which xmin and xmax have exchanged their roles."""
    xmin, ymin, xmax, ymax = boxes_corner.T
    return np.stack([1 - xmax, ymin, 1 - xmin, ymax], axis=1)


def mirror_y(boxes_corner: np.ndarray) -> np.ndarray:
    """(G, 4) -> (G, 4): y -> 1 - y, after which ymin and ymax have exchanged their roles."""
    xmin, ymin, xmax, ymax = boxes_corner.T
    return np.stack([xmin, 1 - ymax, xmax, 1 - ymin], axis=1)


def into_window(boxes_corner: np.ndarray, window: np.ndarray) -> np.ndarray:
    """(G, 4) fractions of the image -> (G, 4) fractions of the window (4,)."""
    return (boxes_corner - np.tile(window[:2], 2)) / np.tile(window[2:] - window[:2], 2)


def out_of_window(boxes_corner: np.ndarray, window: np.ndarray) -> np.ndarray:
    """The way back: (G, 4) fractions of the window (4,) -> (G, 4) fractions of the image."""
    return boxes_corner * np.tile(window[2:] - window[:2], 2) + np.tile(window[:2], 2)


def expand(
    image: np.ndarray,
    boxes_corner: np.ndarray,
    labels: np.ndarray,
    rng: np.random.Generator,
    max_ratio: float,
    fill: tuple[float, float, float],
    history: History | None = None,
) -> Item:
    """Zooms out: puts the image anywhere on a canvas 1 to max_ratio times its size (section 3.6).

    `fill` is the colour of the canvas, RGB on the image's scale. Objects become small.
    """
    view, boxes = zoom_out(whole(image), boxes_corner, rng, max_ratio, history)
    return look(image, view, fill), boxes, labels


def zoom_out(
    view: np.ndarray,
    boxes_corner: np.ndarray,
    rng: np.random.Generator,
    max_ratio: float,
    history: History | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """`expand` without the pixels: view (4,), boxes (G, 4) -> the larger view, the boxes in it."""
    width, height = view[2:] - view[:2]
    ratio = rng.uniform(1, max_ratio)
    canvas_h, canvas_w = int(height * ratio), int(width * ratio)
    top = int(rng.integers(canvas_h - height + 1))
    left = int(rng.integers(canvas_w - width + 1))
    around = np.array([-left, -top, canvas_w - left, canvas_h - top])
    window = around / (width, height, width, height)
    if history is not None:
        history.append(("expand", {"ratio": ratio, "window": window}))
    return around + np.tile(view[:2], 2), into_window(boxes_corner, window)


def crop(
    image: np.ndarray,
    boxes_corner: np.ndarray,
    labels: np.ndarray,
    rng: np.random.Generator,
    min_ious: tuple[float, ...],
    scale: tuple[float, float],
    ratio: tuple[float, float],
    tries: int,
    history: History | None = None,
) -> Item:
    """Zooms in: cuts out a patch that overlaps an object enough (section 2.2, "Data augmentation").

    A minimum IoU is drawn from `min_ious`, where 1 stands for the whole image and 0 for no minimum.
    A patch passes if its shape width / height, in pixels, lies in `ratio`, and at least one object
    has its centre inside, and the IoU of some object with the patch reaches the minimum; where
    there are no objects the shape alone decides. If none of the `tries` patches passes, the image
    stays whole. Objects whose centre is inside are kept, clipped to the patch; others are dropped.
    """
    view, boxes, labels = zoom_in(
        whole(image), boxes_corner, labels, rng, min_ious, scale, ratio, tries, history
    )
    x0, y0, x1, y1 = view
    return image[y0:y1, x0:x1].copy(), boxes, labels


def zoom_in(
    view: np.ndarray,
    boxes_corner: np.ndarray,
    labels: np.ndarray,
    rng: np.random.Generator,
    min_ious: tuple[float, ...],
    scale: tuple[float, float],
    ratio: tuple[float, float],
    tries: int,
    history: History | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """`crop` without the pixels: view (4,) -> the smaller view, its boxes (G, 4), labels (G,)."""
    width, height = view[2:] - view[:2]
    min_iou = min_ious[int(rng.integers(len(min_ious)))]
    window = np.array([0.0, 0.0, 1.0, 1.0])
    if min_iou < 1:
        patches = draw_patches((height, width), rng, scale, ratio, tries)
        passed = np.flatnonzero(patches_pass(patches, boxes_corner, min_iou))
        if len(passed) > 0:
            window = patches[passed[0]]
    if history is not None:
        history.append(("crop", {"min_iou": min_iou, "window": window}))
    inside = np.rint(window * (width, height, width, height)).astype(int)
    kept = centres_inside(window[None], boxes_corner)[0]  # (G,)
    boxes = np.clip(into_window(boxes_corner[kept], window), 0, 1)
    return inside + np.tile(view[:2], 2), boxes, labels[kept]


def draw_patches(
    size: tuple[int, int],
    rng: np.random.Generator,
    scale: tuple[float, float],
    ratio: tuple[float, float],
    tries: int,
) -> np.ndarray:
    """Draws all tries at once: (P, 4), those of an allowed shape; whole pixels, as fractions."""
    height, width = size
    h = np.maximum(1, np.rint(height * rng.uniform(*scale, tries)))
    w = np.maximum(1, np.rint(width * rng.uniform(*scale, tries)))
    top = np.floor(rng.random(tries) * (height - h + 1))
    left = np.floor(rng.random(tries) * (width - w + 1))
    patches = np.stack([left, top, left + w, top + h], axis=1) / (width, height, width, height)
    return patches[(w / h >= ratio[0]) & (w / h <= ratio[1])]


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
