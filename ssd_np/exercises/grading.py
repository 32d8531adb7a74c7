"""The grader: a plugin of pytest that runs the tests of one exercise on a student's functions.

`ssd-np exercise check FILE` and `pytest --exercise FILE` both come here. The functions are replaced
when pytest is configured, before it imports any test, and put back when it ends.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from ssd_np.errors import DataError
from ssd_np.exercises.calls import Calls
from ssd_np.exercises.catalog import NOT_GRADED, Exercise
from ssd_np.exercises.in_place import in_place, read
from ssd_np.exercises.report import explain_failure, write_report

QUIET = ["-qq", "--no-header", "-rN", "-p", "no:cacheprovider", "--capture=sys"]


def check(path: Path, *options: str) -> int:
    """Grades a student's file, prints the report; 0 if every test passed, else 1."""
    exercise, _ = read(path)  # a file that does not even run is told in one line
    tests = find_tests(exercise)
    code = pytest.main([str(tests), f"--exercise={path.resolve()}", *QUIET, *options])
    return 0 if code == pytest.ExitCode.OK else 1


def find_tests(exercise: Exercise) -> Path:
    """The file of tests in a clone of the repository: here, above, or around the package."""
    here = Path.cwd()
    for folder in (here, *here.parents, Path(__file__).parents[2]):
        if (folder / "tests" / "conftest.py").is_file():
            tests = folder / "tests" / exercise.tests
            if tests.is_file():
                return tests
    raise DataError(
        f"no tests/{exercise.tests} in {here} or above",
        hint="an exercise is checked in a clone of the repository, which has the tests",
    )


class Grader:
    """Registered by `plugin.py` when pytest is called with --exercise."""

    def __init__(self, config: pytest.Config) -> None:
        self.path = Path(config.option.exercise)
        self.exercise, student = read(self.path)
        self.calls, self.failures, self.passed = Calls(), [], 0
        self.borrowed = ExitStack()
        self.borrowed.enter_context(in_place(self.exercise, student, self.calls))
        config.args[:] = [str(find_tests(self.exercise))]
        config.option.tbstyle = "no"  # the report says it shorter

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = [item for item in items if not any(word in item.name for word in NOT_GRADED)]

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self) -> None:
        self.calls.clear()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo
    ) -> Iterator[pytest.TestReport]:
        report = yield
        if report.failed:
            self.failures.append(explain_failure(item, call.excinfo, self.calls, self.path))
        elif report.when == "call":
            self.passed += 1
        return report

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        write_report(terminalreporter, self.exercise, self.failures, self.passed)

    def pytest_unconfigure(self) -> None:
        self.borrowed.close()
