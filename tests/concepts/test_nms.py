"""Non-maximum suppression: what is refused."""

import numpy as np
import pytest

from ssd_np.boxes.nms import nms
from ssd_np.errors import ShapeError

pytestmark = pytest.mark.lesson13


def test_wrong_shapes_are_named():
    with pytest.raises(ShapeError, match=r"expected \(D, 4\) and \(D,\)"):
        nms(np.zeros((3, 4)), np.zeros(2))
