"""From a network's outputs to detections, and why: what became of every default box of an image.

    scores = softmax(logits) or sigmoid(logits),    boxes = decode(offsets, default boxes)
    for each class on its own: the best 400 above the score threshold, then suppression
    of all classes together: the best 200                  (SSD paper, sections 2.2 and 3.7)

`Detector` takes the detections from here, and `explain` the reasons too.
"""

import warnings
from dataclasses import dataclass

import numpy as np

from ssd_np.boxes.codec import decode
from ssd_np.boxes.coords import center_to_corner, clip
from ssd_np.checks import check_kind
from ssd_np.config import DecodingConfig
from ssd_np.engine import Engine
from ssd_np.errors import NotFinite
from ssd_np.nn.checks import check_floats
from ssd_np.records import Detections


@dataclass(frozen=True)
class Suppressed:
    """Row `row` scored as `label`, but overlaps row `by` of that class, which scored better."""

    row: int
    label: int
    by: int
    iou: float


@dataclass(frozen=True)
class Decoded:
    """What became of the T default boxes of an image. A row is the index of a default box.

    scores (T, K) and boxes_corner (T, 4) of all; `survivors`: for each class the rows that
    suppression kept, best first; rows (D,) and labels (D,): the detections, best first.
    """

    rule: DecodingConfig
    ops: Engine
    scores: np.ndarray
    boxes_corner: np.ndarray
    survivors: list[np.ndarray]
    rows: np.ndarray
    labels: np.ndarray

    def detections(self, names: tuple[str, ...]) -> Detections:
        """The answer: boxes cut at the border of the image."""
        scores = self.scores[self.rows, self.labels]
        return Detections(clip(self.boxes_corner[self.rows]), self.labels, scores, names)

    def suppressed(self) -> list[Suppressed]:
        """Why the other candidates are no detections: for each, the first that it overlaps."""
        found = []
        for label, survivors in enumerate(self.survivors, start=1):
            score = self.scores[:, label]
            candidates = self.ops.best_first(score, self.rule.top_k_class)
            candidates = candidates[score[candidates] > self.rule.score_threshold]
            dropped = np.setdiff1d(candidates, survivors)
            iou = self.ops.iou_matrix(self.boxes_corner[survivors], self.boxes_corner[dropped])
            first = (iou > self.rule.iou_threshold).argmax(axis=0) if len(dropped) else dropped
            for i, (row, by) in enumerate(zip(dropped, first, strict=True)):
                one = Suppressed(int(row), label, int(survivors[by]), float(iou[by, i]))
                found.append(one)
        return found


def check_finite(logits: np.ndarray, offsets: np.ndarray) -> None:
    """NotFinite for outputs of a network that are no numbers."""
    for array, name in ((logits, "logits"), (offsets, "offsets")):
        check_floats(array, name)
    if not (np.isfinite(logits).all() and np.isfinite(offsets).all()):
        what = "the network's outputs are not finite, so there is nothing to detect"
        hint = "its weights have gone astray in training; take those of an earlier step"
        raise NotFinite(what, hint=hint)


def decode_outputs(
    logits: np.ndarray,
    offsets: np.ndarray,
    default_boxes: np.ndarray,
    rule: DecodingConfig,
    ops: Engine,
) -> Decoded:
    """One image's logits (T, K) and offsets (T, 4), default boxes (T, 8) -> Decoded.

    Raises NotFinite for outputs that are no numbers, of weights that have gone astray. A box that
    is none, of outputs beyond all bounds, is no candidate; a warning says how many there are.
    """
    check_kind(rule, DecodingConfig, "rule")
    check_finite(logits, offsets)
    scores = getattr(ops, rule.scores)(logits)  # (T, K)
    with np.errstate(over="ignore", invalid="ignore"):  # counted below
        boxes = center_to_corner(decode(offsets, default_boxes, rule.max_exponent))  # (T, 4)
    lost = ~np.isfinite(boxes).all(axis=1)  # (T,)
    if lost.any():
        warnings.warn(
            f"{lost.sum():,} of {len(lost):,} boxes are not finite and are left out", stacklevel=2
        )
        boxes, scores = np.where(lost[:, None], 0, boxes), np.where(lost[:, None], 0, scores)
    if rule.clip == "before_nms":
        boxes = clip(boxes)
    survivors = ops.nms_each_class(
        boxes, scores, rule.score_threshold, rule.iou_threshold, rule.top_k_class
    )
    rows = np.concatenate(survivors)
    labels = np.repeat(np.arange(1, scores.shape[1]), [len(kept) for kept in survivors])
    best = ops.best_first(scores[rows, labels], rule.top_k)
    return Decoded(rule, ops, scores, boxes, survivors, rows[best], labels[best])
