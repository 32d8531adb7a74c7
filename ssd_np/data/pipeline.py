"""From a sample to a training example: augmentation in the published order, and the way back.

photometric -> expand -> crop -> resize -> flip -> normalise (SSD paper, section 2.2, and its
authors' Caffe code). The distortions of light come first, so that the canvas of an expansion keeps
the mean colour, which normalisation turns into 0. Expand and crop choose what is to be seen of the
image; the pixels are moved once, together with the resizing.
"""

from __future__ import annotations

import numpy as np

from ssd_np.config import AugmentationConfig, Config
from ssd_np.data import geometric, photometric
from ssd_np.data.image import normalise
from ssd_np.data.photometric import History
from ssd_np.data.view import look_resized, whole
from ssd_np.records import Sample


def augment(
    sample: Sample, config: Config, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray, History]:
    """One training example from a sample, by the probabilities of `config.augmentation`.

    Returns the image (size, size, 3) float32 as `preprocess` makes it, boxes_corner (G, 4) float64
    inside [0, 1] and of positive area, labels (G,), and what was done: a list of (name, drawn
    values) that `undo_boxes` understands. Crowd objects are left out: they are for evaluation only.
    With all probabilities 0 the image is that of `preprocess` and the boxes are the sample's.
    """
    chances = config.augmentation
    keep = ~sample.truth.crowd
    boxes, labels = sample.truth.boxes_corner[keep], sample.truth.labels[keep]
    history: History = []
    image, view = distort(sample.image, chances, rng, history), whole(sample.image)
    if rng.random() < chances.expand.probability:
        ratio = chances.expand.max_ratio
        view, boxes = geometric.zoom_out(view, boxes, rng, ratio, history)
    if rng.random() < chances.crop.probability:
        c = chances.crop
        view, boxes, labels = geometric.zoom_in(
            view, boxes, labels, rng, c.min_ious, c.scale, c.ratio, c.tries, history
        )
    rule = config.input
    item = (look_resized(image, view, rule.size, rule.mean, rule.resize), boxes, labels)
    if rng.random() < chances.horizontal_flip:
        item = geometric.horizontal_flip(*item, rng, history)
    if rng.random() < chances.vertical_flip:
        item = geometric.vertical_flip(*item, rng, history)
    image, boxes, labels = item
    return normalise(image, config.input), boxes, labels, history


def distort(
    image: np.ndarray, chances: AugmentationConfig, rng: np.random.Generator, history: History
) -> np.ndarray:
    """The photometric chain: (H, W, 3) uint8 -> uint8, rounded and clipped once, at the end.

    Contrast comes before saturation and hue, or after them, with equal chances.
    """
    chain = [
        (chances.brightness, photometric.brightness),
        (chances.saturation, photometric.saturation),
        (chances.hue, photometric.hue),
    ]
    contrast_first = rng.random() < 0.5
    chain.insert(1 if contrast_first else 3, (chances.contrast, photometric.contrast))
    nothing = np.empty((0, 4)), np.empty(0, np.int64)  # light moves no boxes
    out = image
    for settings, transform in chain:
        if rng.random() < settings.probability:
            out = np.asarray(out, np.float32)
            out, *_ = transform(out, *nothing, rng, settings.low, settings.high, history)
    if rng.random() < chances.lighting_noise:
        out, *_ = photometric.lighting_noise(out, *nothing, rng, history)
    if out.dtype == np.uint8:
        return out
    return np.clip(np.rint(out, out=out), 0, 255, out=out).astype(np.uint8)


def undo_boxes(boxes_corner: np.ndarray, history: History) -> np.ndarray:
    """Boxes of an augmented image, (G, 4), in fractions of the original.

    Takes the steps back, last first. What a crop cut off stays cut off.
    """
    boxes = np.asarray(boxes_corner)
    for name, values in reversed(history):
        if name == "horizontal_flip":
            boxes = geometric.mirror_x(boxes)
        elif name == "vertical_flip":
            boxes = geometric.mirror_y(boxes)
        elif name in ("expand", "crop"):
            boxes = geometric.out_of_window(boxes, values["window"])
    return boxes
