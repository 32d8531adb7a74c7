"""The augmentation chain as a strip: the same sample after each step, with its boxes.

Every figure takes `out`: a file to write, or a matplotlib figure to draw on (see `canvas`).
"""

import dataclasses
import math
import textwrap

import numpy as np

from ssd_np.checks import check_whole
from ssd_np.config import Config
from ssd_np.data.image import to_grey
from ssd_np.data.pipeline import augment
from ssd_np.data.transform import Step
from ssd_np.records import Sample
from ssd_np.signatures import checked
from ssd_np.viz.canvas import ORANGE, Out, canvas, draw_box, panels_in, show_image

Panel = tuple[str, np.ndarray, np.ndarray]  # caption, image (H, W, 3), boxes_corner (G, 4)


def augmentation_figure(sample: Sample, config: Config, rng: np.random.Generator, out: Out) -> None:
    """What `augment` makes of a sample, step by step; the steps are drawn from `rng`."""
    history = augment(sample, config, rng)[3]
    if config.input.channels == 1:
        grey = np.repeat(to_grey(sample.image), 3, axis=2)
        sample = dataclasses.replace(sample, image=grey)
    strip_figure(replay(sample, history), out)


@checked
def strip_figure(panels: list[Panel], out: Out) -> None:
    """Pictures in reading order, three in a row, each with its caption and boxes."""
    check_whole(len(panels), "the number of pictures")
    rows, across = math.ceil(len(panels) / 3), min(3, len(panels))
    aspect = min(1.1, max(image.shape[0] / image.shape[1] for _, image, _ in panels))
    with canvas(out, 2.4 * across, (2.2 * aspect + 0.4) * rows) as figure:
        shown = zip(panels_in(figure, len(panels), across), panels, strict=True)
        for axes, (caption, image, boxes) in shown:
            show_image(axes, np.clip(image, 0, 255).astype(np.uint8))
            lines = [textwrap.fill(line, 28) for line in caption.splitlines()]
            axes.set_title("\n".join(lines), fontsize=10)
            for box in boxes:
                draw_box(axes, box, ORANGE)


@checked
def replay(sample: Sample, history: list[Step]) -> list[Panel]:
    """The sample and then what it was after each step of a history, in the size it had there."""
    kept = ~sample.truth.crowd
    image = sample.image.astype(np.float32)
    boxes, labels = sample.truth.boxes_corner[kept], sample.truth.labels[kept]
    panels = [("original", image, boxes)]
    for step in history:
        size = image.shape
        image = step.transform.image(image, step.drawn)
        boxes, labels = step.transform.boxes(boxes, labels, step.drawn)
        caption = step.transform.caption(step.drawn)
        if image.shape != size:
            caption += f"\n{image.shape[1]} × {image.shape[0]} pixels"
        panels.append((caption, image, boxes))
    return panels
