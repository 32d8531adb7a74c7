"""The option `--exercise FILE` of pytest, and the graded tests among all others.

setup.cfg loads it for the repository's tests, `ssd-np exercise check` for itself.
"""

from pathlib import Path

import pytest

from ssd_np.errors import SsdError
from ssd_np.exercises import graded

LESSONS = 19  # of the course: each has its mark


def pytest_addoption(parser: pytest.Parser) -> None:
    """Called by pytest before it reads its command line."""
    parser.addoption("--exercise", metavar="FILE", help="grade the functions in this file")


def pytest_configure(config: pytest.Config) -> None:
    """Called by pytest before it imports any test, and with it the library's functions."""
    config.addinivalue_line("markers", "graded: a test of an exercise; its results, nothing else")
    for number in range(1, LESSONS + 1):
        marker = f"lesson{number:02}: lesson {number:02} of the course (examples/{number:02}_*.py)"
        config.addinivalue_line("markers", marker)
    if not config.option.exercise:
        if config.args_source is pytest.Config.ArgsSource.TESTPATHS:  # all tests were asked for
            config.args.append(str(Path(graded.__file__).parent))
        return
    from ssd_np.exercises.grading import Grader

    try:
        config.pluginmanager.register(Grader(config))
    except SsdError as error:
        raise pytest.UsageError(str(error)) from error
