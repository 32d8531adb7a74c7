"""Batch normalisation folded away: the same outputs, layer by layer and for whole networks."""

import dataclasses

import numpy as np
import pytest
from test_kinds import SEPARABLE, with_layers

from ssd_np.config import load_config
from ssd_np.engine import select
from ssd_np.errors import ConfigError
from ssd_np.gradcheck import relative_error
from ssd_np.kinds.batchnorm import BatchNormLayer
from ssd_np.kinds.conv import ConvLayer
from ssd_np.kinds.depthwise import DepthwiseLayer
from ssd_np.kinds.pool import PoolLayer
from ssd_np.model.fold import fold_batchnorm, folded_config
from ssd_np.model.ssd import SSD
from ssd_np.model.weights import load, save


def trained(config, seed=0, dtype=np.float64, ops=None):
    """A model whose parameters and running statistics are anything but their starts."""
    model, rng = SSD(config, dtype=dtype, ops=ops), np.random.default_rng(seed)
    for name, parameter in model.parameters.items():
        positive = name.endswith((".variance", ".scale"))
        low = 0.3 if positive else -0.5
        if parameter.value.ndim == 1:
            parameter.assign(rng.uniform(low, 2.0, parameter.value.shape))
    return model


def normalised(config):
    """A config with batch normalisation behind every convolution of its trunk."""
    layers, names = [], {}
    for layer in config.layers:
        if layer.kind != "conv":
            layers.append(layer)
            continue
        names[layer.name] = f"{layer.name}_bn"
        layers += [
            dataclasses.replace(layer, activation="none"),
            BatchNormLayer(f"{layer.name}_bn"),
        ]
    maps = tuple(dataclasses.replace(m, name=names[m.name]) for m in config.feature_maps)
    return dataclasses.replace(
        config, layers=tuple(layers), feature_maps=maps, base_end=names[config.base_end]
    )


@pytest.mark.parametrize("engine", ["plain", "fast"])
@pytest.mark.parametrize("activation", ["none", "relu", "relu6"])
@pytest.mark.parametrize(
    "layer",
    [
        ConvLayer("c", 7, stride=2, pad=((0, 1), (1, 1)), activation="none"),
        DepthwiseLayer("c", dilation=2, pad=2, activation="none"),
    ],
    ids=["conv", "depthwise"],
)
def test_behind_one_layer(layer, activation, engine):
    config = with_layers(ConvLayer("first", 5), layer, BatchNormLayer("bn", 1e-3, 0.1, activation))
    model = trained(config, ops=select(engine))
    folded = fold_batchnorm(model)
    assert [d.name for d in folded.config.layers] == ["first", "c"]
    assert folded.config.layers[1].activation == activation and folded.ops.name == engine
    images = np.random.default_rng(1).standard_normal((2, 32, 32, 3))
    for ours, theirs in zip(folded.forward(images), model.forward(images), strict=True):
        assert np.abs(theirs).max() > 0.1 and relative_error(ours, theirs) <= 1e-12


def test_a_whole_network_with_maps_of_normalised_layers(tmp_path):
    """`tiny`, normalised throughout; the maps and the heads go by the convolutions' names then."""
    model = trained(normalised(load_config("tiny")))
    folded = fold_batchnorm(model)
    assert folded.config == load_config("tiny")
    images = np.random.default_rng(1).standard_normal((1, 128, 128, 3))
    for ours, theirs in zip(folded.forward(images), model.forward(images), strict=True):
        assert relative_error(ours, theirs) <= 1e-12
    save(tmp_path / "w.npz", folded)
    assert load(tmp_path / "w.npz").config == load_config("tiny")


def test_what_was_folded_and_frozen_stays_frozen_and_the_model_is_as_it_was():
    model = trained(with_layers(*SEPARABLE))
    model.freeze("stem_bn")
    before = {name: p.value.copy() for name, p in model.parameters.items()}
    folded = fold_batchnorm(model)
    assert not folded.parameters["stem.weight"].trainable
    assert folded.parameters["point.weight"].trainable
    for name, parameter in model.parameters.items():
        np.testing.assert_array_equal(parameter.value, before[name])


def test_a_network_without_it_is_only_copied():
    model = SSD(load_config("tiny"), seed=4)
    folded = fold_batchnorm(model)
    assert folded is not model and folded.config == model.config
    for name, parameter in model.parameters.items():
        np.testing.assert_array_equal(folded.parameters[name].value, parameter.value)


@pytest.mark.parametrize(
    "layers",
    [
        (BatchNormLayer("bn"), ConvLayer("c", 4)),
        (ConvLayer("c", 4), BatchNormLayer("bn")),  # ReLU stands between
        (ConvLayer("c", 4, activation="none"), PoolLayer("p"), BatchNormLayer("bn")),
        (ConvLayer("c", 4, activation="none"), BatchNormLayer("a"), BatchNormLayer("bn")),
    ],
    ids=["first", "behind ReLU", "behind a pooling", "twice"],
)
def test_what_can_not_be_folded_is_named(layers):
    with pytest.raises(ConfigError, match="layer 'bn': can not be folded"):
        fold_batchnorm(SSD(with_layers(*layers)))


def test_a_map_before_the_normalisation_keeps_it():
    config = with_layers(ConvLayer("c", 4, activation="none"), BatchNormLayer("bn"))
    last = config.feature_maps[0]
    early = dataclasses.replace(config, feature_maps=(dataclasses.replace(last, name="c"), last))
    with pytest.raises(ConfigError, match="can not be folded"):
        folded_config(early)
