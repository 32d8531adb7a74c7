"""The built-in data set: pictures of five shapes, generated from a seed, nothing to download.

Each picture shows 1 to 6 circles, squares, triangles, stars and crosses on a textured, noisy
background. Every object is turned, stretched and given a colour; the colour is drawn from the same
distribution for all classes, so only the shape tells them apart. A third of the pictures contain a
pair of boxes with an IoU above 0.1, as real crowds do; in the others no pair overlaps more.

Picture `index` depends on `default_rng([seed, index])` alone: first the layout is drawn (which is
all that `truth` needs), then the paint.
"""

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
CLEAR_IOU, MAX_IOU = 0.1, 0.35  # no pair is above them in a clear picture, in any picture
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
    stretch, turn, *tries = rng.random(2 + 3 * 40).tolist()
    outline, unit_w, unit_h = _turned_and_stretched(
        OUTLINES[ShapesDataset.class_names[kind]], 1 + (MAX_STRETCH - 1) * stretch, 2 * np.pi * turn
    )
    most = MAX_SIDE / max(unit_w, unit_h)
    for a, b, c in zip(*[iter(tries)] * 3, strict=True):
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


def _turned_and_stretched(
    outline: np.ndarray, stretch: float, angle: float
) -> tuple[np.ndarray, float, float]:
    """Stretched along one axis of the shape, turned, and moved to (0, 0); shorter side 1.

    Returns the width and height besides.
    """
    cos, sin = math.cos(angle), math.sin(angle)
    turned = outline * np.array([stretch, 1.0]) @ np.array([(cos, sin), (-sin, cos)])  # (V, 2)
    turned -= turned.min(axis=0)
    w, h = turned.max(axis=0).tolist()
    turned /= min(w, h)
    return turned, w / min(w, h), h / min(w, h)


def _area(box: tuple[float, ...]) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def _intersection(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    if a[0] >= b[2] or b[0] >= a[2] or a[1] >= b[3] or b[1] >= a[3]:
        return 0.0
    return (min(a[2], b[2]) - max(a[0], b[0])) * (min(a[3], b[3]) - max(a[1], b[1]))


def _iou(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    """Plain Python: for two boxes it is a hundred times faster than arrays."""
    shared = _intersection(a, b)
    return shared / (_area(a) + _area(b) - shared) if shared else 0.0


def _all_visible(layout: list[Placed]) -> bool:
    """Whether the objects painted later leave enough of each box to recognise it."""
    for i, placed in enumerate(layout):
        hidden = sum(_intersection(placed.box, later.box) for later in layout[i + 1 :])
        if hidden > MAX_HIDDEN * _area(placed.box):
            return False
    return True


# --- paint ---------------------------------------------------------------------------------------

_AXIS = np.linspace(-0.5, 0.5, SIZE, dtype=np.float32)
# (SIZE, 6): the shares of 6 values in a row in each pixel between them
_SMOOTH = np.asarray(
    Image.fromarray(np.eye(6, dtype=np.float32)).resize((6, SIZE), Image.Resampling.BICUBIC)
)
# (256,): normal noise for each value of a byte, the middle of its 256th of the distribution
_GRID = np.linspace(-4, 4, 801)
_BELOW = [(1 + math.erf(x / math.sqrt(2))) / 2 for x in _GRID]
_NOISE = np.interp((np.arange(256) + 0.5) / 256, _BELOW, _GRID).astype(np.float32)


def paint(layout: list[Placed], rng: np.random.Generator) -> np.ndarray:
    """The picture (SIZE, SIZE, 3) uint8: background, objects, and noise over both."""
    base = rng.uniform(30, 225, 3)
    picture = _background(base, rng)  # (SIZE, SIZE * 3) float32
    colours = [base.tolist()]
    for placed in layout:
        colours.append(_distinct_colour(colours, rng))
        _fill(picture, placed, colours[-1])
    noise = _NOISE * np.float32(rng.uniform(2, 14))
    picture += noise.take(np.frombuffer(rng.bytes(picture.size), np.uint8)).reshape(picture.shape)
    return np.clip(picture, 0, 255, out=picture).astype(np.uint8).reshape(SIZE, SIZE, 3)


def _background(base: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A colour with a gradient, blotches and stripes, mixed at random per channel.

    Each of these fields is a sum of columns times rows: sin(a + b) = sin a cos b + cos a sin b. So
    all of them together are one product of matrices, (SIZE, 10) by (10, SIZE * 3).
    """
    coarse = rng.standard_normal((6, 6), dtype=np.float32)
    angle, waves, phase = rng.uniform((0, 4, 0), (math.pi, 14, 2 * math.pi)).tolist()
    down = 2 * math.pi * waves * math.sin(angle) * _AXIS + phase
    across = 2 * math.pi * waves * math.cos(angle) * _AXIS
    strength = rng.random((4, 1)) * [[50], [50], [16], [12]]
    # grey levels of each field in each channel
    tilt_y, tilt_x, blotch, stripe = (strength * rng.uniform(-1, 1, (4, 3))).astype(np.float32)
    columns = np.empty((SIZE, 10), np.float32)
    rows = np.empty((10, SIZE, 3), np.float32)
    columns[:, 0], rows[0] = _AXIS, tilt_y
    columns[:, 1], rows[1] = 1, base + _AXIS[:, None] * tilt_x
    columns[:, 2:8], rows[2:8] = _SMOOTH, (coarse @ _SMOOTH.T)[..., None] * blotch
    columns[:, 8], rows[8] = np.sin(down), np.cos(across)[:, None] * stripe
    columns[:, 9], rows[9] = np.cos(down), np.sin(across)[:, None] * stripe
    return columns @ rows.reshape(10, -1)


def _distinct_colour(others: list[list[float]], rng: np.random.Generator) -> list[float]:
    """A random colour that differs visibly from `others`, or the best of 12."""
    best, colour = -1.0, others[0]
    for candidate in rng.uniform(0, 255, (12, 3)).tolist():
        distance = min(math.dist(candidate, other) for other in others)
        if distance > best:
            best, colour = distance, candidate
        if best >= CONTRAST:
            break
    return colour


def _fill(picture: np.ndarray, placed: Placed, colour: list[float]) -> None:
    """Paints one object into `picture` (SIZE, SIZE * 3), its edge smoothed by a finer mask."""
    x0, y0 = math.floor(placed.box[0]), math.floor(placed.box[1])
    w, h = math.ceil(placed.box[2]) - x0, math.ceil(placed.box[3]) - y0
    fine = Image.new("L", (w * SUPERSAMPLE, h * SUPERSAMPLE))
    # Pillow's coordinates are those of pixel centres, half a fine pixel from the corner
    corners = (placed.vertices - (x0, y0)) * SUPERSAMPLE - 0.5
    ImageDraw.Draw(fine).polygon(corners.ravel().tolist(), fill=255)
    covered = np.frombuffer(fine.reduce(SUPERSAMPLE).tobytes(), np.uint8).reshape(h, w)
    mask = covered.repeat(3, axis=1) * np.float32(1 / 255)  # (h, w * 3)
    region = picture[y0 : y0 + h, 3 * x0 : 3 * (x0 + w)]
    region += mask * (np.full((w, 3), colour, np.float32).ravel() - region)
