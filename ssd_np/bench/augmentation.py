"""How long the training chain takes, from a decoded photograph to the array a network sees.

The chain as a whole is timed as training runs it: in one thread, each time with other draws. Beside
it every transform is timed alone; its median times its probability is what it costs an image.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image

from ssd_np.config import AugmentationConfig, Config
from ssd_np.data.image import normalise
from ssd_np.data.pipeline import Chain
from ssd_np.data.transform import Transform
from ssd_np.data.view import look_resized, whole
from ssd_np.geometry import Size, pair
from ssd_np.records import Sample, Truth

HEIGHT, WIDTH = 480, 640  # of the photograph


@dataclass(frozen=True)
class StepTime:
    """A transform: how often it is applied, and its median when it is."""

    name: str
    probability: float
    milliseconds: float

    @property
    def an_image(self) -> float:
        """Milliseconds that it costs an image on average."""
        return self.probability * self.milliseconds


@dataclass(frozen=True)
class ChainTime:
    """The whole chain, in milliseconds an image, and its transforms."""

    size: int | Size  # of the result
    median: float
    slow: float  # 95 of 100 images take less
    steps: tuple[StepTime, ...]

    def lines(self) -> list[str]:
        """For people."""
        height, width = pair(self.size)
        out = [
            f"augmentation, {WIDTH} x {HEIGHT} to {width} x {height}, one thread: "
            f"median {self.median:.2f} ms, 95% below {self.slow:.2f} ms",
            f"{'transform':22} {'probability':>11} {'ms':>7} {'ms an image':>12} {'share':>7}",
        ]
        total = sum(step.an_image for step in self.steps)
        for step in self.steps:
            out.append(
                f"{step.name:22} {step.probability:11.2f} {step.milliseconds:7.3f} "
                f"{step.an_image:12.3f} {step.an_image / total:7.1%}"
            )
        return out

    def as_dict(self) -> dict:
        """The same for JSON, in milliseconds."""
        steps = [
            {"name": s.name, "probability": s.probability, "alone": s.milliseconds}
            for s in self.steps
        ]
        return {"size": self.size, "median": self.median, "p95": self.slow, "transforms": steps}


def time_chain(config: Config, repeats: int = 200, seed: int = 0) -> ChainTime:
    """Times the chain of `config` on `repeats` draws, and each of its transforms."""
    sample = photograph(np.random.default_rng(seed))
    chain = Chain(config)
    chain(sample, np.random.default_rng(seed))  # compiles
    times = _times(lambda rng: chain(sample, rng), repeats, seed)
    steps = tuple(
        StepTime(name, probability, float(np.median(_times(call, max(repeats // 4, 3), seed))))
        for name, probability, call in _transforms(sample, config)
    )
    slow = float(np.percentile(times, 95))
    return ChainTime(config.input.size, float(np.median(times)), slow, steps)


def photograph(rng: np.random.Generator) -> Sample:
    """A made-up photograph: soft blobs of colour with some grain, and five objects."""
    blobs = rng.integers(0, 256, (12, 16, 3), dtype=np.uint8)
    image = np.asarray(Image.fromarray(blobs).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC))
    grain = rng.normal(0, 6, image.shape)
    image = np.clip(image + grain, 0, 255).astype(np.uint8)
    low, sides = rng.uniform(0, 0.6, (5, 2)), rng.uniform(0.1, 0.4, (5, 2))
    truth = Truth(np.hstack([low, low + sides]), np.ones(5, int), size=(HEIGHT, WIDTH))
    return Sample(image, truth, "made up")


def _times(call: Callable[[np.random.Generator], object], repeats: int, seed: int) -> np.ndarray:
    """Milliseconds (repeats,) of calls, each with a generator of its own."""
    times = np.empty(repeats)
    call(np.random.default_rng(seed))  # not measured
    for i in range(repeats):
        rng = np.random.default_rng([seed, i])
        begin = time.perf_counter()
        call(rng)
        times[i] = 1000 * (time.perf_counter() - begin)
    return times


def _transforms(sample: Sample, config: Config) -> list[tuple[str, float, Callable]]:
    """Name, probability and call of every transform of the chain, on what it meets there."""
    chain, rule = Chain(config), config.input
    boxes, labels = sample.truth.boxes_corner, sample.truth.labels
    image = sample.image.astype(np.float32)
    small = look_resized(sample.image, whole(image), rule.size, rule.mean, rule.resize)

    def alone(transform: Transform, picture: np.ndarray) -> Callable:
        return lambda rng: transform(picture, boxes, labels, rng)

    def view(rng: np.random.Generator) -> np.ndarray:
        seen, moved, names = whole(image), boxes, labels
        for chance, window in chain.windows:
            if rng.random() < chance:
                drawn = window.draw(rng, (seen[3] - seen[1], seen[2] - seen[0]), moved)
                seen = window.view(seen, drawn)
                moved, names = window.boxes(moved, names, drawn)
        return look_resized(sample.image, seen, rule.size, rule.mean, rule.resize)

    lights = [*chain.lights, chain.contrast, chain.noise]
    return [
        ("float and back", _any_light(config.augmentation), lambda _: _round_trip(sample.image)),
        *((light.name, chance, alone(light, image)) for chance, light in lights),
        ("expand, crop, resize", 1.0, view),
        *((flip.name, chance, alone(flip, small)) for chance, flip in chain.flips),
        ("normalise", 1.0, lambda _: normalise(small, rule)),
    ]


def _any_light(chances: AugmentationConfig) -> float:
    """The probability that the image becomes float at all."""
    none = 1.0 - chances.lighting_noise
    for settings in (chances.brightness, chances.contrast, chances.saturation, chances.hue):
        none *= 1 - settings.probability
    return 1 - none


def _round_trip(image: np.ndarray) -> np.ndarray:
    out = image.astype(np.float32)
    return np.clip(np.rint(out, out=out), 0, 255, out=out).astype(np.uint8)
