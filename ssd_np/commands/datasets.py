"""What `--data` names: the data set behind it, and what was left out of it.

shapes                    generated pictures
voc:FOLDER[+FOLDER...]    Pascal VOC's layout; --split names a list of ImageSets/Main, or several
coco:FILE.json:IMAGES     COCO's layout; {split} in it stands for --split
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from ssd_np.data.coco import CocoDataset
from ssd_np.data.labels import label_map
from ssd_np.data.shapes import ShapesDataset
from ssd_np.data.voc import Problem, VOCDataset
from ssd_np.errors import DataError

TRAIN_SHAPES, EVAL_SHAPES = 10_000, 500  # images; painted on the fly, nothing is stored
SEED_APART = 1_000_003  # evaluation draws its pictures from seeds that training does not use
PROBLEMS_SHOWN = 5

Dataset = ShapesDataset | VOCDataset | CocoDataset


def training_data(
    spec: str, split: str, seed: int, strict: bool = False, keep_difficult: bool = True
) -> Dataset:
    """The data set to train on; `strict` refuses one with problems."""
    if spec == "shapes":
        return ShapesDataset(seed, TRAIN_SHAPES)
    return _stored(spec, split, None, strict, keep_difficult)


def evaluation_data(
    spec: str, split: str, class_names: Sequence[str] | None, seed: int = 0, strict: bool = False
) -> Dataset:
    """The data set to evaluate on; if `class_names` are given, its objects must be of these."""
    if spec == "shapes":
        return ShapesDataset(seed + SEED_APART, EVAL_SHAPES)
    return _stored(spec, split, class_names, strict)


def describe(spec: str, split: str) -> str:
    """For people: which images these are."""
    if spec == "shapes":
        return f"{EVAL_SHAPES} generated images"
    if spec.startswith("coco:"):
        return spec.replace("{split}", split)
    return f"{spec}, split {split}"


def voc_roots(spec: str) -> list[str]:
    """The folders of voc:FOLDER+FOLDER; a "+" in the name of an existing folder is part of it."""
    text = spec.partition(":")[2]
    return [text] if Path(text).is_dir() else text.split("+")


def coco_paths(spec: str, split: str) -> tuple[str, str]:
    """The annotation file and the folder of the images of coco:FILE.json:IMAGES."""
    _, annotations, images = spec.replace("{split}", split).split(":", 2)
    return annotations, images


def category_ids(dataset: Dataset) -> list[int]:
    """The id in COCO's files of each of `dataset.class_names`."""
    if isinstance(dataset, CocoDataset):
        return dataset.category_ids
    return list(range(1, len(dataset.class_names) + 1))


def image_ids(dataset: Dataset) -> list[int] | list[str]:
    """The id in COCO's files of each image: its own, in VOC its name, else its number from 1."""
    if isinstance(dataset, CocoDataset):
        return dataset.image_ids
    if isinstance(dataset, VOCDataset):
        return dataset.names
    return list(range(1, len(dataset) + 1))


def _stored(
    spec: str,
    split: str,
    class_names: Sequence[str] | None,
    strict: bool,
    keep_difficult: bool = True,
) -> VOCDataset | CocoDataset:
    if spec.startswith("coco:"):
        annotations, images = coco_paths(spec, split)
        dataset = CocoDataset(images, annotations)
        if class_names is not None:
            label_map(dataset.class_names, class_names)  # an unknown class shows now, not later
    else:
        dataset = VOCDataset(voc_roots(spec), split, class_names, keep_difficult)
    if dataset.problems:
        _tell(dataset.problems, spec, split, strict)
    return dataset


def _tell(problems: list[Problem], spec: str, split: str, strict: bool) -> None:
    """Says once what was left out, with the count and the first few; or refuses."""
    gone = [p for p in problems if p.left_out]
    objects = sum(p.object_index is not None for p in gone)
    counts = {
        "objects left out": objects,
        "images left out": len(gone) - objects,
        "images of another size than annotated": len(problems) - len(gone),
    }
    summary = ", ".join(f"{what}: {count}" for what, count in counts.items() if count)
    listing = f"`ssd-np check-data {spec} --split {split}` lists all"
    first = gone + [p for p in problems if not p.left_out]
    if strict:
        hint = f"first: {first[0]}; {listing}; without --strict they are left out"
        raise DataError(f"has problems: {summary}", where=describe(spec, split), hint=hint)
    print(f"{describe(spec, split)}: {summary}", file=sys.stderr)
    for problem in first[:PROBLEMS_SHOWN]:
        print(f"  {problem}", file=sys.stderr)
    if len(first) > PROBLEMS_SHOWN:
        print(f"  and {len(first) - PROBLEMS_SHOWN} more; {listing}", file=sys.stderr)
