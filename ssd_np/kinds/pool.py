"""A max-pooling as a layer of a config."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from ssd_np.config_json import require
from ssd_np.geometry import Pad
from ssd_np.kinds.kind import LayerKind, Window, require_pad

if TYPE_CHECKING:
    from ssd_np.nn.layers import Layer, Ops


@dataclass(frozen=True)
class PoolLayer(LayerKind):
    """A max-pooling; `ceil` keeps the last, partial window (Caffe's rule: 75 -> 38)."""

    size: int = 2
    stride: int = 2
    pad: Pad = 0
    ceil: bool = False
    kind: Literal["pool"] = "pool"

    def check(self) -> None:
        for key in ("size", "stride"):
            require(getattr(self, key) >= 1, key, "at least 1", getattr(self, key))
        limit = self.size // 2  # a wider border would make windows of padding only
        require_pad(self.pad, most=limit, expected=f"0 to size // 2 = {limit}")

    @property
    def window(self) -> Window:
        return Window(self.size, self.stride, self.pad, ceil=self.ceil)

    @property
    def label(self) -> str:
        return f"max {self.size}x{self.size}" + (" ceil" if self.ceil else "")

    def build(self, channels: int, rng: np.random.Generator, dtype: np.dtype, ops: Ops) -> Layer:
        from ssd_np.nn.layers import MaxPool

        return MaxPool(self.name, self.size, self.stride, self.pad, self.ceil, ops=ops)
