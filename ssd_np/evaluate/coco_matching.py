"""Which detections of one image are right, by the rules of COCO's evaluation.

Within one image and class, from the best score down, at one threshold and for one range of areas:

    an object counts if its area lies in the range and it is no crowd; the others are ignored;
    a detection takes the free counted object of largest IoU >= threshold, failing that an ignored
    one (a crowd is never used up); taking an ignored one, it is dropped, neither right nor wrong;
    a detection that takes nothing is wrong, unless its own area lies outside the range: dropped.

IoU with a crowd is the intersection over the *detection's* area: a crowd outlines many objects.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ssd_np.boxes.checks import check_boxes, check_two_lists
from ssd_np.checks import as_array, check_shape
from ssd_np.errors import ShapeError
from ssd_np.records import Detections, Truth

IOU_THRESHOLDS = np.linspace(0.5, 0.95, 10)
AREAS = {"all": (0, 1e10), "small": (0, 32**2), "medium": (32**2, 96**2), "large": (96**2, 1e10)}
MOST_DETECTIONS = 100  # of one class in one image; those with the best scores


@dataclass(frozen=True)
class Matched:
    """One image and class. Letters: A ranges of area, T IoU thresholds, D detections."""

    scores: np.ndarray  # (D,) best first
    right: np.ndarray  # (A, T, D) bool
    dropped: np.ndarray  # (A, T, D) bool
    truths: np.ndarray  # (A,) objects that count


def match_image(found: Detections, truth: Truth, label: int) -> Matched:
    """All ranges of area and all thresholds at once, for the best MOST_DETECTIONS of a class."""
    rows = np.flatnonzero(np.asarray(found.labels) == label)
    scores = np.asarray(found.scores, np.float64)[rows]
    best = np.argsort(-scores, kind="stable")[:MOST_DETECTIONS]
    size, area = measured(truth)
    found_pixels = to_pixels(np.asarray(found.boxes_corner)[rows[best]], size)
    mine = truth.labels == label
    truth_pixels, crowd = to_pixels(truth.boxes_corner[mine], size), truth.crowd[mine]

    counted = _inside_ranges(area[mine]) & ~crowd  # (A, G)
    iou = coco_iou(found_pixels, truth_pixels, crowd)  # (D, G)
    taken, dropped = _match(iou, counted, crowd)  # (A, T, D) both
    outside = ~_inside_ranges(_area(found_pixels))  # (A, D)
    dropped |= ~taken & outside[:, None]
    return Matched(scores[best], taken & ~dropped, dropped, counted.sum(axis=1))


def _match(
    iou: np.ndarray, counted: np.ndarray, crowd: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Greedy matching for all ranges of area A and all thresholds T at once.

    iou (D, G), counted (A, G), crowd (G,) -> (A, T, D) bool: the detection took an object;
    the object that it took is an ignored one.
    """
    (found, truths), ranges = iou.shape, len(counted)
    free = np.ones((ranges, len(IOU_THRESHOLDS), truths), bool)
    taken = np.zeros((ranges, len(IOU_THRESHOLDS), found), bool)
    ignored = np.zeros_like(taken)
    near = np.flatnonzero(iou.max(axis=1, initial=0.0) >= IOU_THRESHOLDS[0])  # the others take none
    for d in near:
        possible = (iou[d] >= IOU_THRESHOLDS[:, None]) & free  # (A, T, G)
        wanted = possible & counted[:, None]
        takes_counted = wanted.any(axis=2)
        possible = np.where(takes_counted[..., None], wanted, possible)
        # of equal IoUs the last object wins, as in pycocotools
        last_first = np.where(possible, iou[d], -1.0)[..., ::-1]
        choice = truths - 1 - last_first.argmax(axis=2)  # (A, T)
        takes = possible.any(axis=2)
        taken[..., d] = takes
        ignored[..., d] = takes & ~takes_counted
        a, t = np.nonzero(takes)
        free[a, t, choice[a, t]] = crowd[choice[a, t]]
    return taken, ignored


def coco_iou(found: np.ndarray, truth: np.ndarray, crowd: np.ndarray) -> np.ndarray:
    """IoU of corner boxes, (D, 4), (G, 4) -> (D, G); over the detection's area for a crowd (G,)."""
    found, truth = check_two_lists(found, truth)
    crowd = as_array(crowd, "crowd")
    if crowd.shape != (len(truth),):
        raise ShapeError(f"crowd is {crowd.shape} for {len(truth)} boxes", hint="a flag each")
    low = np.maximum(found[:, None, :2], truth[None, :, :2])
    high = np.minimum(found[:, None, 2:], truth[None, :, 2:])
    sides = np.maximum(high - low, 0.0)  # (D, G, 2)
    overlap = sides[..., 0] * sides[..., 1]
    union = _area(found)[:, None] + np.where(crowd, 0.0, _area(truth) - overlap)
    return np.divide(overlap, union, out=np.zeros_like(overlap), where=overlap > 0)


# --- pixels ---------------------------------------------------------------------------------------


def check_sizes(truths: Sequence[Truth]) -> None:
    """ShapeError that names the first image whose truth does not tell its size."""
    for i, truth in enumerate(truths):
        measured(truth, f"image {i}")


def measured(truth: Truth, where: str = "") -> tuple[tuple[int, int], np.ndarray]:
    """Size (height, width) of the image and areas (G,) of its objects in square pixels."""
    if truth.size is None or truth.area is None:
        hint = "Truth(..., size=(height, width)), or the truth of a Sample"
        raise ShapeError("its truth has no size, and COCO measures objects in pixels", where, hint)
    return truth.size, truth.area


def to_pixels(boxes_corner: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Corner boxes (D, 4) in fractions -> in pixels counted from 0, float64; size (H, W)."""
    check_shape(size, "(height, width)", 2, 2)
    height, width = size
    boxes = check_boxes(boxes_corner, "boxes_corner").astype(np.float64).reshape(-1, 4)
    return clean(boxes * (width, height, width, height))


def clean(values: np.ndarray) -> np.ndarray:
    """Removes the last bits: v / size * size may miss v by one, and turn IoU 0.5 into less."""
    return np.round(values, 9)


def _area(boxes: np.ndarray) -> np.ndarray:
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])


def _inside_ranges(area: np.ndarray) -> np.ndarray:
    """(G,) -> (A, G): a border belongs to both its ranges."""
    low, high = np.array(list(AREAS.values())).T[..., None]  # (A, 1) each
    return (low <= clean(area)) & (clean(area) <= high)
