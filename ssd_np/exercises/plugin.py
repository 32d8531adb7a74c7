"""The option `--exercise FILE` of pytest, in this repository (setup.cfg loads it for its tests)."""

import pytest

from ssd_np.errors import SsdError


def pytest_addoption(parser: pytest.Parser) -> None:
    """Called by pytest before it reads its command line."""
    parser.addoption("--exercise", metavar="FILE", help="grade the functions in this file")


def pytest_configure(config: pytest.Config) -> None:
    """Called by pytest before it imports any test, and with it the library's functions."""
    if not config.option.exercise:
        return
    from ssd_np.exercises.grading import Grader

    try:
        config.pluginmanager.register(Grader(config))
    except SsdError as error:
        raise pytest.UsageError(str(error)) from error
