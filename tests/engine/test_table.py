"""The table of engines: both columns are there, names choose, nothing is imported too early."""

import importlib
import inspect
import pickle
import subprocess
import sys

import numpy as np
import pytest

from ssd_np.engine import NAMES, TABLE, select
from ssd_np.engine.memory import FRESH
from ssd_np.errors import ConfigError


@pytest.mark.parametrize("name", TABLE)
def test_both_columns_define_the_name_with_the_same_arguments(name):
    plain, fast = (getattr(importlib.import_module(module), name) for module in TABLE[name])
    assert plain.__module__ == TABLE[name][0] and fast.__module__ == TABLE[name][1]
    plain, fast = (dict(inspect.signature(f).parameters) for f in (plain, fast))
    memory = fast.pop("memory", None)
    assert memory is None or (memory.default == FRESH and memory.kind is memory.KEYWORD_ONLY)
    described = [[(p.name, p.kind, p.default) for p in each.values()] for each in (plain, fast)]
    assert described[0] == described[1]


@pytest.mark.parametrize("name", NAMES)
def test_an_engine_is_its_column(name, monkeypatch):
    monkeypatch.setenv("SSD_NP_ENGINE", "fast" if name == "plain" else "plain")
    ops = select(name)
    assert ops.name == name
    assert ops.softmax.__module__ == TABLE["softmax"][NAMES.index(name)]
    again = pickle.loads(pickle.dumps(ops))
    assert again.name == name and again.softmax is ops.softmax
    with pytest.raises(AttributeError, match="no function 'sofmax'"):
        _ = ops.sofmax


def test_the_environment_chooses(monkeypatch):
    monkeypatch.delenv("SSD_NP_ENGINE", raising=False)
    assert select().name == "fast"
    for name in NAMES:
        monkeypatch.setenv("SSD_NP_ENGINE", name)
        assert select().name == name
    monkeypatch.setenv("SSD_NP_ENGINE", "slow")
    with pytest.raises(ConfigError, match=r"SSD_NP_ENGINE: unknown engine 'slow'.*plain, fast"):
        select()


def run(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


HIDE_NUMBA = """
import importlib.abc, sys
class Hide(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.split(".")[0] in ("numba", "llvmlite"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Hide())
"""


def test_a_model_runs_and_learns_without_numba():
    """im2col then runs as plain Python; the numbers are those of the fast engine."""
    code = """
import numpy as np
from ssd_np import SSD, load_config
model = SSD(load_config('tiny'), seed=1)
images = np.random.default_rng(0).standard_normal((1, 128, 128, 3)).astype(np.float32)
logits, offsets = model.forward(images, training=True)
model.backward(np.ones_like(logits), np.ones_like(offsets))
from ssd_np.train.sgd import SGD
SGD(model.parameters).step(1e-4)
total = sum(float(np.abs(p.value).sum()) for p in model.parameters.values())
print(model.ops.name, float(np.abs(logits).sum()), total)
"""
    plain = run("import os; os.environ['SSD_NP_ENGINE'] = 'plain'\n" + HIDE_NUMBA + code).split()
    fast = run("import os; os.environ['SSD_NP_ENGINE'] = 'fast'\n" + code).split()
    assert (plain[0], fast[0]) == ("plain", "fast")
    np.testing.assert_allclose([float(n) for n in plain[1:]], [float(n) for n in fast[1:]], 1e-5)


def test_the_fast_engine_without_numba_says_what_to_do():
    said = run(
        HIDE_NUMBA + "from ssd_np.engine import select\n"
        "try: select('fast').softmax\nexcept Exception as error: print(repr(error))"
    )
    assert "ConfigError" in said and "set SSD_NP_ENGINE=plain" in said


def test_the_plain_column_needs_no_numba():
    found = run(
        HIDE_NUMBA + "import ssd_np\nfrom ssd_np.engine import TABLE, select\n"
        "ops = select('plain')\nfor name in TABLE: getattr(ops, name)\n"
        "print({'numba', 'threadpoolctl'} & set(sys.modules))"
    )
    assert found.strip() == "set()"
