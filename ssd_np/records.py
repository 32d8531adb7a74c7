"""The three things that travel between the rooms: a truth, a sample, and detections.

All boxes are corner boxes (xmin, ymin, xmax, ymax) as fractions of the image in [0, 1].
Labels count from 1; 0 is the background and never appears in a record.

Records are equal when all they hold is. In a notebook a sample shows itself with its truth, and
detections the image that they were found in (`_repr_html_`, which IPython asks for).
"""

from __future__ import annotations

import dataclasses
import weakref
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import InitVar, dataclass
from typing import Any, NamedTuple, overload

import numpy as np
from numpy.typing import ArrayLike

from ssd_np.checks import as_array, check_factor, check_list
from ssd_np.errors import DegenerateBox, ShapeError
from ssd_np.picture import as_html, draw_boxes
from ssd_np.terminal import counted

SHOWN = 0.5  # least score of what a notebook's picture shows
ROWS = 20  # of a table


@dataclass(frozen=True, eq=False)
class _Record:
    """What a dataclass of arrays lacks: arrays are compared whole."""

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return NotImplemented
        names = [field.name for field in dataclasses.fields(self)]
        return all(_same(getattr(self, name), getattr(other, name)) for name in names)


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return a is b or np.array_equal(a, b)
    return a == b


@dataclass(frozen=True, eq=False, init=False)
class Truth(_Record):
    """The annotated objects of one image.

    boxes_corner  (G, 4) float64; one without area counts in the metrics, training refuses it
    labels        (G,) int64, from 1
    difficult     (G,) bool: too hard to count in Pascal VOC's metric; default none
    crowd         (G,) bool: COCO's region of many objects, used in evaluation only; default none
    area          (G,) float64, square pixels: the annotation's own (COCO measures the outline);
                  default the area of the box, None without a size
    size          (height, width) of the image in pixels; a `Sample` fills it in

    Lists will do. `where`, the file that says so, begins the message of an error. Raises ShapeError
    for what is no such column, DegenerateBox for a box that ends before it begins.
    """

    boxes_corner: np.ndarray
    labels: np.ndarray
    difficult: np.ndarray
    crowd: np.ndarray
    area: np.ndarray | None
    size: tuple[int, int] | None

    def __init__(
        self,
        boxes_corner: ArrayLike,
        labels: ArrayLike,
        difficult: ArrayLike | None = None,
        crowd: ArrayLike | None = None,
        area: ArrayLike | None = None,
        size: tuple[int, int] | None = None,
        where: str = "",
    ) -> None:
        boxes = _check_boxes(boxes_corner, where)
        size = _check_size(size, where)
        columns = {
            "boxes_corner": boxes,
            "labels": _check_labels(labels, where),
            "difficult": _check_flags("difficult", difficult, len(boxes), where),
            "crowd": _check_flags("crowd", crowd, len(boxes), where),
            "area": _check_area(area, boxes, size, where),
        }
        for name, column in columns.items():
            if column is not None and column.shape[:1] != (len(boxes),):
                what = f"Truth.{name} has {len(np.atleast_1d(column))} rows, {len(boxes)} boxes"
                raise ShapeError(what, where, "one row for each object")
            object.__setattr__(self, name, column)
        object.__setattr__(self, "size", size)

    def __len__(self) -> int:
        return len(self.labels)

    def captions(self, class_names: Sequence[str]) -> list[str]:
        """For each object its name, and why it is not counted."""
        check_list(class_names, str, "class_names")
        if len(class_names) < max(self.labels, default=0):
            raise ShapeError(f"{len(class_names)} class_names for label {max(self.labels)}")
        flags = zip(self.difficult, self.crowd, strict=True)
        notes = [" (difficult)" * bool(d) + " (crowd)" * bool(c) for d, c in flags]
        names = [class_names[label - 1] for label in self.labels]
        return [name + note for name, note in zip(names, notes, strict=True)]


def _check_boxes(boxes_corner: ArrayLike, where: str) -> np.ndarray:
    boxes = as_array(boxes_corner, "Truth.boxes_corner", where)
    if boxes.size and (boxes.shape[-1:] != (4,) or boxes.dtype.kind not in "fiu"):
        hint = "expected numbers (G, 4)"
        raise ShapeError(f"Truth.boxes_corner is {boxes.shape} {boxes.dtype}", where, hint)
    boxes = boxes.astype(np.float64).reshape(-1, 4)
    numbers = np.isfinite(boxes).all(axis=1)
    if not numbers.all():
        raise ShapeError(f"Truth.{_row(boxes, numbers)} is not finite", where, "expected numbers")
    if boxes.size and np.abs(boxes).max() > 2:  # a box may stand out of its image, so not 1
        hint = "boxes are fractions of the image; divide pixels by its width and height"
        raise ShapeError(f"Truth.boxes_corner holds {np.abs(boxes).max():g}", where, hint)
    forward = (boxes[:, :2] <= boxes[:, 2:]).all(axis=1)
    if not forward.all():
        hint = "a box is (xmin, ymin, xmax, ymax), not (x, y, width, height)"
        raise DegenerateBox(f"Truth.{_row(boxes, forward)} ends before it begins", where, hint)
    return boxes


