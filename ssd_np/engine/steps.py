"""Steps of a plan at work: weights packed, memory for the threads, and all of them through it."""

from collections.abc import Sequence

import numpy as np

from ssd_np.engine.direct import network
from ssd_np.engine.microkernel import VECTOR_BYTES
from ssd_np.engine.plan import Plan, plan
from ssd_np.engine.threads import LEAST_SHARE, each_share, scratch, thread_count, together
from ssd_np.engine.winograd import MATRICES
from ssd_np.nn.blocks import Block, Norm, Pool


def compute(x: np.ndarray, steps: Plan, weights: np.ndarray, maps: np.ndarray) -> None:
    """x, of the shape of the plan -> `maps`, flat, with all outputs at their places."""
    x = writable(x)
    buffers = scratch((steps.buffer * steps.lanes,), x.dtype, "lines")
    counters = np.zeros(len(steps.table) * (1 + steps.lanes) + 1, np.int64)
    work = (x.reshape(-1), maps, buffers, steps.table, steps.places, weights, counters)
    run = network(*steps.kinds)
    together(lambda lane: run(*work, lane, steps.lanes), steps.lanes)


def pack(steps: Plan, blocks: Sequence[Block | Pool | Norm], weights: np.ndarray) -> np.ndarray:
    """Writes kernels, biases and scales to `weights`, as the microkernel reads them; before them a
    vector of zeros."""
    lanes = VECTOR_BYTES // weights.itemsize
    weights[:lanes] = 0
    for step, block in zip(steps.table, blocks, strict=True):
        if isinstance(block, Block):
            if step["side"]:
                _pack_filter(block.w, step, weights[step["weight"] : step["bias"]], lanes)
            else:
                _pack_rows(block.w, weights[step["weight"] :], lanes)
            _pack_rows(block.b, weights[step["bias"] :], lanes)
        elif isinstance(block, Norm):
            _pack_rows(block.scale, weights[step["weight"] :], lanes)
    return weights


def _pack_rows(array: np.ndarray, out: np.ndarray, lanes: int) -> None:
    """(..., Co), a vector of output channels of all rows behind the other."""
    rows = array.reshape(-1, array.shape[-1])  # (taps, Co)
    whole, rest = divmod(array.shape[-1], lanes)
    panels = out[: (whole + (rest > 0)) * len(rows) * lanes].reshape(-1, len(rows), lanes)
    split = rows[:, : whole * lanes].reshape(len(rows), whole, lanes).transpose(1, 0, 2)

    def copy(part: slice) -> None:
        panels[:whole, part] = split[:, part]

    each_share(len(rows), copy, least=1 + LEAST_SHARE // array.shape[-1])
    if rest:
        panels[whole, :, :rest], panels[whole, :, rest:] = rows[:, whole * lanes :], 0


def _pack_filter(w: np.ndarray, step: np.void, out: np.ndarray, lanes: int) -> None:
    """U = G g G.T (a * a, C, lanes) of each vector of output channels, one behind the other."""
    g, c = MATRICES[int(step["side"])][1], w.shape[2]
    transform = np.kron(g, g).astype(w.dtype)  # (a * a, 9)
    panels = out.reshape(-1, len(transform), c * lanes)

    def write(part: slice) -> None:
        for panel in range(len(panels))[part]:
            taps = np.zeros((9, c, lanes), w.dtype)
            channels = w[..., panel * lanes : (panel + 1) * lanes].reshape(9, c, -1)
            taps[..., : channels.shape[-1]] = channels
            np.matmul(transform, taps.reshape(9, -1), out=panels[panel])

    each_share(len(panels), write, least=1 + LEAST_SHARE // (len(transform) * c * lanes))


def writable(x: np.ndarray) -> np.ndarray:
    """C-contiguous, and not read-only, which would be another type to Numba."""
    x = np.ascontiguousarray(x)
    return x if x.flags.writeable else x.copy()


def convolve(x, w, b, stride, corner, dilation, activation, out, algorithm="im2col") -> None:
    """One convolution: x (N, H, W, C), w (kh, kw, C, Co) or (kh, kw, C), b (Co,) -> out."""
    steps = single(x, w.shape, stride, corner, dilation, out.shape, activation, algorithm)
    weights = pack(steps, [Block(w, b)], scratch((steps.weights,), x.dtype, "weights"))
    compute(x, steps, weights, out.reshape(-1))


def single(
    x, kernel, stride, corner, dilation, out_shape, activation="none", algorithm="im2col"
) -> Plan:
    """The plan of a convolution alone; `corner` is the padding above and to the left."""
    pad = tuple(
        (before, (cells - 1) * stride + dilation * (taps - 1) + 1 - size - before)
        for before, cells, taps, size in zip(
            corner, out_shape[1:], kernel, x.shape[1:], strict=False
        )
    )
    window = 0, kernel, stride, pad, dilation, activation
    return plan(x.shape, (window,), x.dtype, thread_count(), algorithm)
