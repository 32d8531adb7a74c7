"""im2col and col2im: by hand, against loops over taps, and against each other as adjoints."""

import itertools

import numpy as np
import pytest

from ssd_np.geometry import output_size
from ssd_np.nn.im2col import col2im, im2col

pytestmark = [pytest.mark.graded, pytest.mark.lesson05]

# kernel, stride, pad, dilation
GEOMETRIES = [
    *itertools.product((1, 2, 3), (1, 2), (0, 1), (1, 2)),
    (3, 1, 6, 6),
    (3, 2, 6, 2),
    ((1, 3), 1, 1, 1),
    ((3, 2), 2, 1, 1),
    (3, 3, 0, 1),  # some pixels under no window
]


def test_by_hand():
    x = np.arange(9.0).reshape(1, 3, 3, 1)
    rows = [[0, 1, 3, 4], [1, 2, 4, 5], [3, 4, 6, 7], [4, 5, 7, 8]]
    assert im2col(x, 2).tolist() == rows
    corner = im2col(x, 3, 1, 1)[0].reshape(3, 3)  # the window that hangs over the corner
    assert corner.tolist() == [[0, 0, 0], [0, 0, 1], [0, 3, 4]]
    # how many of the four windows each pixel lies under
    assert col2im(np.ones((4, 4)), (1, 3, 3, 1), 2)[0, :, :, 0].tolist() == [
        [1, 2, 1],
        [2, 4, 2],
        [1, 2, 1],
    ]


def test_a_row_runs_over_kernel_rows_kernel_columns_channels(rng):
    x = rng.standard_normal((2, 4, 5, 3))
    row = im2col(x, (2, 3))[1 * (3 * 3) + 2 * 3 + 1]  # image 1, output row 2, output column 1
    assert np.array_equal(row, x[1, 2:4, 1:4].reshape(-1))


def taps(x_shape, geometry):
    """(row, place in the row, pixel): every number that im2col copies, by six loops."""
    kernel, stride, pad, dilation = geometry
    kh, kw = (kernel, kernel) if isinstance(kernel, int) else kernel
    n, h, w, c = x_shape
    ho, wo = (output_size(s, k, stride, pad, dilation) for s, k in ((h, kh), (w, kw)))
    for image, y, z, i, j, k in np.ndindex(n, ho, wo, kh, kw, c):
        row, column = y * stride + i * dilation - pad, z * stride + j * dilation - pad
        if 0 <= row < h and 0 <= column < w:
            yield (image * ho + y) * wo + z, (i * kw + j) * c + k, (image, row, column, k)


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_against_six_loops(geometry, dtype, rng):
    x = rng.standard_normal((2, 5, 6, 2)).astype(dtype)
    cols = im2col(x, *geometry)
    values = rng.standard_normal(cols.shape).astype(dtype)
    back = col2im(values, x.shape, *geometry)
    assert cols.dtype == back.dtype == dtype and back.shape == x.shape
    expected, expected_back = np.zeros_like(cols), np.zeros_like(x)
    for row, place, pixel in taps(x.shape, geometry):
        expected[row, place] = x[pixel]
        expected_back[pixel] += values[row, place]
    assert np.array_equal(cols, expected)
    np.testing.assert_allclose(back, expected_back, rtol=0, atol=20 * np.finfo(dtype).eps)


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
def test_col2im_is_the_adjoint_of_im2col(geometry, rng):
    """<im2col(x), c> = <x, col2im(c)> for all x and c: so one is the gradient of the other."""
    x = rng.standard_normal((2, 7, 8, 2))
    cols = im2col(x, *geometry)
    c = rng.standard_normal(cols.shape)
    assert np.vdot(cols, c) == pytest.approx(np.vdot(x, col2im(c, x.shape, *geometry)), abs=1e-10)


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "pad", "dilation", "expected"),
    [
        (300, 3, 1, 1, 1, 300),
        (38, 2, 2, 0, 1, 19),
        (19, 3, 1, 6, 6, 19),  # fc6
        (19, 3, 2, 1, 1, 10),
        (5, 3, 1, 0, 1, 3),
        (3, 3, 1, 0, 1, 1),
    ],
)
def test_output_sizes_of_ssd300(size, kernel, stride, pad, dilation, expected):
    assert output_size(size, kernel, stride, pad, dilation) == expected


def test_inputs_stay_as_they_are(rng):
    x = rng.standard_normal((1, 5, 5, 2))
    before = x.copy()
    cols = im2col(x, 3, 1, 1)
    kept = cols.copy()
    col2im(cols, x.shape, 3, 1, 1)
    assert np.array_equal(x, before) and np.array_equal(cols, kept)
