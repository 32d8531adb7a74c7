"""A debugger stops everywhere: the concepts run in the main thread, with and without Numba."""

import ast
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LESSONS = sorted((ROOT / "examples").glob("[0-9][0-9]_*.py"))
STEPPED = [*LESSONS[:9], LESSONS[12]]  # 01 to 09 and 13
PLAIN = {"SSD_NP_ENGINE": "plain"}

# runs argv[1] and writes to argv[2] which functions of the package ran in which thread
WATCH = """
import json, runpy, sys, threading
entered = {}
def note(frame, event, argument):
    if event == "call":
        file, _, inside = frame.f_code.co_filename.rpartition("/ssd_np/")
        if file and not inside.startswith(("viz/", "contents.py", "__init__.py")):
            seen = entered.setdefault(inside.removesuffix(".py") + ":" + frame.f_code.co_name, [])
            if threading.current_thread().name not in seen:
                seen.append(threading.current_thread().name)
script, out, *sys.argv[1:] = sys.argv[1:]
sys.argv[0] = script
threading.setprofile(note)
sys.setprofile(note)
try:
    runpy.run_path(script, run_name="__main__")
finally:
    sys.setprofile(None)
    json.dump(entered, open(out, "w"))
"""


def entered(path, folder, **environment):
    """Function -> names of the threads in which it ran: the Python frames that a debugger sees."""
    done = subprocess.run(
        [sys.executable, "-c", WATCH, str(path), str(folder / "entered.json")],
        cwd=folder,
        env={**os.environ, "MPLBACKEND": "Agg", **PLAIN, **environment},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads((folder / "entered.json").read_text())


def called_concepts(path):
    """The functions of boxes, nn and loss that a lesson imports and calls, as they are entered."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    called = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    found = set()
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.module.split(".")[1:2] in (
            ["boxes"],
            ["nn"],
            ["loss"],
        ):
            file = node.module.removeprefix("ssd_np.").replace(".", "/")
            names = {alias.name for alias in node.names} & called
            found |= {f"{file}:{name}" for name in names if name[0].islower()}
    return found


@pytest.mark.parametrize("path", STEPPED, ids=lambda path: path.stem)
def test_a_breakpoint_in_any_concept_stops_in_the_main_thread(path, tmp_path):
    ran = entered(path, tmp_path, NUMBA_DISABLE_JIT="1")
    assert {name: threads for name, threads in ran.items() if threads != ["MainThread"]} == {}
    assert called_concepts(path) - set(ran) == set()
    functions = [name for name in ran if not name.endswith("<module>")]
    fast = [n for n in functions if n.startswith("engine/") and not n.startswith("engine/table:")]
    assert fast == []


def test_the_lessons_that_are_stepped_through_call_concepts():
    found = set().union(*map(called_concepts, STEPPED))
    assert len(found) >= 20
    assert {"nn/conv:conv2d_forward", "loss/multibox:multibox_loss", "boxes/nms:nms"} <= found


@pytest.mark.parametrize("path", [p for p in LESSONS if p not in STEPPED], ids=lambda p: p.stem)
def test_on_the_plain_engine_a_lesson_runs_in_one_thread(path, tmp_path):
    """Training and its loader included. Lessons 16 and 18 time the fast engine by name."""
    ran = entered(path, tmp_path)
    others = {name: threads for name, threads in ran.items() if threads != ["MainThread"]}
    assert others == {} or path.name.startswith(("16_", "18_"))


def test_a_training_step_runs_in_one_thread(tmp_path):
    script = tmp_path / "train.py"
    script.write_text(
        "from ssd_np.cli import main\n"
        "assert main(['train', '--steps', '1', '--eval-split', 'none', '--out', 'run']) == 0\n"
    )
    ran = entered(script, tmp_path, NUMBA_DISABLE_JIT="1")
    assert {name: threads for name, threads in ran.items() if threads != ["MainThread"]} == {}
    assert {"nn/conv:conv2d_backward", "nn/im2col:_add_back", "nn/sgd:sgd_update"} <= set(ran)


WITHOUT_NUMBA = """
import sys
class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("numba", "llvmlite"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Hidden())
import numpy as np
import ssd_np
from ssd_np import ShapesDataset, Trainer, Detector, SSD, load_config
from ssd_np.boxes import iou_matrix
from ssd_np.nn import conv2d_forward
import dataclasses
assert iou_matrix(np.array([[0, 0, 2, 2.0]]), np.array([[1, 0, 3, 2.0]])).round(3) == 0.333
x = np.arange(9.0).reshape(1, 3, 3, 1)
out, _ = conv2d_forward(x, np.ones((2, 2, 1, 1)), np.zeros(1))
assert out.ravel().tolist() == [8, 12, 20, 24]
model = SSD(load_config("tiny"))
before = {name: p.value.copy() for name, p in model.parameters.items()}
training = dataclasses.replace(model.config.training, steps=1, batch_size=2)
Trainer(model, ShapesDataset(0, 2), training, "run").fit()
assert any((p.value != before[name]).any() for name, p in model.parameters.items())
Detector(model).detect(ShapesDataset(0, 2)[0].image)
assert "numba" not in sys.modules
"""


def test_without_numba_the_concepts_and_a_training_step_run(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_NUMBA],
        cwd=tmp_path,
        env={**os.environ, **PLAIN},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]


def test_the_page_is_what_the_debugger_prints():
    """After a change: python docs/stepping.py."""
    spec = importlib.util.spec_from_file_location("stepping", ROOT / "docs" / "stepping.py")
    stepping = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(stepping)
    assert (ROOT / "docs" / "stepping.md").read_text(encoding="utf-8") == stepping.page()


def test_the_launch_configurations_have_the_settings_of_the_page():
    launch = json.loads((ROOT / ".vscode" / "launch.json").read_text(encoding="utf-8"))
    names = [configuration["name"] for configuration in launch["configurations"]]
    assert names == ["Lesson: current file", "Exercise: check current file"]
    for configuration in launch["configurations"]:
        assert configuration["env"] == {"SSD_NP_ENGINE": "plain", "NUMBA_DISABLE_JIT": "1"}
        assert configuration["justMyCode"] is False  # the library is stepped into
