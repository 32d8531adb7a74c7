"""Which classes are taken for which: detections of at least some score against the objects.

Average precision says how good a detector is, this says what it does wrong. An object can be

    found      the best detection of its own class that overlaps it enough, as in Pascal VOC
    confused   not found, but a detection of another class overlaps it enough
    missed     neither

and a detection that neither finds nor confuses an object is

    duplicate      it overlaps an object of its class enough, which is found already
    misclassified  it overlaps one of another class enough, which is found, or confused, already
    invented       there is nothing

The words are those of TIDE (Bolya et al. 2020, arXiv 2008.08115), whose classification errors are
the detections that confuse and the misclassified ones; localization errors are invented here.
First own classes, then others, each by falling score. So what is found is what counts as a true
positive in `evaluate_voc` with the same threshold. Objects marked difficult or crowd are left out,
and so are detections on them.

    matrix[a, b]    objects of class a taken for b; the last row is the background, where the
                    detections of the last three kinds are, for an object counts only once; the
                    last column is the objects that were missed
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ssd_np.boxes.iou import iou_matrix
from ssd_np.checks import check_factor, check_kind
from ssd_np.evaluate.average_precision import common_class_names
from ssd_np.records import Detections, Truth
from ssd_np.signatures import checked

FOUND, CONFUSED, INVENTED = "found", "confused", "invented"
DUPLICATE, MISCLASSIFIED = "duplicate", "misclassified"
LEFT_OUT, MISSED = "left out", -1
WRONG = (CONFUSED, DUPLICATE, MISCLASSIFIED, INVENTED)


@dataclass(frozen=True)
class Outcome:
    """What became of the objects and detections of one image.

    counted  (G,) whether an object counts
    by       (G,) the detection that found or confused it, or MISSED
    kinds    what each of the D detections is
    """

    counted: np.ndarray
    by: np.ndarray
    kinds: list[str]

    def mistakes(self) -> dict[str, int]:
        """How many of each kind."""
        missed = int(np.sum(self.counted & (self.by == MISSED)))
        return {"missed": missed} | {kind: self.kinds.count(kind) for kind in WRONG}


@dataclass(frozen=True)
class Confusion:
    """matrix (K + 1, K + 1), see above, and what it was made of, image by image."""

    class_names: tuple[str, ...]
    matrix: np.ndarray
    outcomes: list[Outcome]
    min_score: float
    iou_threshold: float

    def totals(self) -> dict[str, int]:
        """Objects, those found, and mistakes of each kind, in all images."""
        sums = {"objects": int(self.matrix[:-1].sum()), FOUND: int(np.trace(self.matrix[:-1]))}
        each = [outcome.mistakes() for outcome in self.outcomes]
        return sums | {kind: sum(one[kind] for one in each) for kind in ("missed", *WRONG)}

    def to_json(self) -> dict:
        """Rows and columns by name."""
        rule = {"score": self.min_score, "iou_threshold": self.iou_threshold}
        sides = {
            "rows": [*self.class_names, "background"],
            "columns": [*self.class_names, "missed"],
        }
        return {**rule, **sides, "counts": self.matrix.tolist(), "totals": self.totals()}


def confusion(
    detections: Sequence[Detections],
    truths: Sequence[Truth],
    min_score: float = 0.5,
    iou_threshold: float = 0.5,
) -> Confusion:
    """Counts detections from `min_score` on; item i is image i in both. Errors: `evaluate_voc`."""
    names = common_class_names(detections, truths)
    matrix = np.zeros((len(names) + 1, len(names) + 1), np.int64)
    outcomes = []
    for found, truth in zip(detections, truths, strict=True):
        shown = found.at_least(min_score)
        outcome = outcome_of(shown, truth, iou_threshold)
        outcomes.append(outcome)
        for label, by, counts in zip(truth.labels, outcome.by, outcome.counted, strict=True):
            if counts:
                matrix[label - 1, shown.labels[by] - 1 if by != MISSED else -1] += 1
        for label, kind in zip(shown.labels, outcome.kinds, strict=True):
            matrix[-1, label - 1] += kind in (DUPLICATE, MISCLASSIFIED, INVENTED)
    return Confusion(names, matrix, outcomes, min_score, iou_threshold)


def outcome_of(found: Detections, truth: Truth, iou_threshold: float = 0.5) -> Outcome:
    """What became of the detections of an image, best first, and of its objects."""
    check_kind(found, Detections, "found")
    check_kind(truth, Truth, "truth")
    check_factor(iou_threshold, "iou_threshold")
    counted = ~(truth.difficult | truth.crowd)
    by, kinds = np.full(len(truth), MISSED), [INVENTED] * len(found)
    boxes = np.asarray(found.boxes_corner, np.float64).reshape(-1, 4)
    iou = iou_matrix(boxes, truth.boxes_corner)  # (D, G)
    own = found.labels[:, None] == truth.labels
    for same in (True, False):
        for d in range(len(found)):
            if kinds[d] != INVENTED or not len(truth):
                continue
            # of its own class the object that it overlaps most; of others one that is still free
            allowed = own[d] if same else ~own[d] & counted & (by == MISSED)
            best = int(np.argmax(np.where(allowed, iou[d], -1)))
            if not allowed[best] or iou[d, best] < iou_threshold:
                continue
            if not counted[best]:
                kinds[d] = LEFT_OUT
            elif by[best] == MISSED:
                kinds[d], by[best] = FOUND if same else CONFUSED, d
            else:
                kinds[d] = DUPLICATE  # others are offered free objects only
    for d in range(len(found) * bool(len(truth))):
        best = int(iou[d].argmax())
        if kinds[d] == INVENTED and iou[d, best] >= iou_threshold:
            kinds[d] = MISCLASSIFIED if counted[best] else LEFT_OUT
    return Outcome(counted, by, kinds)


@checked
def worst_first(outcomes: Sequence[Outcome]) -> list[int]:
    """The images with mistakes, those with the most first; equal ones in the order of the data."""
    counts = [sum(outcome.mistakes().values()) for outcome in outcomes]
    return sorted((i for i, count in enumerate(counts) if count), key=lambda i: -counts[i])
