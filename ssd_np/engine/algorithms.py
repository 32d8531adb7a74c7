"""Which way a convolution goes: one table, and nothing else decides.

`python tests/engine/measure_algorithms.py` measures layers of many shapes each way. Where F(2x2)
beats F(4x4), on maps of 7 to 10 lines, it is by so little that a network has one of them only: each
takes a second to compile.
"""

import math

from ssd_np.geometry import Size

# What the config names: side of Winograd's tiles, and from how many channels of the input and how
# many lines and columns of the output on they are faster than a convolution straight from the map.
TABLE = {"winograd2": (2, 12, 7), "winograd4": (4, 12, 7)}
# In training, which transforms the kernel at each step, so many pixels in the batch, and
# multiply-adds: what is small goes straight, and a gradient that is zero stays so to the last bit.
LEAST_PIXELS, LEAST_WORK = 512, 32 << 20


def tile_side(
    convolution: str, cells: Size, kernel: tuple[int, ...], stride: int, dilation: int
) -> int:
    """Side of Winograd's tiles (engine/winograd.py), or 0: straight from the map.

    cells  of the output, (height, width)
    """
    side, channels, least = TABLE.get(convolution, (0, 0, 0))
    if len(kernel) < 4 or kernel[:2] != (3, 3) or stride > 1 or kernel[2] < channels:
        return 0
    # one call has no other way through a dilated convolution
    return side if dilation > 1 or min(cells) >= least else 0


def training_side(
    convolution: str,
    out_shape: tuple[int, ...],
    kernel: tuple[int, ...],
    stride: int,
    dilation: int,
) -> int:
    """The same for a step of training; out_shape (N, Ho, Wo, Co)."""
    pixels = math.prod(out_shape[:3])
    if pixels < LEAST_PIXELS or pixels * math.prod(kernel) < LEAST_WORK:
        return 0
    return tile_side(convolution, (out_shape[1], out_shape[2]), kernel, stride, dilation)
