"""A 3x3 depthwise convolution with stride 1 along a line: neighbours share what they load.

Five pixels look at seven columns. Each column is loaded once for up to three pixels (21 loads, not
45), while the nine taps of the kernel stay in registers. The products of a pixel are added in the
same order as by the microkernel: to the last bit it is the same sum.
"""

import itertools

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from ssd_np.engine.microkernel import VECTOR_BYTES, Registers
from ssd_np.kernels import inlined

ABREAST = 5  # pixels: with nine taps and a column they fit in sixteen registers
TAPS = 3


def _abreast(typing, x, x0, line, c, w, w0, b, b0, low, high, out, out0, channels):
    """out[p, v] = clamp(b[v] + sum over i, j of x[i, p + j, v] w[i, j, v]), a vector of channels v.

    All arrays are flat. x[i, k] lies at x0 + i line + k c, out[p] at out0 + p c; of a vector the
    first `channels` numbers are written.
    """
    integer = types.intp
    signature = types.void(
        x, *[integer] * 3, w, integer, b, integer, x.dtype, x.dtype, out, *[integer] * 2
    )

    def generate(context, builder, signature, arguments):
        x, x0, line, c, w, w0, b, b0, low, high, out, out0, channels = arguments
        number, size = context.get_data_type(signature.args[0].dtype), x0.type
        vectors = Registers(context, builder, number)
        x, w, b, out = vectors.arrays(context, signature, {0: x, 4: w, 6: b, 10: out})
        steps = [builder.mul(c, ir.Constant(size, k)) for k in range(ABREAST + TAPS - 1)]
        bias = vectors.load(b, b0)
        taps = [
            vectors.load(w, builder.add(w0, size(tap * vectors.lanes))) for tap in range(TAPS**2)
        ]
        sums = [bias] * ABREAST
        for i, k in itertools.product(range(TAPS), range(ABREAST + TAPS - 1)):
            start = builder.add(x0, builder.mul(line, size(i)))
            column = vectors.load(x, builder.add(start, steps[k]))
            for p in range(max(0, k - TAPS + 1), min(k + 1, ABREAST)):
                sums[p] = vectors.add_product(sums[p], column, taps[TAPS * i + k - p])
        targets = [vectors.at(out, builder.add(out0, step)) for step in steps[:ABREAST]]
        counts = [channels] * ABREAST
        vectors.store(sums, targets, low, high, vectors.all_of(channels), counts)
        return context.get_dummy_value()

    return signature, generate


abreast = intrinsic(_abreast)


@inlined
def slides(step):
    """Whether a step of a plan is such a convolution."""
    return step.kh == step.kw == TAPS and step.stride == step.dilation == 1 and step.wo >= ABREAST


@inlined
def slide(source, start, weights, step, pixels, first, last, out, target):
    """Whole lines of `pixels` pixels, from `source` to `out`; the last five of a line may be some
    that are done once more."""
    lanes, c = VECTOR_BYTES // source.itemsize, step.channels
    low, high = source.dtype.type(step.low), source.dtype.type(step.high)
    for line in range(pixels // step.wo):
        for panel in range(first, last):
            channel = panel * lanes
            x0, out0 = start + line * step.line * c, target + line * step.row * c
            for column in range(0, step.wo, ABREAST):
                place = min(column, step.wo - ABREAST) * c + channel
                abreast(source, x0 + place, step.line * c, c, weights,
                        step.weight + channel * TAPS**2, weights, step.bias + channel,
                        low, high, out, out0 + place, c - channel)  # fmt: skip
