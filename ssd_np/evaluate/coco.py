"""The twelve numbers of the COCO detection challenge (cocodataset.org, "Detection evaluation").

Against Pascal VOC: AP is averaged over ten IoU thresholds, 0.50, 0.55 .. 0.95, so that tight boxes
pay; precision is read at 101 recalls; a detection takes the best object *that is still free*; and
results are split by the objects' area in square pixels. What is right and wrong in one image is
decided in `coco_matching.py`; here the images become curves, and the curves twelve numbers.

All in float64 and equal, tie for tie, to pycocotools' `COCOeval` on boxes with its default
parameters: -1 stands where there is no object to find. No gradient: the metric is a count.
"""

import dataclasses
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ssd_np.evaluate.average_precision import common_class_names
from ssd_np.evaluate.coco_matching import (
    AREAS,
    IOU_THRESHOLDS,
    MOST_DETECTIONS,
    Matched,
    check_sizes,
    match_image,
)
from ssd_np.records import Detections, Truth

RECALLS = np.linspace(0.0, 1.0, 101)
DIFFICULT_RULE = "counted like any other: COCO has no such mark"


@dataclass(frozen=True)
class CocoClass:
    """One class; -1 stands where there is no object to find."""

    name: str
    ap: float  # over all ten IoU thresholds
    ap50: float
    recall: float  # mean over the thresholds, with 100 detections an image
    truths: int  # objects to find (crowds left out)
    detections: int


@dataclass(frozen=True)
class CocoResult:
    """The twelve numbers, and the classes they are means of."""

    summary: dict[str, float]
    classes: tuple[CocoClass, ...]

    def table(self) -> str:
        """The result as text, a line for each class that has truths or detections."""
        shown = [c for c in self.classes if c.truths or c.detections]
        width = max([len("class"), *(len(c.name) for c in shown)])
        lines = [f"{'class':<{width}}      AP    AP50  recall   truths  detections"]
        for c in shown:
            numbers = "  ".join(f"{_shown(v):>6}" for v in (c.ap, c.ap50, c.recall))
            lines.append(f"{c.name:<{width}}  {numbers}  {c.truths:>7}  {c.detections:>10}")
        counted = sum(c.truths > 0 for c in self.classes)
        s = {key: _shown(value) for key, value in self.summary.items()}
        lines += [
            f"{'mean':<{width}}  {s['AP']:>6}  {s['AP50']:>6}  {s['AR_100']:>6}  "
            f"over {counted} of {len(self.classes)} classes",
            f"AP    IoU .50:.05:.95 {s['AP']}, .50 {s['AP50']}, .75 {s['AP75']}; "
            f"small {s['AP_small']}, medium {s['AP_medium']}, large {s['AP_large']}",
            f"AR    1 detection an image {s['AR_1']}, 10 {s['AR_10']}, 100 {s['AR_100']}; "
            f"small {s['AR_small']}, medium {s['AR_medium']}, large {s['AR_large']}",
            f"COCO AP, mean over IoU .50:.05:.95; difficult {DIFFICULT_RULE}",
        ]
        return "\n".join(lines)

    def to_json(self) -> dict:
        """Plain numbers and texts for `json.dump`; -1 where there is nothing to find."""
        thresholds = [round(float(t), 2) for t in IOU_THRESHOLDS]
        rule = {"metric": "COCO", "difficult": DIFFICULT_RULE, "iou_thresholds": thresholds}
        return rule | self.summary | {"classes": [dataclasses.asdict(c) for c in self.classes]}


def _shown(value: float) -> str:
    return "-" if value < 0 else f"{value:.4f}"


def evaluate_coco(
    detections: Sequence[Detections], ground_truth: Sequence[Truth]
) -> dict[str, float]:
    """COCO's AP and AR; item i of both lists belongs to image i. Needs `Truth.size` in pixels.

    Returns AP, AP50, AP75, AP_small, AP_medium, AP_large (mean average precision), and AR_1, AR_10,
    AR_100, AR_small, AR_medium, AR_large (mean recall, with that many detections an image). A class
    without objects to find is left out of a mean; a mean over nothing is -1.
    Raises ShapeError for lists that do not fit each other and truths without a size, NotFinite for
    NaN boxes or scores.
    """
    return coco_result(detections, ground_truth).summary


def coco_result(detections: Sequence[Detections], ground_truth: Sequence[Truth]) -> CocoResult:
    """`evaluate_coco` with the numbers of each class."""
    names = common_class_names(detections, ground_truth)
    check_sizes(ground_truth)
    by_class = defaultdict(list)
    for found, truth in zip(detections, ground_truth, strict=True):
        for label in np.union1d(found.labels, truth.labels):
            by_class[int(label)].append(match_image(found, truth, label))

    shape = (len(names), len(AREAS), len(IOU_THRESHOLDS))
    precision = np.full((*shape, len(RECALLS)), -1.0)  # (K-1, A, T, R)
    recall = {most: np.full(shape, -1.0) for most in (1, 10, MOST_DETECTIONS)}  # (K-1, A, T)
    for label, images in by_class.items():
        for most, table in recall.items():
            table[label - 1], curve = _accumulate(images, most)
        precision[label - 1] = curve  # of the last, MOST_DETECTIONS
    found_labels = np.concatenate([np.empty(0, int), *(found.labels for found in detections)])
    full, classes = recall[MOST_DETECTIONS], []
    for k, name in enumerate(names):
        means = _mean(precision[k, 0]), _mean(precision[k, 0, 0]), _mean(full[k, 0])
        truths = sum(int(image.truths[0]) for image in by_class[k + 1])
        classes.append(CocoClass(name, *means, truths, int(np.sum(found_labels == k + 1))))
    return CocoResult(_summary(precision, recall), tuple(classes))


def _summary(precision: np.ndarray, recall: dict[int, np.ndarray]) -> dict[str, float]:
    full, every = recall[MOST_DETECTIONS], precision[:, 0]
    result = {"AP": _mean(every), "AP50": _mean(every[:, 0]), "AP75": _mean(every[:, 5])}
    result |= {f"AP_{name}": _mean(precision[:, a]) for a, name in enumerate(AREAS) if a > 0}
    result |= {f"AR_{most}": _mean(table[:, 0]) for most, table in recall.items()}
    result |= {f"AR_{name}": _mean(full[:, a]) for a, name in enumerate(AREAS) if a > 0}
    return result


def _mean(values: np.ndarray) -> float:
    present = values[values > -1]
    return float(present.mean()) if present.size else -1.0


# --- one class, all images -----------------------------------------------------------------------


def _accumulate(images: list[Matched], most: int) -> tuple[np.ndarray, np.ndarray]:
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