def _row(boxes: np.ndarray, good: np.ndarray | np.bool_) -> str:
    """The first box that is not good, for a message."""
    row = int(np.argmin(good))
    return f"boxes_corner[{row}] (" + ", ".join(f"{number:g}" for number in boxes[row]) + ")"


def _check_labels(given: ArrayLike, where: str) -> np.ndarray:
    labels = as_array(given, "Truth.labels", where).reshape(-1)
    numbers = labels.dtype.kind in "iuf" and np.isfinite(labels).all()
    if labels.size and not (numbers and (labels == np.trunc(labels)).all()):
        raise ShapeError(f"Truth.labels are {labels.dtype}", where, "classes are whole numbers")
    if labels.size and labels.min() < 1:
        hint = "classes count from 1, 0 is the background"
        raise ShapeError(f"Truth.labels holds {labels.min()}", where, hint)
    return labels.astype(np.int64)


def _check_flags(name: str, values: ArrayLike | None, count: int, where: str) -> np.ndarray:
    flags = np.zeros(count, bool) if values is None else as_array(values, f"Truth.{name}", where)
    if flags.size and flags.dtype != bool and not _zeros_and_ones(flags):
        raise ShapeError(f"Truth.{name} are {flags.dtype}", where, "True or False for each object")
    return flags.astype(bool)


def _zeros_and_ones(flags: np.ndarray) -> bool:
    return flags.dtype.kind in "iuf" and bool(np.isin(flags, (0, 1)).all())


def _check_area(
    given: ArrayLike | None, boxes: np.ndarray, size: tuple[int, int] | None, where: str
) -> np.ndarray | None:
    if given is None:
        width, height = (boxes[:, 2:] - boxes[:, :2]).T
        return width * height * size[0] * size[1] if size else None
    area = as_array(given, "Truth.area", where)
    if area.size and not (area.dtype.kind in "iuf" and np.isfinite(area).all() and area.min() >= 0):
        raise ShapeError(f"Truth.area is {area}", where, "square pixels, a number for each object")
    return area.astype(np.float64)


def _check_size(size: tuple[int, int] | None, where: str) -> tuple[int, int] | None:
    if size is None:
        return None
    sides = np.asarray(size)
    if sides.shape != (2,) or sides.dtype.kind not in "iu" or sides.min() < 1:
        raise ShapeError(f"Truth.size is {size!r}", where, "expected (height, width) in pixels")
    return int(sides[0]), int(sides[1])


@dataclass(frozen=True, eq=False, repr=False)
class Sample(_Record):
    """One item of a data set: an RGB image (H, W, 3) uint8, its truth, a name to report it by. A
    grey image, (H, W) or (H, W, 1), is repeated.

    `class_names`, where they are told, are for showing the sample.
    """

    image: np.ndarray
    truth: Truth
    name: str
    class_names: Sequence[str] = ()

    def __post_init__(self) -> None:
        shape = as_array(self.image, "image", str(self.name)).shape
        dtype = getattr(self.image, "dtype", type(self.image).__name__)
        if dtype == np.uint8 and (len(shape) == 2 or shape[2:] == (1,)):
            grey = self.image.reshape(*shape[:2], 1)
            shape = (*shape[:2], 3)
            object.__setattr__(self, "image", np.repeat(grey, 3, axis=2))
        if not isinstance(self.name, str):
            raise ShapeError(f"its name is {self.name!r}", "Sample", "expected a text: str(...)")
        if len(shape) != 3 or shape[2] != 3 or dtype != np.uint8:
            channels_first = len(shape) == 3 and shape[0] == 3 and dtype == np.uint8
            hint = "it looks like (3, H, W); use image.transpose(1, 2, 0)"
            what = f"its image is {shape} {dtype}, expected (H, W, 3) uint8"
            hint = hint if channels_first else "data.image.read_image reads files so"
            raise ShapeError(what, self.name, hint)
        if not isinstance(self.truth, Truth):
            kind = type(self.truth).__name__
            raise ShapeError(f"its truth is a {kind}", self.name, "expected a Truth")
        if self.truth.size is None:
            object.__setattr__(self, "truth", dataclasses.replace(self.truth, size=shape[:2]))

    def captions(self) -> list[str]:
        """For each object its name, or its label where names are not told."""
        most = max(self.truth.labels, default=0)
        told = len(self.class_names) >= most
        names = self.class_names if told else [f"class {k + 1}" for k in range(most)]
        return self.truth.captions(names)

    def __repr__(self) -> str:
        height, width = self.image.shape[:2]
        first = f"{self.name}: {width} x {height} pixels, {counted(len(self.truth), 'object')}"
        return _table(first, [self.captions()], self.truth.boxes_corner)

    def _repr_html_(self) -> str:
        boxes, labels = self.truth.boxes_corner, self.truth.labels
        return as_html(draw_boxes(self.image, boxes, labels, self.captions()))


