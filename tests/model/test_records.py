"""Truth fills in what is left out and refuses columns of different lengths."""

import numpy as np
import pytest

from ssd_np.errors import ShapeError
from ssd_np.records import Truth


def test_defaults():
    truth = Truth([[0.25, 0.5, 0.75, 1]], [2], size=(100, 200))
    assert len(truth) == 1
    assert truth.area.tolist() == [100 * 50]
    assert truth.difficult.tolist() == truth.crowd.tolist() == [False]
    assert truth.boxes_corner.dtype == np.float64 and truth.labels.dtype == np.int64


def test_no_objects():
    truth = Truth(np.zeros((0, 4)), [])
    assert len(truth) == 0 and truth.boxes_corner.shape == (0, 4)


@pytest.mark.parametrize("column", ["labels", "difficult", "crowd", "area"])
def test_a_column_of_another_length_is_named(column):
    columns = {"labels": [1], column: [1, 1]}
    with pytest.raises(ShapeError, match=rf"Truth\.{column} has 2 rows"):
        Truth([[0, 0, 1, 1]], **columns)
