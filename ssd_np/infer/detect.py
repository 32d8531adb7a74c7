"""From an image to detections: preprocess, predict, decode (infer/decode.py)."""

import dataclasses
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from PIL import Image

from ssd_np.boxes.checks import check_count
from ssd_np.checks import check_kind
from ssd_np.config import Config
from ssd_np.data.image import as_array, preprocess
from ssd_np.engine import Engine, select
from ssd_np.infer.decode import Decoded, decode_outputs
from ssd_np.model.fold import for_inference
from ssd_np.model.ssd import SSD
from ssd_np.model.weights import load
from ssd_np.records import Detections

Item = TypeVar("Item")


class Detector:
    """A model with the thresholds of its decoding; None stands for the config's.

    `model` may be what `model.weights.load` reads: a file, or "shapes" and the other names of
    weights that come with the package. Its batch normalisation is folded into convolutions then.

    The config's score threshold is low, for evaluation: a precision-recall curve needs its tail. To
    show detections to people, keep those above `model.config.decoding.show_threshold`.
    """

    def __init__(
        self,
        model: SSD | str | Path,
        score_threshold: float | None = None,
        iou_threshold: float | None = None,
        top_k: int | None = None,
    ) -> None:
        model = for_inference(load(model)) if isinstance(model, str | Path) else model
        check_kind(getattr(model, "config", None), Config, "the model's config")
        self.model, self.ops = model, select()
        asked = {"score_threshold": score_threshold, "iou_threshold": iou_threshold, "top_k": top_k}
        given: dict[str, Any] = {key: value for key, value in asked.items() if value is not None}
        self.rule = dataclasses.replace(model.config.decoding, **given)

    def detect(self, image: np.ndarray | Image.Image) -> Detections:
        """Detections of one RGB image (H, W, 3) uint8 of any size, or of a picture of Pillow."""
        image = as_array(image)
        found = self.detect_preprocessed(preprocess(image, self.model.config)[None])[0]
        return dataclasses.replace(found, image=image)

    def detect_preprocessed(self, images: np.ndarray) -> list[Detections]:
        """One Detections for each of (N, H, W, 3), already resized and normalised."""
        logits, offsets = self.model.forward(as_array(images).astype(self.model.dtype, copy=False))
        return [self.decode(*pair) for pair in zip(logits, offsets, strict=True)]

    def detect_all(
        self, images: Iterable[np.ndarray], batch_size: int = 16
    ) -> Iterator[Detections]:
        """Detections of many images, in order; the fast engine prepares the next batch ahead."""
        check_kind(images, Iterable, "images")
        batches = self._batches(iter(images), check_count(batch_size, "batch_size"))
        ready = one_ahead(batches, self.ops)
        return (found for batch in ready for found in self.detect_preprocessed(batch))

    def _batches(
        self, images: Iterator[np.ndarray], batch_size: int | None
    ) -> Iterator[np.ndarray]:
        while group := list(islice(images, batch_size)):
            yield np.stack([preprocess(image, self.model.config) for image in group])

    def decode(self, logits: np.ndarray, offsets: np.ndarray) -> Detections:
        """One image's outputs, logits (T, K) and offsets (T, 4) -> Detections, boxes in [0, 1]."""
        return self.decode_with_reasons(logits, offsets).detections(self.model.config.class_names)

    def decode_with_reasons(self, logits: np.ndarray, offsets: np.ndarray) -> Decoded:
        """The same with all that led to it; NotFinite for outputs of weights that went astray."""
        return decode_outputs(logits, offsets, self.model.default_boxes, self.rule, self.ops)


def one_ahead(items: Iterator[Item], ops: Engine) -> Iterator[Item]:
    """The same items, none of them None; a thread makes the next, but not with the plain engine."""
    if ops.name == "plain":
        yield from items
        return
    with ThreadPoolExecutor(1) as helper:
        ahead = helper.submit(next, items, None)
        while (item := ahead.result()) is not None:
            ahead = helper.submit(next, items, None)
            yield item
