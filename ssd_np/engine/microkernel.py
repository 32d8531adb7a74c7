"""The innermost loop of a convolution, in vector registers: what the compiler does not find itself.

A tile is a few pixels by one vector of output channels. Its sums stay in registers while the taps
go by: a vector of the kernel is loaded once for all pixels, and a multiplication and an addition
are one instruction. The bias comes first, the activation's limits last, and only then anything is
written (Goto and van de Geijn, Anatomy of High-Performance Matrix Multiplication, 2008, section 4,
has the idea for matrix products).

Numba knows no vectors, so the tile is written in LLVM's language, which Numba translates to anyway.
"""

import itertools

from llvmlite import binding, ir
from numba import types
from numba.core import cgutils
from numba.core.errors import RequireLiteralValue
from numba.extending import intrinsic


def _vector_bytes() -> int:
    features = binding.get_host_cpu_features()
    return 64 if features.get("avx512f") else 32 if features.get("avx2") else 16


VECTOR_BYTES = _vector_bytes()  # of a register
_INT = ir.IntType(32)
PIXELS = 8  # of a tile: as many sums are on their way at once as a core's adders have stages


class Registers:
    """Vectors of `number` in the code that `builder` writes."""

    def __init__(self, context, builder, number) -> None:
        self.builder, self.item = builder, context.get_abi_sizeof(number)
        self.lanes = VECTOR_BYTES // self.item
        self.kind = ir.VectorType(number, self.lanes)

    def arrays(self, context, signature, arguments):
        """Where the numbers of arguments begin that are arrays, given by their places."""
        return [
            context.make_array(signature.args[i])(context, self.builder, array).data
            for i, array in arguments.items()
        ]

    def at(self, array, index):
        place = self.builder.gep(array, [index])
        return self.builder.bitcast(place, self.kind.as_pointer())

    def load(self, array, index):
        value = self.builder.load(self.at(array, index))
        value.align = self.item
        return value

    def prefetch(self, array, index) -> None:
        """Begins to load: a kernel too large for the caches comes from memory meanwhile."""
        place = self.builder.gep(array, [index])
        kind = ir.FunctionType(ir.VoidType(), [place.type, _INT, _INT, _INT])
        call = cgutils.get_or_insert_function(self.builder.module, kind, "llvm.prefetch.p0")
        self.builder.call(call, [place, _INT(0), _INT(2), _INT(1)])  # to read, second cache, data

    def everywhere(self, value):
        """The same number in each lane."""
        kind, counts = ir.VectorType(value.type, self.lanes), ir.VectorType(_INT, self.lanes)
        nothing = ir.Constant(kind, ir.Undefined)
        first = self.builder.insert_element(nothing, value, _INT(0))
        return self.builder.shuffle_vector(first, nothing, ir.Constant(counts, [0] * self.lanes))

    def add_product(self, total, value, tap):
        """total + value * tap, in one instruction where there is one."""
        fused = {"flags": ("contract",)}
        return self.builder.fadd(total, self.builder.fmul(value, tap, **fused), **fused)

    def all_of(self, channels):
        """Whether there are as many as a vector has."""
        return self.builder.icmp_signed(">=", channels, channels.type(self.lanes))

    def store(self, values, targets, low, high, whole, counts) -> None:
        """Clamped; of each its first numbers, so many as `counts` say, or all if `whole`."""
        builder, clamped = self.builder, []
        low, high = self.everywhere(low), self.everywhere(high)
        for value in values:  # NaN stays NaN
            value = builder.select(builder.fcmp_ordered("<", value, low), low, value)
            clamped.append(builder.select(builder.fcmp_ordered(">", value, high), high, value))
        with builder.if_else(whole) as (all_of_it, some):
            with all_of_it:
                for value, target in zip(clamped, targets, strict=True):
                    builder.store(value, target).align = self.item
            with some:
                size = ir.VectorType(counts[0].type, self.lanes)
                numbers = ir.Constant(size, list(range(self.lanes)))
                for value, target, count in zip(clamped, targets, counts, strict=True):
                    mask = builder.icmp_signed("<", numbers, self.everywhere(count))
                    store = _masked_store(builder.module, self.kind, mask.type)
                    builder.call(store, [value, target, _INT(self.item), mask])


