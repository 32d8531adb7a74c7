"""A detector run over a whole data set, as the metrics want it: detections beside truths."""

from collections.abc import Iterator

import numpy as np

from ssd_np.data.items import Dataset, sample_at
from ssd_np.data.labels import label_map, relabel
from ssd_np.data.promises import check_class_names
from ssd_np.infer.detect import Detector
from ssd_np.infer.flips import FlipDetector
from ssd_np.model.ssd import SSD
from ssd_np.progress import progress
from ssd_np.records import Detections, Truth


def detect_dataset(
    model: SSD, dataset: Dataset, score_threshold: float | None = None, flips: bool = False
) -> tuple[list[Detections], list[Truth]]:
    """Detections and truths of every image, with the model's labels.

    `score_threshold` is the config's low one unless given: a metric needs the curve's tail. With
    `flips` detections are averaged over an image and its mirror image.
    """
    detector = (FlipDetector if flips else Detector)(model, score_threshold)
    check_class_names(dataset)
    mapping = label_map(dataset.class_names, detector.model.config.class_names)
    truths: list[Truth] = []

    def images() -> Iterator[np.ndarray]:  # each sample is opened once, for both
        for i in range(len(dataset)):
            sample = sample_at(dataset, i)
            truths.append(relabel(sample.truth, mapping))
            yield sample.image

    found = detector.detect_all(images())
    return list(progress(found, len(dataset), "detect", "image")), truths
