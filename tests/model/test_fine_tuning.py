"""`train --fine-tune` on photographs: rate, steps and batch are for these, not for those before."""

import dataclasses
import json

import numpy as np
import pytest
from PIL import Image
from test_class_heads import narrow

from ssd_np.cli import main
from ssd_np.data.shapes import ShapesDataset
from ssd_np.fit import decide
from ssd_np.model.ssd import SSD
from ssd_np.model.weights import load, save
from ssd_np.train.trainer import Trainer


@pytest.fixture
def photographs(tmp_path):
    """Fifty pictures of shapes, of which two classes are annotated in a table."""
    data, folder = ShapesDataset(0, 50), tmp_path / "data"
    folder.mkdir()
    lines = ["filename,xmin,ymin,xmax,ymax,class"]
    for i in range(50):
        sample = data[i]
        Image.fromarray(sample.image).save(folder / f"{i}.png")
        height, width = sample.image.shape[:2]
        corners = sample.truth.boxes_corner * (width, height, width, height)
        for label, box in zip(sample.truth.labels, corners, strict=True):
            name = data.class_names[label - 1] if label == 1 else "edged"
            lines.append(",".join([f"{i}.png", *(f"{side:.1f}" for side in box), name]))
    (folder / "boxes.csv").write_text("\n".join(lines))
    return f"csv:{folder / 'boxes.csv'}"


@pytest.fixture
def parent(tmp_path):
    """A detector whose schedule was made for another machine and other data."""
    config = narrow("tiny", "softmax").with_classes(ShapesDataset(0, 1).class_names)
    theirs = dataclasses.replace(config.training, steps=120_000, batch_size=32, learning_rate=0.3)
    save(tmp_path / "w.npz", SSD(dataclasses.replace(config, training=theirs), seed=4))
    return tmp_path / "w.npz"


def test_the_training_is_made_for_the_data(photographs, parent, tmp_path, capsys, monkeypatch):
    begins = {}

    def remember(trainer):
        begins.update({name: p.value.copy() for name, p in trainer.model.parameters.items()})
        raise KeyboardInterrupt

    monkeypatch.setattr(Trainer, "fit", remember)
    argv = ["train", "--fine-tune", str(parent), "--data", photographs, "--eval-split", "none"]
    assert main([*argv, "--out", str(tmp_path / "run")]) == 130
    out = capsys.readouterr().out
    assert "learning rate 0.005: batches of 8, without batch normalisation, for a detector" in out
    assert "as many steps as 6 minutes allow" in out and "held back by seed 0" in out
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    training = config["training"]
    assert training["batch_size"] == decide.BATCH and training["minutes"] == 6
    assert training["learning_rate"] == decide.RATE / 2 and training["schedule"] == "warmup_cosine"
    # the network and its boxes are the weights' own, whose rows of "circle" are kept
    ours, theirs = load(parent), load(parent, replace_heads=["circle", "edged"])
    assert config["class_names"] == ["circle", "edged"]
    assert config["feature_maps"] == json.loads(json.dumps(
        [dataclasses.asdict(m) for m in ours.config.feature_maps]
    ))  # fmt: skip
    for name, parameter in theirs.parameters.items():
        np.testing.assert_array_equal(begins[name], parameter.value)


def test_steps_that_are_given_count(photographs, parent, tmp_path):
    argv = ["train", "--fine-tune", str(parent), "--data", photographs, "--eval-split", "none"]
    assert main([*argv, "--steps", "3", "--out", str(tmp_path / "run")]) == 0
    model = load(tmp_path / "run" / "best.npz")
    assert model.config.training.steps == 3 and model.config.training.minutes is None
    assert model.config.training.batch_size == 8
    assert [used.split for used in model.provenance[0].data] == ["train", "train, held back"]
