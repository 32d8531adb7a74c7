"""Reliability tests: full counts with `pytest -m reliability`, a quick subset otherwise."""

from pathlib import Path

import pytest
from training_runs import narrow_config, write_voc

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items):
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.reliability)


@pytest.fixture
def full(request) -> bool:
    """Whether this is the long, scheduled run."""
    return request.config.option.markexpr == "reliability"


@pytest.fixture
def tell(record_property):
    """tell("20 kills, nothing lost"): a line of the summary at the end."""
    return lambda line: record_property("reliability", line)


def pytest_terminal_summary(terminalreporter):
    reports = terminalreporter.stats.get("passed", [])
    lines = [(report.nodeid.split("::")[-1], text) for report in reports
             for name, text in report.user_properties if name == "reliability"]  # fmt: skip
    if lines:
        terminalreporter.section("reliability")
    for name, text in lines:
        terminalreporter.write_line(f"{name}: {text}")


@pytest.fixture(scope="session")
def voc(tmp_path_factory):
    """A folder in Pascal VOC's layout with eight generated pictures, all in the split "all"."""
    return write_voc(tmp_path_factory.mktemp("voc"), 8)


@pytest.fixture
def config():
    return narrow_config()
