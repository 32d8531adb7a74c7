"""What an editor and a type checker see of the package: names, although they are imported late."""

import importlib.util
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


def test_mypy_knows_the_names_of_the_rooms(tmp_path):
    if importlib.util.find_spec("mypy") is None:
        pytest.skip("could not import 'mypy'")
    (tmp_path / "use.py").write_text(USE)
    package = str(ssd_np.__path__[0]).removesuffix("/ssd_np")
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--follow-imports=silent", "--strict", "use.py"],
        cwd=tmp_path,
        env={"MYPYPATH": "" if "site-packages" in package else package, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    lines = done.stdout.splitlines()
    types = [line.split('"')[1] for line in lines if "Revealed type" in line]
    assert "boxes" in types[0] or types[0].startswith("def (")
    assert "ssd_np.model.ssd.SSD" in types[1] and types[2].startswith("def (x: ")
    assert "MultiboxLoss" in types[3] and "Any" not in (types[1], types[2])
    (wrong,) = [line for line in lines if "error" in line and "use.py" in line]
    assert "use.py:10" in wrong and 'has no attribute "iou_matrxi"' in wrong
