"""Batch normalisation folded into the convolutions below it, for inference.

With running statistics it is a multiplication and an addition for each channel, and so is what a
convolution does last (docs/derivations.md#folding-batch-normalisation):

    s = scale / sqrt(variance + eps)
    w' = w * s        b' = (b - mean) * s + shift

The folded network has fewer layers and the same outputs, up to rounding.
"""

import dataclasses

import numpy as np

from ssd_np.checks import check_kind
from ssd_np.config import Config
from ssd_np.errors import ConfigError
from ssd_np.kinds.batchnorm import BatchNormLayer
from ssd_np.kinds.conv import ConvLayer
from ssd_np.kinds.depthwise import DepthwiseLayer
from ssd_np.kinds.kind import LayerKind
from ssd_np.kinds.merge import MergeLayer
from ssd_np.model.own_layers import check_described
from ssd_np.model.ssd import SSD
from ssd_np.nn.layers import BatchNorm, Module
from ssd_np.signatures import checked


def fold_batchnorm(model: SSD) -> SSD:
    """A model without batch normalisation that answers as `model` does in inference.

    A convolution keeps its name and takes over the activation. Raises ConfigError where a batch
    normalisation does not stand right behind a convolution without an activation.
    """
    check_described(model)
    folded = SSD(folded_config(model.config), dtype=model.dtype, ops=model.ops)
    targets, below = iter(folded.layers), folded.layers[0]
    for layer in model.layers:
        if isinstance(layer, BatchNorm):
            _fold(layer, below)
            continue
        below = next(targets)
        pairs = zip(below.parameters.values(), layer.parameters.values(), strict=False)
        for target, source in pairs:  # a bias that was not there is 0, until it is folded
            target.assign(source.value)
            target.trainable = source.trainable
    folded.provenance = model.provenance
    return folded


@checked
def folded_config(config: Config) -> Config:
    """The config without batch normalisation; maps, laterals, base end on the convolutions then."""
    layers: list[LayerKind] = []
    renamed: dict[str, str] = {}
    read = {feature_map.name for feature_map in config.feature_maps}
    read |= {layer.lateral for layer in config.layers if isinstance(layer, MergeLayer)}
    for i, layer in enumerate(config.layers):
        if isinstance(layer, MergeLayer):
            lateral = renamed.get(layer.lateral, layer.lateral)
            layer = dataclasses.replace(layer, lateral=lateral)
        if not isinstance(layer, BatchNormLayer):
            layers.append(layer)
            continue
        below = layers[-1] if layers else None
        if not isinstance(below, ConvLayer | DepthwiseLayer) or not (
            config.layers[i - 1] is below and below.activation == "none" and below.name not in read
        ):
            what = "can not be folded: it does not follow a convolution of its own"
            hint = 'the layer below is a convolution with "activation": "none", no map, '
            hint += "and no lateral of a merge"
            raise ConfigError(what, f"layer {layer.name!r}", hint)
        layers[-1] = dataclasses.replace(below, activation=layer.activation, bias=True)
        renamed[layer.name] = below.name
    change = dataclasses.replace
    maps = tuple(change(m, name=renamed.get(m.name, m.name)) for m in config.feature_maps)
    base_end = renamed.get(config.base_end, config.base_end)
    return change(config, layers=tuple(layers), feature_maps=maps, base_end=base_end)


@checked
def unfolded(model: SSD, config: Config) -> SSD:
    """The way back, to train on: `config` is the one that `model` was folded from. Each batch
    normalisation changes nothing yet (scale 1, shift 0, mean 0, variance 1 - eps); the bias of a
    convolution that has none here becomes its shift."""
    whole = SSD(config, dtype=model.dtype, ops=model.ops)
    bias: list[np.ndarray] = []
    sources = iter(model.layers)
    for layer in whole.layers:
        if isinstance(layer, BatchNorm):
            layer.variance.assign(np.full_like(layer.variance.value, 1 - layer.eps))
            if bias:
                layer.shift.assign(bias[0])
            continue
        values = [source.value for source in next(sources).parameters.values()]
        targets = list(layer.parameters.values())
        for target, value in zip(targets, values, strict=False):
            target.assign(value)
        bias = values[len(targets) :]  # of a convolution that has none here
    whole.provenance = model.provenance
    return whole


def for_inference(model: SSD) -> SSD:
    """The model folded; itself where there is nothing to fold or something can not be folded."""
    check_kind(model, SSD, "model")
    if not any(isinstance(layer, BatchNormLayer) for layer in model.config.layers):
        return model
    try:
        return fold_batchnorm(model)
    except ConfigError:
        return model


def _fold(norm: BatchNorm, convolution: Module) -> None:
    """Writes w' and b' into a convolution, depthwise or not: its last axis is the channels."""
    scale, shift, mean, variance = (p.value.astype(np.float64) for p in norm.parameters.values())
    factor = scale / np.sqrt(variance + norm.eps)  # (Co,)
    weight, bias = convolution.parameters.values()
    weight.assign(weight.value * factor)
    bias.assign((bias.value - mean) * factor + shift)
