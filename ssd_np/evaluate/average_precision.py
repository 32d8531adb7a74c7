"""Average precision as Pascal VOC defines it.

The idea: put all detections of a class, over all images, in the order of their scores. Walking
down that list, recall (the share of objects found) grows and precision (the share of detections
that are right) wanders. Average precision, AP, is the area under precision as a function of recall:

    precision(n) = TP(n) / n          recall(n) = TP(n) / objects          AP = integral p(r) dr

Source: the rules of the Pascal VOC development kit (`VOCevaldet`; Everingham et al., IJCV 2010,
section 4.2). One deviation: the kit adds 1 to widths and heights because its pixel coordinates
are inclusive. Boxes here are fractions of the image, nothing is added, and IoU is the same number
as on pixels.

There is no gradient: a count of hits is constant almost everywhere.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from ssd_np.boxes.checks import IN_PIXELS, check_scores
from ssd_np.boxes.iou import iou_matrix
from ssd_np.checks import check_factor
from ssd_np.errors import ConfigError, NotFinite, ShapeError
from ssd_np.records import Detections, Truth

DIFFICULT_RULE = "ignored: neither objects to find nor wrong to find"


@dataclass(frozen=True)
class ClassResult:
    """One class. The arrays are its curve, best score first, without ignored detections."""

    name: str
    ap: float  # nan when there is no object to find
    truths: int  # objects to find (difficult ones left out)
    detections: int  # all of this class, ignored ones too
    best_recall: float  # recall at the end of the list; nan without truths
    precision: np.ndarray  # (D,)
    recall: np.ndarray  # (D,)
    scores: np.ndarray  # (D,)


@dataclass(frozen=True)
class VocResult:
    """AP of every class, and their mean over the classes that have objects to find."""

    mean_ap: float  # nan when no class has an object to find
    classes: tuple[ClassResult, ...]
    iou_threshold: float
    metric: str
    difficult: str = DIFFICULT_RULE

    @property
    def ap(self) -> dict[str, float]:
        """AP by class name; nan for a class without truth."""
        return {c.name: c.ap for c in self.classes}

    def table(self) -> str:
        """The result as text, a line for each class that has truths or detections."""
        shown = [c for c in self.classes if c.truths or c.detections]
        width = max([len("class"), *(len(c.name) for c in shown)])
        lines = [f"{'class':<{width}}  {'AP':>6}  {'recall':>6}  {'truths':>7}  {'detections':>10}"]
        for c in shown:
            ap, recall = ("-", "-") if not c.truths else (f"{c.ap:.4f}", f"{c.best_recall:.4f}")
            numbers = f"{ap:>6}  {recall:>6}  {c.truths:>7}  {c.detections:>10}"
            lines.append(f"{c.name:<{width}}  {numbers}")
        mean = "-" if math.isnan(self.mean_ap) else f"{self.mean_ap:.4f}"
        counted = sum(c.truths > 0 for c in self.classes)
        lines.append(f"{'mean':<{width}}  {mean:>6}  over {counted} of {len(self.classes)} classes")
        lines.append(f"{self.metric} AP, IoU >= {self.iou_threshold:g}; difficult {self.difficult}")
        return "\n".join(lines)

    def to_json(self) -> dict:
        """Plain numbers and texts for `json.dump`, without the curves; None where AP is nan."""
        whole = ("mean_ap", "metric", "iou_threshold", "difficult")
        each = ("name", "ap", "truths", "detections", "best_recall")
        classes = [{key: _or_none(getattr(c, key)) for key in each} for c in self.classes]
        return {key: _or_none(getattr(self, key)) for key in whole} | {"classes": classes}


def evaluate_voc(
    detections: Sequence[Detections],
    ground_truth: Sequence[Truth],
    iou_threshold: float = 0.5,
    metric: Literal["all-point", "11-point"] = "all-point",
) -> VocResult:
    """Scores detections against the truth; item i of both lists belongs to image i.

    Every detection is assigned to the object of its own class, in its image, that it overlaps most.
    It is a true positive when that IoU is at least `iou_threshold` and no detection with a better
    score took the object already, else a false positive (a duplicate is wrong). An object marked
    difficult (or crowd) is ignored: it is not counted, and a detection assigned to it is dropped.

    metric  "all-point": area under the curve's envelope (VOC 2010 and later);
            "11-point": mean of the best precision at recall >= 0, 0.1 .. 1 (VOC 2007).

    Equal scores keep the order of the lists. The name of label k is
    `Detections.class_names[k - 1]`. A class without truth has AP nan and is left out of the mean.
    Raises ConfigError for an unknown metric or threshold, ShapeError for lists that do not fit each
    other, NotFinite for NaN boxes or scores.
    """
    check_factor(iou_threshold, "iou_threshold")
    if not isinstance(metric, str) or metric not in _AP:
        raise ConfigError(f"unknown metric {metric!r}", hint=f"known: {', '.join(_AP)}")
    if not 0 < iou_threshold <= 1:
        raise ConfigError(f"expected an IoU threshold in (0, 1], got {iou_threshold}")
    names = common_class_names(detections, ground_truth)
    found = _assign(detections, ground_truth)
    truth_labels = _concatenate([t.labels for t in ground_truth], np.int64)
    ignored = _concatenate([t.difficult | t.crowd for t in ground_truth], bool)

    classes = []
    for label, name in enumerate(names, start=1):
        rows = found[found["label"] == label]
        truths = int(np.sum((truth_labels == label) & ~ignored))
        recall, precision, scores = _curve(rows, ignored, truths, iou_threshold)
        ap = _AP[metric](recall, precision) if truths else math.nan
        best = math.nan if not truths else float(recall[-1]) if len(recall) else 0.0
        classes.append(ClassResult(name, ap, truths, len(rows), best, precision, recall, scores))
    counted = [c.ap for c in classes if c.truths]
    mean_ap = float(np.mean(counted)) if counted else math.nan
    return VocResult(mean_ap, tuple(classes), iou_threshold, metric)


# --- right or wrong ------------------------------------------------------------------------------

_ASSIGNED = np.dtype([("label", "i8"), ("score", "f8"), ("iou", "f8"), ("truth", "i8")])


def _assign(detections: Sequence[Detections], ground_truth: Sequence[Truth]) -> np.ndarray:
    """A row for each detection: label, score, its best IoU, and that object's place among all."""
    rows = [np.zeros(0, _ASSIGNED)]
    first = 0  # place of this image's first object in the list of all objects
    for found, truth in zip(detections, ground_truth, strict=True):
        row = np.zeros(len(found), _ASSIGNED)
        row["label"], row["score"] = found.labels, found.scores
        if len(found) and len(truth):
            found_corner = np.asarray(found.boxes_corner, np.float64)
            iou = iou_matrix(found_corner, truth.boxes_corner)  # (D, G)
            iou = np.where(row["label"][:, None] == truth.labels, iou, 0.0)
            row["iou"] = iou.max(axis=1)
            row["truth"] = first + iou.argmax(axis=1)
        rows.append(row)
        first += len(truth)
    return np.concatenate(rows)


