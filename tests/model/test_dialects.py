"""The table of dialects: every key and value is one of the config's, and it is what is applied."""

import dataclasses
import typing

import pytest

from ssd_np.cli import main
from ssd_np.config import (
    DecodingConfig,
    config_from_json,
    config_to_json,
    load_config,
    preset_names,
)
from ssd_np.dialects import (
    CHOICES,
    TRAITS,
    dialect_table,
    implementations,
    in_dialect,
    users,
    value_at,
    with_value,
)
from ssd_np.errors import ConfigError

CONFIG = load_config("ssd300_voc")
PAIRS = [(c.key, value) for c in CHOICES for value, _ in c.values]


@pytest.mark.parametrize("key, value", PAIRS, ids=[f"{key}-{value}" for key, value in PAIRS])
def test_each_value_is_accepted_by_the_config(key, value):
    changed = with_value(CONFIG, key, value)
    assert value_at(changed, key) == value
    assert config_from_json(config_to_json(changed)) == changed  # the reader checks types, too


@pytest.mark.parametrize(
    "key", ["boxes.clip", "l2norm.form", "loss.mining", "decoding.clip", "input.resize"]
)
def test_all_values_of_a_named_choice_are_in_the_table(key):
    section, field = key.split(".")
    kind = type(getattr(CONFIG, section))
    values = typing.get_args(typing.get_type_hints(kind)[field])
    (choice,) = (c for c in CHOICES if c.key == key)
    assert {value for value, _ in choice.values} == set(values)


def test_what_implementations_disagree_about_is_there():
    keys = {choice.key for choice in CHOICES}
    assert keys >= {"boxes.clip", "boxes.integer_sizes", "matching.neutral_threshold",
                    "loss.mining", "decoding.clip", "decoding.max_exponent", "l2norm.form",
                    "l2norm.eps"}  # fmt: skip


def test_nobody_makes_a_choice_twice_and_two_make_all():
    for choice in CHOICES:
        for name in implementations():
            assert len(choice.of(name)) <= 1, (choice.key, name)
        for name in ("caffe", "torchvision"):
            assert len(choice.of(name)) == 1, (choice.key, name)


@pytest.mark.parametrize("name", ["ssd300_voc", "ssd300_coco", "ssd512_voc", "ssd512_coco"])
def test_the_published_presets_speak_caffe(name):
    assert in_dialect(load_config(name), "caffe") == load_config(name)


@pytest.mark.parametrize(
    ("preset", "name"), [("slim", "linzaer"), ("mobilenet_coco", "tensorflow")]
)
def test_the_presets_of_other_makers_speak_theirs(preset, name):
    assert in_dialect(load_config(preset), name) == load_config(preset)


def test_traits_are_what_the_presets_have():
    """What is no key is written in layers and maps: the value of the maker, and no other."""

    def of(name, who):
        (trait,) = (t for t in TRAITS if t.name == name)
        (value,) = (value for value, names in trait.values if who in names.split())
        return value

    for who, preset in (
        ("caffe", "ssd300_voc"), ("linzaer", "slim"), ("tensorflow", "mobilenet_coco")
    ):  # fmt: skip
        config = load_config(preset)
        norms = [layer for layer in config.layers if layer.kind == "batchnorm"]
        activations = {getattr(layer, "activation", "none") for layer in config.layers} - {"none"}
        assert activations == {of("activation", who)}
        assert {m.kind for m in config.feature_maps} == {of("default boxes", who)}
        heads = {m.head for m in config.feature_maps[:-1]}  # the face detector's last map is small
        assert heads == {of("heads", who)}
        assert bool(norms) == (of("batch normalisation", who) != "none")
        uneven = any(not isinstance(layer.window.pad, int) for layer in config.layers)
        assert uneven == (of("padding of a stride of 2", who) == "below and right")
    assert "order of the offsets (no key): " in dialect_table()


def test_a_dialect_changes_what_the_table_says_and_no_more():
    changed = in_dialect(CONFIG, "socret360")
    assert changed.loss.mining == "batch" and changed.matching.neutral_threshold == 0.3
    assert changed.decoding == dataclasses.replace(DecodingConfig(), top_k=10)
    assert changed.boxes.clip == "none"  # not in the table for this one
    assert changed.layers == CONFIG.layers and changed.feature_maps == CONFIG.feature_maps


def test_an_unknown_dialect_is_answered_with_the_known_ones():
    with pytest.raises(ConfigError, match=r"no dialect 'yolo' \(known: amdegroot, caffe"):
        in_dialect(CONFIG, "yolo")


def test_the_printed_table_has_every_key_value_and_name(capsys):
    assert main(["config", "--dialects"]) == 0
    printed = capsys.readouterr().out
    assert printed == dialect_table() + "\n"
    assert "boxes.clip: " in printed
    assert '    "sizes"                         torchvision\n' in printed
    assert (
        '    "antialias"                     sgrvinod, [mobilenet_coco, scratch, small, tiny]\n'
        in printed
    )
    assert "    [127.5, 127.5, 127.5]           [tiny]\n" in printed  # nobody's but ours
    for choice in CHOICES:
        assert f"{choice.key}: " in printed
    for name in implementations():
        assert name in printed


@pytest.mark.parametrize("choice", CHOICES, ids=lambda choice: choice.key)
def test_every_preset_stands_at_the_value_it_has(choice):
    found = [(value, name) for value, _, presets in users(choice) for name in presets]
    assert sorted(name for _, name in found) == preset_names()
    for value, name in found:
        expected = value if dataclasses.is_dataclass(value) else pytest.approx(value)
        assert value_at(load_config(name), choice.key) == expected
