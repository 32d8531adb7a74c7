"""Why a detector said what it said, and what it would be taught, for one image.

Nothing here decides anything: matching, mining, decoding and suppression are asked, by the same
functions that train and detect, and their answers are told with the numbers that led to them.
"""

import numpy as np

from ssd_np.boxes.codec import LARGEST_EXPONENT, decode
from ssd_np.boxes.coords import center_to_corner
from ssd_np.boxes.matching import NEUTRAL
from ssd_np.data.image import preprocess
from ssd_np.engine import select
from ssd_np.infer import reports
from ssd_np.infer.decode import check_finite
from ssd_np.infer.detect import Detector
from ssd_np.infer.place import numbers, place_of
from ssd_np.model.ssd import SSD
from ssd_np.records import Truth
from ssd_np.signatures import checked


def explain(
    model: SSD, image: np.ndarray, truth: Truth | None = None, min_score: float | None = None
) -> reports.Explanation:
    """What `model` makes of an image (H, W, 3) uint8, and of its truth, labelled as the model is.

    min_score  least score of a detection; default the config's show_threshold, as `ssd-np detect`
    """
    rule = model.config.decoding
    min_score = rule.show_threshold if min_score is None else min_score
    logits, offsets = model.forward(preprocess(image, model.config)[None].astype(model.dtype))
    check_finite(logits, offsets)
    objects = neutral = mining = None
    if truth is not None:
        objects, neutral = explain_matching(model, truth)
        mining = explain_mining(model, logits[0], truth)
    found = explain_detections(model, logits[0], offsets[0], min_score)
    return reports.Explanation(
        model.config, image.shape[:2], min_score, objects, neutral, mining, *found
    )


# --- matching ------------------------------------------------------------------------------------


@checked
def explain_matching(
    model: SSD, truth: Truth
) -> tuple[tuple[reports.ObjectReport, ...], tuple[reports.NeutralBox, ...]]:
    """For each object its default boxes and the runner-up; then the neutral boxes."""
    rule = model.config.matching
    corner, ops = center_to_corner(model.default_boxes[:, :4]), select()
    matched = ops.match(truth.boxes_corner, corner, rule.threshold, rule.neutral_threshold)  # (T,)
    best = ops.match(truth.boxes_corner, corner, threshold=np.inf)  # which none reaches: rule one
    iou = ops.iou_matrix(truth.boxes_corner, corner)  # (G, T)
    objects = []
    for g in range(len(truth)):
        rows = np.flatnonzero(matched == g)
        rows = rows[np.argsort(-iou[g, rows], kind="stable")]
        by_threshold, matches = f"IoU of at least {rule.threshold:g}", []
        for t in rows.tolist():
            why = "best of its object" if best[t] == g else by_threshold
            matches.append(reports.MatchedBox(place_of(model, t), float(iou[g, t]), why))
        others = np.where(matched == g, -1, iou[g])
        runner_up = _runner_up(model, g, int(others.argmax()), iou, matched, best)
        name, box = model.config.class_names[truth.labels[g] - 1], numbers(truth.boxes_corner[g])
        objects.append(reports.ObjectReport(g, name, box, tuple(matches), runner_up))
    neutral = []
    for t in np.flatnonzero(matched == NEUTRAL).tolist():
        place, column = place_of(model, t), iou[:, t]
        neutral.append(reports.NeutralBox(place, float(column.max()), int(column.argmax())))
    return tuple(objects), tuple(sorted(neutral, key=lambda box: -box.iou))


def _runner_up(
    model: SSD, g: int, t: int, iou: np.ndarray, matched: np.ndarray, best: np.ndarray
) -> reports.RunnerUp | None:
    if iou[g, t] <= 0 or matched[t] == g:
        return None
    rule, other = model.config.matching, matched[t]
    if other == NEUTRAL:
        reason = f"neutral, since below {rule.threshold:g} but from {rule.neutral_threshold:g} on"
    elif other < 0:
        reason = f"background, since below {rule.threshold:g}"
    elif best[t] == other:
        reason = f"it is the best box of object {other} (IoU {iou[other, t]:.3f})"
    else:
        reason = f"it overlaps object {other} more (IoU {iou[other, t]:.3f})"
    return reports.RunnerUp(place_of(model, t), float(iou[g, t]), reason)


