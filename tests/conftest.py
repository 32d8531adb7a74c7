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


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory):
    """What commands remember of files is not remembered of the tests' in the user's folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def published():
    """The folder of files that others published (.ci/run says which), if this machine has them."""
    root = os.environ.get("SSD_PUBLISHED")
    if not root:
        pytest.skip("SSD_PUBLISHED is not set")
    return Path(root)
