"""IoU: what is refused."""

import numpy as np
import pytest

from ssd_np.errors import ShapeError
from ssd_np.exercises.graded.test_iou import BOTH

pytestmark = pytest.mark.lesson03


@BOTH
def test_a_wrong_shape_is_named(iou):
    with pytest.raises(ShapeError, match="b_corner has shape"):
        iou(np.zeros((2, 4)), np.zeros((2, 8)))
