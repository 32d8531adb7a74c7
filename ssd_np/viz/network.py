"""The network in pictures: its layers and shapes, what its cells see, what its maps hold.

Every figure takes `out`: a file to write, or a matplotlib figure to draw on (see `canvas`).
"""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from ssd_np.boxes.default_boxes import cell_shapes
from ssd_np.checks import check_picture, check_whole
from ssd_np.config import Config
from ssd_np.errors import ConfigError
from ssd_np.geometry import Size
from ssd_np.kinds.feature_map import FeatureMap
from ssd_np.model.receptive_field import receptive_fields
from ssd_np.signatures import checked
from ssd_np.viz.canvas import BLUE, GREY, ORANGE, SKY, VERMILION, Out, canvas, plain_numbers, tidy

GAP = 0.35  # between two layers, in the diagram's units
ROOM = 3.0  # behind a feature map, so that the texts of two maps do not touch
HEAD = 6.6  # height of the row of heads


@checked
def network_figure(config: Config, out: Out) -> None:
    """The layers of a config from the image on, with shapes; feature maps lead up to their heads.

    A slab's height grows with the logarithm of the map's side, its width with that of the channels.
    """
    slabs = _slabs(config)
    kernels = {layer.name for layer in config.layers if layer.multiply_adds(1)}
    right = slabs[-1][1] + slabs[-1][2]
    with canvas(out, max(7.4, right * 0.16), 4.6) as figure:
        axes = figure.subplots()
        for name, x, width, size, channels in slabs:
            feature = next((m for m in config.feature_maps if m.name == name), None)
            height = 0.6 * np.log2(np.sqrt(np.prod(size)) + 1)
            color = ORANGE if feature else SKY if name in kernels else GREY
            axes.add_patch(Rectangle((x, -height / 2), width, height, fc=color, ec="black", lw=0.7))
            if name == "image" or feature:
                text = f"{name}\n{size[0]} × {size[1]}\n× {channels}"
                axes.text(x + width / 2, -3.2, text, ha="center", va="top", fontsize=9)
            if feature:
                _draw_head(axes, x + width / 2, height / 2, config, feature)
        classes = config.num_classes + 1
        row = f"{config.num_boxes:,} default boxes × ({classes} class scores + 4 offsets)"
        first = slabs[0][1]
        middle, width = first + (right - first) / 2, right - first
        axes.add_patch(Rectangle((first, HEAD + 1.7), width, 0.9, fc="white", ec="black"))
        axes.text(middle, HEAD + 2.15, row, ha="center", va="center", fontsize=10)
        note = "blue: convolution   grey: no kernel   orange: feature map, with its heads above"
        axes.text(middle, -5.4, note, ha="center", va="top", fontsize=9)
        axes.set_title("the network, layer by layer", fontsize=11)
        axes.set(xlim=(first - 1.3, right + 1.3), ylim=(-6, HEAD + 3))
        axes.axis("off")


def _slabs(config: Config) -> list[tuple[str, float, float, Size, int]]:
    """(name, x, width, rows and columns, channels) of the image and every layer."""
    x, maps = 0.0, {m.name for m in config.feature_maps}
    slabs = [("image", x, 0.4, config.input.shape, config.input.channels)]
    for layer, _, channels_in, size, channels in config.walk():
        x += slabs[-1][2] + GAP + ROOM * (slabs[-1][0] in maps)
        width = 0.14 * np.log2(channels) if layer.multiply_adds(channels_in) else 0.25
        slabs.append((layer.name, x, float(width), size, channels))
    return slabs


