"""The shape trace: what comes out of every layer, and what it costs.

A multiply-add is one product and one sum; a convolution does Ho Wo Co * kh kw C of them. Only
convolutions are counted: the rest is below a hundredth.
"""

from __future__ import annotations

from dataclasses import dataclass

from ssd_np.config import Config, ConvLayer, layer_output_size
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
    rows, size, channels = [], config.input.size, 3
    for layer in config.layers:
        size, field = layer_output_size(layer, size), fields[layer.name].size
        if isinstance(layer, ConvLayer):
            shape = (size, size, layer.channels)
            rows.append(_conv(layer.name, layer.kernel, channels, shape, field, layer.dilation))
            channels = layer.channels
        else:
            kind = f"max {layer.size}x{layer.size}" + (" ceil" if layer.ceil else "")
            rows.append(Row(layer.name, kind, (size, size, channels), 0, 0, field))
        if layer.name not in maps:
            continue
        shape, feature_map = (size, size, channels), maps[layer.name]
        if feature_map.l2norm_scale is not None:
            rows.append(Row(f"{layer.name}_norm", "L2Norm", shape, channels, 0, field))
        field = fields[f"head_{layer.name}"].size
        for kind, numbers in (("conf", config.num_classes), ("loc", 4)):
            shape = (size, size, feature_map.boxes_per_cell * numbers)
            name = f"{kind}_{layer.name}"
            rows.append(_conv(name, config.head_kernel, channels, shape, field))
    return rows


def _conv(
    name: str,
    kernel: int,
    channels: int,
    shape: tuple[int, int, int],
    field: int,
    dilation: int = 1,
) -> Row:
    height, width, out = shape
    weights = kernel * kernel * channels * out
    kind = f"conv {kernel}x{kernel}" + (f" dil {dilation}" if dilation > 1 else "")
    return Row(name, kind, shape, weights + out, height * width * weights, field)


def trace_table(config: Config) -> str:
    """The rows as text, with totals."""
    rows = trace(config)
    lines = [f"{'layer':14} {'kind':14} {'output H x W x C':>18} {'parameters':>12} "
             f"{'multiply-adds':>15} {'receptive field':>15}"]  # fmt: skip
    for row in rows:
        shape = " x ".join(map(str, row.output))
        lines.append(f"{row.name:14} {row.kind:14} {shape:>18} {row.parameters:>12,} "
                     f"{row.multiply_adds:>15,} {row.receptive_field:>15}")  # fmt: skip
    boxes = sum(m.size**2 * m.boxes_per_cell for m in config.feature_maps)
    parameters, multiply_adds = (
        sum(r.parameters for r in rows),
        sum(r.multiply_adds for r in rows),
    )
    lines.append(f"{'total':14} {'':14} {f'{boxes:,} boxes':>18} {parameters:>12,} "
                 f"{multiply_adds:>15,}")  # fmt: skip
    return "\n".join(lines)
