"""A depthwise convolution as a layer of a config: each channel with a kernel of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from ssd_np.config_json import require
from ssd_np.geometry import Pad
from ssd_np.kinds.kind import Activation, LayerKind, Window, require_pad

if TYPE_CHECKING:
    from ssd_np.nn.layers import Layer, Ops


@dataclass(frozen=True)
class DepthwiseLayer(LayerKind):
    """A depthwise convolution and its activation (MobileNet, arXiv 1704.04861, section 3.1)."""

    kernel: int = 3
    stride: int = 1
    pad: Pad = 1
    dilation: int = 1
    activation: Activation = "relu"
    bias: bool = True  # none before a batch normalisation
    kind: Literal["depthwise"] = "depthwise"

    def check(self) -> None:
        for key in ("kernel", "stride", "dilation"):
            require(getattr(self, key) >= 1, key, "at least 1", getattr(self, key))
        require_pad(self.pad)

    @property
    def window(self) -> Window:
        return Window(self.kernel, self.stride, self.pad, self.dilation)

    @property
    def label(self) -> str:
        gaps = f" dil {self.dilation}" if self.dilation > 1 else ""
        return f"dw {self.kernel}x{self.kernel}{gaps}"

    def tensors(self, channels: int) -> dict[str, tuple[int, ...]]:
        weight = {"weight": (self.kernel, self.kernel, channels)}
        return weight | ({"bias": (channels,)} if self.bias else {})

    def multiply_adds(self, channels: int) -> int:
        return self.kernel**2 * channels

    def build(self, channels: int, rng: np.random.Generator, dtype: np.dtype, ops: Ops) -> Layer:
        from ssd_np.nn.layers import Depthwise

        geometry = self.kernel, self.stride, self.pad, self.dilation
        rest = self.activation, self.bias, rng, dtype
        return Depthwise(self.name, channels, *geometry, *rest, ops=ops)
