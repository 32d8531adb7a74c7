"""The weights that come with the package still measure what the README says of them."""

import re
from pathlib import Path

import pytest

from ssd_np.commands.datasets import evaluation_data
from ssd_np.evaluate.average_precision import evaluate_voc
from ssd_np.evaluate.run import detect_dataset
from ssd_np.model.weights import SHIPPED, load

README = Path(__file__).parents[2] / "README.md"


def figure_in_readme(name: str) -> float:
    row = re.search(rf"^\| `{name}` \|.*\| (0\.\d+) \|$", README.read_text(), re.MULTILINE)
    assert row, f"the README has no figure for {name}"
    return float(row[1])


def measure(name: str, data: str) -> float:
    model = load(name)
    dataset = evaluation_data(data, "test", model.config.class_names)
    return evaluate_voc(*detect_dataset(model, dataset)).mean_ap


def test_shapes():
    measured = measure("shapes", "shapes")
    assert measured == pytest.approx(figure_in_readme("shapes"), abs=0.002)
    assert measured >= 0.85


def test_blood_cells(bccd_root):
    measured = measure("blood_cells", f"voc:{bccd_root}")
    assert measured == pytest.approx(figure_in_readme("blood_cells"), abs=0.002)
    assert measured >= 0.88


def test_they_are_small_enough_to_ship():
    sizes = {path.stem: path.stat().st_size for path in SHIPPED.glob("*.npz")}
    assert {"shapes", "blood_cells"} <= sizes.keys()
    assert sum(sizes.values()) <= 6e6
