"""A whole network in one call, for inference."""

import numpy as np

from ssd_np.engine.algorithms import tile_side
from ssd_np.engine.conv import conv_block_forward
from ssd_np.engine.depthwise import depthwise_block_forward
from ssd_np.engine.memory import FRESH, Place, fresh
from ssd_np.engine.plan import Plan, Window, plan
from ssd_np.engine.pool import max_pool2d_forward
from ssd_np.engine.steps import compute, pack
from ssd_np.engine.threads import one_blas_thread, thread_count
from ssd_np.geometry import borders
from ssd_np.nn.blocks import Block, Norm, Pool, Step, check_steps
from ssd_np.nn.checks import check_image, check_scaled
from ssd_np.nn.conv import check_convolution
from ssd_np.nn.depthwise import check_depthwise
from ssd_np.nn.l2norm import l2norm_forward


def network_forward(x: np.ndarray, steps: list[Step], *, memory: Place = FRESH) -> list[np.ndarray]:
    """x (N, H, W, C), all steps -> what those give that no other reads."""
    check_image(x)
    what = x.shape, x.dtype, thread_count()
    kept = memory.workspace.kept if memory.workspace else None
    if not (kept and kept[0] == what and _unchanged(kept[1], steps)):
        if memory.workspace:
            kept = memory.workspace.kept = None  # its memory is free before there is new
        check_steps(steps)
        windows = tuple(_window(source, block) for source, block in steps)
        kept = what, steps, None, None
        if all(_fits(window, memory.convolution) for window in windows):
            planned = plan(x.shape, windows, x.dtype, thread_count(), memory.convolution)
            _check(x, steps, planned)
            blocks = [block for _, block in steps]
            weights = pack(planned, blocks, fresh((planned.weights,), x.dtype))
            kept = what, steps, planned, weights
        if memory.workspace:
            memory.workspace.kept = kept if _fixed(steps) else None
    _, _, planned, weights = kept
    if planned is None:
        return _one_by_one(x, steps, memory)
    maps = memory.empty((planned.maps,), x.dtype)
    compute(x, planned, weights, maps)
    return [maps[start:end].reshape(shape) for start, end, shape in planned.ends]


def _unchanged(old: list[Step], new: list[Step]) -> bool:
    """Whether the same weights come as the last time: a parameter's array is another one after each
    change."""
    try:
        return old == new
    except ValueError:  # two arrays are not one and the same
        return False


def _fixed(steps: list[Step]) -> bool:
    """Whether no array may be written to before the next call."""
    arrays = [a for _, block in steps for a in block[:2] if isinstance(a, np.ndarray)]
    return not any(array.flags.writeable for array in arrays)


def _check(x: np.ndarray, steps: list[Step], planned: Plan) -> None:
    """Raises ShapeError where a step does not fit what it reads."""
    shapes = x.shape, *planned.shapes
    for source, block in steps:
        image = np.broadcast_to(x.dtype.type(0), shapes[source])
        if isinstance(block, Block):
            check = check_depthwise if block.depthwise else check_convolution
            check(image, block.w, block.b)
        elif isinstance(block, Norm):
            check_scaled(image, block.scale, block.eps)


def _window(source: int, block: Block | Pool | Norm) -> Window:
    if isinstance(block, Pool):
        return source, block.size, block.stride, borders(block.pad), 1, block.ceil_mode
    if isinstance(block, Norm):
        return source, block.scale.shape, 1, borders(0), 1, (block.eps, block.form)
    w, _, stride, pad, dilation, activation = block
    return source, w.shape, stride, borders(pad), dilation, activation


def _fits(window: Window, convolution: str) -> bool:
    """Not where taps that mix channels do not lie side by side, unless Winograd's algorithm takes
    them."""
    _, kernel, stride, _, dilation, _ = window
    if dilation == 1 or isinstance(kernel, int) or len(kernel) == 3 or kernel[1] == 1:
        return True
    return tile_side(convolution, (1, 1), kernel, stride, dilation) > 0


def _one_by_one(x: np.ndarray, steps: list[Step], memory: Place) -> list[np.ndarray]:
    outputs = [x]
    with one_blas_thread():
        for source, block in steps:
            given = outputs[source], *block
            if isinstance(block, Norm):
                out, _ = l2norm_forward(*given)
            elif isinstance(block, Pool):
                out, _ = max_pool2d_forward(*given, memory=memory)
            elif block.depthwise:
                out, _ = depthwise_block_forward(*given, memory=memory)
            else:
                out, _ = conv_block_forward(*given, memory=memory)
            outputs.append(out)
    read = {source for source, _ in steps}
    return [out for k, out in enumerate(outputs) if k not in read]
