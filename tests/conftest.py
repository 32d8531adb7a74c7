"""What several test files share."""

import os
from pathlib import Path

import numpy as np
import pytest


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def bccd_root():
    """The folder of the BCCD photographs, if this machine has them."""
    root = os.environ.get("BCCD_ROOT")
    if not root:
        pytest.skip("BCCD_ROOT is not set")
    return Path(root)
