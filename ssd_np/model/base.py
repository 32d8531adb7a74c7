"""The trunk of the network: the base and the extra feature layers, cut where a feature map ends.

A config lists the layers from the image to the deepest map. SSD reads several of them: the trunk is
cut after each, so that a stage's output is a feature map and the next stage goes on from there
(SSD paper, figure 2). The base is a classification network cut off before its classifier (VGG-16,
or a small network of the same style); the extra layers are trained from scratch.
"""

import numpy as np
from numpy.typing import DTypeLike

from ssd_np.config import Config
from ssd_np.engine import Engine, select
from ssd_np.errors import ConfigError
from ssd_np.kinds.walk import Placed
from ssd_np.nn.layers import Layer, Merge
from ssd_np.nn.sequential import Sequential


def build_stages(
    config: Config,
    rng: np.random.Generator,
    dtype: DTypeLike = np.float32,
    ops: Engine | None = None,
) -> tuple[list[Sequential], list[int]]:
    """One Sequential for each feature map, and the channels of each map."""
    ends = {feature_map.name for feature_map in config.feature_maps}
    stages: list[Sequential] = []
    widths: list[int] = []
    layers: list[Layer | Merge] = []
    for place in config.walk():
        layers.append(_built(place, rng, np.dtype(dtype), ops or select()))
        if place.layer.name in ends:
            stages.append(Sequential(layers))
            widths.append(place.channels)
            layers = []
    return stages, widths


def _built(place: Placed, rng: np.random.Generator, dtype: np.dtype, ops: Engine) -> Layer | Merge:
    """The layer, whose parameters must be those that its description tells."""
    description = place.layer
    layer = description.build(place.channels_in, rng, dtype, ops)
    has = {name: parameter.value.shape for name, parameter in layer.parameters.items()}
    told = place.tensors()
    if has != told or layer.name != description.name:
        raise ConfigError(
            f"{type(description).__name__} tells of {told}, the layer that it builds, "
            f"{layer.name!r}, has {has}",
            where=f"layer {description.name!r}",
            hint="`tensors` says the shape of every parameter by its last name, and `build` makes "
            "them: f'{name}.scale'",
        )
    return layer
