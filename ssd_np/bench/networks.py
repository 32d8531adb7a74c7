"""Forward and training step of a network, ours and others'.

All contestants take turns, round after round, and the median of a contestant's calls counts: what
else the machine does then hits all alike. Before that, all run once to warm up, and what they
compute is compared. A turn begins with a pause, in which other contestants' threads stop looking
out for work. A short forward would be over before the cores have come out of that sleep: it is
called, untimed, until they have; then as long again.
"""

from __future__ import annotations

import dataclasses
import functools
import time
from collections.abc import Callable
from typing import Literal

import numpy as np

from ssd_np.bench.rivals import Targets, onnx_forward, torch_forward, torch_step
from ssd_np.boxes.targets import make_targets
from ssd_np.config import Config
from ssd_np.engine import select
from ssd_np.model.fold import for_inference
from ssd_np.model.ssd import SSD
from ssd_np.progress import Progress
from ssd_np.train.sgd import SGD

Algorithm = Literal["im2col", "winograd2", "winograd4"]
ALGORITHMS: tuple[Algorithm, ...] = ("im2col", "winograd2", "winograd4")
BASE = "pytorch"  # the contestant whose time is 1
PAUSE = 0.05  # seconds; threads of others look out for more work for a while, which costs a core
WARM = 0.1  # seconds of untimed calls before as many timed ones, for steps follow steps
LONG = 1.0  # seconds of a call that needs no untimed ones: the pause before it is nothing to it
RATE = 1e-6  # so small that the steps of a measurement do not diverge

Contestants = dict[str, Callable | None]  # None: not installed


@dataclasses.dataclass(frozen=True)
class Time:
    """A contestant: median and least milliseconds, ratio of medians to PyTorch's, difference of
    what it computes.

    difference: largest, relative to the largest value, from our im2col. None: not there to compare.
    """

    name: str
    milliseconds: float
    least: float
    ratio: float | None
    difference: float


def time_forward(config: Config, batch: int, rounds: int, bar: Progress) -> list[Time]:
    """Inference, from the batch of images to logits and offsets."""
    return take_turns(forwards(config, images_of(config, batch)), rounds, bar)


def forwards(
    config: Config, images: np.ndarray, algorithms: tuple[Algorithm, ...] = ALGORITHMS
) -> Contestants:
    """Ours with each algorithm for convolutions, and others'."""
    contestants: Contestants = {}
    for algorithm in algorithms:
        model = for_inference(SSD(dataclasses.replace(config, convolution=algorithm)))
        contestants[algorithm] = functools.partial(model.forward, images)
    model = for_inference(SSD(config))
    contestants[BASE] = torch_forward(model, images, channels_last=False)
    contestants["pytorch channels-last"] = torch_forward(model, images, channels_last=True)
    contestants["onnx runtime"] = onnx_forward(model, images)
    return contestants


def time_step(config: Config, batch: int, rounds: int, bar: Progress) -> list[Time]:
    """A training step: forward, loss, backward, SGD update; the targets are given."""
    contestants = steps(config, images_of(config, batch), targets_of(config, batch))
    return take_turns(contestants, rounds, bar)


def steps(
    config: Config,
    images: np.ndarray,
    targets: Targets,
    algorithms: tuple[Algorithm, ...] = ALGORITHMS,
) -> Contestants:
    """Ours with each algorithm, and PyTorch's in both layouts."""
    contestants: Contestants = {
        algorithm: _step(dataclasses.replace(config, convolution=algorithm), images, targets)
        for algorithm in algorithms
    }
    model = SSD(config)
    contestants[BASE] = torch_step(model, images, targets, False, RATE)
    contestants["pytorch channels-last"] = torch_step(model, images, targets, True, RATE)
    return contestants


def _step(config: Config, images: np.ndarray, targets: tuple[np.ndarray, ...]) -> Callable:
    model, rule = SSD(config), config.training
    optimiser, ops = SGD(model.parameters, rule.momentum, rule.weight_decay), select()

    def run() -> float:
        loss = ops.multibox_loss(*model.forward(images, training=True), *targets, config.loss.ratio)
        model.backward(loss.dlogits, loss.doffsets)
        optimiser.step(RATE)
        return loss.total

    return run


def take_turns(contestants: Contestants, rounds: int, bar: Progress) -> list[Time]:
    """In each round a tenth of a second of calls untimed, unless they are long, and as much timed,
    at least one; what the first computes is what others are held to."""
    there = {name: run for name, run in contestants.items() if run is not None}
    results = {name: run() for name, run in there.items()}
    seconds: dict[str, list[float]] = {name: [] for name in there}
    for _ in range(rounds):
        for name, run in there.items():
            time.sleep(PAUSE)
            ready = time.perf_counter() + WARM
            while time.perf_counter() < ready and max(seconds[name], default=0) < LONG:
                run()
            over = False
            while not over:
                start = time.perf_counter()
                run()
                stop = time.perf_counter()
                seconds[name].append(stop - start)
                over = stop >= ready + WARM
        bar.update()
    medians = {name: 1e3 * float(np.median(values)) for name, values in seconds.items()}
    base, reference = medians.get(BASE), next(iter(results.values()))
    return [
        Time(
            name,
            value,
            1e3 * min(seconds[name]),
            value / base if base else None,
            _difference(results[name], reference),
        )
        for name, value in medians.items()
    ]


def _difference(result: tuple | float, reference: tuple | float) -> float:
    """Of a pair of arrays or of a loss, relative to the largest value."""
    parts = [r if isinstance(r, tuple) else (np.float64(r),) for r in (result, reference)]
    pairs = zip(*parts, strict=True)
    return float(max(np.abs(a - b).max() / np.abs(b).max() for a, b in pairs))


def images_of(config: Config, batch: int) -> np.ndarray:
    """(batch, H, W, C) of noise."""
    shape = (batch, *config.input.shape, config.input.channels)
    return np.random.default_rng(0).standard_normal(shape, np.float32)


def targets_of(config: Config, batch: int) -> tuple[np.ndarray, np.ndarray]:
    """Labels and offsets of five random objects an image."""
    rng, pairs = np.random.default_rng(1), []
    default_boxes = SSD(config).default_boxes
    for _ in range(batch):
        low = rng.uniform(0, 0.6, (5, 2))
        boxes = np.concatenate([low, low + rng.uniform(0.1, 0.4, (5, 2))], axis=1)
        labels = rng.integers(1, len(config.class_names) + 1, 5)
        pairs.append(make_targets(boxes, labels, default_boxes))
    labels, offsets = zip(*pairs, strict=True)
    return np.stack(labels), np.stack(offsets).astype(np.float32)
