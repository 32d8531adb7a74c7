"""`ssd-np eval`: average precision of a weights file, or of saved detections, on a data set."""

import argparse
from pathlib import Path

from ssd_np.commands import options as kinds
from ssd_np.data.sources import SHAPES, usual_splits
from ssd_np.errors import ConfigError
from ssd_np.files import free_folder

HELP = "measure average precision of a weights file on a data set"
EXAMPLE = "ssd-np eval blood_cells --data voc:BCCD --split test"
FILES = ("eval.json", "precision_recall.png", "confusion.png", "worst.png")


def options(parser: argparse.ArgumentParser) -> None:
    # fmt: off
    add = parser.add_argument
    source = parser.add_mutually_exclusive_group(required=True).add_argument
    source("weights", metavar="WEIGHTS", nargs="?", type=kinds.Input,
           help="a file, or shapes or blood_cells")
    source("--detections", metavar="FILE", type=kinds.Input,
           help="measure these, in COCO's results format, instead")
    kinds.add_data(parser)
    add("--split", type=kinds.split, help="to evaluate on (default: test, else val, else all)")
    kinds.add_classes(parser)
    add("--metric", choices=("voc07", "voc", "coco"), default="voc",
        help="VOC 2007's 11-point AP, VOC's area under the curve, or COCO's twelve numbers "
        "(default: %(default)s)")
    add("--iou", type=kinds.iou, default=0.5,
        help="from which overlap on a detection is right, in VOC's metrics (default: %(default)s)")
    add("--save-detections", metavar="FILE", type=kinds.output_file,
        help="write them in COCO's results format")
    add("--out", metavar="FOLDER", type=kinds.output_folder(*FILES),
        help="for eval.json and pictures (default: eval, or eval-2, ...)")
    add("--flips", action="store_true",
        help="average over each image and its mirror image; takes twice the time")
    kinds.add_json(parser, "a table")
    kinds.add_force(parser)


def run(arguments: argparse.Namespace) -> int:
    """Prints the table; writes it, curves, what is confused, and the worst images."""
    from ssd_np.commands.datasets import describe_evaluation, evaluation_data
    from ssd_np.commands.measure import detect, measure, read_detections, save_detections
    from ssd_np.model.fold import for_inference
    from ssd_np.model.weights import load

    spec, classes = arguments.data, arguments.classes
    split = arguments.split or usual_splits(SHAPES, spec)[1]
    data = describe_evaluation(spec, split)
    out = Path(arguments.out or free_folder("eval"))
    if arguments.detections and arguments.flips:
        raise ConfigError("the detections are there already", "--flips", "it is for WEIGHTS")
    if arguments.detections:
        dataset = evaluation_data(spec, split, None, classes=classes)
        found = read_detections(arguments.detections, dataset)
    else:
        model = for_inference(load(arguments.weights))
        dataset = evaluation_data(spec, split, model.config.class_names, classes=classes)
        found = detect(model, dataset, arguments.flips)
    if arguments.save_detections:
        save_detections(arguments.save_detections, found, dataset)
    rules = arguments.metric, arguments.iou, arguments.json
    measure(found, dataset, data, out, *rules)
    return 0
