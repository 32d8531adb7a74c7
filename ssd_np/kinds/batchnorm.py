"""Batch normalisation as a layer of a config."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from ssd_np.config_json import require
from ssd_np.kinds.kind import Activation, LayerKind

if TYPE_CHECKING:
    from ssd_np.nn.layers import Layer, Ops


@dataclass(frozen=True)
class BatchNormLayer(LayerKind):
    """Batch normalisation and its activation; the convolution below it has none then.

    `momentum` is the share of each batch in the running statistics, as in PyTorch. They travel in
    the weights file as `mean` and `variance`. `model.fold` takes the layer away for inference.
    """

    eps: float = 1e-5
    momentum: float = 0.1
    activation: Activation = "relu"
    kind: Literal["batchnorm"] = "batchnorm"

    def check(self) -> None:
        require(self.eps > 0, "eps", "a number above 0", self.eps)
        require(0 < self.momentum <= 1, "momentum", "a share in (0, 1]", self.momentum)

    @property
    def label(self) -> str:
        return "batch norm"

    def tensors(self, channels: int) -> dict[str, tuple[int, ...]]:
        return {part: (channels,) for part in ("scale", "shift", "mean", "variance")}

    def build(self, channels: int, rng: np.random.Generator, dtype: np.dtype, ops: Ops) -> Layer:
        from ssd_np.nn.layers import BatchNorm

        return BatchNorm(
            self.name, channels, self.eps, self.momentum, self.activation, dtype, ops=ops
        )
