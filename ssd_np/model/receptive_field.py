"""Receptive fields: which pixels of the image a cell of a layer can see.

Going up, a window of k cells (dilated: d (k - 1) + 1) on a grid whose cells are `stride` pixels
apart adds (reach - 1) * stride pixels, and multiplies the distance of its own cells by its stride:

    size' = size + d (k - 1) * stride        stride' = stride * s
    start' = start + (d (k - 1) / 2 - pad) * stride

A merge sees what either of its maps sees. A deep cell stands for several cells of the fine map, and
lies differently around each: the widest field counts for all.

The field of SSD's fc7 is 420 pixels wide, 192 of which come from the dilation of fc6 alone. What a
cell really uses is a bell-shaped part of it (Luo et al. 2016); the gradient of one output with
respect to the image, `SSD.backward(..., input_gradient=True)`, shows which.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ssd_np.checks import check_kind
from ssd_np.config import Config
from ssd_np.geometry import Size, borders
from ssd_np.kinds.kind import Window
from ssd_np.kinds.merge import MergeLayer
from ssd_np.nn.merge import nearest


@dataclass(frozen=True)
class ReceptiveField:
    """Pixels on a side, pixels between two neighbouring cells' fields, and the first cell's centre.

    Windows are squares, so size and stride hold for both axes; `center` is (y, x), because a border
    may differ. Along each, cell i sees [center + i * stride - size / 2, ... + size / 2), where
    pixel p covers [p, p + 1); beyond the image there is padding.
    """

    size: int
    stride: int
    center: tuple[float, float]

    def through(self, window: Window) -> ReceptiveField:
        """The field of a layer on top."""
        reach = window.dilation * (window.kernel - 1)
        y, x = (
            center + (reach / 2 - before) * self.stride
            for center, (before, _) in zip(self.center, borders(window.pad), strict=True)
        )
        return ReceptiveField(self.size + reach * self.stride, self.stride * window.stride, (y, x))

    def merged(self, deep: ReceptiveField, size: Size, deep_size: Size) -> ReceptiveField:
        """The field of a merge, of this lateral of `size` cells and a deep map of `deep_size`."""
        widest, center = 0.0, []
        for own, other, fine, coarse in zip(self.center, deep.center, size, deep_size, strict=True):
            places = nearest(coarse, fine) * deep.stride - np.arange(fine) * self.stride
            apart = other - own + places
            low = min(-self.size / 2, apart.min() - deep.size / 2)
            high = max(self.size / 2, apart.max() + deep.size / 2)
            widest = max(widest, high - low)
            center.append(own + (low + high) / 2)
        return ReceptiveField(math.ceil(widest), self.stride, (center[0], center[1]))


def receptive_fields(config: Config) -> dict[str, ReceptiveField]:
    """Of every layer by name; the heads of map `m` are there as "head_m".

    >>> from ssd_np.config import load_config
    >>> receptive_fields(load_config("ssd300_voc"))["fc7"].size
    420
    """
    check_kind(config, Config, "config")
    maps = {feature_map.name for feature_map in config.feature_maps}
    head = Window(config.head_kernel, pad=config.head_kernel // 2)
    field, below = ReceptiveField(1, 1, (0.5, 0.5)), config.input.shape
    fields: dict[str, ReceptiveField] = {}
    for layer, _, _, size, _ in config.walk():
        if isinstance(layer, MergeLayer):
            field = fields[layer.lateral].merged(field, size, below)
        fields[layer.name] = field = field.through(layer.window)
        below = size
        if layer.name in maps:
            fields[f"head_{layer.name}"] = field.through(head)
    return fields
