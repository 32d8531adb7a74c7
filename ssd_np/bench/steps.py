"""The steps around the network on their own: decoding with suppression, matching, mining."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from ssd_np.boxes.coords import center_to_corner
from ssd_np.config import load_config
from ssd_np.engine import select
from ssd_np.infer.detect import Detector
from ssd_np.model.ssd import SSD

OBJECTS = 20
CANDIDATES = 400  # of each class
BATCH = 8


def time_steps(rounds: int) -> dict[str, float]:
    """Median milliseconds, for the 8,732 default boxes and 21 classes of SSD300."""
    model, rng, ops = SSD(load_config("ssd300_voc")), np.random.default_rng(0), select()
    detector, corner = Detector(model), center_to_corner(model.default_boxes[:, :4])
    boxes, classes = len(corner), model.config.num_classes + 1
    offsets = rng.standard_normal((boxes, 4), np.float32) / 2
    untrained = rng.standard_normal((boxes, classes), np.float32) / 4
    trained = np.zeros((boxes, classes), np.float32)
    trained[:, 0] = 8  # background, but for some boxes
    for label in range(1, classes):
        chosen = rng.choice(boxes, CANDIDATES, replace=False)
        trained[chosen, label] = rng.uniform(8, 12, CANDIDATES)
    low = rng.uniform(0, 0.7, (OBJECTS, 2))
    truth = np.concatenate([low, low + rng.uniform(0.05, 0.3, (OBJECTS, 2))], axis=1)
    loss = rng.random((BATCH, boxes), np.float32)
    positive = rng.random((BATCH, boxes)) < 0.002
    return {
        f"softmax, decode, NMS: {CANDIDATES} candidates in each class": _median(
            lambda: detector.decode(trained, offsets), rounds
        ),
        "softmax, decode, NMS: an untrained network": _median(
            lambda: detector.decode(untrained, offsets), rounds
        ),
        f"matching {OBJECTS} objects": _median(lambda: ops.match(truth, corner), rounds),
        f"mining a batch of {BATCH}": _median(
            lambda: ops.mine_hard_negatives(loss, positive, ~positive), rounds
        ),
    }


def _median(run: Callable, rounds: int) -> float:
    run()
    seconds = []
    for _ in range(rounds):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    return 1e3 * float(np.median(seconds))
