"""config.py: presets load, JSON goes round, every wrong value is refused with its key's path."""

import copy
import dataclasses
import json
import re

import pytest

from ssd_np.config import (
    PRESETS,
    Config,
    config_from_json,
    config_to_json,
    load_config,
    preset_names,
)
from ssd_np.errors import ConfigError


@pytest.fixture
def values() -> dict:
    return json.loads((PRESETS / "tiny.json").read_text())


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_survives_a_round_trip(name):
    config = load_config(name)
    assert config.name == name
    assert config_from_json(config_to_json(config)) == config


def test_a_written_config_names_every_number():
    written = json.loads(config_to_json(load_config("tiny")))
    for section in dataclasses.fields(Config):
        assert section.name in written
    assert written["decoding"]["iou_threshold"] == 0.45
    assert written["loss"]["ratio"] == 3.0
    assert written["boxes"]["variances"] == [0.1, 0.1, 0.2, 0.2]


def set_at(values: dict, path: list, value) -> dict:
    values = copy.deepcopy(values)
    place = values
    for key in path[:-1]:
        place = place.setdefault(key, {}) if isinstance(place, dict) else place[key]
    place[path[-1]] = value
    return values


WRONG = [
    (["colour"], 1, "colour: unknown key"),
    (["input", "sise"], 1, "input.sise: unknown key"),
    (["input", "size"], "big", "input.size: expected a whole number"),
    (["input", "size"], 128.5, "input.size: expected a whole number"),
    (["input", "size"], True, "input.size: expected a whole number"),
    (["input", "size"], 0, "input.size: expected 1 to 8192 pixels"),
    (["input", "mean"], [1, 2], "input.mean: expected 3 values"),
    (["input", "std"], [1, 1, 0], "input.std: expected numbers above 0"),
    (["input", "std"], [1, 1, 1e-40], "input.std: expected numbers from 1e-06 on"),
    (["input", "mean"], [1, 1, 1e200], "input.mean: expected numbers from -1000000 to 1000000"),
    (["input", "mean"], [1, 2, float("nan")], "input.mean[2]: expected a finite number"),
    (["class_names"], "person", "class_names: expected a list"),
    (["class_names"], [], "class_names: expected at least one name"),
    (["class_names"], ["a", "a"], "class_names[1]: expected each name once"),
    (["class_names"], ["a", " "], "class_names[1]: expected a name"),
    (["layers", 0, "kind"], "dense", "layers[0]: expected an object whose kind is"),
    (["layers", 0], 5, "layers[0]: expected an object whose kind is"),
    (["layers", 0, "stride"], 0, "layers[0].stride: expected at least 1"),
    (["layers", 2, "pad"], 2, "layers[2].pad: expected 0 to size // 2 = 1"),
    (["layers", 2, "name"], "conv1_1", "layers[2].name: expected each name once"),
    (["base_end"], "conv9", "base_end: expected one of the layers"),
    (["feature_maps", 1, "step"], -3, "feature_maps[1].step: expected a number above 0"),
    (["feature_maps", 1, "size"], 9, "feature_maps[1].size: expected 8, the output of layer"),
    (["feature_maps", 0, "name"], "conv7", "feature_maps[0].name: expected one of"),
    (["feature_maps", 1, "name"], "conv4_1", "feature_maps[1].name: expected a later layer"),
    (["feature_maps", 0, "aspect_ratios"], [0.5], "aspect_ratios[0]: expected a ratio above 1"),
    (["feature_maps", 0, "max_size"], 1, "feature_maps[0].max_size: expected at least 20"),
    (["head_kernel"], 2, "head_kernel: expected an odd number"),
    (["convolution"], "fft", "convolution: expected 'im2col' or"),
    (["boxes", "clip"], "some", "boxes.clip: expected 'none' or 'sizes' or 'all'"),
    (["boxes", "variances"], [0.1, 0.1, 0, 0.2], "boxes.variances: expected four numbers above 0"),
    (["matching", "threshold"], 1.5, "matching.threshold: expected an IoU in (0, 1]"),
    (["matching", "neutral_threshold"], 0.6, "matching.neutral_threshold: expected an IoU"),
    (["loss", "ratio"], -1, "loss.ratio: expected at least 0"),
    (["decoding", "score_threshold"], 2, "decoding.score_threshold: expected a number in [0, 1]"),
    (["decoding", "top_k"], 0, "decoding.top_k: expected at least 1"),
    (["augmentation", "brightness", "low"], -300, "augmentation.brightness: expected -255"),
    (["augmentation", "hue", "high"], 400, "augmentation.hue: expected -360"),
    (["augmentation", "horizontal_flip"], 2, "augmentation.horizontal_flip: expected a prob"),
    (["augmentation", "crop", "scale"], [0, 1], "augmentation.crop.scale: expected 0 < low"),
    (["augmentation", "crop", "min_ious"], [], "augmentation.crop.min_ious: expected at least"),
    (["training", "steps"], 0, "training.steps: expected at least 1"),
    (["training", "momentum"], 1, "training.momentum: expected a number in [0, 1)"),
    (["training", "schedule"], "linear", "training.schedule: expected 'step' or 'cosine'"),
    (["training", "milestones"], [2], "training.milestones[0]: expected a share"),
    (["training", "clip_norm"], 0, "training.clip_norm: expected a number above 0 or null"),
]


@pytest.mark.parametrize("path, value, message", WRONG)
def test_a_wrong_value_is_refused_with_its_path(values, path, value, message):
    text = json.dumps(set_at(values, path, value))
    with pytest.raises(ConfigError) as caught:
        config_from_json(text, where="mine.json")
    assert str(caught.value).startswith("mine.json: ")
    assert message in str(caught.value)


def test_a_layer_that_does_not_fit_is_named_with_its_file(values, tmp_path):
    path = tmp_path / "mine.json"
    values["layers"][-1] |= {"kernel": 9, "pad": 0}
    path.write_text(json.dumps(values))
    where = rf"{re.escape(str(path))}: layers\[{len(values['layers']) - 1}\]: "
    with pytest.raises(
        ConfigError, match=where + "a window that reaches over 9 pixels does not fit"
    ):
        load_config(path)


def test_a_missing_key_is_named(values):
    del values["feature_maps"][1]["step"]
    with pytest.raises(ConfigError, match=r"feature_maps\[1\]\.step: missing key"):
        config_from_json(json.dumps(values))


@pytest.mark.parametrize("text", ["", "{", "null", "[1, 2]", '{"name": 1}', "[" * 100_000])
def test_text_that_is_no_config_is_refused(text):
    with pytest.raises(ConfigError):
        config_from_json(text)


def test_an_unknown_preset_is_answered_with_the_known_ones():
    with pytest.raises(ConfigError, match=r"no such config: 'huge' \(presets: .*small.*tiny"):
        load_config("huge")


def test_a_file_that_is_not_text_is_refused(tmp_path):
    (tmp_path / "c.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match=r"c\.json: can not be read"):
        load_config(tmp_path / "c.json")


def test_a_config_can_not_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        load_config("tiny").head_kernel = 5
