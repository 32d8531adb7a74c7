"""Detections averaged over an image and its mirror image.

A detector is not symmetric: what it sees in the mirror differs a little, and so do its mistakes.
The detections of both, after suppression, are paired: of one class, by falling score, each with
the one of the other side that it overlaps most, if that is more than suppression would allow. A
pair (p, a), (q, b) of scores and boxes becomes

    score (p + q) / 2        box (p a + q b) / (p + q)

and what only one side has found keeps half of its score: the other one says 0.
"""

import numpy as np

from ssd_np.boxes.iou import iou_matrix
from ssd_np.config import DecodingConfig
from ssd_np.infer.detect import Detector
from ssd_np.records import Detections


class FlipDetector(Detector):
    """A detector that looks twice."""

    def detect_preprocessed(self, images: np.ndarray) -> list[Detections]:
        """One Detections for each of (N, H, W, 3), already resized and normalised."""
        flipped = np.ascontiguousarray(images[:, :, ::-1])
        both = super().detect_preprocessed(images), super().detect_preprocessed(flipped)
        return [average(a, mirrored(b), self.rule) for a, b in zip(*both, strict=True)]


def mirrored(found: Detections) -> Detections:
    """The same objects in the mirror: x becomes 1 - x."""
    xmin, ymin, xmax, ymax = found.boxes_corner.T
    boxes = np.stack([1 - xmax, ymin, 1 - xmin, ymax], axis=1)
    return Detections(boxes, found.labels, found.scores, found.class_names)


def average(found: Detections, other: Detections, rule: DecodingConfig) -> Detections:
    """One answer out of two for the same image, best first, within the rule's limits."""
    iou = iou_matrix(found.boxes_corner, other.boxes_corner)  # (D, E)
    iou = np.where(found.labels[:, None] == other.labels, iou, 0)
    partner = np.full(len(found), -1)
    for d in np.argsort(-found.scores, kind="stable"):
        e = int(iou[d].argmax()) if len(other) else -1
        if len(other) and iou[d, e] > rule.iou_threshold:
            partner[d], iou[:, e] = e, 0
    paired = partner >= 0
    p, q = found.scores.copy(), np.where(paired, other.scores[partner] if len(other) else 0, 0)
    theirs = other.boxes_corner[partner] if len(other) else found.boxes_corner
    boxes = (p[:, None] * found.boxes_corner + q[:, None] * theirs) / (p + q)[:, None]
    rest = other[np.setdiff1d(np.arange(len(other)), partner)]
    boxes, labels = np.vstack([boxes, rest.boxes_corner]), np.append(found.labels, rest.labels)
    both = Detections(boxes, labels, np.append(p + q, rest.scores) / 2, found.class_names)
    return both[both.scores > rule.score_threshold].at_least(0)[: rule.top_k]
