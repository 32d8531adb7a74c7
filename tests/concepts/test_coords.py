"""Corner and center form: what is refused."""

import numpy as np
import pytest

from ssd_np.boxes.coords import area, center_to_corner, clip, corner_to_center
from ssd_np.errors import ShapeError

pytestmark = pytest.mark.lesson02


@pytest.mark.parametrize("function", [corner_to_center, center_to_corner, clip, area])
def test_a_wrong_shape_is_named(function):
    for wrong in (np.zeros((3, 5)), np.float64(1), np.zeros(0)):
        with pytest.raises(ShapeError, match="four numbers in the last axis"):
            function(wrong)
