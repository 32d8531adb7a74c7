"""The innermost loop of a convolution, in vector registers: what the compiler does not find itself.

A tile is a few pixels by one or two vectors of output channels. Its sums stay in registers while
the taps go by: a vector of the kernel is loaded once for all pixels, a number of a pixel once for
all vectors, and a multiplication and an addition are one instruction. The bias comes first, the
activation's limits last, and only then anything is written (Goto and van de Geijn, Anatomy of
High-Performance Matrix Multiplication, 2008, section 4, has the idea for matrix products).

Numba knows no vectors, so the tile is written in LLVM's language, which Numba translates to anyway.
"""

import itertools

from llvmlite import binding, ir
from numba import types
from numba.core import cgutils
from numba.core.errors import RequireLiteralValue
from numba.extending import intrinsic

from ssd_np.kernels import inlined


def _vector_bytes() -> int:
    features = binding.get_host_cpu_features()
    return 64 if features.get("avx512f") else 32 if features.get("avx2") else 16


VECTOR_BYTES = _vector_bytes()  # of a register
_INT = ir.IntType(32)
PIXELS = 8  # of a tile: as many sums are on their way at once as a core's adders have stages
VECTORS = 2 if VECTOR_BYTES == 64 else 1  # of a tile: there are 32 registers, or 16


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
    typing, vectors, pixels, mixes, taps, x, x0, places, place, last, segments, segment, length,
    step, w, w0, w_vector, w_segment, w_step, b, b0, b_vector, b_pixel, low, high, out, out0, goes,
    channels,
):  # fmt: skip
    """out[p, v] = clamp(b[p, v] + sum over i < segments, k < length of x[p, i, k] w[i, k, v]).

    v counts the numbers of so many `vectors`, of which the first `channels` are written; p the
    `pixels` pixels from `place` on; both are literals. `mixes`, another one, is 1 if a number of x
    meets all channels v, and 0 if x[p, i, k] is a vector too and channels keep to themselves.
    `taps` is `segments` and `length` where they are known before, so that there is no loop, else 0.

    All arrays are flat. x[p, i, k] lies at x0 + places[p] + i segment + k step; vector u of
    w[i, k] at w0 + u w_vector + i w_segment + k w_step, of b[p] at b0 + u b_vector + p b_pixel, of
    out[p] at out0 + places[p + goes] and right behind one another. Pixels behind the `last` are
    that one again: a tile at the end computes it several times.
    """
    literals = vectors, pixels, mixes, taps
    if not all(isinstance(number, types.IntegerLiteral) for number in literals):
        raise RequireLiteralValue("vectors, pixels, mixes and taps are literals")
    integer = types.intp
    signature = types.void(
        *literals, x, integer, places, *[integer] * 6, w, *[integer] * 4,
        b, *[integer] * 3, x.dtype, x.dtype, out, *[integer] * 3,
    )  # fmt: skip

    def generate(context, builder, signature, arguments):
        x, x0, places, place, last, segments, segment, length, step = arguments[4:13]
        w, w0, w_vector, w_segment, w_step, b, b0, b_vector, b_pixel = arguments[13:22]
        low, high, out, out0, goes, channels = arguments[22:]
        abreast, pixels, mixes, known = (kind.literal_value for kind in signature.args[:4])
        number = context.get_data_type(signature.args[4].dtype)
        vectors, size = Registers(context, builder, number), x0.type
        x, places, w, b, out = vectors.arrays(
            context, signature, {4: x, 6: places, 13: w, 18: b, 24: out}
        )

        def plus(base, times, distance):
            return builder.add(base, builder.mul(times, distance))

        def pixel(p):
            index = builder.add(place, size(p))
            return builder.select(builder.icmp_signed("<", index, last), index, last)

        def way(index):
            return builder.load(builder.gep(places, [index]))

        pixels = [pixel(p) for p in range(pixels)]
        starts = [builder.gep(x, [builder.add(x0, way(p))]) for p in pixels]
        kernels = [builder.gep(w, [plus(w0, size(u), w_vector)]) for u in range(abreast)]
        sums = {}  # of pixel p and vector u; they become registers
        for (p, place_), u in itertools.product(enumerate(pixels), range(abreast)):
            bias = vectors.load(b, plus(plus(b0, size(u), b_vector), place_, b_pixel))
            sums[p, u] = cgutils.alloca_once_value(builder, bias)

        def add_products(i, k):
            place = plus(builder.mul(i, w_segment), k, w_step)
            taps = [vectors.load(kernel, place) for kernel in kernels]
            if mixes:
                for kernel in kernels:
                    vectors.prefetch(kernel, plus(place, length, w_step))
            index = plus(builder.mul(i, segment), k, step)
            for p, start in enumerate(starts):
                if mixes:
                    value = vectors.everywhere(builder.load(builder.gep(start, [index])))
                else:
                    value = vectors.load(start, index)
                for u, tap in enumerate(taps):
                    total = builder.load(sums[p, u])
                    builder.store(vectors.add_product(total, value, tap), sums[p, u])

        if known:
            for i, k in itertools.product(range(known), repeat=2):
                add_products(size(i), size(k))
        else:
            with (
                cgutils.for_range(builder, segments) as i,
                cgutils.for_range(builder, length) as k,
            ):
                add_products(i.index, k.index)
        for u in range(abreast):
            first = size(u * vectors.lanes)
            rest, to = builder.sub(channels, first), builder.add(out0, first)
            results = [builder.load(sums[p, u]) for p in range(len(pixels))]
            targets = [vectors.at(out, builder.add(to, way(builder.add(p, goes)))) for p in pixels]
            vectors.store(results, targets, low, high, vectors.all_of(rest), [rest] * len(results))
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


@inlined
def multiply(
    x, x0, places, begin, end, last, segments, segment, length, step, w, w0, w_vector, w_segment,
    w_step, b, b0, b_vector, b_pixel, low, high, out, out0, goes, channels, vectors,
):  # fmt: skip
    """Tiles of the pixels from `begin` to `end` by so many vectors of output channels."""
    lanes = VECTOR_BYTES // x.itemsize
    together = vectors - vectors % VECTORS
    for u in range(0, together, VECTORS):
        for pixel in range(begin, end, PIXELS):
            tile(VECTORS, PIXELS, 1, 0, x, x0, places, pixel, last, segments, segment, length, step,
                 w, w0 + u * w_vector, w_vector, w_segment, w_step, b, b0 + u * b_vector, b_vector,
                 b_pixel, low, high, out, out0 + u * lanes, goes, channels - u * lanes)  # fmt: skip
    for u in range(together, vectors):
        for pixel in range(begin, end, PIXELS):
            tile(1, PIXELS, 1, 0, x, x0, places, pixel, last, segments, segment, length, step,
                 w, w0 + u * w_vector, w_vector, w_segment, w_step, b, b0 + u * b_vector, b_vector,
                 b_pixel, low, high, out, out0 + u * lanes, goes, channels - u * lanes)  # fmt: skip
