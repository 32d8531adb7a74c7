"""What a layer of a config says of itself: everything the rest of the package asks a layer.

A kind is a frozen dataclass. Its fields are the keys of the JSON object, `kind` its name there.
What is not overridden below holds for a layer that looks at one cell, keeps its channels and learns
nothing, such as an activation. Sizes are (height, width).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from ssd_np.config_json import Section, require
from ssd_np.geometry import Pad, Size, borders, output_size

if TYPE_CHECKING:  # a config is read without loading what computes
    from ssd_np.nn.layers import Layer, Merge, Ops

Activation = Literal["none", "relu", "relu6"]  # behind a layer, as part of it


@dataclass(frozen=True)
class Window:
    """What a cell of the output looks at; see `geometry.output_size`."""

    kernel: int = 1
    stride: int = 1
    pad: Pad = 0
    dilation: int = 1
    ceil: bool = False


@dataclass(frozen=True)
class LayerKind(Section):
    """A layer's description. A subclass adds its fields and `kind: Literal["..."] = "..."`."""

    # what is said to who reads a kind that is not known
    others: ClassVar[str] = "a kind of your own is read in Python: load(path, kinds=[ItsClass])"
    name: str

    @property
    def kind(self) -> str:
        """Its name in a file, which every subclass has in a field."""
        raise NotImplementedError

    @property
    def window(self) -> Window:
        return Window()

    @property
    def label(self) -> str:
        """A short text for tables, such as "conv 3x3"."""
        raise NotImplementedError

    def output_shape(self, size: Size) -> Size:
        """Cells of the output for an input of `size` cells."""
        w = self.window
        height, width = (
            output_size(cells, w.kernel, w.stride, border, w.dilation, w.ceil)
            for cells, border in zip(size, borders(w.pad), strict=True)
        )
        return height, width

    def output_channels(self, channels: int) -> int:
        return channels

    def tensors(self, channels: int) -> dict[str, tuple[int, ...]]:
        """Shape of every tensor in a weights file by its last name, such as "weight"."""
        return {}

    def multiply_adds(self, channels: int) -> int:
        """Products for one cell of the output; layers without a kernel count as nothing."""
        return 0

    def build(
        self, channels: int, rng: np.random.Generator, dtype: np.dtype, ops: Ops
    ) -> Layer | Merge:
        """The layer itself, its weights drawn from `rng`; `channels` come in, `ops` computes."""
        raise NotImplementedError


def require_pad(pad: Pad, most: float = np.inf, expected: str = "at least 0") -> None:
    """ConfigError unless every side of a border lies in 0 to `most`."""
    sides = [side for axis in borders(pad) for side in axis]
    require(min(sides) >= 0 and max(sides) <= most, "pad", expected, pad)
