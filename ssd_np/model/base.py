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
from ssd_np.nn.layers import Layer, Sequential


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
    layers: list[Layer] = []
    channels, ops = 3, ops or select()
    for description in config.layers:
        layers.append(description.build(channels, rng, np.dtype(dtype), ops))
        channels = description.output_channels(channels)
        if description.name in ends:
            stages.append(Sequential(layers))
            widths.append(channels)
            layers = []
    return stages, widths
