"""Winograd's minimal filtering: the same 3x3 convolution with fewer multiplications.

In one dimension. Two outputs of a filter g of three taps over four inputs d cost six products:

    y0 = d0 g0 + d1 g1 + d2 g2
    y1 = d1 g0 + d2 g1 + d3 g2

F(2, 3) needs four. With

    m0 = (d0 - d2) g0                      m1 = (d1 + d2) (g0 + g1 + g2) / 2
    m3 = (d1 - d3) g2                      m2 = (d2 - d1) (g0 - g1 + g2) / 2

it is y0 = m0 + m1 + m2 and y1 = m1 - m2 - m3. Check the first: m1 + m2 = d1 g1 + d2 (g0 + g2), and
with m0 the d2 g0 goes away. The sums of g are made once for the whole image, those of d are cheap.
As matrices, with * for products of entries:

    y = A.T [ (G g) * (B.T d) ]     B.T (4, 4) is the d column above, G (4, 3) the g column,
                                    A.T (2, 4) the last line

In two dimensions the same along both axes: a tile of 2x2 outputs from a patch of 4x4 inputs,

    Y = A.T [ (G g G.T) * (B.T d B) ] A              16 products instead of 36: F(2x2, 3x3)

and a tile of 4x4 outputs from a patch of 6x6 costs 36 instead of 144: F(4x4, 3x3), whose larger
constants lose about one decimal digit. (Lavin and Gray 2016, arXiv 1509.09308, sections 2 and 4.)

With channels, the product of entries becomes a matrix product for each of the 16 or 36 entries:
over all tiles, (tiles, C) @ (C, Co). That is where the time goes, and it is 2.25 or 4 times less
than im2col's. Everything is linear in d and in g, so the gradients are the transposed transforms:

    dG' = (B.T d B) * (A dY A.T)  summed over tiles,   dg = G.T dG' G
    dd: dY convolved with the turned kernel, as for every convolution of stride 1
    db: the sum of dY, one of the 16 or 36 entries of A dY A.T
"""

import numpy as np

# tile size: B.T (a, a), G (a, 3), A.T (size, a), a = size + 2
MATRICES = {
    2: (
        np.array([[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]]),
        np.array([[1, 0, 0], [1 / 2, 1 / 2, 1 / 2], [1 / 2, -1 / 2, 1 / 2], [0, 0, 1]]),
        np.array([[1, 1, 1, 0], [0, 1, -1, -1]]),
    ),
    4: (
        np.array([
            [4, 0, -5, 0, 1, 0], [0, -4, -4, 1, 1, 0], [0, 4, -4, -1, 1, 0],
            [0, -2, -1, 2, 1, 0], [0, 2, -1, -2, 1, 0], [0, 4, 0, -5, 0, 1],
        ]),
        np.array([
            [1 / 4, 0, 0], [-1 / 6, -1 / 6, -1 / 6], [-1 / 6, 1 / 6, -1 / 6],
            [1 / 24, 1 / 12, 1 / 6], [1 / 24, -1 / 12, 1 / 6], [0, 0, 1],
        ]),
        np.array([
            [1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1],
        ]),
    ),
}  # fmt: skip
