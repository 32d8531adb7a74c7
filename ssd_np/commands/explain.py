"""`ssd-np explain`: why a detector finds what it finds in one image, in words and pictures."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from ssd_np.boxes.coords import clip
from ssd_np.commands.datasets import voc_roots
from ssd_np.data.image import read_image
from ssd_np.data.voc import parse_annotation, pixels_to_fractions
from ssd_np.errors import DataError
from ssd_np.infer.explain import explain
from ssd_np.infer.explain_text import to_json, to_text
from ssd_np.infer.reports import Explanation
from ssd_np.model.ssd import SSD
from ssd_np.model.weights import load
from ssd_np.records import Truth
from ssd_np.viz.boxes import match_figure
from ssd_np.viz.explain import decode_figure, mined_figure

MOST_DECODED = 5  # detections that get a picture of their own


def run(arguments: argparse.Namespace) -> int:
    """Text or JSON on stdout, pictures in the folder `--out` if there is one."""
    model, path = load(arguments.weights), Path(arguments.image)
    image = read_image(path)
    truth = None
    if arguments.truth:
        truth = read_truth(
            _annotation(arguments.truth, path), model.config.class_names, image.shape[:2]
        )
    explanation = explain(model, image, truth, arguments.min_score)
    pictures = []
    if arguments.out:
        pictures = draw(explanation, model, image, truth, Path(arguments.out))
    if arguments.json:
        report = {"image": str(path), "pictures": [str(p) for p in pictures]}
        print(json.dumps(report | to_json(explanation), indent=2))
        return 0
    print(to_text(explanation))
    for picture in pictures:
        print(f"drawn in {picture}")
    return 0


def _annotation(spec: str, image: Path) -> Path:
    """An XML file as named, or in the folder of voc:FOLDER the one called as the image is."""
    if not spec.startswith("voc:"):
        return Path(spec)
    files = [Path(root) / "Annotations" / f"{image.stem}.xml" for root in voc_roots(spec)]
    for file in files:
        if file.is_file():
            return file
    raise DataError("no annotation of this image", where=str(files[0]))


def read_truth(xml: Path, class_names: tuple[str, ...], size: tuple[int, int]) -> Truth:
    """The objects of a Pascal VOC annotation with the model's labels; those without area left out.

    Raises DataError for a class that the model does not know.
    """
    boxes, labels = [], []
    for i, item in enumerate(parse_annotation(xml).objects):
        if item.name not in class_names:
            raise DataError(
                f"class {item.name!r} is unknown to the model",
                where=f"{xml}: object {i}",
                hint=f"it knows {', '.join(class_names)}",
            )
        box = clip(pixels_to_fractions(item.pixels, size))
        if (box[2:] > box[:2]).all():
            boxes.append(box)
            labels.append(class_names.index(item.name) + 1)
    return Truth(np.reshape(boxes, (-1, 4)), np.array(labels, np.int64), size=size)


def draw(
    explanation: Explanation, model: SSD, image: np.ndarray, truth: Truth | None, out: Path
) -> list[Path]:
    """A picture for each part; the files written."""
    pictures = []
    if truth is not None:
        rule = model.config.matching
        pictures = [out / "matches.png", out / "mined.png"]
        match_figure(
            image,
            truth.boxes_corner,
            model.default_boxes,
            pictures[0],
            rule.threshold,
            rule.neutral_threshold,
        )
        mined_figure(image, explanation.mining, pictures[1])
    for i, found in enumerate(explanation.detections[:MOST_DECODED]):
        suppressed = [other for other in explanation.suppressed if other.by == i]
        pictures.append(out / f"detection-{i}.png")
        decode_figure(image, found, suppressed, pictures[-1])
    return pictures
