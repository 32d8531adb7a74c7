"""`ssd-np detect`: a picture and a table of what is found in each image."""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from ssd_np.commands import options as kinds
from ssd_np.errors import DataError, OutputError
from ssd_np.files import free_folder, json_text
from ssd_np.terminal import note, say

if TYPE_CHECKING:
    import numpy as np

    from ssd_np.records import Detections

HELP = "find objects in images, draw them, print a table"
EXAMPLE = "ssd-np detect photo.jpg --weights blood_cells"


def options(parser: argparse.ArgumentParser) -> None:
    # fmt: off
    add = parser.add_argument
    add("images", metavar="IMAGE", nargs="+", type=kinds.Images, help="image files or folders")
    add("--weights", type=kinds.Input, action="append",
        help="a file, or shapes or blood_cells (default: shapes); may be repeated: all are asked")
    add("--min-score", type=kinds.share, help="leave out weaker ones (default: the config's, 0.5)")
    add("--out", metavar="FOLDER", type=kinds.output_folder(),
        help="for the PNGs (default: detections, or detections-2, ...)")
    kinds.add_json(parser, "a table")
    kinds.add_force(parser)


def run(arguments: argparse.Namespace) -> int:
    """Goes on past images that can not be read or drawn; exit code 1 if there were any."""
    from ssd_np.commands.knowledge import knowledge
    from ssd_np.infer.detect import Detector, one_ahead
    from ssd_np.model.fold import for_inference
    from ssd_np.model.weights import load
    from ssd_np.progress import Progress
    from ssd_np.viz.draw import draw_detections, save_picture

    weights = arguments.weights or ["shapes"]
    models = [for_inference(load(file)) for file in weights]
    score = arguments.min_score
    scores = [model.config.decoding.show_threshold if score is None else score for model in models]
    detectors = [Detector(*pair) for pair in zip(models, scores, strict=True)]
    paths = list_images(arguments.images)
    out, reports, failed = Path(arguments.out or free_folder("detections")), [], 0
    taken: set[str] = set()
    pictures, begun = map(_read, paths), time.perf_counter()
    with Progress(len(paths), "detect", "image", leave=False) as bar:
        for path, image in one_ahead(pictures, detectors[0].ops):
            try:
                if isinstance(image, DataError):
                    raise image
                found = _together([detector.detect(image) for detector in detectors])
                picture = _free_name(out, path, taken)
                save_picture(draw_detections(image, found, 0.0), picture)
            except (DataError, OutputError) as error:
                bar.say(f"ssd-np: {error}")
                failed += 1
            else:
                reports.append(_report(path, picture, found, image.shape))
            bar.update()
    seconds = time.perf_counter() - begun
    if arguments.json:
        say(json_text(reports))
    else:
        _print_table(reports)
    tell = note if arguments.json else say
    for file, model in zip(weights, models, strict=True):
        tell(knowledge(file, model))
    if len(reports) > 1:
        tell(f"{len(reports)} images in {seconds:.1f} s, {len(reports) / seconds:.1f} a second")
    if failed:
        note(f"ssd-np: {failed} of {len(paths)} images could not be read or drawn")
    return 1 if failed else 0


def _read(path: Path) -> tuple[Path, np.ndarray | DataError]:
    """Its image, or what is wrong with it."""
    from ssd_np.data.image import read_image

    try:
        return path, read_image(path)
    except DataError as error:
        return path, error


def _together(found: list[Detections]) -> Detections:
    """Detections of several detectors as those of one that knows all their classes."""
    import numpy as np

    from ssd_np.records import Detections

    names: list[str] = []
    labels: list[np.ndarray] = []
    for one in found:
        labels.append(one.labels + len(names))
        names += one.class_names
    boxes = np.concatenate([one.boxes_corner for one in found])
    scores = np.concatenate([one.scores for one in found])
    return Detections(boxes, np.concatenate(labels), scores, names).at_least(0)


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
    pixels, objects = found.boxes_corner * (width, height, width, height), []
    for one, box in zip(found, pixels, strict=True):
        what = {"class": one.name, "score": round(one.score, 4)}
        objects.append(what | {"box_pixels": [round(float(v), 1) for v in box]})
    size = {"width": width, "height": height}
    return {"image": str(path), "size": size, "picture": str(picture), "detections": objects}


def _print_table(reports: list[dict]) -> None:
    from ssd_np.picture import MOST_DRAWN

    for report in reports:
        found = report["detections"]
        drawn = "drawn" if len(found) <= MOST_DRAWN else f"the best {MOST_DRAWN:,} drawn"
        say(f"{report['image']}: {len(found)} found, {drawn} in {report['picture']}")
        width = max((len(d["class"]) for d in found), default=0)
        for d in found:
            box = " ".join(f"{value:7.1f}" for value in d["box_pixels"])
            say(f"  {d['class']:{width}}  {d['score']:.2f}  xmin ymin xmax ymax {box}")
