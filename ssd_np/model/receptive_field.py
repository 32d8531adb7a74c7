"""Receptive fields: which pixels of the image a cell of a layer can see.

Going up, a window of k cells (dilated: d (k - 1) + 1) on a grid whose cells are `stride` pixels
apart adds (reach - 1) * stride pixels, and multiplies the distance of its own cells by its stride:

    size' = size + d (k - 1) * stride        stride' = stride * s
    start' = start + (d (k - 1) / 2 - pad) * stride

The field of SSD's fc7 is 420 pixels wide, 192 of which come from the dilation of fc6 alone. What a
cell really uses is a bell-shaped part of it (Luo et al. 2016); the gradient of one output with
respect to the image, `SSD.backward(..., input_gradient=True)`, shows which.
"""

from __future__ import annotations

from dataclasses import dataclass

from ssd_np.config import Config
from ssd_np.geometry import borders
from ssd_np.kinds.kind import Window


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


def receptive_fields(config: Config) -> dict[str, ReceptiveField]:
    """Of every layer by name; the heads of map `m` are there as "head_m".

    >>> from ssd_np.config import load_config
    >>> receptive_fields(load_config("ssd300_voc"))["fc7"].size
    420
    """
    maps = {feature_map.name for feature_map in config.feature_maps}
    head = Window(config.head_kernel, pad=config.head_kernel // 2)
    field, fields = ReceptiveField(1, 1, (0.5, 0.5)), {}
    for layer in config.layers:
        fields[layer.name] = field = field.through(layer.window)
        if layer.name in maps:
            fields[f"head_{layer.name}"] = field.through(head)
    return fields
