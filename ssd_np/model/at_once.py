"""A network as one call computes it: its layers and heads as a list of steps (nn/blocks.py).

What is computed on the way stays inside, so this is for inference.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from ssd_np.model.heads import Head
from ssd_np.model.separable_head import SeparableHead
from ssd_np.nn.blocks import Block, Norm, Pool, Step
from ssd_np.nn.layers import Conv, Depthwise, L2Normalization, Layer, MaxPool, Merge

if TYPE_CHECKING:
    from ssd_np.model.ssd import SSD


def steps_of(model: SSD) -> list[Step] | None:
    """Stage by stage, after each its head's scores and offsets; None where something has to be
    asked itself: what is of a class of one's own, or watched, may compute something else."""
    steps: list[Step] = []
    reads = 0  # the map that stage and head go on from
    for stage, norm, head in zip(model.stages, model.norms, model.heads, strict=True):
        if "forward" in vars(head):
            return None
        trunk = [_step(layer) for layer in stage]
        normed = [_step(norm)] if norm else []
        read = reads
        for row in (trunk, normed, *_rows(head)):
            source = read
            for step in row:
                if step is None:
                    return None
                steps.append((source, step))
                source = len(steps)
            reads = source if row is trunk else reads
            read = source if row is trunk or row is normed else read
    return steps


def maps_at_once(
    model: SSD, images: np.ndarray, steps: list[Step]
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Logits (N, H*W*A, K) and offsets (N, H*W*A, 4) of each map."""
    grids = iter(model.ops.network_forward(images, steps))
    for feature_map in model.config.feature_maps:
        shape = len(images), feature_map.boxes, -1
        yield next(grids).reshape(shape), next(grids).reshape(shape)


def _step(layer: Layer | Merge) -> Block | Pool | Norm | None:
    if "forward" not in vars(layer):
        if type(layer) is Conv or type(layer) is Depthwise:
            return layer.block
        if type(layer) is MaxPool:
            return Pool(layer.size, layer.stride, layer.pad, layer.ceil_mode)
        if type(layer) is L2Normalization:
            return Norm(layer.scale.value, layer.eps, layer.form)
    return None


def _rows(head: Head | SeparableHead) -> list[list[Block | Pool | Norm | None]]:
    if type(head) is SeparableHead:
        return [[_step(layer) for layer in branch] for branch in head.branches]
    if type(head) is Head:
        conf_w, conf_b, loc_w, loc_b = (p.value for p in head.parameters.values())
        pairs = (conf_w, conf_b), (loc_w, loc_b)
        return [[Block(w, b, pad=head.pad, activation="none")] for w, b in pairs]
    return [[None]]