class Detection(NamedTuple):
    """One of the detections of an image."""

    name: str
    score: float
    label: int
    box_corner: np.ndarray  # (4,)


# images of the last detections: without a variable of its own one still can be shown
_recent: deque[np.ndarray] = deque(maxlen=4)


@dataclass(frozen=True, eq=False, repr=False)
class Detections(_Record):
    """What a detector found in one image, best first.

    boxes_corner (D, 4), labels (D,) int64 from 1, scores (D,) in (0, 1]; class_names without the
    background: label k is class_names[k - 1].

    They have a length, and iterating gives a `Detection` each. So does found[0]; found[:3] and
    found[found.scores > 0.9] are Detections. `image` is not kept: a notebook shows the picture as
    long as somebody else keeps it, or it is one of the last four.
    """

    boxes_corner: np.ndarray
    labels: np.ndarray
    scores: np.ndarray
    class_names: Sequence[str]
    image: InitVar[np.ndarray | None] = None
    _image = None  # a weak reference: a list of detections must not hold a list of photographs

    def __post_init__(self, image: np.ndarray | None) -> None:
        for name in ("boxes_corner", "labels", "scores"):
            object.__setattr__(self, name, as_array(getattr(self, name), f"Detections.{name}"))
        if image is not None:
            _recent.append(image)
            object.__setattr__(self, "_image", weakref.ref(image))

    def __getstate__(self) -> dict:
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}

    def __len__(self) -> int:
        return len(self.labels)

    def __iter__(self) -> Iterator[Detection]:
        return (self[i] for i in range(len(self)))

    @overload
    def __getitem__(self, which: int) -> Detection: ...

    @overload
    def __getitem__(self, which: slice | Sequence | np.ndarray) -> Detections: ...

    def __getitem__(self, which: int | slice | Sequence | np.ndarray) -> Detection | Detections:
        boxes, labels, scores = self.boxes_corner[which], self.labels[which], self.scores[which]
        if np.ndim(labels) == 0:
            label = int(labels)
            return Detection(self.class_names[label - 1], float(scores), label, boxes)
        return Detections(boxes, labels, scores, self.class_names, self._image and self._image())

    def at_least(self, score: float) -> Detections:
        """Those with at least this score, best first."""
        check_factor(score, "score")
        best = np.argsort(-self.scores, kind="stable")
        return self[best[self.scores[best] >= score]]

    def captions(self) -> list[str]:
        """For each detection its name and score."""
        return [f"{found.name} {found.score:.2f}" for found in self]

    def __repr__(self) -> str:
        columns = [[f.name for f in self], [f"{f.score:.2f}" for f in self]]
        return _table(counted(len(self), "detection"), columns, self.boxes_corner)

    def _repr_html_(self) -> str | None:
        """The picture with what scores at least 0.5; None, so that the table is shown, without."""
        image = self._image and self._image()
        if image is None:
            return None
        shown = self.at_least(SHOWN)
        picture = draw_boxes(image, shown.boxes_corner, shown.labels, shown.captions())
        said = f"{len(shown)} of {counted(len(self), 'detection')} with a score of {SHOWN} or more"
        return f"{as_html(picture)}<div>{said}</div>"


def _table(first: str, columns: list[list[str]], boxes_corner: np.ndarray) -> str:
    """A line for each box: the texts of the columns, and its corners in percent of the image."""
    widths = [max(map(len, column), default=0) for column in columns]
    lines = [f"{first}; xmin, ymin, xmax, ymax in % of the image" if len(boxes_corner) else first]
    for i, box in enumerate(boxes_corner[:ROWS]):
        texts = [f"{column[i]:{width}}" for column, width in zip(columns, widths, strict=True)]
        lines.append("  ".join(["", *texts, *(f"{100 * side:5.1f}" for side in box)]))
    rest = len(boxes_corner) - ROWS
    return "\n".join([*lines, f"  and {rest} more"] if rest > 0 else lines)
