"""Average precision of a model, or of saved detections, on a data set: measured, written, drawn."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ssd_np.commands.datasets import Dataset, category_ids, image_ids
from ssd_np.commands.eval import FILES
from ssd_np.config import DecodingConfig
from ssd_np.evaluate.average_precision import evaluate_voc
from ssd_np.evaluate.coco import coco_result
from ssd_np.evaluate.coco_matching import measured
from ssd_np.evaluate.coco_results import from_coco_results, read_results, to_coco_results
from ssd_np.evaluate.confusion import Confusion, confusion, worst_first
from ssd_np.evaluate.run import detect_dataset
from ssd_np.files import json_text, remove_files, write_atomically
from ssd_np.model.ssd import SSD
from ssd_np.records import Detections, Truth
from ssd_np.terminal import say
from ssd_np.viz.confusion import confusion_figure, draw_outcome
from ssd_np.viz.draw import gallery
from ssd_np.viz.recall import precision_recall

WORST_IMAGES = 8
VOC_METRICS: dict[str, Literal["11-point", "all-point"]] = {"voc07": "11-point", "voc": "all-point"}
HIGH_THRESHOLD = 0.1  # detections that begin above it make average precision too low
ENOUGH = 100  # in an image: then a file was cut off by a number, not by a score


@dataclass(frozen=True)
class Found:
    """Detections beside truths, image by image; label k of both is `class_names[k - 1]`.

    evaluate  scores above it are measured; None: as the file has them
    show      scores of at least that much are drawn
    """

    class_names: Sequence[str]
    detections: list[Detections]
    truths: list[Truth]
    evaluate: float | None
    show: float
    origin: str


# --- detections ----------------------------------------------------------------------------------


def detect(model: SSD, dataset: Dataset, flips: bool = False) -> Found:
    """Runs the model over the data set, with the low threshold that a metric needs."""
    rule = model.config.decoding
    detections, truths = detect_dataset(model, dataset, flips=flips)
    origin = f"suppression at IoU {rule.iou_threshold:g}, at most {rule.top_k} an image"
    origin += ", averaged over each image and its mirror image" * flips
    names = model.config.class_names
    return Found(names, detections, truths, rule.score_threshold, rule.show_threshold, origin)


def read_detections(path: str, dataset: Dataset) -> Found:
    """Detections of a COCO results file for the images of the data set."""
    truths = [dataset.truth(i) for i in range(len(dataset))]
    names, sizes = dataset.class_names, _sizes(truths)
    ids = image_ids(dataset), sizes, category_ids(dataset)
    detections = from_coco_results(read_results(path), *ids, names, where=path)
    return Found(names, detections, truths, None, DecodingConfig().show_threshold, f"from {path}")


def save_detections(path: str, found: Found, dataset: Dataset) -> None:
    """Writes a COCO results file; classes that the data set does not have are left out."""
    number_of = dict(zip(dataset.class_names, category_ids(dataset), strict=True))
    numbers = [number_of.get(name) for name in found.class_names]
    sizes = _sizes(found.truths)
    results = to_coco_results(found.detections, image_ids(dataset), sizes, numbers)
    write_atomically(path, json_text(results, indent=None) + "\n")
    say(f"{len(results)} detections saved in {path}")


def _sizes(truths: Sequence[Truth]) -> list[tuple[int, int]]:
    return [measured(truth, f"image {i}")[0] for i, truth in enumerate(truths)]


# --- report --------------------------------------------------------------------------------------


def measure(
    found: Found,
    dataset: Dataset,
    data: str,
    out: Path,
    metric: str = "voc",
    iou: float = 0.5,
    as_json: bool = False,
) -> None:
    """Prints the result of a metric, voc07, voc (both at IoU `iou`), or coco, and writes it to
    `out`; the data set is called `data` in the report."""
    pair = found.detections, found.truths
    curves = evaluate_voc(*pair, iou, VOC_METRICS.get(metric, "all-point"))
    result = coco_result(*pair) if metric == "coco" else curves
    lowest = min((float(d.scores.min()) for d in found.detections if len(d)), default=0.0)
    start = lowest if found.evaluate is None else found.evaluate
    mistakes = confusion(*pair, found.show, iou)
    thresholds = {"evaluate": found.evaluate, "lowest": lowest, "show": found.show}
    report = {"data": data, "images": len(dataset), "thresholds": thresholds}
    report |= {"detections": found.origin, **result.to_json(), "confusion": mistakes.to_json()}
    report_file, curve_file, confusion_file, worst_file = (out / name for name in FILES)
    remove_files(out, FILES)
    write_atomically(report_file, json_text(report) + "\n")
    drawn = [confusion_file]
    if any(c.truths for c in curves.classes):
        precision_recall(curves, curve_file, found.show)
        drawn.insert(0, curve_file)
    confusion_figure(mistakes, confusion_file)
    if _draw_worst(found, mistakes, dataset, data, worst_file):
        drawn.append(worst_file)
    if as_json:
        say(json_text(report))
        return
    # whoever reads may leave at the first line: everything is written by now
    say(f"{data}, {len(dataset)} images")
    say(result.table())
    rule = "lowest score" if found.evaluate is None else "evaluate: scores above"
    say(_in_words(mistakes))
    say(f"detections: {rule} {start:g}, {found.origin}; pictures: show {found.show:g}")
    full = found.evaluate is None and max(map(len, found.detections), default=0) >= ENOUGH
    if start > HIGH_THRESHOLD and not full:
        say(f"note: detections begin at {start:g}; average precision needs those down to 0.01")
    if worst_file not in drawn:
        say(f"no mistake with scores of at least {found.show:g}: no {worst_file.name}")
    say(f"report: {report_file}\npictures: {', '.join(map(str, drawn))}")


def _in_words(found: Confusion) -> str:
    """What was found, and what went wrong."""
    objects, right, missed, *wrong = found.totals().items()
    kinds = ", ".join(f"{count:,} {kind}" for kind, count in wrong)
    rule = f"with scores of at least {found.min_score:g}"
    return f"{rule}: {right[1]:,} of {objects[1]:,} objects found, {missed[1]:,} missed; {kinds}"


def _draw_worst(found: Found, mistakes: Confusion, dataset: Dataset, data: str, file: Path) -> bool:
    """The images with the most mistakes, truth left, detections right; whether there are any."""
    rows = []
    wrong = worst_first(mistakes.outcomes)
    for i in wrong[:WORST_IMAGES]:
        sample, shown = dataset[i], found.detections[i].at_least(found.show)
        counts = mistakes.outcomes[i].mistakes().items()
        words = ", ".join(f"{count} {kind}" for kind, count in counts if count)
        pictures = draw_outcome(sample.image, shown, found.truths[i], mistakes.outcomes[i])
        rows.append((f"{sample.name}: {words}", *pictures))
    if rows:
        images = f"{len(rows)} image{'s' * (len(rows) > 1)}"
        which = "the most mistakes" if len(wrong) > len(rows) else "mistakes"
        header = f"{data}: the {images} with {which}, scores of at least {found.show:g}"
        gallery(rows, file, header, pairs_across=2)
    return bool(rows)
