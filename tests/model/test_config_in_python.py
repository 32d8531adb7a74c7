"""A config made in Python is held to the reader's rules; what can be made can be saved."""

import dataclasses
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ssd_np.config import (
    Crop,
    DecodingConfig,
    FeatureMapConfig,
    InputConfig,
    LossConfig,
    MatchingConfig,
    TrainConfig,
    config_from_json,
    config_to_json,
    load_config,
)
from ssd_np.errors import ConfigError
from ssd_np.kinds.conv import ConvLayer

TINY = load_config("tiny")


@pytest.mark.parametrize(
    ("make", "where"),
    [
        (lambda: replace(TINY.input, resize="bilinear"), "resize"),
        (lambda: replace(TINY.input, size=128.0), "size"),
        (lambda: replace(TINY.input, mean=(1.0, 2.0)), "mean"),
        (lambda: replace(TINY.training, schedule="cosin"), "schedule"),
        (lambda: replace(TINY.training, steps=2.5), "steps"),
        (lambda: replace(TINY.training, steps=True), "steps"),
        (lambda: replace(TINY.training, learning_rate=float("inf")), "learning_rate"),
        (lambda: replace(TINY.training, milestones=(0.5, float("nan"))), "milestones[1]"),
        (lambda: replace(TINY, class_names="cat"), "class_names"),
        (lambda: replace(TINY, convolution="winograd8"), "convolution"),
        (lambda: replace(TINY, loss="focal"), "loss"),
        (lambda: ConvLayer("conv", channels="8"), "channels"),
        (lambda: ConvLayer("conv", channels=8, activation="gelu"), "activation"),
        (lambda: replace(TINY.training, steps=0), "steps"),
    ],
)
def test_what_the_reader_refuses_is_refused_when_it_is_made(make, where):
    with pytest.raises(ConfigError) as caught:
        make()
    assert caught.value.where == where
    assert "expected" in str(caught.value)


def test_lists_and_numbers_of_numpy_become_pythons():
    made = replace(
        TINY,
        class_names=["a", "b"],
        input=InputConfig(
            size=np.int64(128), mean=np.full(3, 127.5), std=[64, 64.0, np.float32(64)]
        ),
        feature_maps=list(TINY.feature_maps),
        training=replace(TINY.training, steps=np.int32(7), learning_rate=1, milestones=[0.5]),
    )
    again = replace(
        TINY,
        class_names=("a", "b"),
        training=replace(TINY.training, steps=7, learning_rate=1.0, milestones=(0.5,)),
    )
    assert made == again and type(made.training.steps) is int
    assert made.input.mean == (127.5, 127.5, 127.5)
    assert config_from_json(config_to_json(made)) == made


# values of every type, most of them wrong for the key that they are tried on
ANYTHING = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 600), st.floats(), st.text(max_size=6),
    st.lists(st.floats(0.01, 4), max_size=4), st.tuples(st.integers(1, 40), st.integers(1, 40)),
    st.sampled_from(["image", "batch", "cosine", "sides", "all", "half_pixel", "before_nms"]),
    st.floats(0, 1).map(np.float32), st.integers(1, 300).map(np.int16),
    st.lists(st.floats(0.1, 1), min_size=2, max_size=4).map(np.array),
)  # fmt: skip
SECTIONS = {
    "input": InputConfig,
    "matching": MatchingConfig,
    "loss": LossConfig,
    "decoding": DecodingConfig,
    "training": TrainConfig,
}


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_whatever_can_be_made_comes_back_from_its_file(data):
    key = data.draw(st.sampled_from(list(SECTIONS)))
    names = [field.name for field in dataclasses.fields(SECTIONS[key])]
    changes = data.draw(st.dictionaries(st.sampled_from(names), ANYTHING, min_size=1, max_size=3))
    try:
        made = replace(TINY, **{key: replace(getattr(TINY, key), **changes)})
    except ConfigError as error:
        assert error.where and error.what
        return
    assert config_from_json(config_to_json(made)) == made
    assert hash(made) == hash(config_from_json(config_to_json(made)))


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    kind=st.sampled_from([Crop, FeatureMapConfig, ConvLayer]),
    data=st.data(),
)
def test_sections_deep_inside_are_read_alike(kind, data):
    good = {
        Crop: {},
        FeatureMapConfig: {"name": "m", "size": 4, "step": 8, "min_size": 9, "max_size": 12},
        ConvLayer: {"name": "c", "channels": 8},
    }[kind]
    names = [field.name for field in dataclasses.fields(kind)]
    changes = data.draw(st.dictionaries(st.sampled_from(names), ANYTHING, min_size=1, max_size=3))
    try:
        made = kind(**(good | changes))
    except ConfigError:
        return
    again = kind(**dataclasses.asdict(made))
    assert again == made and hash(again) == hash(made)
