"""The glossary's column "in torchvision": every word has one, and torchvision has these names."""

import inspect
import re
from pathlib import Path

import pytest

from ssd_np.config import load_config

ROWS = [
    [cell.strip() for cell in line.strip("|").split(" | ")]
    for line in (Path(__file__).parents[2] / "docs/glossary.md").read_text("utf-8").splitlines()
    if line.startswith("| ")
]
THEIRS = " ".join(row[2] for row in ROWS[1:])


def test_every_word_has_a_meaning_and_a_place_in_torchvision():
    assert ROWS[0] == ["Word", "Meaning", "in torchvision"] and len(ROWS) > 25
    assert all(len(row) == 3 and all(row) for row in ROWS)
    words = [row[0].strip("*").casefold() for row in ROWS[1:]]
    assert words == sorted(words)


def test_the_names_are_torchvisions():
    torchvision = pytest.importorskip("real_torchvision").torchvision
    paths = re.findall(r"`((?:models|ops|datasets)\.[\w.]+)`", THEIRS)
    assert len(paths) >= 10
    for path in paths:
        found = torchvision
        for name in path.split("."):
            found = getattr(found, name)
    detection = torchvision.models.detection
    generator = inspect.signature(detection.anchor_utils.DefaultBoxGenerator).parameters
    for name in re.findall(r"DefaultBoxGenerator\((\w+)=", THEIRS):
        assert name in generator
    said = inspect.signature(detection.ssd.SSD).parameters
    for name in re.findall(r"\b\w+_thresh\b|topk_candidates|detections_per_img", THEIRS):
        assert name in said
    assert said["positive_fraction"].default == 0.25
    source = inspect.getsource(detection.ssd)
    for key in re.findall(r'\["(\w+)"\]', THEIRS):
        assert f'"{key}"' in source


def test_the_numbers_are_the_same():
    real = pytest.importorskip("real_torchvision")
    config, model = load_config("ssd300_coco"), real.ssd300(2)
    assert model.neg_to_pos_ratio == config.loss.ratio
    assert model.box_coder.weights == tuple(1 / v for v in config.boxes.variances)
