"""Convolutional predictors: for every cell and default box of a map, class scores and four offsets.

Two 3x3 convolutions without ReLU slide over the map, one for A * K scores, one for A * 4 offsets a
cell (SSD paper, section 2.1, "Convolutional predictors for detection"). Both read the same windows,
so they are computed as one convolution with the kernels side by side. MobileNet's descendants make
a depthwise and a pointwise convolution of each (model/separable_head.py).

In NHWC a cell's answers lie together. So the outputs reshape to one row for each default box, in
the order of `boxes.default_boxes`, with no transpose.
"""

import numpy as np
from numpy.typing import DTypeLike

from ssd_np.checks import float_type, generator
from ssd_np.engine import Engine, select
from ssd_np.nn.checks import check_cells, check_head, check_rows
from ssd_np.nn.init import caffe_xavier, glorot_uniform, small_normal
from ssd_np.nn.layers import Module
from ssd_np.nn.parameter import Parameter

STARTS = {start.__name__: start for start in (caffe_xavier, glorot_uniform, small_normal)}


def grid_to_rows(grid: np.ndarray, boxes: int) -> tuple[np.ndarray, np.ndarray]:
    """(N, H, W, A*K + A*4) -> logits (N, H*W*A, K), offsets (N, H*W*A, 4); `boxes` is A.

    The channels of a cell are the K scores of its first box, of its second, ..., then the four
    offsets of its first box, ... The rows run over the rows of cells, their cells, a cell's boxes.
    """
    check_cells(grid, boxes)
    n, classes = len(grid), grid.shape[3] // boxes - 4
    split = boxes * classes  # channels of scores
    return grid[..., :split].reshape(n, -1, classes), grid[..., split:].reshape(n, -1, 4)


def rows_to_grid(
    dlogits: np.ndarray, doffsets: np.ndarray, shape: tuple[int, int, int, int]
) -> np.ndarray:
    """Backward: dlogits (N, H*W*A, K), doffsets (N, H*W*A, 4) -> dgrid (N, H, W, A*K + A*4).

    `shape` is the grid's. Each of its numbers went to one place in the rows: its gradient's too.
    """
    check_rows(dlogits, doffsets, shape)
    cells = shape[:3]
    parts = [dlogits.reshape(*cells, -1), doffsets.reshape(*cells, -1)]  # (N, H, W, A*K), ... A*4
    return np.concatenate(parts, axis=-1)


class Head(Module):
    """The predictors of one map. Parameters `conf_<map>.weight`, `loc_<map>.weight`, and biases."""

    def __init__(
        self,
        map_name: str,
        c_in: int,
        boxes: int,
        classes: int,
        kernel: int = 3,
        start: str = "caffe_xavier",
        rng: np.random.Generator | None = None,
        dtype: DTypeLike = np.float32,
        ops: Engine | None = None,
    ) -> None:
        super().__init__(f"head_{map_name}")
        check_head(start, STARTS, c_in=c_in, boxes=boxes, classes=classes, kernel=kernel)
        dtype = float_type(dtype)
        rng = generator(0 if rng is None else rng)
        self.boxes, self.split, self.pad = boxes, boxes * classes, kernel // 2
        self.ops = ops or select()
        self.map_shape = (0, 0, 0, 0)  # (N, H, W, C)
        for kind, width in (("conf", boxes * classes), ("loc", boxes * 4)):
            weight = STARTS[start](rng, (kernel, kernel, c_in, width), dtype)
            self.parameters[f"{kind}_{map_name}.weight"] = Parameter(weight)
            self.parameters[f"{kind}_{map_name}.bias"] = Parameter(np.zeros(width, dtype))

    def forward(self, x: np.ndarray, training: bool = False) -> tuple[np.ndarray, np.ndarray]:
        """(N, H, W, C) -> logits (N, H*W*A, K), offsets (N, H*W*A, 4)"""
        conf_w, conf_b, loc_w, loc_b = (p.value for p in self.parameters.values())
        w = np.concatenate([conf_w, loc_w], axis=-1)  # (k, k, C, A*K + A*4)
        b = np.concatenate([conf_b, loc_b])
        grid, cache = self.ops.conv_block_forward(x, w, b, 1, self.pad, 1, "none")
        self.map_shape, self.cache = x.shape, cache if training else None
        return grid_to_rows(grid, self.boxes)

    def backward(
        self, dlogits: np.ndarray, doffsets: np.ndarray, input_gradient: bool = True
    ) -> np.ndarray | None:
        """The gradients of both outputs -> the gradient of the map (N, H, W, C)"""
        n, h, w, _ = self.map_shape
        shape = (n, h, w, self.split + 4 * self.boxes)
        dgrid = rows_to_grid(dlogits, doffsets, shape)
        dx, dw, db = self.ops.conv_block_backward(dgrid, self.cache, input_gradient, self.trainable)
        grads = (None,) * 4
        if self.trainable:
            split = self.split
            grads = (dw[..., :split], db[:split], dw[..., split:], db[split:])
        for parameter, grad in zip(self.parameters.values(), grads, strict=True):
            parameter.grad = grad
        return dx
