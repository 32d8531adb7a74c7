"""From an image to detections: predict, decode, threshold, suppress, clip.

For each class on its own: boxes whose score is above the threshold, the best 400 of them, then
non-maximum suppression; of all classes together the best 200 (SSD paper, section 2.2 and 3.7).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

import numpy as np

from ssd_np.boxes.codec import decode
from ssd_np.boxes.coords import center_to_corner, clip
from ssd_np.boxes.nms import best_first, nms
from ssd_np.data.image import preprocess
from ssd_np.errors import NotFinite
from ssd_np.model.ssd import SSD
from ssd_np.nn.parallel import for_each
from ssd_np.nn.softmax import softmax
from ssd_np.records import Detections


class Detector:
    """A model with the thresholds of its decoding; None stands for the config's.

    The config's score threshold is low, for evaluation: a precision-recall curve needs its tail. To
    show detections to people, keep those above `model.config.decoding.show_threshold`.
    """

    def __init__(
        self,
        model: SSD,
        score_threshold: float | None = None,
        iou_threshold: float | None = None,
        top_k: int | None = None,
    ) -> None:
        self.model, rule = model, model.config.decoding
        self.score_threshold = rule.score_threshold if score_threshold is None else score_threshold
        self.iou_threshold = rule.iou_threshold if iou_threshold is None else iou_threshold
        self.top_k = rule.top_k if top_k is None else top_k

    def detect(self, image: np.ndarray) -> Detections:
        """Detections of one RGB image (H, W, 3) uint8 of any size."""
        return self.detect_preprocessed(preprocess(image, self.model.config)[None])[0]

    def detect_preprocessed(self, images: np.ndarray) -> list[Detections]:
        """One Detections for each of (N, S, S, 3), already resized and normalised."""
        logits, offsets = self.model.forward(images.astype(self.model.dtype, copy=False))
        return [self.decode(*pair) for pair in zip(logits, offsets, strict=True)]

    def detect_all(
        self, images: Iterable[np.ndarray], batch_size: int = 16
    ) -> Iterator[Detections]:
        """Detections of many uint8 images, in order; the next batch is prepared meanwhile."""
        images = iter(images)
        with ThreadPoolExecutor(1) as helper:
            ahead = helper.submit(self._load, images, batch_size)
            while (batch := ahead.result()) is not None:
                ahead = helper.submit(self._load, images, batch_size)
                yield from self.detect_preprocessed(batch)

    def _load(self, images: Iterator[np.ndarray], batch_size: int) -> np.ndarray | None:
        batch = [preprocess(image, self.model.config) for image in islice(images, batch_size)]
        return np.stack(batch) if batch else None

    def decode(self, logits: np.ndarray, offsets: np.ndarray) -> Detections:
        """One image's outputs, logits (T, K) and offsets (T, 4) -> Detections, boxes in [0, 1].

        Raises NotFinite for outputs that are no numbers, of weights that have gone astray.
        """
        if not (np.isfinite(logits).all() and np.isfinite(offsets).all()):
            raise NotFinite(
                "the network's outputs are not finite, so there is nothing to detect",
                hint="its weights have gone astray in training; take those of an earlier step",
            )
        rule = self.model.config.decoding
        scores = softmax(logits)  # (T, K)
        boxes = center_to_corner(decode(offsets, self.model.default_boxes, rule.max_exponent))
        if rule.clip == "before_nms":
            boxes = clip(boxes)
        by_class = np.ascontiguousarray(scores.T[1:])  # (K - 1, T), without the background
        kept: list[np.ndarray] = [np.zeros(0, np.int64)] * len(by_class)  # rows of boxes

        def suppress(i: int, _worker: int) -> None:
            score = by_class[i]
            rows = best_first(score, rule.top_k_class)
            rows = rows[score[rows] > self.score_threshold]
            kept[i] = rows[nms(boxes[rows], score[rows], self.iou_threshold)]

        for_each(suppress, len(by_class))
        rows = np.concatenate(kept)
        labels = np.repeat(np.arange(1, scores.shape[1]), [len(k) for k in kept])
        best = best_first(scores[rows, labels], self.top_k)
        rows, labels = rows[best], labels[best]
        names = self.model.config.class_names
        return Detections(clip(boxes[rows]), labels, scores[rows, labels], names)
