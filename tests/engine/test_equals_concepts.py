"""Every fast function against its concept, forward and backward, on random shapes and layouts.

A case is a function (ops, rng, dtype) -> list of arrays or numbers. It draws its inputs, calls one
or several functions of the table through `ops` and returns what they gave. It is called with equal
generators and both engines, and the fast one also with memory that is kept from call to call.
To cover a new row of the table, add a case to a file `cases_*.py`; a row without one fails here.
"""

import cases_boxes
import cases_data
import cases_nn
import numpy as np
import pytest

from ssd_np.engine import TABLE, select

CASES = {case.__name__: case for case in [*cases_nn.CASES, *cases_boxes.CASES, *cases_data.CASES]}
SEEDS = range(20)
TOLERANCE = {np.float32: 2e-5, np.float64: 1e-11}  # of the largest number of a result


class Recorder:
    """An engine that notes which functions are asked for."""

    def __init__(self, ops, called):
        self.ops, self.called = ops, called

    def __getattr__(self, name):
        if name in TABLE:
            self.called.add(name)
        return getattr(self.ops, name)


@pytest.mark.parametrize("memory", [False, True], ids=["new memory", "kept memory"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("case", CASES)
def test_fast_equals_plain(case, dtype, memory):
    plain, fast = select("plain"), select("fast")
    if memory:
        fast = fast.for_model()
    for seed in SEEDS:
        expected = CASES[case](plain, np.random.default_rng(seed), dtype)
        found = CASES[case](fast, np.random.default_rng(seed), dtype)
        assert len(found) == len(expected) > 0
        for e, f in zip(map(np.asarray, expected), map(np.asarray, found), strict=True):
            assert (f.shape, f.dtype) == (e.shape, e.dtype), f"seed {seed}"
            scale = np.abs(e).max(initial=0)
            np.testing.assert_allclose(
                f, e, rtol=0, atol=TOLERANCE[dtype] * scale, err_msg=f"seed {seed}"
            )


def test_every_row_of_the_table_has_a_case():
    called = set()
    for case in CASES.values():
        for seed in SEEDS:
            case(Recorder(select("plain"), called), np.random.default_rng(seed), np.float64)
    assert called == set(TABLE), "add a case to tests/engine/cases_*.py"
