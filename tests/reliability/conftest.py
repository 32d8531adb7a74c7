"""Reliability tests: full counts with `pytest -m reliability`, a quick subset otherwise."""

import sys
from pathlib import Path

import numpy as np
import pytest
from fuzzing import of_hypothesis
from training_runs import narrow_config, write_voc

from ssd_np.errors import SsdError

HERE = Path(__file__).parent
sys.path.append(str(HERE.parent / "commands"))  # test_outputs.py knows every command
OUTCOMES = ("passed", "failed", "error")
FULL = 40  # inputs of a scheduled run for each one in a quick run


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
    """A table of what was tried, and what of it was lost."""
    rows = [
        (report.nodeid.split("::")[-1], text, lost)
        for outcome, lost in (
            ("passed", "nothing"),
            ("failed", "see above"),
            ("error", "see above"),
        )
        for report in terminalreporter.stats.get(outcome, [])
        for name, text in report.user_properties or [("reliability", outcome)]
        if name == "reliability" and HERE.name in report.nodeid and text != "passed"
    ]
    if rows:
        terminalreporter.section("reliability")
        for row in [("test", "tried", "lost"), ("---",) * 3, *rows]:
            terminalreporter.write_line(f"| {' | '.join(row)} |")


@pytest.fixture(scope="session")
def voc(tmp_path_factory):
    """A folder in Pascal VOC's layout with eight generated pictures, all in the split "all"."""
    return write_voc(tmp_path_factory.mktemp("voc"), 8)


@pytest.fixture
def config():
    return narrow_config()


@pytest.fixture
def attack(full, tell):
    """attack(count, make, read, error): reads `count` inputs; every refusal must be an `error`."""

    def run(count, make, read, error):
        rng = np.random.default_rng(count)
        read_well = refused = 0
        for i in range(count * FULL if full else count):
            content = make(rng)
            try:
                read(content)
                read_well += 1
            except SsdError as raised:
                assert isinstance(raised, error), f"input {i}: {type(raised)}: {raised}"
                assert "\n" not in str(raised) or "\n" in str(content), f"input {i}"
                refused += 1
            except Exception as leak:
                raise AssertionError(f"input {i} of {make}: {content[:2000]!r}") from leak
        assert refused > 0
        tell(f"{read_well + refused} inputs, {refused} refused, {read_well} read, no other error")

    return run


@pytest.fixture
def examples(full, tell):
    """examples(count, strategy, read, error): `count` examples of hypothesis, always the same."""

    def run(count, strategy, read, error):
        count *= FULL if full else 1
        of_hypothesis(strategy, count, read, error)
        tell(f"{count} inputs")

    return run
