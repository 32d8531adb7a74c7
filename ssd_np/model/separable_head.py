"""Predictors of depthwise and pointwise convolutions, as MobileNet's descendants have them.

What a 3x3 convolution does at once, one looks around in each channel, with ReLU, and another one
mixes the channels of a cell: of a map of 64 channels the scores of three boxes and two classes cost
960 products a cell instead of 3,456 (SSDLite: Sandler et al. 2018, arXiv 1801.04381, section 6.2).
"""

import numpy as np

from ssd_np.engine import Engine
from ssd_np.kinds.kind import LayerKind
from ssd_np.model.heads import STARTS
from ssd_np.nn.layers import Module
from ssd_np.nn.sequential import Sequential


class SeparableHead(Module):
    """The predictors of one map as chains of layers, one for the scores and one for the offsets.

    `branches` are the layers of both, which end in A * K and in A * 4 channels.
    """

    def __init__(
        self,
        map_name: str,
        c_in: int,
        boxes: int,
        branches: tuple[list[LayerKind], list[LayerKind]],
        start: str,
        rng: np.random.Generator,
        dtype: np.dtype,
        ops: Engine,
    ) -> None:
        super().__init__(f"head_{map_name}")
        self.boxes, self.branches = boxes, []
        self.map_shape: tuple[int, ...] = ()  # (N, H, W, C)
        for kinds in branches:
            name, channels, layers = kinds[-1].name, c_in, []
            for kind in kinds:
                layers.append(kind.build(channels, rng, dtype, ops))
                channels = kind.output_channels(channels)
            last = layers[-1].parameters[f"{name}.weight"]
            last.assign(STARTS[start](rng, last.value.shape, dtype))
            self.branches.append(Sequential(layers))
            self.parameters |= self.branches[-1].parameters

    def forget(self) -> None:
        super().forget()
        for branch in self.branches:
            branch.forget()

    def forward(self, x: np.ndarray, training: bool = False) -> tuple[np.ndarray, np.ndarray]:
        """(N, H, W, C) -> logits (N, H*W*A, K), offsets (N, H*W*A, 4)"""
        grids = [branch.forward(x, training) for branch in self.branches]
        self.map_shape, self.cache = x.shape, () if training else None
        rows = x.shape[1] * x.shape[2] * self.boxes
        logits, offsets = (grid.reshape(len(x), rows, -1) for grid in grids)
        return logits, offsets

    def backward(
        self, dlogits: np.ndarray, doffsets: np.ndarray, input_gradient: bool = True
    ) -> np.ndarray | None:
        """The gradients of both outputs -> the gradient of the map (N, H, W, C)"""
        grids = (d.reshape(*self.map_shape[:3], -1) for d in (dlogits, doffsets))
        dx, more = (
            branch.backward(np.ascontiguousarray(grid), input_gradient)
            for branch, grid in zip(self.branches, grids, strict=True)
        )
        if dx is not None and more is not None:
            dx += more  # the map served both
        return dx