def _draw_head(axes: Axes, x: float, top: float, config: Config, feature_map: FeatureMap) -> None:
    """Lines from a map up to its head, and from there to the rows."""
    arrow = {"arrowstyle": "->", "lw": 1.2}
    axes.annotate("", (x, HEAD - 1.05), (x, top), arrowprops=arrow)
    axes.annotate("", (x, HEAD + 1.7), (x, HEAD + 0.75), arrowprops=arrow)
    norm = "L2Norm\n" if feature_map.l2norm_scale is not None else ""
    kind = "dw + 1 × 1" if feature_map.head == "separable" else "conv"
    numbers = f"{feature_map.boxes_per_cell} × ({config.num_classes + 1} + 4)"
    text = f"{norm}{config.head_kernel} × {config.head_kernel} {kind}\n{numbers}"
    style = {"boxstyle": "round", "fc": "white", "ec": BLUE}
    axes.text(x, HEAD - 0.15, text, ha="center", va="center", fontsize=8, bbox=style)


# --- what a cell sees ----------------------------------------------------------------------------


@checked
def receptive_field_figure(
    config: Config, out: Out, measured: Mapping[str, float] | None = None
) -> None:
    """For each feature map the receptive field of its heads against the sizes of its boxes.

    measured  by name of the map: the side, in pixels, of the part of the field that is really used
    """
    fields = receptive_fields(config)
    names = [m.name for m in config.feature_maps]
    places = np.arange(len(names))
    height, width = config.input.shape
    sides = {height: "side"} if height == width else {height: "height", width: "width"}
    with canvas(out, max(6.0, 1.3 * len(names)), 4.5) as figure:
        axes = figure.subplots()
        seen = [fields[f"head_{name}"].size for name in names]
        axes.plot(places, seen, "s", color=BLUE, ms=10, label="receptive field of the heads")
        if measured is not None:
            lacking = sorted(set(names) - measured.keys())
            if lacking:
                raise ConfigError(f"measured has no {lacking[0]!r}", hint=f"a number for {names}")
            used = [measured[name] for name in names]
            axes.plot(places, used, "D", color=VERMILION, ms=8, label="measured part of it")
        for i in range(len(names)):
            longest = cell_shapes(config, i).max(axis=1)
            label = "default boxes: longer sides" if i == 0 else None
            axes.plot([i, i], [longest.min(), longest.max()], "-", color="black", lw=1)
            ends = np.full(len(longest), i)
            axes.plot(ends, longest, "_", color="black", ms=16, mew=2, label=label)
        for side, axis in sides.items():
            axes.axhline(side, color="black", lw=1, ls="--")
            axes.text(-0.45, side * 1.04, f"{axis} of the image", fontsize=9)
        axes.set(xticks=places, xticklabels=names, yscale="log", ylabel="pixels (log scale)")
        axes.set(xlim=(-0.5, len(names) - 0.5), title="what the heads see, and their boxes")
        plain_numbers(axes.yaxis)
        axes.legend(frameon=False, fontsize=9, loc="lower right")
        tidy(axes)


# --- what the maps hold --------------------------------------------------------------------------


@checked
def feature_map_figure(
    image: np.ndarray, maps: Sequence[tuple[str, np.ndarray]], out: Out, channels: int = 5
) -> None:
    """An image (H, W, 3) and, below it, the liveliest channels of maps (name, (H, W, C)).

    Liveliest: with the largest spread over the map. Black is the smallest value, white the largest.
    """
    image = check_picture(image, "image")
    for what, count in (("the number of maps", len(maps)), ("channels", channels)):
        check_whole(count, what)
    with canvas(out, 1.25 * (channels + 1), 1.45 * len(maps) + 0.3) as figure:
        figure.suptitle(f"the {channels} liveliest channels of each feature map", fontsize=11)
        panels = figure.subplots(len(maps), channels + 1, squeeze=False)
        for row, (name, values) in zip(panels, maps, strict=True):
            row[0].imshow(image)
            h, w, c = values.shape
            row[0].set_ylabel(f"{name}\n{h} × {w} × {c}", fontsize=9)
            liveliest = np.argsort(-values.std(axis=(0, 1)), kind="stable")[:channels]
            for axes, channel in zip(row[1:], liveliest, strict=False):
                axes.imshow(values[..., channel], cmap="gray")
                axes.set_title(f"channel {channel}", fontsize=8)
            for axes in row:
                axes.set(xticks=[], yticks=[])
