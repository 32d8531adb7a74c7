"""The feature maps of a config: the layer that is read, its default boxes, its two heads.

A kind is a rule that says which boxes the cells of a map have; each is a frozen dataclass, as the
layers are. `boxes.default_boxes.cell_shapes` turns what is written here into pixels.
"""

from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from ssd_np.config_json import Section, require
from ssd_np.geometry import Size, pair
from ssd_np.kinds.conv import ConvLayer
from ssd_np.kinds.depthwise import DepthwiseLayer
from ssd_np.kinds.kind import LayerKind


@dataclass(frozen=True)
class FeatureMap(Section):
    """What all maps say. A head is one convolution ("full"), or a depthwise one, ReLU and a 1x1
    ("separable"); the kernel is the config's `head_kernel`."""

    usual: ClassVar[str] = "caffe"  # the kind of a map that names none

    name: str  # of the layer whose output is the map
    # None, of either: the config fills in the layer's cells, and the input's side over them
    size: int | Size | None  # cells on a side, or rows and columns
    # distance of two cell centres: on both axes, or down, across
    step: float | tuple[float, float] | None
    l2norm_scale: float | None = field(default=None, kw_only=True)  # L2Norm before heads
    head: Literal["full", "separable"] = field(default="full", kw_only=True)

    def check(self) -> None:
        for key in ("size", "step"):
            value = getattr(self, key)
            require(value is None or min(pair(value)) > 0, key, "a number above 0", value)

    @property
    def boxes_per_cell(self) -> int:
        raise NotImplementedError

    def listed(self, shape: Size) -> list[tuple[float, float]]:
        """Of each box of a cell, in order: the root of its area in pixels of an input of `shape`,
        and its width over its height. Caffe's rule is `boxes.default_boxes.box_shapes` instead."""
        raise NotImplementedError

    def grown(self, factor: float) -> dict[str, Any]:
        """What changes where the input's shorter side is `factor` times as long."""
        return {}

    @property
    def shape(self) -> Size:
        """Rows and columns of cells; 0 where the config has still to fill them in."""
        return pair(self.size or 0)

    @property
    def steps(self) -> tuple[float, float]:
        """Pixels between two rows of cells, and between two columns."""
        return pair(self.step or 0.0)

    @property
    def boxes(self) -> int:
        """Default boxes of all cells."""
        rows, columns = self.shape
        return rows * columns * self.boxes_per_cell

    def head_layers(self, kind: str, numbers: int, kernel: int) -> list[LayerKind]:
        """The layers of a head, "conf" or "loc", that says `numbers` of each box."""
        name, channels = f"{kind}_{self.name}", self.boxes_per_cell * numbers
        if self.head == "full":
            return [ConvLayer(name, channels, kernel, pad=kernel // 2, activation="none")]
        return [
            DepthwiseLayer(f"{name}_dw", kernel, pad=kernel // 2),
            ConvLayer(name, channels, kernel=1, pad=0, activation="none"),
        ]


@dataclass(frozen=True)
class FeatureMapConfig(FeatureMap):
    """Caffe's rule: two squares and, for each ratio, two boxes (SSD paper, section 2.2)."""

    min_size: float  # side of the small square box, s
    max_size: float  # side of the large square box is sqrt(min_size * max_size), s'
    aspect_ratios: tuple[float, ...] = (2.0,)  # each r stands for a box r and a box 1/r
    kind: Literal["caffe"] = field(default="caffe", kw_only=True)

    def check(self) -> None:
        super().check()
        require(self.min_size > 0, "min_size", "a number above 0", self.min_size)
        require(
            self.max_size >= self.min_size, "max_size", f"at least {self.min_size}", self.max_size
        )
        for i, ratio in enumerate(self.aspect_ratios):
            require(ratio > 1, f"aspect_ratios[{i}]", "a ratio above 1 (1/r is implied)", ratio)

    @property
    def boxes_per_cell(self) -> int:
        return 2 + 2 * len(self.aspect_ratios)

    def grown(self, factor: float) -> dict[str, Any]:
        return {"min_size": self.min_size * factor, "max_size": self.max_size * factor}


@dataclass(frozen=True)
class ListedMapConfig(FeatureMap):
    """Each box in pixels of the input, whatever its size: the side of a square, or [height, width].
    Faces are square; boxes that are fitted to data have the shapes of its objects."""

    sides: tuple[float | tuple[float, float], ...]
    kind: Literal["listed"] = field(default="listed", kw_only=True)

    def check(self) -> None:
        super().check()
        require(len(self.sides) > 0, "sides", "at least one side", self.sides)
        least = min(min(pair(side)) for side in self.sides)
        require(least > 0, "sides", "pixels above 0", self.sides)

    @property
    def boxes_per_cell(self) -> int:
        return len(self.sides)

    def listed(self, shape: Size) -> list[tuple[float, float]]:
        sides = map(pair, self.sides)
        return [((height * width) ** 0.5, width / height) for height, width in sides]


@dataclass(frozen=True)
class ScaledMapConfig(FeatureMap):
    """TensorFlow's rule: pairs (scale, ratio). A scale is the root of a box's area in parts of the
    input's shorter side, a ratio its width over its height; `derive_scales` says which there are.
    """

    scales: tuple[tuple[float, float], ...]
    kind: Literal["scales"] = field(default="scales", kw_only=True)

    def check(self) -> None:
        super().check()
        require(len(self.scales) > 0, "scales", "at least one pair", self.scales)
        for i, values in enumerate(self.scales):
            expected = "a scale and a ratio above 0"
            require(min(values) > 0, f"scales[{i}]", expected, values)

    @property
    def boxes_per_cell(self) -> int:
        return len(self.scales)

    def listed(self, shape: Size) -> list[tuple[float, float]]:
        return [(scale * min(shape), ratio) for scale, ratio in self.scales]


MAPS = (FeatureMapConfig, ListedMapConfig, ScaledMapConfig)
