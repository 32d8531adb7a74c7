"""Non-maximum suppression: what is refused."""

import numpy as np
import pytest

from ssd_np.errors import ShapeError
from ssd_np.exercises.graded.test_nms import BOTH

pytestmark = pytest.mark.lesson13


@BOTH
def test_wrong_shapes_are_named(suppress):
    with pytest.raises(ShapeError, match=r"expected \(D, 4\) and \(D,\)"):
        suppress(np.zeros((3, 4)), np.zeros(2))
