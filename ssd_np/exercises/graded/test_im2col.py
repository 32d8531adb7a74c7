"""im2col and col2im: the kernels against their plain twins, and against each other as adjoints."""

import itertools

import numpy as np
import pytest

from ssd_np.nn.im2col import col2im, col2im_plain, im2col, im2col_plain, output_size

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


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_kernels_against_plain(geometry, dtype, rng):
    x = rng.standard_normal((2, 7, 9, 3)).astype(dtype)
    cols = im2col(x, *geometry)
    assert cols.dtype == dtype
    assert np.array_equal(cols, im2col_plain(x, *geometry))
    values = rng.standard_normal(cols.shape).astype(dtype)
    back = col2im(values, x.shape, *geometry)
    assert back.dtype == dtype and back.shape == x.shape
    plain = col2im_plain(values, x.shape, *geometry)
    np.testing.assert_allclose(back, plain, rtol=0, atol=20 * np.finfo(dtype).eps)


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
@pytest.mark.parametrize("pair", [(im2col, col2im), (im2col_plain, col2im_plain)])
def test_col2im_is_the_adjoint_of_im2col(geometry, pair, rng):
    """<im2col(x), c> = <x, col2im(c)> for all x and c: so one is the gradient of the other."""
    forward, adjoint = pair
    x = rng.standard_normal((2, 7, 8, 2))
    cols = forward(x, *geometry)
    c = rng.standard_normal(cols.shape)
    assert np.vdot(cols, c) == pytest.approx(np.vdot(x, adjoint(c, x.shape, *geometry)), abs=1e-10)


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