def _tile(
    typing, pixels, mixes, taps, x, x0, places, place, last, segments, segment, length, step,
    w, w0, w_segment, w_step, b, b0, b_pixel, low, high, out, out0, goes, channels,
):  # fmt: skip
    """out[p, v] = clamp(b[p, v] + sum over i < segments, k < length of x[p, i, k] w[i, k, v]).

    v counts the numbers of a vector, of which the first `channels` are written; p the `pixels`
    pixels from `place` on, a literal. `mixes`, another one, is 1 if a number of x meets all
    channels v, and 0 if x[p, i, k] is a vector too and channels keep to themselves. `taps` is
    `segments` and `length` where they are known before, so that there is no loop, else 0.

    All arrays are flat. x[p, i, k] lies at x0 + places[p] + i segment + k step, w[i, k] at
    w0 + i w_segment + k w_step, b[p] at b0 + p b_pixel, out[p] at out0 + places[p + goes]. Pixels
    behind the `last` are that one again: a tile at the end computes it several times.
    """
    if not all(isinstance(number, types.IntegerLiteral) for number in (pixels, mixes, taps)):
        raise RequireLiteralValue("pixels, mixes and taps are literals")
    integer = types.intp
    signature = types.void(
        pixels, mixes, taps, x, integer, places, *[integer] * 6, w, *[integer] * 3,
        b, *[integer] * 2, x.dtype, x.dtype, out, *[integer] * 3,
    )  # fmt: skip

    def generate(context, builder, signature, arguments):
        x, x0, places, place, last, segments, segment, length, step = arguments[3:12]
        w, w0, w_segment, w_step, b, b0, b_pixel, low, high = arguments[12:21]
        out, out0, goes, channels = arguments[21:]
        number = context.get_data_type(signature.args[3].dtype)
        vectors, size = Registers(context, builder, number), x0.type
        x, places, w, b, out = vectors.arrays(
            context, signature, {3: x, 5: places, 12: w, 16: b, 21: out}
        )

        def plus(base, times, distance):
            return builder.add(base, builder.mul(times, distance))

        def pixel(p):
            index = builder.add(place, size(p))
            return builder.select(builder.icmp_signed("<", index, last), index, last)

        pixels = [pixel(p) for p in range(signature.args[0].literal_value)]

        def way(index):
            return builder.load(builder.gep(places, [index]))

        starts = [builder.gep(x, [builder.add(x0, way(p))]) for p in pixels]
        biases = [vectors.load(b, plus(b0, p, b_pixel)) for p in pixels]
        sums = [cgutils.alloca_once_value(builder, bias) for bias in biases]  # become registers
        w = builder.gep(w, [w0])

        def add_products(i, k):
            place = plus(builder.mul(i, w_segment), k, w_step)
            tap = vectors.load(w, place)
            if signature.args[1].literal_value:
                vectors.prefetch(w, plus(place, length, w_step))
            index = plus(builder.mul(i, segment), k, step)
            for total, start in zip(sums, starts, strict=True):
                if signature.args[1].literal_value:
                    value = vectors.everywhere(builder.load(builder.gep(start, [index])))
                else:
                    value = vectors.load(start, index)
                builder.store(vectors.add_product(builder.load(total), value, tap), total)

        if known := signature.args[2].literal_value:
            for i, k in itertools.product(range(known), repeat=2):
                add_products(size(i), size(k))
        else:
            with (
                cgutils.for_range(builder, segments) as i,
                cgutils.for_range(builder, length) as k,
            ):
                add_products(i.index, k.index)
        results = [builder.load(total) for total in sums]
        targets = [vectors.at(out, builder.add(out0, way(builder.add(p, goes)))) for p in pixels]
        counts = [channels] * len(results)
        vectors.store(results, targets, low, high, vectors.all_of(channels), counts)
        return context.get_dummy_value()

    return signature, generate


def _masked_store(module, vector, mask):
    """LLVM's store of the lanes where the mask is 1."""
    kind = {"float": "f32", "double": "f64"}[str(vector.element)]
    arguments = [vector, vector.as_pointer(), _INT, mask]
    return cgutils.get_or_insert_function(
        module,
        ir.FunctionType(ir.VoidType(), arguments),
        f"llvm.masked.store.v{vector.count}{kind}.p0",
    )


tile = intrinsic(_tile)  # what kernels call
