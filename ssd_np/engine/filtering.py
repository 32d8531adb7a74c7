"""Some lines of a 3x3 convolution by Winograd's algorithm, from the map to the map.

engine/winograd.py says what is computed: Y = A.T [ U * (B.T d B) ] A, U = G g G.T. Here a block of
patches d goes all the way while it is in a core's cache:

    patch    d, 16 channels at a time, becomes v = B.T d B in registers        (a * a, block, C)
    tile     the microkernel multiplies, for each of the a * a entries, v by the panels of U that
             were packed when the weights were set                             (a * a, block, Co)
    outcome  A.T m A, bias and activation, into the map

The patches of a dilated convolution are those of its dilation^2 interleaved maps: they look at
every 6th pixel if the dilation is 6, and so do the outputs.
"""

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.errors import RequireLiteralValue
from numba.extending import intrinsic

from ssd_np.engine.microkernel import VECTOR_BYTES, Registers, multiply
from ssd_np.engine.winograd import MATRICES
from ssd_np.kernels import inlined

_SIZE = ir.IntType(64)


def _transform(vectors, matrix, load, store):
    """matrix @ d @ matrix.T of numbers that are vectors of channels: column by column of what
    `load(i, j)` gives, then line by line to `store(i, line)`. In loops, for the compiler's sake."""
    builder, (lines, size) = vectors.builder, matrix.shape
    half = cgutils.alloca_once(builder, vectors.kind, size=lines * size)

    def place(i, j):
        return builder.gep(half, [builder.add(builder.mul(j, _SIZE(lines)), i)])

    with cgutils.for_range(builder, _SIZE(size)) as loop:
        column = [load(_SIZE(i), loop.index) for i in range(size)]
        for i, value in enumerate(_product(vectors, matrix, column)):
            builder.store(value, place(_SIZE(i), loop.index))
    with cgutils.for_range(builder, _SIZE(lines)) as loop:
        line = [builder.load(place(loop.index, _SIZE(j))) for j in range(size)]
        store(loop.index, _product(vectors, matrix, line))


def _product(vectors, matrix, values):
    """matrix @ values; first, in each line, what needs no multiplication."""
    builder, results = vectors.builder, []
    for line in matrix:
        terms = [(k, v) for k, v in zip(line.tolist(), values, strict=True) if k]
        (k, total), *others = sorted(terms, key=lambda term: (abs(term[0]) != 1, -term[0]))
        if k != 1:
            total = builder.fmul(total, ir.Constant(vectors.kind, [float(k)] * vectors.lanes))
        for k, value in others:
            if abs(k) == 1:
                total = (builder.fadd if k > 0 else builder.fsub)(total, value)
            else:
                factor = ir.Constant(vectors.kind, [float(k)] * vectors.lanes)
                total = vectors.add_product(total, value, factor)
        results.append(total)
    return results


def _into_entries(matrix_of):
    """What makes v = M d M.T of a vector of channels, with the matrix M for a tile's side."""

    def typed(typing, side, x, x0, row, pixel, v, v0, entry):
        """d[i, j] lies at x0 + i row + j pixel, v[k] at v0 + k entry."""
        if not isinstance(side, types.IntegerLiteral):
            raise RequireLiteralValue("side is a literal")
        integer = types.intp
        signature = types.void(side, x, *[integer] * 3, v, *[integer] * 2)

        def generate(context, builder, signature, arguments):
            _, x, x0, row, pixel, v, v0, entry = arguments
            vectors = Registers(context, builder, context.get_data_type(signature.args[1].dtype))
            x, v = vectors.arrays(context, signature, {1: x, 5: v})

            def load(i, j):
                place = builder.add(builder.mul(i, row), builder.mul(j, pixel))
                return vectors.load(x, builder.add(x0, place))

            def store(i, line):
                for j, value in enumerate(line):
                    k = builder.add(builder.mul(i, _SIZE(len(line))), _SIZE(j))
                    target = vectors.at(v, builder.add(v0, builder.mul(k, entry)))
                    builder.store(value, target).align = vectors.item

            _transform(vectors, matrix_of(signature.args[0].literal_value), load, store)
            return context.get_dummy_value()

        return signature, generate

    return intrinsic(typed)


