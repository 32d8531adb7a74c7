"""The built-in data set: pictures of five shapes, generated from a seed, nothing to download.

Each picture shows 1 to 6 circles, squares, triangles, stars and crosses on a textured, noisy
background. Every object is turned, stretched and given a colour; the colour is drawn from the same
distribution for all classes, so only the shape tells them apart. A third of the pictures contain a
pair of boxes with an IoU above 0.1, as real crowds do; in the others no pair overlaps more.

Picture `index` depends on `default_rng([seed, index])` alone: first the layout is drawn (which is
all that `truth` needs), then the paint.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from ssd_np.data.labels import labels_of
from ssd_np.data.subset import check_classes
from ssd_np.records import Sample, Truth

SIZE = 128  # pixels on a side
MIN_SIDE, MAX_SIDE = 16.0, 96.0  # of an object's box, in pixels
MAX_OBJECTS = 6
MAX_STRETCH = 1.5
OVERLAP_SHARE = 1 / 3  # of the pictures
CLEAR_IOU, MAX_IOU = (
    0.1,
    0.35,
)  # no pair above the first in a clear picture, above the second in any
MAX_HIDDEN = 0.5  # share of a box that the objects painted over it may cover
SUPERSAMPLE = 4  # fine rows and columns per pixel, for smooth edges
CONTRAST = 110.0  # RGB distance of an object's colour from the background and from other objects


def _regular(corners: int, radii: tuple[float, ...] = (1.0,)) -> np.ndarray:
    """Vertices (corners, 2) on a circle, its radius alternating through `radii`."""
    angle = 2 * np.pi * np.arange(corners) / corners
    radius = np.resize(radii, corners)
    return np.stack([radius * np.sin(angle), -radius * np.cos(angle)], axis=1)


_ARM = 1 / 3  # half the width of a cross's arm over half its span
_CROSS = np.array(
    [(-_ARM, -1), (_ARM, -1), (_ARM, -_ARM), (1, -_ARM), (1, _ARM), (_ARM, _ARM),
     (_ARM, 1), (-_ARM, 1), (-_ARM, _ARM), (-1, _ARM), (-1, -_ARM), (-_ARM, -_ARM)]
)  # fmt: skip
OUTLINES = {
    "circle": _regular(48),
    "square": np.array([(-1.0, -1.0), (1.0, -1.0), (1.0, 1.0), (-1.0, 1.0)]),
    "triangle": _regular(3),
    "star": _regular(10, (1.0, 0.42)),
    "cross": _CROSS,
}


@dataclass(frozen=True)
class Placed:
    """An object of a layout: class index, vertices (V, 2) and box (4,) in pixels."""

    kind: int
    vertices: np.ndarray
    box: tuple[float, float, float, float]


class ShapesDataset:
    """`count` pictures of 128 x 128 pixels; the same `seed` gives the same pictures.

    `class_names` are those of the five shapes that count as objects; default: all.

    >>> dataset = ShapesDataset(seed=0, count=100)
    >>> len(dataset), dataset[0].image.shape
    (100, (128, 128, 3))
    """

    class_names = tuple(OUTLINES)

    def __init__(self, seed: int, count: int, class_names: Sequence[str] | None = None) -> None:
        self.seed, self.count = seed, count
        if class_names is not None:
            check_classes(class_names, self.class_names, "shapes")
            self.class_names = tuple(class_names)

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Sample:
        index = range(self.count)[index]
        rng = np.random.default_rng([self.seed, index])
        layout, name = draw_layout(rng), f"shapes-{self.seed}-{index:05d}"
        return Sample(paint(layout, rng), self._truth(layout), name, self.class_names)

    def truth(self, index: int) -> Truth:
        """What picture `index` shows, without painting it."""
        rng = np.random.default_rng([self.seed, range(self.count)[index]])
        return self._truth(draw_layout(rng))

    def identities(self) -> list[str]:
        """What tells each picture from all others."""
        return [f"shapes-{self.seed}-{index}" for index in range(self.count)]

    def _truth(self, layout: list[Placed]) -> Truth:
        """The objects of our classes; the others are part of the background."""
        known, names = labels_of(self.class_names), list(OUTLINES)
        mine = [placed for placed in layout if names[placed.kind] in known]
        boxes = np.reshape([placed.box for placed in mine], (-1, 4)) / SIZE  # (G, 4)
        return Truth(boxes, [known[names[placed.kind]] for placed in mine], size=(SIZE, SIZE))


# --- layout --------------------------------------------------------------------------------------


def draw_layout(rng: np.random.Generator) -> list[Placed]:
    """Draws the objects of a picture, in the order they are painted: large ones first.

    The number of objects, and whether two of them overlap, are drawn first and then kept: a layout
    that does not work out is drawn again.
    """
    overlap = rng.random() < OVERLAP_SHARE
    count = int(rng.integers(2 if overlap else 1, MAX_OBJECTS + 1))
    while True:
        layout: list[Placed] = []
        for _ in range(count):
            must_touch = layout[0].box if overlap and len(layout) == 1 else None
            placed = _place(rng, layout, MAX_IOU if overlap else CLEAR_IOU, must_touch)
            if placed is None:
                break
            layout.append(placed)
        layout.sort(key=lambda placed: -_area(placed.box))
        if len(layout) == count and _all_visible(layout):
            return layout


def _place(
    rng: np.random.Generator,
    layout: list[Placed],
    max_iou: float,
    must_touch: tuple[float, float, float, float] | None,
) -> Placed | None:
    """One more object, at most `max_iou` with each earlier one; None if 40 tries find no room.

    With `must_touch` its IoU with that box is above CLEAR_IOU, too.
    """
    kind = int(rng.integers(len(OUTLINES)))
    outline = _turned_and_stretched(OUTLINES[ShapesDataset.class_names[kind]], rng)
    unit_w, unit_h = outline.max(axis=0).tolist()  # the shorter one is 1
    most = MAX_SIDE / max(unit_w, unit_h)
    for a, b, c in rng.random((40, 3)).tolist():
        scale = MIN_SIDE * (most / MIN_SIDE) ** a  # log-uniform: small objects as often as large
        w, h = unit_w * scale, unit_h * scale
        if must_touch is None:
            left, top = b * (SIZE - w), c * (SIZE - h)
        else:  # anywhere the two boxes intersect, as far as the picture reaches
            x0, y0, x1, y1 = must_touch
            low_x, high_x = max(x0 - w, 0), min(x1, SIZE - w)
            low_y, high_y = max(y0 - h, 0), min(y1, SIZE - h)
            left, top = low_x + b * (high_x - low_x), low_y + c * (high_y - low_y)
        box = (left, top, left + w, top + h)
        if must_touch is not None and _iou(box, must_touch) <= CLEAR_IOU:
            continue
        if all(_iou(box, other.box) <= max_iou for other in layout):
            return Placed(kind, outline * scale + (left, top), box)
    return None


def _turned_and_stretched(outline: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Stretches along one axis of the shape, turns it, and moves it to (0, 0); shorter side 1."""
    stretch = rng.uniform(1, MAX_STRETCH)
    angle = rng.uniform(0, 2 * np.pi)
    cos, sin = math.cos(angle), math.sin(angle)
    turned = outline * (stretch, 1) @ np.array([(cos, sin), (-sin, cos)])  # (V, 2)
    turned -= turned.min(axis=0)
    return turned / turned.max(axis=0).min()


