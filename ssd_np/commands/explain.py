"""`ssd-np explain`: why a detector finds what it finds in one image, in words and pictures."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ssd_np.commands import options as kinds
from ssd_np.errors import DataError
from ssd_np.files import json_text, remove_files
from ssd_np.terminal import note, say

if TYPE_CHECKING:
    import numpy as np

    from ssd_np.infer.reports import Explanation
    from ssd_np.model.ssd import SSD
    from ssd_np.records import Truth

HELP = "say why a detector finds what it finds in an image, and what it would learn from it"
EXAMPLE = "ssd-np explain photo.jpg --weights blood_cells --truth photo.xml --out why"
MOST_DECODED = 20  # detections that get a picture of their own
DECODED = tuple(f"detection-{i}.png" for i in range(MOST_DECODED))
PICTURES = ("matches.png", "mined.png", *DECODED)


def options(parser: argparse.ArgumentParser) -> None:
    # fmt: off
    add = parser.add_argument
    add("image", metavar="IMAGE", type=kinds.Images, help="image file")
    kinds.add_weights(parser)
    add("--truth", metavar="XML", type=kinds.Data,
        help="its annotation, a Pascal VOC file or data as of --data: adds matching and mining")
    add("--min-score", type=kinds.share, help="of a detection (default: the config's, 0.5)")
    add("--out", metavar="FOLDER", type=kinds.output_folder(*PICTURES),
        help="for pictures (default: none are drawn)")
    kinds.add_json(parser, "text")
    kinds.add_force(parser)


def run(arguments: argparse.Namespace) -> int:
    """Text or JSON on stdout, pictures in the folder `--out` if there is one."""
    from ssd_np.commands.knowledge import knowledge
    from ssd_np.data.image import read_image
    from ssd_np.infer.explain import explain
    from ssd_np.infer.explain_text import to_json, to_text
    from ssd_np.model.fold import for_inference
    from ssd_np.model.weights import load

    model, path = for_inference(load(arguments.weights)), Path(arguments.image)
    image = read_image(path)
    truth = None
    if arguments.truth:
        truth = read_truth(arguments.truth, path, model.config.class_names)
    explanation = explain(model, image, truth, arguments.min_score)
    pictures = []
    if arguments.out:
        remove_files(arguments.out, PICTURES)
        pictures = draw(explanation, model, image, truth, Path(arguments.out))
    if arguments.json:
        report = {"image": str(path), "pictures": [str(p) for p in pictures]}
        say(json_text(report | to_json(explanation)))
        note(knowledge(arguments.weights, model))
        return 0
    say(to_text(explanation))
    for picture in pictures:
        say(f"drawn in {picture}")
    found = len(explanation.detections)
    if pictures and found > MOST_DECODED:
        say(f"pictures of the first {MOST_DECODED} of {found} detections; see --min-score")
    say(knowledge(arguments.weights, model))
    return 0


def read_truth(spec: str, image: Path, class_names: Sequence[str]) -> Truth:
    """The objects of an image with the model's labels, from an XML file or from a data set that
    holds it; those without area left out.

    Raises DataError for an annotation of another image and for a class that the model does not
    know.
    """
    from ssd_np.data.image import read_header
    from ssd_np.data.labels import labels_of
    from ssd_np.data.sources import is_stored, open_source
    from ssd_np.data.stored import Truths
    from ssd_np.data.voc import annotation_of

    annotated_size = False
    if is_stored(spec):
        source = open_source(spec, "all")
        item, annotated_size = source.item_of(image), source.annotated_size
    else:
        item = annotation_of(Path(spec), image)
    header = read_header(image)
    if item.size not in (None, header.size, header.size[::-1]):
        (h, w), (height, width) = item.size, header.size
        what = f"is the annotation of an image of {w} x {h} pixels"
        raise DataError(what, item.where, f"{image} has {width} x {height}")
    return Truths([(item, header)], labels_of(class_names), annotated_size)[0]


def draw(
    explanation: Explanation, model: SSD, image: np.ndarray, truth: Truth | None, out: Path
) -> list[Path]:
    """A picture for each part; the files written."""
    from ssd_np.viz.explain import decode_figure, mined_figure
    from ssd_np.viz.matching import match_figure

    pictures = []
    if truth is not None and explanation.mining is not None:
        rule, boxes = model.config.matching, (truth.boxes_corner, model.default_boxes)
        pictures = [out / "matches.png", out / "mined.png"]
        match_figure(image, *boxes, pictures[0], rule.threshold, rule.neutral_threshold)
        mined_figure(image, explanation.mining, pictures[1])
    for i, found in enumerate(explanation.detections[:MOST_DECODED]):
        suppressed = [other for other in explanation.suppressed if other.by == i]
        pictures.append(out / DECODED[i])
        decode_figure(image, found, suppressed, pictures[-1])
    return pictures
