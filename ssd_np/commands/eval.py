"""`ssd-np eval`: average precision of a weights file on a data set."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from ssd_np.commands.datasets import describe, evaluation_data
from ssd_np.evaluate.average_precision import evaluate_voc
from ssd_np.evaluate.run import detect_dataset
from ssd_np.files import write_atomically
from ssd_np.model.ssd import SSD
from ssd_np.model.weights import load
from ssd_np.viz.draw import draw_detections, draw_truth, gallery
from ssd_np.viz.figures import precision_recall

GALLERY_IMAGES = 8


def run(arguments: argparse.Namespace) -> int:
    """Prints the table; writes eval.json, precision_recall.png and gallery.png."""
    model = load(arguments.weights)
    dataset = evaluation_data(arguments.data, arguments.split, model.config.class_names)
    data = describe(arguments.data, arguments.split)
    evaluate_and_write(model, dataset, data, Path(arguments.out), arguments.metric)
    return 0


def evaluate_and_write(
    model: SSD, dataset, data: str, out: Path, metric: str = "all-point"
) -> None:
    """Measures `model` on `dataset`, called `data` in the report; writes the results to `out`."""
    detections, truths = detect_dataset(model, dataset)
    result = evaluate_voc(detections, truths, metric=metric)
    print(f"{data}, {len(dataset)} images")
    print(result.table())
    report = {"data": data, "images": len(dataset), **result.to_json()}
    write_atomically(out / "eval.json", json.dumps(report, indent=2) + "\n")
    precision_recall(result, out / "precision_recall.png")
    _draw_gallery(model, dataset, detections, truths, data, out)


def _draw_gallery(model: SSD, dataset, detections, truths, data: str, out: Path) -> None:
    """The first images, truth on the left, what is detected on the right."""
    rows, score = [], model.config.decoding.show_threshold
    for i in range(min(GALLERY_IMAGES, len(dataset))):
        sample = dataset[i]
        left = draw_truth(sample.image, truths[i], model.config.class_names)
        rows.append((sample.name, left, draw_detections(sample.image, detections[i], score)))
    header = f"{data}: scores of at least {score:g}"
    gallery(rows, out / "gallery.png", header, pairs_across=2)
