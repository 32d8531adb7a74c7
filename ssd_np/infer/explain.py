"""Why a detector said what it said, and what it would be taught, for one image.

Nothing here decides anything: matching, mining, decoding and suppression are asked, by the same
functions that train and detect, and their answers are told with the numbers that led to them.
"""

from __future__ import annotations

import numpy as np

from ssd_np.boxes.codec import decode
from ssd_np.boxes.coords import center_to_corner, clip
from ssd_np.boxes.iou import iou_matrix
from ssd_np.boxes.matching import NEUTRAL, match
from ssd_np.boxes.nms import best_first, nms
from ssd_np.boxes.targets import make_targets
from ssd_np.data.image import preprocess
from ssd_np.infer.reports import (
    Box,
    DetectionReport,
    Explanation,
    MatchedBox,
    MiningReport,
    Negative,
    NeutralBox,
    ObjectReport,
    Place,
    RunnerUp,
    SuppressedReport,
)
from ssd_np.loss.mining import mine_hard_negatives
from ssd_np.model.ssd import SSD
from ssd_np.nn.softmax import log_softmax_forward, softmax
from ssd_np.records import Truth


def explain(
    model: SSD, image: np.ndarray, truth: Truth | None = None, min_score: float | None = None
) -> Explanation:
    """What `model` makes of an image (H, W, 3) uint8, and of its truth, labelled as the model is.

    min_score  least score of a detection; default the config's show_threshold, as `ssd-np detect`
    """
    rule = model.config.decoding
    min_score = rule.show_threshold if min_score is None else min_score
    logits, offsets = model.forward(preprocess(image, model.config)[None].astype(model.dtype))
    objects = neutral = mining = None
    if truth is not None:
        objects, neutral = explain_matching(model, truth)
        mining = explain_mining(model, logits[0], truth)
    found = explain_detections(model, logits[0], offsets[0], min_score)
    return Explanation(model.config, image.shape[:2], min_score, objects, neutral, mining, *found)


# --- default boxes -------------------------------------------------------------------------------


def place_of(model: SSD, index: int) -> Place:
    """Which map, cell and shape the default box of that index is."""
    index, first = int(index), 0
    for feature_map in model.config.feature_maps:
        if index < first + feature_map.boxes:
            break
        first += feature_map.boxes
    cell, shape = divmod(index - first, feature_map.boxes_per_cell)
    names = ["s", "s'"]
    for ratio in feature_map.aspect_ratios:
        names += [f"{ratio:g}", f"1/{ratio:g}"]
    center = model.default_boxes[index, :4]
    return Place(
        index,
        feature_map.name,
        *divmod(cell, feature_map.shape[1]),
        names[shape],
        _box(center),
        _box(center_to_corner(center)),
    )


def _box(numbers: np.ndarray) -> Box:
    return tuple(float(v) for v in numbers)


# --- matching ------------------------------------------------------------------------------------


def explain_matching(
    model: SSD, truth: Truth
) -> tuple[tuple[ObjectReport, ...], tuple[NeutralBox, ...]]:
    """For each object its default boxes and the runner-up; then the neutral boxes."""
    rule = model.config.matching
    corner = center_to_corner(model.default_boxes[:, :4])
    matched = match(truth.boxes_corner, corner, rule.threshold, rule.neutral_threshold)  # (T,)
    best = match(truth.boxes_corner, corner, threshold=np.inf)  # no IoU reaches it: only rule one
    iou = iou_matrix(truth.boxes_corner, corner)  # (G, T)
    objects = []
    for g in range(len(truth)):
        rows = np.flatnonzero(matched == g)
        rows = rows[np.argsort(-iou[g, rows], kind="stable")]
        by_threshold = f"IoU of at least {rule.threshold:g}"
        matches = [
            MatchedBox(
                place_of(model, t),
                float(iou[g, t]),
                "best of its object" if best[t] == g else by_threshold,
            )
            for t in rows
        ]
        others = np.where(matched == g, -1, iou[g])
        runner_up = _runner_up(model, g, int(others.argmax()), iou, matched, best)
        name = model.config.class_names[truth.labels[g] - 1]
        objects.append(
            ObjectReport(g, name, _box(truth.boxes_corner[g]), tuple(matches), runner_up)
        )
    neutral = [
        NeutralBox(place_of(model, t), float(iou[:, t].max()), int(iou[:, t].argmax()))
        for t in np.flatnonzero(matched == NEUTRAL)
    ]
    return tuple(objects), tuple(sorted(neutral, key=lambda box: -box.iou))


def _runner_up(
    model: SSD, g: int, t: int, iou: np.ndarray, matched: np.ndarray, best: np.ndarray
) -> RunnerUp | None:
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
    return RunnerUp(place_of(model, t), float(iou[g, t]), reason)


# --- mining --------------------------------------------------------------------------------------


