"""im2col and col2im: views of arrays, and what is refused."""

import numpy as np
import pytest

from ssd_np.errors import ShapeError
from ssd_np.nn.im2col import col2im, im2col

pytestmark = pytest.mark.lesson05


def test_views_give_the_same_as_copies(rng):
    x = rng.standard_normal((2, 3, 8, 8)).transpose(0, 2, 3, 1)  # channels first seen as last
    cols = im2col(x, 3, 1, 1)
    assert np.array_equal(cols, im2col(x.copy(), 3, 1, 1))
    values = rng.standard_normal(cols.shape[::-1]).T
    assert np.array_equal(col2im(values, x.shape, 3, 1, 1), col2im(values.copy(), x.shape, 3, 1, 1))


def test_a_kernel_that_does_not_fit_is_named():
    with pytest.raises(ShapeError, match="reaches over 13 pixels does not fit 12 pixels"):
        im2col(np.zeros((1, 12, 12, 1)), 3, 1, 0, 6)
