"""Numbers without bounds: errors that say what happened, and no warning of NumPy's before them.

In these tests NumPy's warnings are errors (setup.cfg), in all threads.
"""

import dataclasses

import numpy as np
import pytest

from ssd_np.boxes.targets import make_targets
from ssd_np.config import load_config
from ssd_np.data.image import preprocess
from ssd_np.data.shapes import ShapesDataset
from ssd_np.engine import select
from ssd_np.errors import NotFinite
from ssd_np.infer.detect import Detector
from ssd_np.loss.multibox import multibox_loss
from ssd_np.model.ssd import SSD
from ssd_np.train.pretrain import classifier_config, pretrain
from ssd_np.train.trainer import Trainer


@pytest.fixture(scope="module")
def shapes():
    return ShapesDataset(seed=5, count=16)


def settings(rate):
    return dataclasses.replace(
        load_config("tiny").training,
        steps=12,
        batch_size=2,
        learning_rate=rate,
        warmup_steps=0,
        clip_norm=None,
    )


@pytest.mark.parametrize("engine", ["plain", "fast"])
@pytest.mark.parametrize("rate", [1e3, 1e30])
def test_a_training_that_diverges_says_so(engine, rate, shapes, tmp_path, monkeypatch):
    monkeypatch.setenv("SSD_NP_ENGINE", engine)
    model = SSD(load_config("tiny"))
    with pytest.raises(NotFinite, match=r"the loss is .*first broken: .*lower the learning rate"):
        Trainer(model, shapes, settings(rate), tmp_path / "run").fit()


def test_a_pretraining_that_diverges_says_so(shapes):
    config = classifier_config(load_config("tiny"), shapes.class_names)
    with pytest.raises(NotFinite, match="learning rate"):
        pretrain(config, shapes, settings(1e30))


@pytest.mark.parametrize("engine", ["plain", "fast"])
def test_a_network_of_absurd_weights_detects_nothing_and_says_so(engine, shapes):
    model = SSD(load_config("tiny"), ops=select(engine))
    for parameter in model.parameters.values():
        parameter.assign(parameter.value * 1e20)
    with pytest.raises(NotFinite):
        Detector(model).detect(shapes[0].image)


def first_loss(config, shapes):
    """Of two pictures with a network of random weights; and how large its last map is."""
    model = SSD(config)
    samples = [shapes[0], shapes[1]]
    images = np.stack([preprocess(sample.image, config) for sample in samples])
    targets = [
        make_targets(s.truth.boxes_corner, s.truth.labels, model.default_boxes) for s in samples
    ]
    labels, offsets = (np.stack(column) for column in zip(*targets, strict=True))
    loss = multibox_loss(*model.forward(images), labels, offsets.astype(np.float32))
    x = images
    for stage in model.stages:
        x = stage.forward(x)
    return loss.total, np.sqrt(np.mean(x**2)), np.sqrt(np.mean(images**2))


def test_why_ssd300_from_nothing_begins_with_a_loss_of_hundreds(shapes):
    """He's start hands the size of the pixels on through all layers, up to the heads.

    Pixels less their mean are about 60, so the last map is, and scores and offsets of tens make a
    loss of hundreds. The published training begins with VGG-16 instead. Divided by 64, as the
    presets for small networks do, the same network begins a hundred times lower.
    """
    config = dataclasses.replace(load_config("ssd300_voc"), class_names=shapes.class_names)
    loss, size, pixels = first_loss(config, shapes)
    assert pixels > 40 and 0.4 < size / pixels < 2.5
    assert 100 < loss < 5000
    scaled = dataclasses.replace(config.input, std=(64.0, 64.0, 64.0))
    loss, size, pixels = first_loss(dataclasses.replace(config, input=scaled), shapes)
    assert 0.4 < size / pixels < 2.5 and loss < 40
