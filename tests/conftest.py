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


def pytest_addoption(parser):
    parser.addoption("--no-skips", action="store_true", help="a test that skips itself fails")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and item.config.option.no_skips:
        report.outcome = "failed"
        report.longrepr = f"skipped, which --no-skips forbids: {report.longrepr}"
    return report