def explain_mining(model: SSD, logits: np.ndarray, truth: Truth) -> MiningReport:
    """logits (T, K) of the image -> the negatives that training would learn from."""
    rule, matching = model.config.loss, model.config.matching
    labels, _ = make_targets(
        truth.boxes_corner,
        truth.labels,
        model.default_boxes,
        matching.threshold,
        matching.neutral_threshold,
    )
    positive, negative = labels > 0, labels == 0
    loss = -log_softmax_forward(logits)[0][:, 0]  # (T,): what each costs as background
    mined = mine_hard_negatives(
        loss[None], positive[None], negative[None], rule.ratio, rule.minimum_negatives
    )[0]
    rows = np.flatnonzero(negative)
    ranked = rows[np.argsort(-loss[rows], kind="stable")]  # costliest first
    probability = softmax(logits)
    nearest = iou_matrix(truth.boxes_corner, center_to_corner(model.default_boxes[:, :4]))

    def report(rank: int) -> Negative:
        t = ranked[rank]
        guess = int(probability[t, 1:].argmax())
        return Negative(
            rank + 1,
            place_of(model, t),
            float(loss[t]),
            model.config.class_names[guess],
            float(probability[t, 1 + guess]),
            float(nearest[:, t].max(initial=0)),
        )

    count = int(mined.sum())
    positives = int(positive.sum())
    return MiningReport(
        positives,
        max(int(rule.ratio * positives), rule.minimum_negatives),
        tuple(report(rank) for rank in range(count)),
        report(count) if count < len(ranked) else None,
        loss[ranked],
    )


# --- detections ----------------------------------------------------------------------------------


def explain_detections(
    model: SSD, logits: np.ndarray, offsets: np.ndarray, min_score: float
) -> tuple[tuple[DetectionReport, ...], tuple[SuppressedReport, ...]]:
    """Outputs of an image, (T, K) and (T, 4) -> what is kept, best first, and what was dropped."""
    rule = model.config.decoding
    scores = softmax(logits)
    boxes = center_to_corner(decode(offsets, model.default_boxes, rule.max_exponent))
    if rule.clip == "before_nms":
        boxes = clip(boxes)
    kept: list[tuple[int, int]] = []  # (row of the default boxes, label)
    dropped: list[tuple[int, int, int]] = []  # (row, label, row that dropped it)
    for label in range(1, scores.shape[1]):
        rows = np.flatnonzero(scores[:, label] > min_score)
        rows = rows[best_first(scores[rows, label], rule.top_k_class)]
        left = rows[nms(boxes[rows], scores[rows, label], rule.iou_threshold)]
        kept += [(int(t), label) for t in left]
        for t in np.setdiff1d(rows, left):
            # the first, by score, of those kept that overlap it too much
            overlap = iou_matrix(boxes[left], boxes[[t]])[:, 0]
            guilty = np.flatnonzero(overlap > rule.iou_threshold)
            dropped.append(
                (int(t), label, int(left[guilty[0] if len(guilty) else overlap.argmax()]))
            )
    order = best_first(np.array([scores[pair] for pair in kept]), rule.top_k)
    kept = [kept[i] for i in order]
    detections = tuple(_detection(model, *pair, scores, offsets, boxes) for pair in kept)
    suppressed = [
        SuppressedReport(
            model.config.class_names[label - 1],
            float(scores[t, label]),
            place_of(model, t),
            kept.index((by, label)) if (by, label) in kept else None,
            float(iou_matrix(boxes[[by]], boxes[[t]])[0, 0]),
        )
        for t, label, by in dropped
    ]
    return detections, tuple(sorted(suppressed, key=lambda box: -box.score))


def _detection(
    model: SSD, t: int, label: int, scores: np.ndarray, offsets: np.ndarray, boxes: np.ndarray
) -> DetectionReport:
    default, o = model.default_boxes[t], offsets[t].astype(np.float64)
    limit = model.config.decoding.max_exponent
    box = decode(o[None], default[None], limit)[0]
    lines = [
        f"{side} = {default[i]:.4f} + {o[i]:.4f} * {default[4 + i]:g} * {default[2 + i]:.4f}"
        f" = {box[i]:.4f}"
        for i, side in enumerate(("cx", "cy"))
    ]
    for i, side in ((2, "w"), (3, "h")):
        power = f"{o[i]:.4f} * {default[4 + i]:g}"
        if limit is not None and o[i] * default[4 + i] > limit:
            power = f"min({power}, {limit:.4f})"
        lines.append(f"{side}  = {default[i]:.4f} * exp({power}) = {box[i]:.4f}")
    return DetectionReport(
        model.config.class_names[label - 1],
        float(scores[t, label]),
        _box(clip(boxes[t])),
        place_of(model, t),
        _box(o),
        _box(default[4:]),
        tuple(lines),
    )
