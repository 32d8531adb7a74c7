"""Other classes for a detector that knows some: the logits of a class that is kept stay."""

import dataclasses

import numpy as np
import pytest

from ssd_np.config import load_config
from ssd_np.model.class_heads import with_other_classes
from ssd_np.model.ssd import SSD
from ssd_np.model.weights import load, save
from ssd_np.nn.sigmoid import sigmoid
from ssd_np.train.start import beginning, network

BEFORE, AFTER = ("cat", "dog", "owl", "bat"), ("owl", "emu", "cat")
PAIRS = ((0, 0), (1, 3), (3, 1))  # new label, old label: background, owl, cat


def narrow(name, scores):
    """A preset with few channels, full heads or separable ones."""
    config = load_config(name).with_classes(BEFORE)
    layers = tuple(
        dataclasses.replace(layer, channels=max(4, layer.channels // 8))
        if layer.kind == "conv"
        else layer
        for layer in config.layers
    )
    decoding = dataclasses.replace(config.decoding, scores=scores)
    return dataclasses.replace(config, layers=layers, decoding=decoding)


@pytest.fixture(params=[("tiny", "softmax"), ("slim", "softmax"), ("mobilenet_coco", "sigmoid")])
def parent(request, rng):
    """Random everywhere: a bias that begins with 0 would look kept."""
    model = SSD(narrow(*request.param), seed=3)
    for parameter in model.parameters.values():
        spread = rng.uniform(0.5, 1.5, parameter.value.shape).astype(np.float32)
        parameter.assign(parameter.value * spread + 0.1 * spread)
    return model


def test_the_logits_of_kept_classes_are_the_parents(parent, rng):
    tuned = with_other_classes(parent, AFTER)
    height, width = parent.config.input.shape
    images = rng.normal(0, 1, (2, height, width, 3)).astype(np.float32)
    (old, boxes), (new, same_boxes) = parent.forward(images), tuned.forward(images)
    np.testing.assert_allclose(boxes, same_boxes, rtol=1e-6, atol=1e-6)
    for label, before in PAIRS:
        np.testing.assert_allclose(new[..., label], old[..., before], rtol=1e-5, atol=1e-5)
    assert np.abs(new[..., 2] - old[..., 2]).max() > 0.1  # emu is not dog
    if parent.config.decoding.scores == "sigmoid":  # each class by itself: the scores stay, too
        for label, before in PAIRS[1:]:
            a, b = sigmoid(new)[..., label], sigmoid(old)[..., before]
            np.testing.assert_allclose(a, b, atol=1e-5)


def test_the_same_classes_are_the_same_detector(parent):
    again = with_other_classes(parent, BEFORE)
    for name, parameter in again.parameters.items():
        np.testing.assert_array_equal(parameter.value, parent.parameters[name].value, name)


def test_a_training_begins_with_them(parent, tmp_path, rng):
    """The way of `train --fine-tune`: what it begins with is a detector of the kept classes."""
    save(tmp_path / "w.npz", parent)
    config, tensors, _ = beginning(parent.config, AFTER, str(tmp_path / "w.npz"))
    model, new = network(config, 5, tensors, str(tmp_path / "w.npz"), None)
    assert new == [] and model.config.class_names == AFTER
    expected = load(tmp_path / "w.npz", replace_heads=AFTER).parameters
    for name, parameter in model.parameters.items():
        np.testing.assert_array_equal(parameter.value, expected[name].value, name)
    old, found = (m.parameters[heads(parent)[0]].value for m in (parent, model))
    known, kept = (v.reshape(*v.shape[:-1], -1, k) for v, k in ((old, 5), (found, 4)))
    for label, before in PAIRS:
        np.testing.assert_array_equal(kept[..., label], known[..., before])


def heads(model):
    return [f"conf_{m.name}.weight" for m in model.config.feature_maps]
