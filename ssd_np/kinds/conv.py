"""A convolution as a layer of a config."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ssd_np.config_json import require
from ssd_np.geometry import Pad
from ssd_np.kinds.kind import Activation, LayerKind, Window, require_pad

if TYPE_CHECKING:
    from ssd_np.nn.layers import Layer, Ops


@dataclass(frozen=True)
class ConvLayer(LayerKind):
    """A convolution and its activation. `channels` come out of it.

    Before a batch normalisation it needs no bias: the mean would take it away again.
    """

    channels: int
    kernel: int = 3
    stride: int = 1
    pad: Pad = 1
    dilation: int = 1
    activation: Activation = "relu"
    bias: bool = True
    kind: Literal["conv"] = "conv"

    def check(self) -> None:
        for key in ("channels", "kernel", "stride", "dilation"):
            require(getattr(self, key) >= 1, key, "at least 1", getattr(self, key))
        require_pad(self.pad)

    @staticmethod
    def upgrade(values: dict[str, Any]) -> dict[str, Any]:
        """A file that says `relu` of a convolution, true or false."""
        if not isinstance(values.get("relu"), bool) or "activation" in values:
            return values
        rest = {key: value for key, value in values.items() if key != "relu"}
        return rest | {"activation": "relu" if values["relu"] else "none"}

    @property
    def window(self) -> Window:
        return Window(self.kernel, self.stride, self.pad, self.dilation)

    @property
    def label(self) -> str:
        gaps = f" dil {self.dilation}" if self.dilation > 1 else ""
        return f"conv {self.kernel}x{self.kernel}{gaps}"

    def output_channels(self, channels: int) -> int:
        return self.channels

    def tensors(self, channels: int) -> dict[str, tuple[int, ...]]:
        weight = {"weight": (self.kernel, self.kernel, channels, self.channels)}
        return weight | ({"bias": (self.channels,)} if self.bias else {})

    def multiply_adds(self, channels: int) -> int:
        return self.kernel**2 * channels * self.channels

    def build(self, channels: int, rng: np.random.Generator, dtype: np.dtype, ops: Ops) -> Layer:
        from ssd_np.nn.layers import Conv

        geometry = self.kernel, self.stride, self.pad, self.dilation
        rest = self.activation, self.bias, rng, dtype
        return Conv(self.name, channels, self.channels, *geometry, *rest, ops=ops)
