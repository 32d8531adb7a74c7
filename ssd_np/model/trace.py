"""The shape trace: what comes out of every layer, and what it costs.

A multiply-add is one product and one sum; a convolution does Ho Wo Co * kh kw C of them. Only
kernels are counted: the rest is below a hundredth.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from ssd_np.config import Config
from ssd_np.kinds.walk import Placed, walk
from ssd_np.model.receptive_field import receptive_fields
from ssd_np.signatures import checked


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
    fields = receptive_fields(config)
    maps = {feature_map.name: feature_map for feature_map in config.feature_maps}
    rows = []
    for place in config.walk():
        name, field = place.layer.name, fields[place.layer.name].size
        rows.append(_row(place, field))
        if name not in maps:
            continue
        if maps[name].l2norm_scale is not None:
            shape = (*place.size, place.channels)
            rows.append(Row(f"{name}_norm", "L2Norm", shape, place.channels, 0, field))
        rows += [_row(part, fields[f"head_{name}"].size) for part in heads(config, place)]
    return rows


def _row(place: Placed, field: int) -> Row:
    layer, channels, shape = place.layer, place.channels_in, (*place.size, place.channels)
    parameters = sum(math.prod(tensor) for tensor in place.tensors().values())
    products = math.prod(place.size) * layer.multiply_adds(channels)
    return Row(layer.name, layer.label, shape, parameters, products, field)


def heads(config: Config, map_place: Placed) -> Iterator[Placed]:
    """The layers of both heads on the feature map that comes out of a layer of the config."""
    (feature_map,) = (m for m in config.feature_maps if m.name == map_place.layer.name)
    for kind, numbers in (("conf", config.num_classes + 1), ("loc", 4)):
        layers = feature_map.head_layers(kind, numbers, config.head_kernel)
        yield from walk(layers, map_place.size, map_place.channels)


@checked
def tensors(config: Config) -> dict[str, tuple[int, ...]]:
    """The shape of every tensor of a network by its name, known before it is built."""
    maps = {feature_map.name: feature_map for feature_map in config.feature_maps}
    shapes: dict[str, tuple[int, ...]] = {}
    for place in config.walk():
        name = place.layer.name
        shapes |= place.tensors()
        if name not in maps:
            continue
        if maps[name].l2norm_scale is not None:
            shapes[f"{name}_norm.scale"] = (place.channels,)
        for part in heads(config, place):
            shapes |= part.tensors()
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
    boxes, parameters = f"{config.num_boxes:,} boxes", sum(row.parameters for row in rows)
    products = sum(row.multiply_adds for row in rows)
    lines.append(f"{'total':14} {'':14} {boxes:>18} {parameters:>12,} {products:>15,}")
    return "\n".join(lines)
