"""The trunk: cut behind every feature map, and together the layers of the config in order."""

import dataclasses

import numpy as np
import pytest

from ssd_np.config import ConvLayer, FeatureMapConfig, InputConfig, PoolLayer, load_config
from ssd_np.engine import select
from ssd_np.model.base import build_stages
from ssd_np.nn.init import he_normal
from ssd_np.nn.layers import Conv

pytestmark = [pytest.mark.graded, pytest.mark.lesson07]


def small_config(**changes):
    """Six layers on 16 x 16 pixels; of the three maps one is the output of a pooling."""
    layers = (
        ConvLayer("first", 4),
        ConvLayer("second", 6, stride=2),
        PoolLayer("pool"),
        ConvLayer("dilated", 5, pad=2, dilation=2),
        PoolLayer("ceil", size=3, stride=2, ceil=True),
        ConvLayer("last", 7, kernel=1, pad=0),
    )
    maps = [
        FeatureMapConfig(name, side, 16 / side, 4, 8)
        for name, side in (("first", 16), ("pool", 4), ("last", 2))
    ]
    tiny = load_config("tiny")
    values = {
        "input": InputConfig(16),
        "layers": layers,
        "base_end": "dilated",
        "feature_maps": tuple(maps),
    }
    return dataclasses.replace(tiny, **values | changes)


@pytest.fixture
def config():
    return small_config()


def build(config, seed=0, **options):
    return build_stages(config, np.random.default_rng(seed), **options)


def test_a_stage_ends_with_its_feature_map(config):
    stages, _ = build(config)
    assert [[layer.name for layer in stage] for stage in stages] == [
        ["first"],
        ["second", "pool"],
        ["dilated", "ceil", "last"],
    ]


def test_the_channels_of_each_map(config):
    """A pooling keeps those of the convolution below it."""
    _, channels = build(config)
    assert list(channels) == [4, 6, 7]


def test_the_stages_of_tiny():
    config = load_config("tiny")
    stages, channels = build(config)
    assert list(channels) == [96, 128, 128]
    assert [stage.layers[-1].name for stage in stages] == ["conv4_2", "conv5_2", "conv6_2"]
    assert [layer.name for stage in stages for layer in stage] == [
        layer.name for layer in config.layers
    ]


def test_a_stage_goes_on_from_the_map_of_the_one_before(config):
    """Kernels take the channels that come out below them, across a cut too; the image has three."""
    stages, channels = build(config)
    kernels = [p.value.shape for stage in stages for p in stage.parameters.values()]
    assert kernels[::2] == [(3, 3, 3, 4), (3, 3, 4, 6), (3, 3, 6, 5), (1, 1, 5, 7)]
    x = np.random.default_rng(1).standard_normal((2, 16, 16, 3)).astype(np.float32)
    for stage, feature_map, width in zip(stages, config.feature_maps, channels, strict=True):
        x = stage.forward(x)
        assert x.shape == (2, feature_map.size, feature_map.size, width)


def test_the_stages_together_are_all_layers_in_a_row(config):
    """The cuts change nothing: with one map, at the end, the same numbers come out."""
    whole = small_config(feature_maps=config.feature_maps[-1:])
    (trunk,), _ = build(whole)
    stages, _ = build(config)
    x = np.random.default_rng(1).standard_normal((1, 16, 16, 3)).astype(np.float32)
    expected = trunk.forward(x)
    assert expected.any()
    for stage in stages:
        x = stage.forward(x)
    np.testing.assert_array_equal(x, expected)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_weights_are_drawn_from_the_image_on(config, dtype):
    """From the one generator, layer after layer: the seed decides every one of them."""
    stages, _ = build(config, seed=5, dtype=dtype)
    rng = np.random.default_rng(5)
    for layer in (layer for stage in stages for layer in stage if isinstance(layer, Conv)):
        weight = layer.weight.value
        assert weight.dtype == dtype
        np.testing.assert_array_equal(weight, he_normal(rng, weight.shape, dtype))


def test_numbers_of_the_config_arrive_in_the_layers():
    config = small_config()
    second, dilated, ceil = (
        layer
        for stage in build(config)[0]
        for layer in stage
        if layer.name in ("second", "dilated", "ceil")
    )
    assert second.activation == dilated.activation == "relu"
    assert (second.stride, second.pad, second.dilation) == (2, 1, 1)
    assert (dilated.stride, dilated.pad, dilated.dilation) == (1, 2, 2)
    assert (ceil.size, ceil.stride, ceil.pad, ceil.ceil_mode) == (3, 2, 0, True)


def test_the_engine_is_handed_on(config):
    for name in ("plain", "fast"):
        stages, _ = build(config, ops=select(name))
        assert {layer.ops.name for stage in stages for layer in stage} == {name}
