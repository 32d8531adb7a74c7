"""The innermost loop of a convolution, in vector registers: what the compiler does not find itself.

A tile is a few pixels by one vector of output channels. Its sums stay in registers while the taps
go by: a vector of the kernel is loaded once for all pixels, and a multiplication and an addition
are one instruction. The bias comes first, the activation's limits last, and only then anything is
written (Goto and van de Geijn, Anatomy of High-Performance Matrix Multiplication, 2008, section 4,
has the idea for matrix products).

Numba knows no vectors, so the tile is written in LLVM's language, which Numba translates to anyway.
"""

from llvmlite import binding, ir
from numba import types
from numba.core import cgutils
from numba.core.errors import RequireLiteralValue
from numba.extending import intrinsic


def _vector_bytes() -> int:
    features = binding.get_host_cpu_features()
    return 64 if features.get("avx512f") else 32 if features.get("avx2") else 16


VECTOR_BYTES = _vector_bytes()  # of a register


def _tile(
    typing, pixels, mixes, x, x0, pixel, segments, segment, length, step,
    w, w0, w_segment, w_step, b, b0, low, high, out, out0, out_pixel,
):  # fmt: skip
    """out[p, v] = clamp(b[v] + sum over i < segments, k < length of x[p, i, k] w[i, k, v]).

    v counts the numbers of a vector, p < pixels, a literal. `mixes`, another one, is 1 if a number
    of x meets all channels v, and 0 if x[p, i, k] is a vector too and channels keep to themselves.

    All arrays are flat. x[p, i, k] lies at x0 + p pixel + i segment + k step, w[i, k, v] at
    w0 + i w_segment + k w_step + v, b[v] at b0 + v, out[p, v] at out0 + p out_pixel + v.
    """
    if not all(isinstance(number, types.IntegerLiteral) for number in (pixels, mixes)):
        raise RequireLiteralValue("pixels and mixes are literals")
    place = types.intp
    signature = types.void(
        pixels, mixes, x, *[place] * 6, w, *[place] * 3, b, place, x.dtype, x.dtype,
        out, *[place] * 2,
    )  # fmt: skip

    def generate(context, builder, signature, arguments):
        x, x0, pixel, segments, segment, length, step = arguments[2:9]
        w, w0, w_segment, w_step, b, b0, low, high, out, out0, out_pixel = arguments[9:]
        number = context.get_data_type(signature.args[2].dtype)
        item = context.get_abi_sizeof(number)
        lanes = VECTOR_BYTES // item
        vector, integer = ir.VectorType(number, lanes), ir.IntType(32)
        x, w, b, out = (
            context.make_array(signature.args[i])(context, builder, array).data
            for i, array in ((2, x), (9, w), (13, b), (17, out))
        )

        def plus(base, times, distance):
            return builder.add(base, builder.mul(times, distance))

        def at(array, index):
            return builder.bitcast(builder.gep(array, [index]), vector.as_pointer())

        def load(array, index):
            value = builder.load(at(array, index))
            value.align = item
            return value

        def everywhere(value):
            nothing = ir.Constant(vector, ir.Undefined)
            first = builder.insert_element(nothing, value, integer(0))
            return builder.shuffle_vector(
                first, nothing, ir.Constant(ir.VectorType(integer, lanes), [0] * lanes)
            )

        fused, bias = {"flags": ("contract",)}, load(b, b0)
        counts = [x0.type(p) for p in range(signature.args[0].literal_value)]
        sums = [cgutils.alloca_once_value(builder, bias) for _ in counts]  # become registers
        with cgutils.for_range(builder, segments) as i:
            x_i, w_i = plus(x0, i.index, segment), plus(w0, i.index, w_segment)
            x_p = [plus(x_i, p, pixel) for p in counts]
            with cgutils.for_range(builder, length) as k:
                tap = load(w, plus(w_i, k.index, w_step))
                for total, start in zip(sums, x_p, strict=True):
                    index = plus(start, k.index, step)
                    if signature.args[1].literal_value:
                        value = everywhere(builder.load(builder.gep(x, [index])))
                    else:
                        value = load(x, index)
                    product = builder.fmul(value, tap, **fused)
                    builder.store(builder.fadd(builder.load(total), product, **fused), total)
        low, high = everywhere(low), everywhere(high)
        for total, p in zip(sums, counts, strict=True):
            value = builder.load(total)  # NaN stays NaN
            value = builder.select(builder.fcmp_ordered("<", value, low), low, value)
            value = builder.select(builder.fcmp_ordered(">", value, high), high, value)
            builder.store(value, at(out, plus(out0, p, out_pixel))).align = item
        return context.get_dummy_value()

    return signature, generate


tile = intrinsic(_tile)  # what kernels call
