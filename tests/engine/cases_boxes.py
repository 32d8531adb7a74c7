"""Cases of the rooms boxes and loss for test_equals_concepts.py.

What picks must pick the same: indices and masks are compared as numbers, and a difference of one is
above every tolerance.
"""

import dataclasses

import numpy as np
from drawing import array

from ssd_np.boxes.default_boxes import default_boxes
from ssd_np.config import load_config

DEFAULTS = default_boxes(load_config("tiny"))


def corner_boxes(rng, count, dtype):
    """(count, 4): some beyond the border, some on a coarse grid (equal overlaps), some twice, some
    without an area; contiguous or not."""
    low = rng.uniform(-0.3, 0.9, (count, 2))
    boxes = np.concatenate([low, low + rng.uniform(0, 0.6, (count, 2))], axis=1)
    coarse = rng.random(count) < 0.4
    boxes[coarse] = np.round(boxes[coarse] * 4) / 4
    if count > 1 and rng.random() < 0.5:
        boxes[rng.integers(count, size=count // 3)] = boxes[rng.integers(count)]
    wide = array(rng, (count, 4), dtype)  # for its layout
    wide[...] = boxes
    return wide


def objects(rng, dtype):
    """Up to 7 with an area, or none."""
    boxes = corner_boxes(rng, rng.integers(0, 8), dtype)
    return boxes[(boxes[:, 2:] > boxes[:, :2]).all(axis=1)]


def thresholds(rng):
    return float(rng.choice([0.3, 0.5])), rng.choice([None, 0.25])


def iou(ops, rng, dtype):
    a, b = (corner_boxes(rng, rng.integers(0, 30), dtype) for _ in range(2))
    return [ops.iou_matrix(a, b)]


def matching(ops, rng, dtype):
    """Equal overlaps, objects that want the same box, objects that overlap none, no objects."""
    truth, boxes = objects(rng, dtype), corner_boxes(rng, rng.integers(1, 40), dtype)
    overlaps = rng.choice([0, 0.25, 0.4, 0.5, 0.75], (rng.integers(0, 8), rng.integers(1, 9)))
    rule = thresholds(rng)
    return [ops.match(truth, boxes, *rule), ops.match_iou(overlaps.astype(dtype), *rule)]


def targets(ops, rng, dtype):
    truth = objects(rng, dtype)
    labels = rng.integers(1, 6, len(truth))
    return [*ops.make_targets(truth, labels, DEFAULTS.astype(dtype), *thresholds(rng))]


def suppression(ops, rng, dtype):
    count = rng.integers(0, 60)
    boxes, scores = corner_boxes(rng, count, dtype), array(rng, (count, 4), dtype)
    scores = np.round(scores, 1)  # with ties
    threshold, top_k = float(rng.choice([0, 0.25, 0.45, 0.5])), rng.choice([None, 7])
    one = np.ascontiguousarray(scores[:, 0])
    return [
        ops.best_first(one, top_k),
        ops.nms(boxes, one, threshold, top_k),
        *ops.nms_each_class(boxes, scores, 0.2, threshold, top_k),
    ]


def loss(ops, rng, dtype):
    """Batches with and without objects, neutral boxes, equal rows, and now and then NaN."""
    n, t, k = rng.integers(1, 5), rng.integers(1, 60), rng.integers(2, 24)
    logits, offsets = 2 * array(rng, (n, t, k), dtype), 2 * array(rng, (n, t, 4), dtype)
    logits[:, t // 2 :] = logits[:, t // 2 : t // 2 + 1]  # equal, so that ties are cut
    labels = rng.choice([-1, 0, 0, 0, 0, 0, 1, k - 1], (n, t))
    labels[rng.random(n) < 0.3] = 0
    rule = float(rng.choice([0.5, 3])), int(rng.choice([0, 9])), str(rng.choice(["image", "batch"]))
    scores = str(rng.choice(["softmax", "sigmoid"]))
    found = ops.multibox_loss(
        *(logits, offsets, labels, array(rng, (n, t, 4), np.float64)),
        *(rule[0], 0.7, rule[2], rule[1]),
        scores=scores,
        class_weights=rng.random(k) if rng.random() < 0.5 else None,
        gamma=[None, None, 0.0, 0.5, 2.0][rng.integers(5)],
    )
    cost = np.round(2 * rng.standard_normal((n, t))).astype(dtype)
    if rng.random() < 0.3:
        cost[0, :2] = np.nan
    mined = ops.mine_hard_negatives(cost, labels > 0, labels == 0, *rule)
    return [*dataclasses.astuple(found), mined, ops.background_loss(logits, scores)]


CASES = [iou, matching, targets, suppression, loss]
