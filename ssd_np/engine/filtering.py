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

import itertools

import numpy as np
from llvmlite import ir
from numba import types
from numba.core.errors import RequireLiteralValue
from numba.extending import intrinsic

from ssd_np.engine.microkernel import PIXELS, VECTOR_BYTES, Registers, tile
from ssd_np.engine.winograd import MATRICES
from ssd_np.kernels import inlined


def _transformed(vectors, matrix, grid):
    """matrix @ grid @ matrix.T, where a number of the grid is a vector of channels."""
    half = [_product(vectors, matrix, column) for column in zip(*grid, strict=True)]
    return [_product(vectors, matrix, line) for line in zip(*half, strict=True)]


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


def _places(builder, start, rows, columns, row, column):
    """start + i row + j column, as a list of lines."""

    def away(i, step):
        return builder.mul(ir.Constant(start.type, i), step)

    return [
        [builder.add(start, builder.add(away(i, row), away(j, column))) for j in range(columns)]
        for i in range(rows)
    ]


def _patch(typing, size, x, x0, row, pixel, v, v0, entry):
    """v = B.T d B for a vector of channels: d[i, j] lies at x0 + i row + j pixel, v[k] at
    v0 + k entry."""
    if not isinstance(size, types.IntegerLiteral):
        raise RequireLiteralValue("size is a literal")
    integer = types.intp
    signature = types.void(size, x, *[integer] * 3, v, *[integer] * 2)

    def generate(context, builder, signature, arguments):
        _, x, x0, row, pixel, v, v0, entry = arguments
        bt, _, _ = MATRICES[signature.args[0].literal_value]
        vectors = Registers(context, builder, context.get_data_type(signature.args[1].dtype))
        x, v = vectors.arrays(context, signature, {1: x, 5: v})
        a = len(bt)
        d = [[vectors.load(x, k) for k in line] for line in _places(builder, x0, a, a, row, pixel)]
        wide = builder.mul(entry, ir.Constant(entry.type, a))
        targets = _places(builder, v0, a, a, wide, entry)
        for values, line in zip(_transformed(vectors, bt, d), targets, strict=True):
            for value, target in zip(values, line, strict=True):
                builder.store(value, vectors.at(v, target)).align = vectors.item
        return context.get_dummy_value()

    return signature, generate


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
        size, a = at.shape
        wide = builder.mul(entry, ir.Constant(entry.type, a))
        grid = [
            [vectors.load(m, k) for k in line] for line in _places(builder, m0, a, a, wide, entry)
        ]
        bias = vectors.load(b, b0)
        values = [builder.fadd(v, bias) for v in itertools.chain(*_transformed(vectors, at, grid))]
        places = itertools.chain(*_places(builder, out0, size, size, row, pixel))
        targets = [vectors.at(out, place) for place in places]

        def reaches(rows_or_columns, count, sign):
            return builder.icmp_signed(sign, rows_or_columns, ir.Constant(rows.type, count))

        whole = builder.and_(reaches(rows, size, ">="), reaches(columns, size, ">="))
        with builder.if_else(whole) as (all_of_it, some):
            with all_of_it:
                vectors.store(values, targets, low, high, channels)
            with some:
                cells = itertools.product(range(size), range(size))
                for (i, j), value, target in zip(cells, values, targets, strict=True):
                    inside = builder.and_(reaches(rows, i, ">"), reaches(columns, j, ">"))
                    with builder.if_then(inside):
                        vectors.store([value], [target], low, high, channels)
        return context.get_dummy_value()

    return signature, generate


patch, outcome = intrinsic(_patch), intrinsic(_outcome)


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
                    for panel in range(panels):
                        w0 = step.weight + ((some + panel) * entries + e) * c * lanes
                        for t in range(0, count, PIXELS):
                            tile(PIXELS, 1, 0, buffers, v0 + e * entry, places, step.places + t,
                                 step.places + count - 1, 1, 0, c, 1, weights, w0, 0, lanes,
                                 weights, 0, 0, none, all_, buffers,
                                 m0 + e * m_entry + panel * lanes, step.goes, lanes)  # fmt: skip
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
