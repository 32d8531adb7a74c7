"""What every transform of the augmentation is: one object that draws, changes, and undoes.

A transform always applies; `pipeline.Chain` decides whether. What it drew is a value of its own
kind, handed to each of its methods, so that the same change can be shown, repeated and taken back.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ssd_np.boxes.checks import check_boxes
from ssd_np.checks import check_list
from ssd_np.errors import ShapeError
from ssd_np.geometry import Size


class Transform:
    """One random change of a picture and of the boxes in it.

    A change of light overrides `draw` and `image`; one of geometry the boxes' methods, too.
    """

    name: str

    def draw(self, rng: np.random.Generator, size: Size, boxes_corner: np.ndarray) -> Any:
        """What chance decides, for a picture of `size` (height, width) with boxes (G, 4)."""

    def image(self, image: np.ndarray, drawn: Any) -> np.ndarray:
        """(H, W, 3) -> (H', W', 3), a new array; the values may leave 0..255 on the way."""
        raise NotImplementedError

    def boxes(
        self, boxes_corner: np.ndarray, labels: np.ndarray, drawn: Any
    ) -> tuple[np.ndarray, np.ndarray]:
        """Boxes (G, 4) in fractions and labels (G,) -> those of the changed picture."""
        return boxes_corner, labels

    def undo(self, boxes_corner: np.ndarray, drawn: Any) -> np.ndarray:
        """Boxes (G, 4) of the changed picture -> in fractions of the one before."""
        return boxes_corner

    def caption(self, drawn: Any) -> str:
        """What was done, for people."""
        return self.name.replace("_", " ")

    def __call__(
        self,
        image: np.ndarray,
        boxes_corner: np.ndarray,
        labels: np.ndarray,
        rng: np.random.Generator,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, Step]:
        """All of it at once: the changed picture, its boxes and labels, and what was done."""
        check_boxes(boxes_corner, "boxes_corner")
        if np.ndim(image) != 3:
            raise ShapeError(f"the image is {np.shape(image)}", hint="expected (H, W, 3)")
        drawn = self.draw(rng, image.shape[:2], boxes_corner)
        moved = self.boxes(boxes_corner, labels, drawn)
        return self.image(image, drawn), *moved, Step(self, drawn)


@dataclass(frozen=True)
class Step:
    """A transform that was applied, and what it drew."""

    transform: Transform
    drawn: Any

    @property
    def name(self) -> str:
        return self.transform.name


def undo_boxes(boxes_corner: np.ndarray, history: list[Step]) -> np.ndarray:
    """Boxes of an augmented image, (G, 4), in fractions of the original.

    Takes the steps back, last first. What a crop cut off stays cut off.
    """
    boxes = check_boxes(boxes_corner, "boxes_corner").reshape(-1, 4)
    check_list(history, Step, "history")
    for step in reversed(history):
        boxes = step.transform.undo(boxes, step.drawn)
    return boxes
