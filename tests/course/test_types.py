"""What an editor and a type checker see of the package: names, although they are imported late."""

import importlib
import importlib.util
import pkgutil
import subprocess
import sys

import pytest

import ssd_np

USE = """
import ssd_np
import ssd_np.boxes
from ssd_np import nn
from ssd_np.loss import multibox_loss
reveal_type(ssd_np.boxes.iou_matrix)
reveal_type(ssd_np.SSD)
reveal_type(nn.conv2d_forward)
reveal_type(multibox_loss)
ssd_np.boxes.iou_matrxi
"""


ROOMS = ("ssd_np", *(f"ssd_np.{room.name}" for room in pkgutil.iter_modules(ssd_np.__path__)
                     if room.ispkg and room.name not in ("commands", "exercises")))  # fmt: skip


def mypy(code, folder):
    """The lines that mypy says of a file with this code."""
    if importlib.util.find_spec("mypy") is None:
        pytest.skip("could not import 'mypy'")
    (folder / "use.py").write_text(code)
    package = str(ssd_np.__path__[0]).removesuffix("/ssd_np")
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--follow-imports=silent", "--strict", "use.py"],
        cwd=folder,
        env={"MYPYPATH": "" if "site-packages" in package else package, "HOME": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.splitlines()


def test_every_name_that_a_room_offers_is_known_with_its_type(tmp_path):
    names = [(room, name) for room in ROOMS for name in dir(importlib.import_module(room))
             if not name.startswith("_")]  # fmt: skip
    assert len(names) > 300
    imports = [f"from {room} import {name} as n{i}" for i, (room, name) in enumerate(names)]
    lines = mypy(
        "\n".join([*imports, *(f"reveal_type(n{i})" for i in range(len(names)))]), tmp_path
    )
    assert not [line for line in lines if ": error: " in line]
    types = [line.split('"')[1] for line in lines if "Revealed type" in line]
    assert len(types) == len(names)
    assert [pair for pair, kind in zip(names, types, strict=True) if kind == "Any"] == []


def test_mypy_knows_the_names_of_the_rooms(tmp_path):
    lines = mypy(USE, tmp_path)
    types = [line.split('"')[1] for line in lines if "Revealed type" in line]
    assert "boxes" in types[0] or types[0].startswith("def (")
    assert "ssd_np.model.ssd.SSD" in types[1] and types[2].startswith("def (x: ")
    assert "MultiboxLoss" in types[3] and "Any" not in (types[1], types[2])
    (wrong,) = [line for line in lines if "error" in line and "use.py" in line]
    assert "use.py:10" in wrong and 'has no attribute "iou_matrxi"' in wrong
