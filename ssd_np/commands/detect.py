"""`ssd-np detect`: a picture and a table of what is found in each image."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from ssd_np.commands import options as kinds
from ssd_np.errors import DataError, OutputError
from ssd_np.files import free_folder
from ssd_np.terminal import note, say

if TYPE_CHECKING:
    from ssd_np.records import Detections

HELP = "find objects in images, draw them, print a table"
EXAMPLE = "ssd-np detect photo.jpg --weights blood_cells"


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "images", metavar="IMAGE", nargs="+", type=kinds.Images, help="image files or folders"
    )
    kinds.add_weights(parser)
    parser.add_argument(
        "--min-score", type=kinds.share, help="leave out weaker ones (default: the config's, 0.5)"
    )
    parser.add_argument(
        "--out", metavar="FOLDER", type=kinds.output_folder(),
        help="for the PNGs (default: detections, or detections-2, ...)",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    kinds.add_force(parser)


def run(arguments: argparse.Namespace) -> int:
    """Goes on past images that can not be read or drawn; exit code 1 if there were any."""
    from ssd_np.commands.knowledge import knowledge
    from ssd_np.data.image import read_image
    from ssd_np.infer.detect import Detector
    from ssd_np.model.fold import for_inference
    from ssd_np.model.weights import load
    from ssd_np.progress import Progress
    from ssd_np.viz.draw import draw_detections, save_picture

    model = for_inference(load(arguments.weights))
    score = arguments.min_score
    score = model.config.decoding.show_threshold if score is None else score
    detector = Detector(model, score)
    paths = list_images(arguments.images)
    out, reports, failed = Path(arguments.out or free_folder("detections")), [], 0
    taken: set[str] = set()
    with Progress(len(paths), "detect", "image", leave=False) as bar:
        for path in paths:
            try:
                image = read_image(path)
                found = detector.detect(image)
                picture = _free_name(out, path, taken)
                save_picture(draw_detections(image, found, score), picture)
            except (DataError, OutputError) as error:
                bar.say(f"ssd-np: {error}")
                failed += 1
            else:
                reports.append(_report(path, picture, found, image.shape))
            bar.update()
    if arguments.json:
        say(json.dumps(reports, indent=2))
    else:
        _print_table(reports)
    (note if arguments.json else say)(knowledge(arguments.weights, model))
    if failed:
        note(f"ssd-np: {failed} of {len(paths)} images could not be read or drawn")
    return 1 if failed else 0


def list_images(arguments: list[str]) -> list[Path]:
    """Files as named; of a folder, all files with the ending of an image format."""
    from ssd_np.data.image import ENDINGS

    paths = []
    for argument in map(Path, arguments):
        if os.path.isdir(argument):  # no error for a name that no file can have
            inside = sorted(p for p in argument.iterdir() if p.suffix.lower() in ENDINGS)
            if not inside:
                raise DataError("no images in this folder", where=str(argument))
            paths += inside
        else:
            paths.append(argument)
    return paths


def _free_name(out: Path, path: Path, taken: set[str]) -> Path:
    """out/NAME.png; out/NAME-2.png if another image of this run is called the same."""
    name, k = path.stem, 2
    while name in taken:
        name, k = f"{path.stem}-{k}", k + 1
    taken.add(name)
    return out / f"{name}.png"


def _report(path: Path, picture: Path, found: Detections, shape: tuple[int, ...]) -> dict:
    height, width = shape[:2]
    pixels = found.boxes_corner * (width, height, width, height)
    objects = [
        {
            "class": found.class_names[label - 1],
            "score": round(float(score), 4),
            "box_pixels": [round(float(v), 1) for v in box],
        }
        for label, score, box in zip(found.labels, found.scores, pixels, strict=True)
    ]
    size = {"width": width, "height": height}
    return {"image": str(path), "size": size, "picture": str(picture), "detections": objects}


def _print_table(reports: list[dict]) -> None:
    for report in reports:
        found = report["detections"]
        say(f"{report['image']}: {len(found)} found, drawn in {report['picture']}")
        width = max((len(d["class"]) for d in found), default=0)
        for d in found:
            box = " ".join(f"{value:7.1f}" for value in d["box_pixels"])
            say(f"  {d['class']:{width}}  {d['score']:.2f}  xmin ymin xmax ymax {box}")
