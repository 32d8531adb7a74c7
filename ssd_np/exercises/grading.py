"""The grader: a plugin of pytest that runs the tests of one exercise on a student's functions.

`ssd-np exercise check FILE` and `pytest --exercise FILE` both come here. The functions are replaced
when pytest is configured, before it imports any test, and put back when it ends.
"""

import os
from collections.abc import Generator
from contextlib import ExitStack
from pathlib import Path
from unittest import mock

import pytest

from ssd_np.exercises import graded
from ssd_np.exercises.calls import Calls
from ssd_np.exercises.in_place import in_place, read
from ssd_np.exercises.report import Failure, explain_failure, test_title, write_report

GRADED = Path(graded.__file__).parent
QUIET = ["-qq", "--no-header", "-rN", "-p", "no:cacheprovider", "--capture=sys"]


def check(path: Path, *options: str) -> int:
    """Grades a student's file, prints the report; 0 if every test passed, else 1."""
    exercise, _ = read(path)  # a file that does not even run is told in one line
    grader = ["-p", "ssd_np.exercises.plugin", f"--exercise={path.resolve()}"]
    code = pytest.main([str(GRADED / exercise.tests), *grader, *QUIET, *options])
    return 0 if code == pytest.ExitCode.OK else 1


class Grader:
    """Registered by `plugin.py` when pytest is called with --exercise."""

    def __init__(self, config: pytest.Config) -> None:
        self.path = Path(config.option.exercise)
        self.exercise, student = read(self.path)
        self.calls, self.passed = Calls(), 0
        self.failures: list[Failure] = []
        self.said = ("", "")  # the first test that printed, and what
        self.borrowed = ExitStack()
        self.borrowed.enter_context(in_place(self.exercise, student, self.calls))
        # where these are set pytest tells all differences of two lists, which may take minutes
        self.borrowed.enter_context(mock.patch.dict(os.environ, CI="", BUILD_NUMBER=""))
        config.args[:] = [str(GRADED / self.exercise.tests)]
        config.option.tbstyle = "no"  # the report says it shorter

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = [item for item in items if item.get_closest_marker("graded")]

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self) -> None:
        self.calls.clear()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        if report.when == "call" and not self.said[1]:
            self.said = (test_title(item), self.calls.first_printed())
        if report.failed:
            self.failures.append(
                explain_failure(item, call.excinfo, self.calls, self.path, self.exercise.results)
            )
        elif report.when == "call":
            self.passed += 1
        return report

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        write_report(terminalreporter, self.exercise, self.failures, self.passed, self.said)

    def pytest_unconfigure(self) -> None:
        self.borrowed.close()
