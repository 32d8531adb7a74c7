"""Geometric augmentation: the same objects elsewhere, larger or smaller (SSD paper, 2.2 and 3.6).

Boxes are corner boxes (G, 4) in [0, 1]. Expanding and cropping are one thing seen from two sides: a
*window* (xmin, ymin, xmax, ymax), in fractions of the old picture, becomes the new one. A crop's
window lies inside the picture, an expansion's reaches beyond it.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ssd_np.boxes.checks import check_boxes, check_window
from ssd_np.checks import as_array, check_kind, check_shape
from ssd_np.config import Crop as CropConfig
from ssd_np.data.patches import centres_inside, draw_patches, patches_pass
from ssd_np.data.transform import Transform
from ssd_np.data.view import look, whole
from ssd_np.errors import ShapeError
from ssd_np.geometry import Size

Boxes = tuple[np.ndarray, np.ndarray]  # boxes_corner (G, 4), labels (G,)


def mirror_x(boxes_corner: np.ndarray) -> np.ndarray:
    """(G, 4) -> (G, 4): x -> 1 - x, after which xmin and xmax have exchanged their roles."""
    xmin, ymin, xmax, ymax = check_boxes(boxes_corner, "boxes_corner").reshape(-1, 4).T
    return np.stack([1 - xmax, ymin, 1 - xmin, ymax], axis=1)


def mirror_y(boxes_corner: np.ndarray) -> np.ndarray:
    """(G, 4) -> (G, 4): y -> 1 - y, after which ymin and ymax have exchanged their roles."""
    xmin, ymin, xmax, ymax = check_boxes(boxes_corner, "boxes_corner").reshape(-1, 4).T
    return np.stack([xmin, 1 - ymax, xmax, 1 - ymin], axis=1)


def into_window(boxes_corner: np.ndarray, window: np.ndarray) -> np.ndarray:
    """(G, 4) fractions of the picture -> (G, 4) fractions of the window (4,)."""
    boxes_corner, window = check_boxes(boxes_corner, "boxes_corner"), check_window(window)
    return (boxes_corner - np.tile(window[:2], 2)) / np.tile(window[2:] - window[:2], 2)


def out_of_window(boxes_corner: np.ndarray, window: np.ndarray) -> np.ndarray:
    """The way back: (G, 4) fractions of the window (4,) -> (G, 4) fractions of the picture."""
    boxes_corner, window = check_boxes(boxes_corner, "boxes_corner"), check_window(window)
    return boxes_corner * np.tile(window[2:] - window[:2], 2) + np.tile(window[:2], 2)


def keep_centred(
    boxes_corner: np.ndarray, labels: np.ndarray, window: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """What a window (4,) keeps of boxes (G, 4) and labels (G,): objects whose centre is inside, cut
    off at its border, in fractions of it."""
    boxes_corner, labels = check_boxes(boxes_corner, "boxes_corner"), as_array(labels, "labels")
    if boxes_corner.ndim != 2 or labels.shape != boxes_corner.shape[:1]:
        raise ShapeError(f"boxes {boxes_corner.shape}, labels {labels.shape}", hint="one for each")
    kept = centres_inside(check_window(window)[None], boxes_corner)[0]  # (G,)
    return np.clip(into_window(boxes_corner[kept], window), 0, 1), labels[kept]


def draw_canvas(size: tuple[int, int], rng: np.random.Generator, max_ratio: float) -> np.ndarray:
    """A canvas 1 to max_ratio times the `size` (height, width) of a picture, which lies anywhere on
    it: the window (4,), in whole pixels as fractions (section 3.6)."""
    height, width = size
    ratio = rng.uniform(1, max_ratio)
    canvas_h, canvas_w = int(height * ratio), int(width * ratio)
    top = int(rng.integers(canvas_h - height + 1))
    left = int(rng.integers(canvas_w - width + 1))
    corners = np.array([-left, -top, canvas_w - left, canvas_h - top])
    return corners / (width, height, width, height)


def draw_patch(
    size: Size, boxes_corner: np.ndarray, rng: np.random.Generator, rule: CropConfig
) -> tuple[np.ndarray, float]:
    """The patch (4,) that a crop cuts out of a picture of `size` (height, width) with boxes (G, 4),
    and the minimum IoU that it obeys; 1 stands for the whole picture.

    For each minimum of the rule patches are drawn, and the first that passes is kept; of those kept
    one is picked, all as likely. This is Caffe's rule. To pick a minimum first, and leave the
    picture whole where no patch meets it, would leave half of all pictures whole: with many small
    objects 0.7 and 0.9 are out of reach.
    """
    check_shape(size, "(height, width)", 2, 2)
    check_kind(rng, np.random.Generator, "rng")
    check_kind(rule, CropConfig, "rule")
    boxes_corner = check_boxes(boxes_corner, "boxes_corner").reshape(-1, 4)
    whole, found = np.array([0.0, 0.0, 1.0, 1.0]), []
    for min_iou in rule.min_ious:
        if min_iou == 1:
            found.append((whole, 1.0))
            continue
        patches = draw_patches(size, rng, rule)
        passed = np.flatnonzero(patches_pass(patches, boxes_corner, min_iou))
        if len(passed) > 0:
            found.append((patches[passed[0]], min_iou))
    if not found:
        return whole, 1.0
    return found[int(rng.integers(len(found)))]


class HorizontalFlip(Transform):
    """Left becomes right. Nothing is drawn."""

    name = "horizontal_flip"

    def image(self, image: np.ndarray, drawn: None) -> np.ndarray:
        return image[:, ::-1].copy()

    def boxes(self, boxes_corner: np.ndarray, labels: np.ndarray, drawn: None) -> Boxes:
        return mirror_x(boxes_corner), labels

    def undo(self, boxes_corner: np.ndarray, drawn: None) -> np.ndarray:
        return mirror_x(boxes_corner)


class VerticalFlip(Transform):
    """Top becomes bottom. Nothing is drawn."""

    name = "vertical_flip"

    def image(self, image: np.ndarray, drawn: None) -> np.ndarray:
        return image[::-1].copy()

    def boxes(self, boxes_corner: np.ndarray, labels: np.ndarray, drawn: None) -> Boxes:
        return mirror_y(boxes_corner), labels

    def undo(self, boxes_corner: np.ndarray, drawn: None) -> np.ndarray:
        return mirror_y(boxes_corner)


class Window(NamedTuple):
    """What an expansion or a crop draws: corners (4,), and the minimum IoU that a crop obeys."""

    corners: np.ndarray
    min_iou: float = 0.0


@dataclass(frozen=True)
class Windowed(Transform):
    """A part of the plane on which the picture lies becomes the picture.

    fill  RGB on the picture's scale, where there is no picture
    """

    fill: tuple[float, ...]

    def view(self, view: np.ndarray, drawn: Window) -> np.ndarray:
        """A view (4,) of a picture -> what is seen through the window in it. A chain moves the
        view, so that the pixels are touched once (see `view.py`)."""
        size = np.tile(view[2:] - view[:2], 2)  # width, height, width, height
        return np.rint(drawn.corners * size).astype(int) + np.tile(view[:2], 2)

    def image(self, image: np.ndarray, drawn: Window) -> np.ndarray:
        return look(image, self.view(whole(image), drawn), self.fill)

    def boxes(self, boxes_corner: np.ndarray, labels: np.ndarray, drawn: Window) -> Boxes:
        return keep_centred(boxes_corner, labels, drawn.corners)

    def undo(self, boxes_corner: np.ndarray, drawn: Window) -> np.ndarray:
        return out_of_window(boxes_corner, drawn.corners)


@dataclass(frozen=True)
class Expand(Windowed):
    """Zooms out: the picture on a canvas of one colour. Objects become small."""

    max_ratio: float
    name = "expand"

    def draw(self, rng: np.random.Generator, size: Size, boxes_corner: np.ndarray) -> Window:
        return Window(draw_canvas(size, rng, self.max_ratio))

    def boxes(self, boxes_corner: np.ndarray, labels: np.ndarray, drawn: Window) -> Boxes:
        return into_window(boxes_corner, drawn.corners), labels  # nothing is cut off


@dataclass(frozen=True)
class Crop(Windowed):
    """Zooms in: a patch that overlaps an object enough (section 2.2, "Data augmentation")."""

    rule: CropConfig
    name = "crop"

    def draw(self, rng: np.random.Generator, size: Size, boxes_corner: np.ndarray) -> Window:
        return Window(*draw_patch(size, boxes_corner, rng, self.rule))

    def caption(self, drawn: Window) -> str:
        return "crop" + (f", IoU ≥ {drawn.min_iou:g}" if 0 < drawn.min_iou < 1 else "")
