"""From a sample to a training example: augmentation in the published order, and the way back.

photometric -> expand -> crop -> resize -> flip -> normalise (SSD paper, section 2.2, and its
authors' Caffe code). The distortions of light come first, so that the canvas of an expansion keeps
the mean colour, which normalisation turns into 0. Expand and crop choose what is to be seen of the
image; the pixels are moved once, together with the resizing.
"""

import numpy as np

from ssd_np.checks import check_kind
from ssd_np.config import Config
from ssd_np.data.geometric import Crop, Expand, HorizontalFlip, VerticalFlip
from ssd_np.data.image import normalise, to_grey
from ssd_np.data.photometric import Light, LightingNoise, brightness, contrast
from ssd_np.data.transform import Step
from ssd_np.data.view import look_resized, whole
from ssd_np.engine import Engine, select
from ssd_np.records import Sample

Example = tuple[np.ndarray, np.ndarray, np.ndarray, list[Step]]


class Chain:
    """The augmentation of a config, built once and called for every sample.

    lights, windows, flips  pairs (probability, transform), in the order in which they are applied
    """

    def __init__(self, config: Config, ops: Engine | None = None) -> None:
        check_kind(config, Config, "config")
        ops, chances, rule = ops or select(), config.augmentation, config.input
        formulas = (
            ("brightness", chances.brightness, brightness, "brightness {:+.0f}"),
            ("saturation", chances.saturation, ops.scale_saturation, "saturation × {:.2f}"),
            ("hue", chances.hue, ops.turn_hue, "hue {:+.0f}°"),
        )
        self.input, colour = rule, rule.channels == 3
        self.lights = [
            (c.probability, Light(name, change, c.low, c.high, words))
            for name, c, change, words in formulas[: 3 if colour else 1]  # grey has no hue
        ]
        c, words = chances.contrast, "contrast × {:.2f}"
        self.contrast = (c.probability, Light("contrast", contrast, c.low, c.high, words))
        self.noise = (chances.lighting_noise if colour else 0.0, LightingNoise())
        self.windows = [
            (chances.expand.probability, Expand(rule.mean, chances.expand.max_ratio)),
            (chances.crop.probability, Crop(rule.mean, chances.crop)),
        ]
        self.flips = [
            (chances.horizontal_flip, HorizontalFlip()),
            (chances.vertical_flip, VerticalFlip()),
        ]

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Example:
        """The training example of a sample; see `augment`."""
        check_kind(sample, Sample, "sample")
        keep = ~sample.truth.crowd
        boxes, labels = sample.truth.boxes_corner[keep], sample.truth.labels[keep]
        image = sample.image if self.input.channels == 3 else to_grey(sample.image)
        image, history = self.distort(image, rng)
        view = whole(image)
        for chance, window in self.windows:
            if rng.random() < chance:
                step = Step(window, window.draw(rng, (view[3] - view[1], view[2] - view[0]), boxes))
                view = window.view(view, step.drawn)
                boxes, labels = window.boxes(boxes, labels, step.drawn)
                history.append(step)
        image = look_resized(image, view, self.input.size, self.input.mean, self.input.resize)
        for chance, flip in self.flips:
            if rng.random() < chance:
                image, boxes, labels, step = flip(image, boxes, labels, rng)
                history.append(step)
        return normalise(image, self.input), boxes, labels, history

    def distort(self, image: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, list[Step]]:
        """The light of the chain: uint8 of the input's channels -> same, rounded and clipped once.

        Contrast comes before saturation and hue, or after them, with equal chances.
        """
        check_kind(rng, np.random.Generator, "rng")
        lights: list[tuple[float, Light | LightingNoise]] = [*self.lights]
        contrast_first = rng.random() < 0.5
        lights.insert(1 if contrast_first else 3, self.contrast)
        history, out = [], image
        for chance, light in [*lights, self.noise]:
            if rng.random() < chance:
                step = Step(light, light.draw(rng))
                out = light.image(np.asarray(out, np.float32), step.drawn)
                history.append(step)
        if not history:
            return image, history
        return np.clip(np.rint(out, out=out), 0, 255, out=out).astype(np.uint8), history


def augment(sample: Sample, config: Config, rng: np.random.Generator) -> Example:
    """One training example from a sample, by the probabilities of `config.augmentation`.

    Returns the image (height, width, 3) float32 as `preprocess` makes it, boxes_corner (G, 4)
    float64 inside [0, 1] and of positive area, labels (G,), and what was done: a list of `Step`s,
    which `undo_boxes` takes back. Crowd objects are left out: they are for evaluation only. With
    all probabilities 0 the image is that of `preprocess` and the boxes are the sample's.
    """
    return Chain(config)(sample, rng)


def distort(
    image: np.ndarray, config: Config, rng: np.random.Generator
) -> tuple[np.ndarray, list[Step]]:
    """The photometric part alone: (H, W, 3) uint8 -> uint8, and what was done."""
    return Chain(config).distort(image, rng)
