"""The twelve numbers of the COCO detection challenge (cocodataset.org, "Detection evaluation").

Against Pascal VOC: AP is averaged over ten IoU thresholds, 0.50, 0.55 .. 0.95, so that tight boxes
pay; precision is read at 101 recalls; a detection takes the best object *that is still free*; and
results are split by the objects' area in square pixels. Within one image and class, from the best
score down, at one threshold and for one range of areas:

    an object counts if its area lies in the range and it is no crowd; the others are ignored;
    a detection takes the free counted object of largest IoU >= threshold, failing that an ignored
    one (a crowd is never used up); taking an ignored one, it is dropped, neither right nor wrong;
    a detection that takes nothing is wrong, unless its own area lies outside the range: dropped.

IoU with a crowd is the intersection over the *detection's* area: a crowd outlines many objects.
All in float64 and equal, tie for tie, to pycocotools' `COCOeval` on boxes with its default
parameters: -1 stands where there is no object to find. No gradient: the metric is a count.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ssd_np.errors import DataError, ShapeError
from ssd_np.evaluate.average_precision import common_class_names
from ssd_np.records import Detections, Truth

IOU_THRESHOLDS = np.linspace(0.5, 0.95, 10)
RECALLS = np.linspace(0.0, 1.0, 101)
AREAS = {"all": (0, 1e10), "small": (0, 32**2), "medium": (32**2, 96**2), "large": (96**2, 1e10)}
MOST_DETECTIONS = 100  # of one class in one image; those with the best scores


@dataclass(frozen=True)
class _Matched:
    """One image and class. Letters: A ranges of area, T IoU thresholds, D detections."""

    scores: np.ndarray  # (D,) best first
    right: np.ndarray  # (A, T, D) bool
    dropped: np.ndarray  # (A, T, D) bool
    truths: np.ndarray  # (A,) objects that count


def evaluate_coco(
    detections: Sequence[Detections], ground_truth: Sequence[Truth]
) -> dict[str, float]:
    """COCO's AP and AR; item i of both lists belongs to image i. Needs `Truth.size` in pixels.

    Returns AP, AP50, AP75, AP_small, AP_medium, AP_large (mean average precision), and AR_1, AR_10,
    AR_100, AR_small, AR_medium, AR_large (mean recall, with that many detections an image). A class
    without objects to find is left out of a mean; a mean over nothing is -1.
    Raises ShapeError for lists that do not fit each other, NotFinite for NaN boxes or scores.
    """
    names = common_class_names(detections, ground_truth)
    by_class = defaultdict(list)
    for found, truth in zip(detections, ground_truth, strict=True):
        for label in np.union1d(found.labels, truth.labels):
            by_class[int(label)].append(_match_image(found, truth, label))

    shape = (len(names), len(AREAS), len(IOU_THRESHOLDS))
    precision = np.full((*shape, len(RECALLS)), -1.0)  # (K-1, A, T, R)
    recall = {most: np.full(shape, -1.0) for most in (1, 10, MOST_DETECTIONS)}  # (K-1, A, T)
    for label, images in by_class.items():
        for most, table in recall.items():
            table[label - 1], curve = _accumulate(images, most)
        precision[label - 1] = curve  # of the last, MOST_DETECTIONS
    return _summary(precision, recall)


def _summary(precision: np.ndarray, recall: dict[int, np.ndarray]) -> dict[str, float]:
    full = recall[MOST_DETECTIONS]
    result = {
        "AP": _mean(precision[:, 0]),
        "AP50": _mean(precision[:, 0, 0]),
        "AP75": _mean(precision[:, 0, 5]),
    }
    result |= {f"AP_{name}": _mean(precision[:, a]) for a, name in enumerate(AREAS) if a > 0}
    result |= {f"AR_{most}": _mean(table[:, 0]) for most, table in recall.items()}
    result |= {f"AR_{name}": _mean(full[:, a]) for a, name in enumerate(AREAS) if a > 0}
    return result


def _mean(values: np.ndarray) -> float:
    present = values[values > -1]
    return float(present.mean()) if present.size else -1.0


# --- one image, one class ------------------------------------------------------------------------


def _match_image(found: Detections, truth: Truth, label: int) -> _Matched:
    rows = np.flatnonzero(np.asarray(found.labels) == label)
    scores = np.asarray(found.scores, np.float64)[rows]
    best = np.argsort(-scores, kind="stable")[:MOST_DETECTIONS]
    found_pixels = _pixels(np.asarray(found.boxes_corner)[rows[best]], truth.size)
    mine = truth.labels == label
    truth_pixels, crowd = _pixels(truth.boxes_corner[mine], truth.size), truth.crowd[mine]

    counted = _inside_ranges(truth.area[mine]) & ~crowd  # (A, G)
    iou = coco_iou(found_pixels, truth_pixels, crowd)  # (D, G)
    taken, dropped = _match(iou, counted, crowd)  # (A, T, D) both
    outside = ~_inside_ranges(_area(found_pixels))  # (A, D)
    dropped |= ~taken & outside[:, None]
    return _Matched(scores[best], taken & ~dropped, dropped, counted.sum(axis=1))


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
    low = np.maximum(found[:, None, :2], truth[None, :, :2])
    high = np.minimum(found[:, None, 2:], truth[None, :, 2:])
    sides = np.maximum(high - low, 0.0)  # (D, G, 2)
    overlap = sides[..., 0] * sides[..., 1]
    union = _area(found)[:, None] + np.where(crowd, 0.0, _area(truth) - overlap)
    return np.divide(overlap, union, out=np.zeros_like(overlap), where=overlap > 0)


# --- one class, all images -----------------------------------------------------------------------


def _accumulate(images: list[_Matched], most: int) -> tuple[np.ndarray, np.ndarray]:
    """Recall (A, T) and precision at RECALLS (A, T, R) with `most` detections an image."""
    scores = np.concatenate([image.scores[:most] for image in images])
    order = np.argsort(-scores, kind="stable")
    right = np.concatenate([image.right[..., :most] for image in images], axis=2)[..., order]
    dropped = np.concatenate([image.dropped[..., :most] for image in images], axis=2)[..., order]
    truths = np.sum([image.truths for image in images], axis=0)  # (A,)

    true_positives = np.cumsum(right, axis=2)  # (A, T, D)
    listed = np.cumsum(~dropped, axis=2)
    precision = true_positives / np.maximum(listed, 1)
    envelope = np.maximum.accumulate(precision[..., ::-1], axis=2)[..., ::-1]
    final_recall = np.full(right.shape[:2], -1.0)
    sampled = np.full((*right.shape[:2], len(RECALLS)), -1.0)
    for a, t in np.ndindex(*final_recall.shape):
        if truths[a] == 0:
            continue  # nothing to find: stays -1
        recall = true_positives[a, t] / truths[a]  # (D,)
        final_recall[a, t] = recall[-1] if len(recall) else 0.0
        at = np.searchsorted(recall, RECALLS, side="left")
        sampled[a, t] = np.append(envelope[a, t], 0.0)[at]  # 0 beyond the last recall
    return final_recall, sampled


# --- pixels --------------------------------------------------------------------------------------


def _pixels(boxes_corner: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Fractions to pixels, float64."""
    height, width = size
    boxes = np.asarray(boxes_corner, np.float64).reshape(-1, 4)
    return _clean(boxes * (width, height, width, height))


