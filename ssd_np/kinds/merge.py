"""A merge as a layer of a config: a deep map beside an earlier, finer one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from ssd_np.kinds.kind import LayerKind

if TYPE_CHECKING:
    from ssd_np.nn.layers import Merge, Ops


@dataclass(frozen=True)
class MergeLayer(LayerKind):
    """The output of the layer before, enlarged to the cells of an earlier layer's, and that one
    beside it (nn/merge.py). A 1x1 convolution on top mixes the two.

    What comes in has the earlier layer's cells and the channels of both: `kinds.walk` sees to it.
    """

    lateral: str  # name of the earlier layer; a lateral connection, in a pyramid's words
    kind: Literal["merge"] = "merge"

    @property
    def label(self) -> str:
        return "merge"

    def build(self, channels: int, rng: np.random.Generator, dtype: np.dtype, ops: Ops) -> Merge:
        from ssd_np.nn.layers import Merge

        return Merge(self.name, self.lateral)
