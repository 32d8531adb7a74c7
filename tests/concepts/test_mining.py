"""Hard negative mining: what is refused."""

import numpy as np
import pytest

from ssd_np.errors import ConfigError, ShapeError
from ssd_np.loss.mining import mine_hard_negatives

pytestmark = pytest.mark.lesson09


def test_wrong_arguments_are_named():
    loss, flags = np.zeros((2, 5)), np.zeros((2, 5), bool)
    with pytest.raises(ShapeError, match=r"\(N, T\)"):
        mine_hard_negatives(loss, flags[:, :4], flags)
    with pytest.raises(ShapeError, match=r"\(N, T\)"):
        mine_hard_negatives(loss[0], flags[0], flags[0])
    with pytest.raises(ConfigError, match=r"per is 'class'.*'image' or per 'batch'"):
        mine_hard_negatives(loss, flags, flags, per="class")