def _clean(values: np.ndarray) -> np.ndarray:
    """Removes the last bits: v / size * size may miss v by one, and turn IoU 0.5 into less."""
    return np.round(values, 9)


def _area(boxes: np.ndarray) -> np.ndarray:
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])


def _inside_ranges(area: np.ndarray) -> np.ndarray:
    """(G,) -> (A, G): a border belongs to both its ranges."""
    low, high = np.array(list(AREAS.values())).T[..., None]  # (A, 1) each
    return (low <= _clean(area)) & (_clean(area) <= high)


# --- results files -------------------------------------------------------------------------------


def to_coco_results(
    detections: Sequence[Detections],
    image_ids: Sequence[int],
    sizes: Sequence[tuple[int, int]],
    category_ids: Sequence[int],
) -> list[dict]:
    """The list of a COCO results file: bbox is (x, y, width, height) in pixels.

    One id and one (height, width) for each image; `category_ids[k - 1]` is the id of label k.
    """
    _require_equal_lengths(
        "image", {"detections": detections, "image_ids": image_ids, "sizes": sizes}
    )
    results = []
    for found, image_id, size in zip(detections, image_ids, sizes, strict=True):
        boxes = _pixels(found.boxes_corner, size)
        boxes[:, 2:] = _clean(boxes[:, 2:] - boxes[:, :2])
        for box, label, score in zip(boxes, found.labels, found.scores, strict=True):
            results.append(
                {
                    "image_id": image_id,
                    "category_id": category_ids[label - 1],
                    "bbox": box.tolist(),
                    "score": float(score),
                }
            )
    return results


def from_coco_results(
    results: Sequence[Mapping],
    image_ids: Sequence[int],
    sizes: Sequence[tuple[int, int]],
    category_ids: Sequence[int],
    class_names: Sequence[str],
) -> list[Detections]:
    """The detections of a COCO results file, one item for each of `image_ids`, best first.

    Raises DataError for a result without its keys, or of an image or a category not listed.
    """
    _require_equal_lengths("image", {"image_ids": image_ids, "sizes": sizes})
    _require_equal_lengths("class", {"category_ids": category_ids, "class_names": class_names})
    image_of = {image_id: i for i, image_id in enumerate(image_ids)}
    label_of = {category_id: k for k, category_id in enumerate(category_ids, start=1)}
    rows = [[] for _ in image_ids]  # of (x, y, w, h, label, score)
    for i, result in enumerate(results):
        try:
            image, label = image_of[result["image_id"]], label_of[result["category_id"]]
            x, y, w, h = result["bbox"]
            rows[image].append((x, y, w, h, label, result["score"]))
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(
                f"not usable: {error!r}",
                where=f"results[{i}]",
                hint="needs image_id and category_id from the data set, bbox [x, y, w, h], score",
            ) from error
    return [
        _detections_from_rows(image_rows, size, tuple(class_names))
        for image_rows, size in zip(rows, sizes, strict=True)
    ]


def _detections_from_rows(
    rows: list[tuple], size: tuple[int, int], names: tuple[str, ...]
) -> Detections:
    table = np.array(rows, np.float64).reshape(-1, 6)
    table = table[np.argsort(-table[:, 5], kind="stable")]
    height, width = size
    corner = np.hstack([table[:, :2], table[:, :2] + table[:, 2:4]])
    corner /= (width, height, width, height)
    return Detections(corner, table[:, 4].astype(np.int64), table[:, 5], names)


def _require_equal_lengths(each: str, lists: dict[str, Sequence]) -> None:
    lengths = {name: len(values) for name, values in lists.items()}
    if len(set(lengths.values())) > 1:
        raise ShapeError(f"lists of different lengths: {lengths}", hint=f"one item for each {each}")
