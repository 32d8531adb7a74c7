"""The graded tests of the concepts that pick, run on their fast versions."""

import inspect

import pytest

from ssd_np.engine import TABLE, select
from ssd_np.exercises.graded import test_iou, test_matching, test_mining, test_nms

MODULES = (test_iou, test_matching, test_mining, test_nms)


def by_hand():
    """The tests of these modules that need no more than numbers."""
    for module in MODULES:
        for name, test in vars(module).items():
            if name.startswith("test_") and {*inspect.signature(test).parameters} <= {"rng"}:
                yield pytest.param(module, test, id=name)


@pytest.mark.parametrize(("module", "test"), [*by_hand()])
def test_on_the_fast_engine(module, test, rng, monkeypatch):
    for name in TABLE:
        if hasattr(module, name):
            monkeypatch.setattr(module, name, getattr(select("fast"), name))
    test(**{name: rng for name in inspect.signature(test).parameters})