# --- mining --------------------------------------------------------------------------------------


@checked
def explain_mining(model: SSD, logits: np.ndarray, truth: Truth) -> reports.MiningReport:
    """logits (T, K) of the image -> the negatives that training would learn from."""
    rule, matching, ops = model.config.loss, model.config.matching, select()
    thresholds = matching.threshold, matching.neutral_threshold
    labels, _ = ops.make_targets(truth.boxes_corner, truth.labels, model.default_boxes, *thresholds)
    positive, negative = labels > 0, labels == 0
    scores = model.config.decoding.scores
    loss = ops.background_loss(logits, scores)  # (T,): what each costs as background
    batch = loss[None], positive[None], negative[None]
    mined = ops.mine_hard_negatives(*batch, rule.ratio, rule.minimum_negatives)[0]
    rows = np.flatnonzero(negative)
    ranked = rows[np.argsort(-loss[rows], kind="stable")]  # costliest first
    probability = getattr(ops, scores)(logits)
    nearest = ops.iou_matrix(truth.boxes_corner, center_to_corner(model.default_boxes[:, :4]))

    def report(rank: int) -> reports.Negative:
        t = int(ranked[rank])
        guess = int(probability[t, 1:].argmax())
        seen = model.config.class_names[guess], float(probability[t, 1 + guess])
        near = float(nearest[:, t].max(initial=0))
        return reports.Negative(rank + 1, place_of(model, t), float(loss[t]), *seen, near)

    count, positives = int(mined.sum()), int(positive.sum())
    wanted = max(int(rule.ratio * positives), rule.minimum_negatives)
    taken = tuple(report(rank) for rank in range(count))
    left_out = report(count) if count < len(ranked) else None
    return reports.MiningReport(positives, wanted, taken, left_out, loss[ranked])


# --- detections ----------------------------------------------------------------------------------


def explain_detections(
    model: SSD, logits: np.ndarray, offsets: np.ndarray, min_score: float
) -> tuple[tuple[reports.DetectionReport, ...], tuple[reports.SuppressedReport, ...]]:
    """Outputs of an image, (T, K) and (T, 4) -> what is kept, best first, and what was dropped."""
    decoded = Detector(model, min_score).decode_with_reasons(logits, offsets)
    names = model.config.class_names
    found = decoded.detections(names)
    kept = list(zip(decoded.rows.tolist(), decoded.labels.tolist(), strict=True))
    detections, dropped = [], []
    for i, (row, label) in enumerate(kept):
        what = names[label - 1], float(found.scores[i]), numbers(found.boxes_corner[i])
        parts = numbers(offsets[row]), numbers(model.default_boxes[row, 4:])
        steps = _arithmetic(model, row, offsets[row])
        detections.append(reports.DetectionReport(*what, place_of(model, row), *parts, steps))
    for other in decoded.suppressed():
        label, pair = other.label, (other.by, other.label)
        name, score = names[label - 1], float(decoded.scores[other.row, label])
        by = kept.index(pair) if pair in kept else None
        dropped.append(
            reports.SuppressedReport(name, score, place_of(model, other.row), by, other.iou)
        )
    return tuple(detections), tuple(sorted(dropped, key=lambda box: -box.score))


def _arithmetic(model: SSD, row: int, offsets: np.ndarray) -> tuple[str, ...]:
    """How four offsets and a default box became a box, line by line."""
    default, o = model.default_boxes[row], offsets.astype(np.float64)
    limit = model.config.decoding.max_exponent
    box = decode(o[None], default[None], limit)[0]
    lines = []
    for i, side in enumerate(("cx", "cy")):
        moved = f"{o[i]:.4f} * {default[4 + i]:g} * {default[2 + i]:.4f}"
        lines.append(f"{side} = {default[i]:.4f} + {moved} = {box[i]:.4f}")
    limit = LARGEST_EXPONENT if limit is None else limit
    for i, side in ((2, "w"), (3, "h")):
        power = f"{o[i]:.4f} * {default[4 + i]:g}"
        if o[i] * default[4 + i] > limit:
            power = f"min({power}, {limit:.4f})"
        lines.append(f"{side}  = {default[i]:.4f} * exp({power}) = {box[i]:.4f}")
    return tuple(lines)
