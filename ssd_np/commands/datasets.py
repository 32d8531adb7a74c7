"""What `--data` names: the data set behind it."""

import sys
from collections.abc import Sequence

from ssd_np.data.shapes import ShapesDataset
from ssd_np.data.voc import VOCDataset

TRAIN_SHAPES, EVAL_SHAPES = 10_000, 500  # images; painted on the fly, nothing is stored
SEED_APART = 1_000_003  # evaluation draws its pictures from seeds that training does not use


def training_data(spec: str, split: str, seed: int):
    """The data set to train on."""
    if spec == "shapes":
        return ShapesDataset(seed, TRAIN_SHAPES)
    return _voc(spec, split, None)


def evaluation_data(spec: str, split: str, class_names: Sequence[str], seed: int = 0):
    """The data set to evaluate on; its objects must be of `class_names`."""
    if spec == "shapes":
        return ShapesDataset(seed + SEED_APART, EVAL_SHAPES)
    return _voc(spec, split, class_names)


def describe(spec: str, split: str) -> str:
    """For people: which images these are."""
    return f"{EVAL_SHAPES} generated images" if spec == "shapes" else f"{spec}, split {split}"


def _voc(spec: str, split: str, class_names: Sequence[str] | None) -> VOCDataset:
    dataset = VOCDataset(spec.partition(":")[2], split, class_names)
    for problem in dataset.problems:
        print(f"left out: {problem}", file=sys.stderr)
    return dataset
