"""A detector run over a whole data set, as the metrics want it: detections beside truths."""

from tqdm import tqdm

from ssd_np.data.labels import label_map, relabel
from ssd_np.infer.detect import Detector
from ssd_np.model.ssd import SSD
from ssd_np.records import Detections, Truth


def detect_dataset(
    model: SSD, dataset, score_threshold: float | None = None
) -> tuple[list[Detections], list[Truth]]:
    """Detections and truths of every image, with the model's labels.

    `score_threshold` is the config's low one unless given: a metric needs the curve's tail.
    """
    detector = Detector(model, score_threshold)
    mapping = label_map(dataset.class_names, model.config.class_names)
    images = (dataset[i].image for i in range(len(dataset)))
    found = detector.detect_all(images)
    bar = tqdm(found, total=len(dataset), desc="detect", unit="image", disable=None, leave=False)
    detections = list(bar)
    return detections, [relabel(dataset.truth(i), mapping) for i in range(len(dataset))]
