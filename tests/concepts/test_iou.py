"""IoU: what is refused."""

import numpy as np
import pytest

from ssd_np.boxes.iou import iou_matrix
from ssd_np.errors import ShapeError

pytestmark = pytest.mark.lesson03


def test_a_wrong_shape_is_named():
    with pytest.raises(ShapeError, match="b_corner has shape"):
        iou_matrix(np.zeros((2, 4)), np.zeros((2, 8)))
