"""im2col for some rows and col2im for one image, as kernels: what the tiles of conv.py are made of.

`corner` is the padding above and to the left of the image. What lies below and to the right follows
from the number of output pixels.
"""

import numpy as np

from ssd_np.kernels import njit


@njit(nogil=True)
def im2col_rows(x, cols, first, last, kh, kw, stride, corner, dilation, ho, wo):
    """Fills cols with the rows `first` to `last` of im2col, counted over the whole batch."""
    _, h, w, c = x.shape
    above, beside = corner  # padding there
    source, target = x.reshape(-1), cols.reshape(-1)
    row = first
    while row < last:  # one output line, or as much of it as belongs to these rows
        image, pixel = row // (ho * wo), row % (ho * wo)
        oy, ox = pixel // wo, pixel % wo
        count = min(wo - ox, last - row)
        left = ox * stride - beside  # column of the first pixel's first tap
        # pixels inner to outer have all taps of a kernel row inside the image, side by side
        inner = min(max(-(left // stride), 0), count) if dilation == 1 else count
        outer = max(min((w - kw - left) // stride + 1, count), inner)
        for i in range(kh):
            y = oy * stride - above + i * dilation
            line = (image * h + y) * w
            start = ((row - first) * kh + i) * kw * c  # in target
            step = kh * kw * c
            if y < 0 or y >= h:
                for k in range(count):
                    _zeros(target, start + k * step, kw * c)
                continue
            origin = (line + left + inner * stride) * c
            _runs(source, origin, stride * c, target, start + inner * step, step, kw * c,
                  outer - inner)  # fmt: skip
            for k in range(count - (outer - inner)):  # the pixels before inner, then from outer on
                k = k if k < inner else k + outer - inner
                for j in range(kw):
                    column = left + k * stride + j * dilation
                    place = start + k * step + j * c
                    if column < 0 or column >= w:
                        _zeros(target, place, c)
                    else:
                        _runs(source, (line + column) * c, c, target, place, c, c, 1)
        row += count


@njit(nogil=True)
def _runs(source, origin, hop, target, start, step, length, count):
    """Copies `count` runs of `length` numbers, `hop` apart in source, `step` apart in target."""
    # unsigned: Numba need not ask whether an index counts from the end
    a, b = np.uint64(origin), np.uint64(start)
    if length == 9:  # 3 taps of 3 colours: a length known to the compiler beats its memcpy
        for _ in range(count):
            for k in range(np.uint64(9)):
                target[b + k] = source[a + k]
            a, b = a + np.uint64(hop), b + np.uint64(step)
    else:
        for _ in range(count):
            for k in range(np.uint64(length)):
                target[b + k] = source[a + k]
            a, b = a + np.uint64(hop), b + np.uint64(step)


@njit(nogil=True)
def _zeros(target, start, count):
    a = np.uint64(start)
    for k in range(np.uint64(count)):
        target[a + k] = 0


@njit(nogil=True)
def col2im_image(cols, x, kh, kw, stride, corner, dilation, wo):
    """Adds the rows of one image (Ho * Wo, kh * kw * C) into x (H, W, C)."""
    h, w, c = x.shape
    above, beside = corner
    for row in range(len(cols)):
        top = (row // wo) * stride - above
        left = (row % wo) * stride - beside
        for i in range(kh):
            y = top + i * dilation
            if y < 0 or y >= h:
                continue
            for j in range(kw):
                column = left + j * dilation
                if column < 0 or column >= w:
                    continue
                start = (i * kw + j) * c
                for k in range(c):
                    x[y, column, k] += cols[row, start + k]