def _curve(
    rows: np.ndarray, ignored: np.ndarray, truths: int, iou_threshold: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Recall, precision and score down the list of one class, each (D,)."""
    rows = rows[np.argsort(-rows["score"], kind="stable")]
    hit = rows["iou"] >= iou_threshold
    dropped = np.zeros(len(rows), bool)
    dropped[hit] = ignored[rows["truth"][hit]]
    rows, hit = rows[~dropped], hit[~dropped]

    # of all hits on one object the first, best scored, is right; the others are duplicates
    right = np.zeros(len(rows), bool)
    places = np.flatnonzero(hit)
    _, first = np.unique(rows["truth"][hit], return_index=True)
    right[places[first]] = True

    true_positives = np.cumsum(right)
    precision = true_positives / np.arange(1, len(rows) + 1)
    recall = true_positives / truths if truths else np.full(len(rows), math.nan)
    return recall, precision, rows["score"]


# --- the area under the curve --------------------------------------------------------------------


def all_point_ap(recall: np.ndarray, precision: np.ndarray) -> float:
    """Area under the envelope: at each recall the best precision at that recall or beyond."""
    recall, precision = _check_curve(recall, precision)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    steps = np.diff(recall, prepend=0.0)  # 0 where a false positive leaves recall as it was
    return float(np.sum(steps * envelope))


def eleven_point_ap(recall: np.ndarray, precision: np.ndarray) -> float:
    """Mean over r = 0, 0.1 .. 1 of the best precision at recall >= r (0 beyond the last recall)."""
    recall, precision = _check_curve(recall, precision)
    # k / 10 and not k * 0.1: then 3 objects of 10 do reach r = 0.3
    levels = np.arange(11) / 10
    return float(np.mean([np.max(precision[recall >= r], initial=0.0) for r in levels]))


def _check_curve(recall: np.ndarray, precision: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    recall, precision = (
        check_scores(a, n) for a, n in ((recall, "recall"), (precision, "precision"))
    )
    if recall.shape != precision.shape:
        raise ShapeError(f"recall {recall.shape}, precision {precision.shape}", hint="both (D,)")
    return recall, precision


_AP = {"all-point": all_point_ap, "11-point": eleven_point_ap}


# --- checks --------------------------------------------------------------------------------------


def common_class_names(
    detections: Sequence[Detections], ground_truth: Sequence[Truth]
) -> tuple[str, ...]:
    """Checks that both lists belong together; returns the class names all detections share."""
    for items, record in ((detections, Detections), (ground_truth, Truth)):
        if not isinstance(items, Sequence) or not all(isinstance(item, record) for item in items):
            raise ShapeError(f"expected a list of {record.__name__}, one for each image")
    if len(detections) != len(ground_truth):
        hint = "one item for each image in both lists, empty where nothing was found"
        raise ShapeError(f"{len(detections)} detections for {len(ground_truth)} truths", hint=hint)
    names = tuple(detections[0].class_names) if detections else ()
    for i, (found, truth) in enumerate(zip(detections, ground_truth, strict=True)):
        where = f"image {i}"
        if tuple(found.class_names) != names:
            raise ShapeError("class names differ from those of image 0", where=where)
        if np.shape(found.boxes_corner) != (len(found), 4) or len(found.scores) != len(found):
            shapes = map(np.shape, (found.boxes_corner, found.scores, found.labels))
            what = "boxes_corner {}, scores {} and labels {} do not fit".format(*shapes)
            raise ShapeError(what, where, "expected (D, 4), (D,) and (D,)")
        for kind, labels in (("detection", found.labels), ("truth", truth.labels)):
            if len(labels) and not 1 <= np.min(labels) <= np.max(labels) <= len(names):
                what = f"{kind} labels from {np.min(labels)} to {np.max(labels)}"
                hint = f"labels count from 1 to the number of class names, {len(names)}"
                raise ShapeError(what, where, hint)
        if len(found) and np.abs(found.boxes_corner).max() > 2:
            what = f"boxes_corner of a detection holds {np.abs(found.boxes_corner).max():g}"
            raise ShapeError(what, where, IN_PIXELS)
        boxes_and_scores = (found.boxes_corner, found.scores, truth.boxes_corner)
        if not all(np.all(np.isfinite(values)) for values in boxes_and_scores):
            raise NotFinite("a box or a score is NaN or infinite", where=where)
    return names


def _concatenate(columns: list[np.ndarray], dtype: type) -> np.ndarray:
    return np.concatenate([np.zeros(0, dtype), *columns])


def _or_none(value: Any) -> Any:
    return None if isinstance(value, float) and math.isnan(value) else value
