"""Forward and training step of a network, ours and others', and our forward layer by layer.

All contestants take turns, round after round, and the median of a contestant's calls counts: what
else the machine does then hits all alike. Before that, all run once to warm up, and what they
compute is compared. A turn begins with a pause, in which other contestants' threads stop looking
out for work. A short forward would be over before the cores have come out of that sleep: it is
called, untimed, until they have.
"""

from __future__ import annotations

import dataclasses
import functools
import time
from collections.abc import Callable
from typing import Any, Literal

import numpy as np

from ssd_np.bench.rivals import onnx_forward, torch_forward, torch_step
from ssd_np.boxes.targets import make_targets
from ssd_np.config import Config
from ssd_np.engine import select
from ssd_np.model.fold import for_inference
from ssd_np.model.heads import Head
from ssd_np.model.separable_head import SeparableHead
from ssd_np.model.ssd import SSD
from ssd_np.nn.layers import Layer, Merge
from ssd_np.progress import Progress
from ssd_np.train.sgd import SGD

ALGORITHMS: tuple[Literal["im2col", "winograd2", "winograd4"], ...] = (
    "im2col",
    "winograd2",
    "winograd4",
)
BASE = "pytorch"  # the contestant whose time is 1
PAUSE = 0.05  # seconds; threads of others look out for more work for a while, which costs a core
WARM = 0.1  # seconds of untimed calls before a forward is timed
RATE = 1e-6  # so small that the steps of a measurement do not diverge


@dataclasses.dataclass(frozen=True)
class Time:
    """A contestant: median milliseconds, ratio to PyTorch's, difference of what it computes.

    difference: largest, relative to the largest value, from our im2col. None: not there to compare.
    """

    name: str
    milliseconds: float
    ratio: float | None
    difference: float


def time_forward(config: Config, batch: int, rounds: int, bar: Progress) -> list[Time]:
    """Inference, from the batch of images to logits and offsets."""
    images = _images(config, batch)
    contestants: dict[str, Callable | None] = {}
    for algorithm in ALGORITHMS:
        model = for_inference(SSD(dataclasses.replace(config, convolution=algorithm)))
        contestants[algorithm] = functools.partial(model.forward, images)
    model = for_inference(SSD(config))
    contestants[BASE] = torch_forward(model, images, channels_last=False)
    contestants["pytorch channels-last"] = torch_forward(model, images, channels_last=True)
    contestants["onnx runtime"] = onnx_forward(model, images)
    return _take_turns(contestants, rounds, bar, WARM)


def time_step(config: Config, batch: int, rounds: int, bar: Progress) -> list[Time]:
    """A training step: forward, loss, backward, SGD update; the targets are given."""
    images, targets = _images(config, batch), _targets(config, batch)
    contestants: dict[str, Callable | None] = {
        algorithm: _step(dataclasses.replace(config, convolution=algorithm), images, targets)
        for algorithm in ALGORITHMS
    }
    model = SSD(config)
    contestants[BASE] = torch_step(model, images, targets, False, RATE)
    contestants["pytorch channels-last"] = torch_step(model, images, targets, True, RATE)
    return _take_turns(contestants, rounds, bar, warm=0)


def _step(config: Config, images: np.ndarray, targets: tuple[np.ndarray, ...]) -> Callable:
    model, rule = SSD(config), config.training
    optimiser, ops = SGD(model.parameters, rule.momentum, rule.weight_decay), select()

    def run() -> float:
        loss = ops.multibox_loss(*model.forward(images, training=True), *targets, config.loss.ratio)
        model.backward(loss.dlogits, loss.doffsets)
        optimiser.step(RATE)
        return loss.total

    return run


def _take_turns(
    contestants: dict[str, Callable | None], rounds: int, bar: Progress, warm: float
) -> list[Time]:
    there = {name: run for name, run in contestants.items() if run is not None}
    results = {name: run() for name, run in there.items()}
    seconds: dict[str, list[float]] = {name: [] for name in there}
    for _ in range(rounds):
        for name, run in there.items():
            time.sleep(PAUSE)
            ready = time.perf_counter() + warm
            while time.perf_counter() < ready:
                run()
            start = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - start)
        bar.update()
    medians = {name: 1e3 * float(np.median(values)) for name, values in seconds.items()}
    base, reference = medians.get(BASE), results["im2col"]
    return [
        Time(name, value, value / base if base else None, _difference(results[name], reference))
        for name, value in medians.items()
    ]


def _difference(result: tuple | float, reference: tuple | float) -> float:
    """Of a pair of arrays or of a loss, relative to the largest value."""
    parts = [r if isinstance(r, tuple) else (np.float64(r),) for r in (result, reference)]
    pairs = zip(*parts, strict=True)
    return float(max(np.abs(a - b).max() / np.abs(b).max() for a, b in pairs))


@dataclasses.dataclass(frozen=True)
class LayerTime:
    """A layer's forward: its multiply-adds count as two; milliseconds by algorithm.

    share: of the machine's measured GEMM peak that im2col reaches; None for what is no convolution.
    """

    name: str
    gigaflop: float
    milliseconds: dict[str, float]
    share: float | None


def time_layers(
    config: Config, batch: int, rounds: int, peak: float, bar: Progress
) -> list[LayerTime]:
    """The layers of the forward one by one; `peak` is in GFLOP/s."""
    images, table, flops = _images(config, batch), {}, {}
    for algorithm in ALGORITHMS:
        model = for_inference(SSD(dataclasses.replace(config, convolution=algorithm)))
        seconds: dict[str, list[float]] = {layer.name: [] for layer in model.layers}
        for layer in model.layers:
            flops[layer.name] = 0.0
            _clock(layer, seconds[layer.name], flops)
        for _ in range(rounds + 1):
            model.forward(images)
            bar.update()
        table[algorithm] = {n: 1e3 * float(np.median(v[1:])) for n, v in seconds.items()}
    rows = []
    for name, gigaflop in flops.items():
        times: dict[str, float] = {algorithm: table[algorithm][name] for algorithm in ALGORITHMS}
        share = gigaflop / (times["im2col"] / 1e3) / peak if gigaflop else None
        rows.append(LayerTime(name, gigaflop, times, share))
    return rows


def _clock(
    layer: Layer | Merge | Head | SeparableHead, seconds: list[float], flops: dict[str, float]
) -> None:
    """Makes `layer.forward` note how long it took and what it computed, apart from neighbours."""
    forward: Callable = layer.forward
    kernels = [p.value for p in layer.parameters.values() if p.value.ndim >= 3]

    def timed(x: np.ndarray, *arguments: bool) -> Any:
        start = time.perf_counter()
        out = forward(x, *arguments)
        seconds.append(time.perf_counter() - start)
        pixels = (out if isinstance(out, np.ndarray) else x)[..., 0].size  # a head keeps the size
        flops[layer.name] = 2e-9 * pixels * sum(kernel.size for kernel in kernels)
        return out

    vars(layer)["forward"] = timed


def _images(config: Config, batch: int) -> np.ndarray:
    shape = (batch, *config.input.shape, config.input.channels)
    return np.random.default_rng(0).standard_normal(shape, np.float32)


def _targets(config: Config, batch: int) -> tuple[np.ndarray, np.ndarray]:
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
