"""The augmentation chain as a strip: the same sample after each step, with its boxes.

Every figure takes `out`: a file to write, or a matplotlib figure to draw on (see `canvas`).
"""

from __future__ import annotations

import math
import textwrap

import numpy as np

from ssd_np.config import Config
from ssd_np.data import geometric, photometric
from ssd_np.data.photometric import History
from ssd_np.data.pipeline import augment
from ssd_np.data.view import look
from ssd_np.records import Sample
from ssd_np.viz.canvas import ORANGE, Out, canvas, draw_box, show_image

Panel = tuple[str, np.ndarray, np.ndarray]  # caption, image (H, W, 3), boxes_corner (G, 4)


def augmentation_figure(sample: Sample, config: Config, rng: np.random.Generator, out: Out) -> None:
    """What `augment` makes of a sample, step by step; the steps are drawn from `rng`."""
    history = augment(sample, config, rng)[3]
    strip_figure(replay(sample, history, config.input.mean), out)


def strip_figure(panels: list[Panel], out: Out, across: int = 3) -> None:
    """Pictures in reading order, each with its caption and boxes."""
    rows = math.ceil(len(panels) / across)
    across = min(across, len(panels))
    aspect = min(1.1, max(image.shape[0] / image.shape[1] for _, image, _ in panels))
    with canvas(out, 2.4 * across, (2.2 * aspect + 0.4) * rows) as figure:
        axes_list = figure.subplots(rows, across, squeeze=False).ravel()
        for axes in axes_list[len(panels) :]:
            axes.set_visible(False)
        for axes, (caption, image, boxes) in zip(axes_list, panels, strict=False):
            show_image(axes, np.clip(image, 0, 255).astype(np.uint8))
            lines = [textwrap.fill(line, 28) for line in caption.splitlines()]
            axes.set_title("\n".join(lines), fontsize=10)
            for box in boxes:
                draw_box(axes, box, ORANGE)


def replay(sample: Sample, history: History, fill: tuple[float, float, float]) -> list[Panel]:
    """The sample and then what it was after each step of a history, in the size it had there."""
    image, boxes = sample.image.astype(np.float32), sample.truth.boxes_corner[~sample.truth.crowd]
    panels = [("original", image, boxes)]
    for name, drawn in history:
        caption = name.replace("_", " ")
        if name == "brightness":
            image, caption = image + drawn["delta"], f"{caption} {drawn['delta']:+.0f}"
        elif name == "contrast":
            image, caption = image * drawn["factor"], f"{caption} × {drawn['factor']:.2f}"
        elif name == "saturation":
            image = photometric.scale_saturation(image, drawn["factor"])
            caption = f"{caption} × {drawn['factor']:.2f}"
        elif name == "hue":
            image = photometric.turn_hue(image, drawn["degrees"])
            caption = f"{caption} {drawn['degrees']:+.0f}°"
        elif name == "lighting_noise":
            image, caption = image[..., drawn["order"]], f"channels {drawn['order']}"
        elif name in ("expand", "crop"):
            image, boxes = _through_window(image, boxes, drawn["window"], fill)
            least = f", IoU ≥ {drawn['min_iou']:g}" if drawn.get("min_iou") else ""
            caption = f"{caption}{least}\n{image.shape[1]} × {image.shape[0]} pixels"
        elif name == "horizontal_flip":
            image, boxes = image[:, ::-1], geometric.mirror_x(boxes)
        elif name == "vertical_flip":
            image, boxes = image[::-1], geometric.mirror_y(boxes)
        panels.append((caption, image, boxes))
    return panels


def _through_window(
    image: np.ndarray, boxes: np.ndarray, window: np.ndarray, fill: tuple[float, float, float]
) -> tuple[np.ndarray, np.ndarray]:
    """The part of the plane that a window shows; boxes whose centre it shows, cut at its border."""
    height, width = image.shape[:2]
    view = np.rint(window * (width, height, width, height)).astype(int)
    boxes = geometric.into_window(boxes, window)
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2
    seen = ((centre > 0) & (centre < 1)).all(axis=1)
    return look(image, view, fill), np.clip(boxes[seen], 0, 1)