def _outcome(typing, size, m, m0, entry, b, b0, low, high, out, out0, row, pixel,
             rows, columns, channels):  # fmt: skip
    """clamp(A.T m A + b) for a vector of channels: m[k] lies at m0 + k entry, the output [i, j] at
    out0 + i row + j pixel; the first `rows`, `columns` and `channels` of it are written."""
    if not isinstance(size, types.IntegerLiteral):
        raise RequireLiteralValue("size is a literal")
    integer = types.intp
    signature = types.void(
        size, m, *[integer] * 2, b, integer, m.dtype, m.dtype, out, *[integer] * 6
    )

    def generate(context, builder, signature, arguments):
        _, m, m0, entry, b, b0, low, high, out, out0 = arguments[:10]
        row, pixel, rows, columns, channels = arguments[10:]
        _, _, at = MATRICES[signature.args[0].literal_value]
        vectors = Registers(context, builder, context.get_data_type(signature.args[1].dtype))
        m, b, out = vectors.arrays(context, signature, {1: m, 4: b, 8: out})
        bias, all_channels = vectors.load(b, b0), vectors.all_of(channels)

        def load(i, j):
            k = builder.add(builder.mul(i, _SIZE(at.shape[1])), j)
            return vectors.load(m, builder.add(m0, builder.mul(k, entry)))

        def store(i, line):
            targets, counts = [], []
            start = builder.add(out0, builder.mul(i, row))
            above = builder.icmp_signed("<", i, rows)
            for j in range(len(line)):
                inside = builder.and_(above, builder.icmp_signed("<", _SIZE(j), columns))
                counts.append(builder.select(inside, channels, _SIZE(0)))
                targets.append(vectors.at(out, builder.add(start, builder.mul(_SIZE(j), pixel))))
            whole = builder.and_(inside, all_channels)
            values = [builder.fadd(value, bias) for value in line]
            vectors.store(values, targets, low, high, whole, counts)

        _transform(vectors, at, load, store)
        return context.get_dummy_value()

    return signature, generate


outcome = intrinsic(_outcome)
patch = _into_entries(lambda side: MATRICES[side][0])  # B.T d B
spread = _into_entries(lambda side: MATRICES[side][2].T)  # A y A.T, for the gradient


def filtered(size: int):
    """The kernel for tiles of so many lines and columns."""
    entries = (size + 2) ** 2

    @inlined
    def convolve(
        source, start, places, weights, step, lines, first, last, buffers, v0, out, target
    ):
        """`lines` lines by the panels `first` to `last`, from `source` to `out`."""
        lanes, c, dilation = VECTOR_BYTES // source.itemsize, step.channels, step.dilation
        low, high = source.dtype.type(step.low), source.dtype.type(step.high)
        none, all_ = source.dtype.type(-np.inf), source.dtype.type(np.inf)
        columns = -(-step.wo // step.unit) * dilation
        tiles = -(-lines // step.unit) * dilation * columns
        across, wide = -(-c // lanes) * lanes, step.abreast * lanes
        entry, m_entry = step.block * across + lanes, step.block * wide + lanes
        m0 = v0 + entries * entry
        for begin in range(0, tiles, step.block):
            count = min(step.block, tiles - begin)
            for t in range(count):
                y, x = _corner(begin + t, columns, step)
                place = start + (y * step.line + x) * c
                for channel in range(0, c, lanes):
                    patch(size, source, place + channel, dilation * step.line * c, dilation * c,
                          buffers, v0 + t * across + channel, entry)  # fmt: skip
            for some in range(first, last, step.abreast):
                panels = min(step.abreast, last - some)
                for e in range(entries):
                    w0 = step.weight + (some * entries + e) * c * lanes
                    multiply(buffers, v0 + e * entry, places, step.places, step.places + count,
                             step.places + count - 1, 1, 0, c, 1, weights, w0,
                             entries * c * lanes, 0, lanes, weights, 0, 0, 0, none, all_, buffers,
                             m0 + e * m_entry, step.goes, panels * lanes, panels)  # fmt: skip
                for t in range(count):
                    y, x = _corner(begin + t, columns, step)
                    place = target + (y * step.row + x) * step.c_out
                    rows, cells = -((y - lines) // dilation), -((x - step.wo) // dilation)
                    for panel in range(panels):
                        channel = (some + panel) * lanes
                        outcome(size, buffers, m0 + t * wide + panel * lanes, m_entry,
                                weights, step.bias + channel, low, high, out, place + channel,
                                dilation * step.row * step.c_out, dilation * step.c_out,
                                rows, cells, step.c_out - channel)  # fmt: skip

    return convolve


@inlined
def _corner(number, columns, step):
    """Line and column of a tile's first output."""
    row, column = number // columns, number % columns
    y = row // step.dilation * step.unit + row % step.dilation
    return y, column // step.dilation * step.unit + column % step.dilation