def _area(box: tuple[float, ...]) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def _intersection(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    w = min(a[2], b[2]) - max(a[0], b[0])
    h = min(a[3], b[3]) - max(a[1], b[1])
    return max(w, 0.0) * max(h, 0.0)


def _iou(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    """Plain Python: for two boxes it is a hundred times faster than arrays."""
    shared = _intersection(a, b)
    return shared / (_area(a) + _area(b) - shared)


def _all_visible(layout: list[Placed]) -> bool:
    """Whether the objects painted later leave enough of each box to recognise it."""
    for i, placed in enumerate(layout):
        hidden = sum(_intersection(placed.box, later.box) for later in layout[i + 1 :])
        if hidden > MAX_HIDDEN * _area(placed.box):
            return False
    return True


# --- paint ---------------------------------------------------------------------------------------

_AXIS = np.linspace(-0.5, 0.5, SIZE, dtype=np.float32)


def paint(layout: list[Placed], rng: np.random.Generator) -> np.ndarray:
    """The picture (SIZE, SIZE, 3) uint8: background, objects, and noise over both."""
    base = rng.uniform(30, 225, 3)
    picture = _background(base, rng)  # (SIZE, SIZE, 3) float32
    colours = [base]
    for placed in layout:
        colours.append(_distinct_colour(colours, rng))
        _fill(picture, placed, colours[-1])
    noise = rng.standard_normal(picture.shape, dtype=np.float32)
    picture += rng.uniform(2, 14) * noise
    return np.clip(picture, 0, 255, out=picture).astype(np.uint8)


def _background(base: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A colour with a gradient, blotches and stripes: four fields, mixed at random per channel."""
    coarse = rng.standard_normal((6, 6), dtype=np.float32)
    blotches = np.asarray(Image.fromarray(coarse).resize((SIZE, SIZE), Image.Resampling.BICUBIC))
    angle, waves, phase = rng.uniform((0, 4, 0), (math.pi, 14, 2 * math.pi)).tolist()
    along = np.add.outer(math.sin(angle) * _AXIS, math.cos(angle) * _AXIS)  # (SIZE, SIZE)
    stripes = np.sin((2 * math.pi * waves) * along + phase)
    ramps = np.broadcast_arrays(_AXIS[:, None], _AXIS[None, :])
    fields = np.stack([*ramps, blotches, stripes], axis=-1)  # (SIZE, SIZE, 4)
    strength = rng.random((4, 1)) * [[50], [50], [16], [12]]
    mixture = strength * rng.uniform(-1, 1, (4, 3))  # grey levels of each field in each channel
    return fields @ mixture.astype(np.float32) + base.astype(np.float32)


def _distinct_colour(others: list[np.ndarray], rng: np.random.Generator) -> np.ndarray:
    """A random colour that differs visibly from `others`, or the best of 12."""
    candidates = rng.uniform(0, 255, (12, 3))
    difference = candidates[:, None] - np.array(others)  # (12, others, 3)
    distance = np.sqrt((difference**2).sum(axis=-1)).min(axis=1)  # (12,)
    good = distance >= CONTRAST
    return candidates[good.argmax() if good.any() else distance.argmax()]


def _fill(picture: np.ndarray, placed: Placed, colour: np.ndarray) -> None:
    """Paints one object into `picture`, its edge smoothed by a finer mask of its own."""
    x0, y0 = math.floor(placed.box[0]), math.floor(placed.box[1])
    x1, y1 = math.ceil(placed.box[2]), math.ceil(placed.box[3])
    fine = Image.new("L", ((x1 - x0) * SUPERSAMPLE, (y1 - y0) * SUPERSAMPLE))
    # Pillow's coordinates are those of pixel centres, half a fine pixel from the corner
    corners = (placed.vertices - (x0, y0)) * SUPERSAMPLE - 0.5
    ImageDraw.Draw(fine).polygon(corners.ravel().tolist(), fill=255)
    mask = np.asarray(fine.reduce(SUPERSAMPLE), np.float32)[..., None] / 255  # (h, w, 1)
    region = picture[y0:y1, x0:x1]
    region += mask * (colour.astype(np.float32) - region)
