"""The shape trace: what comes out of every layer, and what it costs.

A multiply-add is one product and one sum; a convolution does Ho Wo Co * kh kw C of them. Only
kernels are counted: the rest is below a hundredth.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from ssd_np.config import Config
from ssd_np.geometry import Size
from ssd_np.kinds.kind import LayerKind
from ssd_np.model.receptive_field import receptive_fields


@dataclass(frozen=True)
class Row:
    """A layer: its output (H, W, C), parameters, multiply-adds of one image, receptive field."""

    name: str
    kind: str
    output: tuple[int, int, int]
    parameters: int
    multiply_adds: int
    receptive_field: int


def trace(config: Config) -> list[Row]:
    """One row for each layer of the trunk, and after each feature map those of its norm and heads.

    >>> from ssd_np.config import load_config
    >>> sum(row.parameters for row in trace(load_config("ssd300_voc")))
    26285486
    """
    maps = {feature_map.name: feature_map for feature_map in config.feature_maps}
    fields = receptive_fields(config)
    rows, size, channels = [], config.input.shape, config.input.channels
    for layer in config.layers:
        field = fields[layer.name].size
        size = layer.output_shape(size)
        rows.append(_row(layer, size, channels, field))
        channels = layer.output_channels(channels)
        if layer.name not in maps:
            continue
        feature_map = maps[layer.name]
        if feature_map.l2norm_scale is not None:
            shape = (*size, channels)
            rows.append(Row(f"{layer.name}_norm", "L2Norm", shape, channels, 0, field))
        field = fields[f"head_{layer.name}"].size
        for kind, numbers in (("conf", config.num_classes + 1), ("loc", 4)):
            width = channels
            for part in feature_map.head_layers(kind, numbers, config.head_kernel):
                rows.append(_row(part, size, width, field))
                width = part.output_channels(width)
    return rows


def _row(layer: LayerKind, size: Size, channels: int, field: int) -> Row:
    """Of a layer whose output has `size` cells; `channels` come in."""
    (height, width), out = size, layer.output_channels(channels)
    parameters = sum(math.prod(shape) for shape in layer.tensors(channels).values())
    products = height * width * layer.multiply_adds(channels)
    return Row(layer.name, layer.label, (height, width, out), parameters, products, field)


def tensors(config: Config) -> dict[str, tuple[int, ...]]:
    """The shape of every tensor of a network by its name, known before it is built."""
    maps = {feature_map.name: feature_map for feature_map in config.feature_maps}
    shapes: dict[str, tuple[int, ...]] = {}
    channels = config.input.channels
    for layer in config.layers:
        shapes |= _tensors([layer], channels)
        channels = layer.output_channels(channels)
        if layer.name not in maps:
            continue
        if maps[layer.name].l2norm_scale is not None:
            shapes[f"{layer.name}_norm.scale"] = (channels,)
        for head in (("conf", config.num_classes + 1), ("loc", 4)):
            parts = maps[layer.name].head_layers(*head, config.head_kernel)
            shapes |= _tensors(parts, channels)
    return shapes


def _tensors(layers: list[LayerKind], channels: int) -> dict[str, tuple[int, ...]]:
    """Of layers one after the other; `channels` come in."""
    shapes: dict[str, tuple[int, ...]] = {}
    for layer in layers:
        shapes |= {f"{layer.name}.{part}": s for part, s in layer.tensors(channels).items()}
        channels = layer.output_channels(channels)
    return shapes


def trace_table(config: Config) -> str:
    """The rows as text, with totals."""
    rows = trace(config)
    lines = [f"{'layer':14} {'kind':14} {'output H x W x C':>18} {'parameters':>12} "
             f"{'multiply-adds':>15} {'receptive field':>15}"]  # fmt: skip
    for row in rows:
        shape = " x ".join(map(str, row.output))
        lines.append(f"{row.name:14} {row.kind:14} {shape:>18} {row.parameters:>12,} "
                     f"{row.multiply_adds:>15,} {row.receptive_field:>15}")  # fmt: skip
    parameters, multiply_adds = (
        sum(r.parameters for r in rows),
        sum(r.multiply_adds for r in rows),
    )
    lines.append(f"{'total':14} {'':14} {f'{config.num_boxes:,} boxes':>18} {parameters:>12,} "
                 f"{multiply_adds:>15,}")  # fmt: skip
    return "\n".join(lines)
