"""A small detector and small data, and trainings of it as a user starts them."""

import csv
import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from ssd_np.config import Config, config_to_json, load_config
from ssd_np.data.shapes import ShapesDataset
from ssd_np.model.archive import read_archive
from ssd_np.model.ssd import SSD
from ssd_np.train.trainer import Trainer

ENVIRONMENT = {**os.environ, "PYTHONUNBUFFERED": "1", "SSD_NP_THREADS": "2"}


def narrow_config(**training) -> Config:
    """`tiny` with an eighth of the channels and frequent checkpoints: every part is there."""
    config = load_config("tiny")
    layers = tuple(
        dataclasses.replace(layer, channels=max(4, layer.channels // 8))
        if layer.kind == "conv"
        else layer
        for layer in config.layers
    )
    rule = {"steps": 8, "batch_size": 2, "warmup_steps": 2, "checkpoint_every": 2} | training
    rule = dataclasses.replace(config.training, learning_rate=0.01, **rule)
    return dataclasses.replace(config, layers=layers, training=rule)


def make_trainer(out: Path, **training) -> Trainer:
    config = narrow_config(**training)
    return Trainer(SSD(config), ShapesDataset(0, 12), config.training, out)


def annotation(image: str, names, pixels) -> str:
    objects = "".join(
        f"<object><name>{name}</name><difficult>0</difficult><bndbox><xmin>{box[0]}</xmin>"
        f"<ymin>{box[1]}</ymin><xmax>{box[2]}</xmax><ymax>{box[3]}</ymax></bndbox></object>"
        for name, box in zip(names, pixels, strict=True)
    )
    size = "<size><width>128</width><height>128</height><depth>3</depth></size>"
    return f"<annotation><filename>{image}</filename>{size}{objects}</annotation>"


def write_voc(root: Path, count: int) -> Path:
    """Generated pictures in Pascal VOC's layout."""
    for folder in ("Annotations", "JPEGImages", "ImageSets/Main"):
        (root / folder).mkdir(parents=True)
    data = ShapesDataset(3, count)
    for i in range(count):
        sample = data[i]
        Image.fromarray(sample.image).save(root / "JPEGImages" / f"{i}.png")
        names = [data.class_names[label - 1] for label in sample.truth.labels]
        pixels = (sample.truth.boxes_corner * 128 + 1).round(2).tolist()
        (root / "Annotations" / f"{i}.xml").write_text(annotation(f"{i}.png", names, pixels))
    (root / "ImageSets/Main/all.txt").write_text("\n".join(map(str, range(count))))
    return root


def start_arguments(folder: Path, voc: Path, config: Config) -> list[str]:
    path = folder / "narrow.json"
    path.write_text(config_to_json(config))
    split = ["--split", "all", "--val-split", "all", "--eval-split", "all"]
    return ["train", "--config", str(path), "--data", f"voc:{voc}", *split]


def command(arguments: list[str], first: str = "") -> subprocess.Popen:
    """`ssd-np ARGUMENTS` in a process of its own, after the Python statements `first`."""
    code = f"import sys\n{first}\nfrom ssd_np.cli import main\nsys.exit(main(sys.argv[1:]))"
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def read_log(run: Path) -> list[list[str]]:
    """The rows of log.csv without the speed, the one column that may differ."""
    with open(run / "log.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    speed = rows[0].index("images_per_second") if rows else 0
    return [row[:speed] + row[speed + 1 :] for row in rows]


def assert_same_run(run: Path, other: Path) -> None:
    """Bit-equal weights, momentum and progress; equal best weights and logs; nothing left over."""
    for name in ("last.npz", "best.npz"):
        (header, arrays), (expected_header, expected) = (
            read_archive(f / name) for f in (run, other)
        )
        assert header == expected_header
        assert arrays.keys() == expected.keys()
        for key, array in expected.items():
            assert array.dtype == arrays[key].dtype
            np.testing.assert_array_equal(arrays[key], array, f"{name}: {key}")
    rows = read_log(run)
    assert rows == read_log(other)
    assert [row[0] for row in rows] == ["step", *map(str, range(len(rows) - 1))]
    assert {p.name for p in run.iterdir()} == {p.name for p in other.iterdir()}
