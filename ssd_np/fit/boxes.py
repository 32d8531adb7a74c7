"""Default boxes for given objects: which map takes an object, and the fewest boxes that match them.

A default box stands for an object if their IoU reaches 0.5 (SSD paper, section 2.2). Its centre is
that of a cell, so an object of the very shape of a box may still lie half a step t away from it, on
both axes. Of the object then the share

    o = (1 - t / 2w) (1 - t / 2h)     lies in the box, and     IoU = o / (2 - o).

Where this is 0.5 or more the map matches the object wherever it lies. An object belongs to the
deepest such map: it sees most of the picture, and has the fewest cells. The objects of a map are
gathered into few shapes by k-means with 1 - IoU for a distance. Shapes are (n, 2) heights and
widths in pixels of the input, weights (n,) say how much an object counts, 1 in all.
"""

from collections.abc import Sequence

import numpy as np

from ssd_np.boxes.checks import as_numbers
from ssd_np.checks import check_axes
from ssd_np.errors import ShapeError
from ssd_np.signatures import checked

ENOUGH = 0.98  # of the objects that the boxes have to match
FEWEST = 0.02  # of the objects that a map has to take
MOST = 6  # boxes of a cell
ROUNDS = 20  # of k-means
IOU = 0.5

Step = tuple[float, float]  # pixels between two rows of cells, and between two columns


def _checked(shapes: np.ndarray, name: str = "shapes") -> np.ndarray:
    shapes = as_numbers(shapes, name, name)
    if shapes.ndim != 2 or shapes.shape[1] != 2 or not (shapes > 0).all():
        hint = "expected (n, 2), heights and widths above 0"
        raise ShapeError(f"{name} have shape {shapes.shape}", hint=hint)
    return shapes


def shape_iou(shapes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """IoU of boxes with one centre: (n, 2), (m, 2) -> (n, m)."""
    shapes, others = _checked(shapes), _checked(others, "others")
    shared = np.minimum(shapes[:, None], others[None]).prod(axis=2)
    return shared / (shapes.prod(axis=1)[:, None] + others.prod(axis=1) - shared)


def worst_iou(shapes: np.ndarray, step: Step) -> np.ndarray:
    """IoU (n,) of objects with boxes of their own shapes, at the worst place between the cells."""
    shapes, apart = _checked(shapes), as_numbers(step, "step", "pixels")
    if apart.shape != (2,):
        raise ShapeError(f"step is {step!r}"[:80], hint="pixels between two rows, two columns")
    inside = np.clip(1 - apart / (2 * shapes), 0, 1).prod(axis=1)
    return inside / (2 - inside)


@checked
def chance_to_match(shapes: np.ndarray, step: Step) -> np.ndarray:
    """(n,) how likely objects that lie anywhere match a box of their own shape."""
    shapes = _checked(shapes)
    away = (np.arange(8) + 0.5) / 16  # in steps, on each axis: 0 to a half
    down, across = (
        np.clip(1 - away[:, None] * t / s, 0, 1) for t, s in zip(step, shapes.T, strict=True)
    )
    inside = (a * across for a in down)  # (8, n) each
    return np.mean([o >= IOU * (2 - o) for o in inside], axis=(0, 1))


@checked
def matched(shapes: np.ndarray, boxes: np.ndarray, away: np.ndarray) -> np.ndarray:
    """(n,) bool: whether some of the boxes (m, 2) of a cell matches an object whose centre lies
    `away` (n, 2), in pixels, from the cell's."""
    shapes, boxes = _checked(shapes), _checked(boxes, "boxes")
    check_axes(away, "away", *shapes.shape)
    low, high = np.minimum(shapes[:, None], boxes), np.maximum(shapes[:, None], boxes)
    # one side contains the other until it is further away than half their difference
    outside = np.maximum(0, away[:, None] - (high - low) / 2)
    shared = np.clip(low - outside, 0, None).prod(axis=2)  # (n, m)
    union = shapes.prod(axis=1)[:, None] + boxes.prod(axis=1) - shared
    return (shared >= IOU * union).any(axis=1)


def maps_of(shapes: np.ndarray, weights: np.ndarray, steps: Sequence[Step]) -> np.ndarray:
    """The map (n,) of each object. A map that would take less than 2 % takes none: its objects go
    to the map above, those of the first map to the next."""
    shapes, weights = _checked(shapes), as_numbers(weights, "weights", "weights")
    if weights.shape != shapes.shape[:1] or not isinstance(steps, Sequence) or not len(steps):
        what = f"shapes {shapes.shape}, weights {weights.shape}, steps {steps!r}"
        raise ShapeError(what[:200], hint="a weight for each shape, a step for each map")
    place = np.zeros(len(shapes), int)
    for i, step in enumerate(steps):
        place[worst_iou(shapes, step) >= IOU] = i
    for i in [*reversed(range(1, len(steps))), *range(len(steps) - 1)]:
        if weights[place == i].sum() < FEWEST:
            place[place == i] = i - 1 if place.min() < i else i + 1
    return place


def cluster(shapes: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """k-means from given centres (k, 2); a centre is the geometric mean of its objects, and one
    without objects is given up."""
    shapes, centres = _checked(shapes), _checked(centres, "centres")
    if not len(shapes) or not len(centres):
        raise ShapeError("no shapes to gather, or no centres", hint="at least one of both")
    for _ in range(ROUNDS):
        own = shape_iou(shapes, centres).argmax(axis=1)
        centres = np.array([np.exp(np.log(shapes[own == k]).mean(axis=0)) for k in np.unique(own)])
    return centres[centres.prod(axis=1).argsort()]


@checked
def fit_boxes(
    shapes: np.ndarray,
    weights: np.ndarray,
    steps: Sequence[Step],
    first: Sequence[float],
    rng: np.random.Generator,
) -> list[np.ndarray]:
    """Boxes (k, 2) for each map, shallow to deep; none for a map that takes no object.

    Each map begins with a square whose side is `first`. While the boxes match less than 98 % of the
    objects, each at a place drawn by `rng`, the map that misses most is given another box, in the
    shape that most of the missed are like; then its objects are gathered anew.
    """
    place = maps_of(shapes, weights, steps)
    if len(first) != len(steps):
        raise ShapeError(f"{len(first)} sides for {len(steps)} maps", hint="a side for each map")
    away = np.abs(rng.uniform(-0.5, 0.5, shapes.shape)) * np.array(steps)[place]
    boxes = [np.empty((0, 2))] * len(steps)
    growing = set(np.unique(place).tolist())
    missed = np.ones(len(shapes), bool)
    for i in growing:
        boxes[i] = cluster(shapes[place == i], np.full((1, 2), first[i]))
        missed[place == i] = ~matched(shapes[place == i], boxes[i], away[place == i])
    while growing and weights[missed].sum() > 1 - ENOUGH:
        i = max(growing, key=lambda i: weights[missed & (place == i)].sum())
        own, left = place == i, np.flatnonzero(missed & (place == i))[:1000]
        if len(boxes[i]) == MOST or len(left) == 0:
            growing.remove(i)
            continue
        alike = (shape_iou(shapes[left], shapes[left]) >= IOU) @ weights[left]
        more = cluster(shapes[own], np.vstack([boxes[i], shapes[left][alike.argmax()]]))
        still = ~matched(shapes[own], more, away[own])
        if weights[own][still].sum() >= weights[own & missed].sum():
            growing.remove(i)  # another box does not help
        else:
            boxes[i], missed[own] = more, still
    return boxes
