"""Matching: what is refused."""

import numpy as np
import pytest

from ssd_np.boxes.matching import match
from ssd_np.errors import ConfigError, ShapeError

pytestmark = pytest.mark.lesson03


def test_a_neutral_zone_above_the_threshold_is_refused():
    with pytest.raises(ConfigError, match=r"neutral_threshold 0\.6 is above threshold 0\.5"):
        match(np.array([[0, 0, 1, 1.0]]), np.array([[0, 0, 1, 1.0]]), 0.5, 0.6)


def test_wrong_shapes_are_named():
    with pytest.raises(ShapeError, match="four numbers"):
        match(np.zeros((2, 5)), np.zeros((3, 4)))
