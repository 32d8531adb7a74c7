"""The plan of the house: who may import whom. Read from the source, not from what is loaded."""

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import ssd_np

ROOT = Path(ssd_np.__file__).parent
ROOMS = [
    *(
        "contents",
        "errors",
        "signatures",
        "checks",
        "files",
        "terminal",
        "progress",
        "picture",
        "records",
        "geometry",
        "config_json",
        "gradcheck",
        "kernels",
        "nn",
        "kinds",
    ),
    *("config", "dialects", "boxes", "loss", "engine", "model", "data", "fit", "infer", "evaluate"),
    *("viz", "train", "explore", "bench", "exercises"),
    *("commands", "cli"),  # these two may import everything, each other too
]
FILES = sorted(ROOT.rglob("*.py"))
ENTRANCES = {"__init__.py", "__main__.py"}  # of the package; they lead everywhere


def imports(path):
    """Every module that a file imports, inside functions too."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            if node.module == "ssd_np":  # from ssd_np import model: a room, not a name
                found += [f"ssd_np.{alias.name}" for alias in node.names]
            else:
                found.append(node.module)
    return found


def is_entrance(path):
    return path.parent == ROOT and path.name in ENTRANCES


def room(path):
    return path.relative_to(ROOT).with_suffix("").parts[0]


def users(package):
    """The files, as paths inside ssd_np, that import a package from outside."""
    return {
        path.relative_to(ROOT).as_posix()
        for path in FILES
        if any(name.split(".")[0] == package for name in imports(path))
    }


def test_every_file_belongs_to_a_room():
    inner = [path for path in FILES if not is_entrance(path)]
    assert {room(path) for path in inner} <= set(ROOMS)
    assert len(FILES) > 40  # the files are where this test looks


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_imports_go_upward(path):
    home = room(path)
    if is_entrance(path) or home not in ROOMS:  # the test above names an unknown room
        return
    for name in imports(path):
        package, _, rest = name.partition(".")
        if package != "ssd_np" or rest == "__version__":
            continue
        other = rest.split(".")[0]
        before = ROOMS[: ROOMS.index(home) + 1]
        allowed = other in before or home == "commands"
        assert allowed, f"{home} imports {name}, which comes later"
        assert (home, other) != ("nn", "boxes"), "nn knows nothing of boxes"


def test_matplotlib_only_in_viz():
    found = users("matplotlib")
    assert found and all(path.startswith("viz/") for path in found)


def test_numba_only_where_kernels_are():
    found = users("numba")
    rooms = ("kernels.py", "engine/")
    assert found and all(path.startswith(rooms) for path in found)


def test_comparison_packages_are_never_needed():
    for package in ("torch", "torchvision", "onnxruntime", "pycocotools", "cv2", "scipy"):
        assert users(package) == set()


INNER = [path for path in FILES if path.name == "__init__.py" and path.parent != ROOT]


@pytest.mark.parametrize("path", INNER, ids=lambda p: p.parent.name)
def test_init_files_are_tables_of_contents(path):
    """Its docstring says what a room is; names are listed, and imported when asked for."""
    assert all((folder / "__init__.py").is_file() for folder in {file.parent for file in FILES})
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert ast.get_docstring(tree)
    package = path.parent.relative_to(ROOT.parent).as_posix().replace("/", ".")
    for node in tree.body[1:]:
        if isinstance(node, ast.If):
            assert ast.unparse(node.test) == "TYPE_CHECKING"
            assert [ast.unparse(line) for line in node.orelse] == [
                "__getattr__, __dir__ = contents(__name__, __file__)"
            ]
        elif isinstance(node, ast.Assign):
            assert ast.unparse(node.targets[0]) == "__all__"
        else:
            assert isinstance(node, ast.ImportFrom)
    for name in dir(importlib.import_module(package)):
        assert getattr(importlib.import_module(package), name) is not None


def test_a_room_offers_its_names_and_loads_nothing_else():
    assert run("import ssd_np.boxes as b; print(b.iou_matrix.__module__)") == ["ssd_np.boxes.iou"]
    loaded = run("from ssd_np.nn import conv2d_forward; import sys; print(*sys.modules)")
    assert "ssd_np.nn.conv" in loaded
    assert {"ssd_np.nn.l2norm", "ssd_np.nn.layers", "ssd_np.boxes"}.isdisjoint(loaded)
    starred = run("from ssd_np import *; print(Detector.__module__, 'os' in globals())")
    assert starred == ["ssd_np.infer.detect", "False"]
    with pytest.raises(AttributeError, match=r"'ssd_np\.boxes' has no attribute 'iou_matrxi'"):
        _ = importlib.import_module("ssd_np.boxes").iou_matrxi


def run(code):
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_importing_the_package_costs_nothing():
    heavy = run(
        "import ssd_np, sys; loaded = {name.split('.')[0] for name in sys.modules};"
        "print(*{'numba', 'matplotlib', 'PIL', 'torch', 'numpy'} & loaded)"
    )
    assert heavy == []


def test_every_name_offered_at_the_top_is_there():
    names = run("import ssd_np; print(*[n for n in dir(ssd_np) if getattr(ssd_np, n) is not None])")
    assert len(names) == 16 and {"SSD", "Detector", "Trainer", "load", "ConfigError"} <= {*names}
    assert "torch" not in run("import ssd_np, sys; ssd_np.SSD, ssd_np.Trainer; print(*sys.modules)")
    with pytest.raises(AttributeError, match="no attribute 'Yolo'"):
        _ = ssd_np.Yolo
