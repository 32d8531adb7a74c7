"""The weights that come with the package still measure what the README says of them."""

import re
from pathlib import Path

import numpy as np
import pytest

from ssd_np.commands.datasets import evaluation_data
from ssd_np.config import load_config
from ssd_np.data.batches import Batches
from ssd_np.data.shapes import ShapesDataset
from ssd_np.evaluate.average_precision import evaluate_voc
from ssd_np.evaluate.run import detect_dataset
from ssd_np.model.archive import write_archive
from ssd_np.model.pretrained import read_base, set_base, trunk_names
from ssd_np.model.ssd import SSD
from ssd_np.model.statistics import measure_statistics
from ssd_np.model.weights import BASE, SHIPPED, contents_of, load, locate

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


def test_eight_bits_cost_at_most_0_005_of_map(tmp_path):
    """Of a detector that learned in full, and is then written so."""
    model, dataset = load("shapes"), ShapesDataset(seed=1_000_003, count=60)
    write_archive(tmp_path / "w.npz", *contents_of(model), eight_bits=True)
    assert (tmp_path / "w.npz").stat().st_size < 0.3 * locate("shapes").stat().st_size
    scores = [
        evaluate_voc(*detect_dataset(one, dataset)).mean_ap
        for one in (model, load(tmp_path / "w.npz"))
    ]
    assert scores[0] > 0.9 and abs(scores[1] - scores[0]) <= 0.005


def test_blood_cells_tells_how_it_was_made():
    """By the default command, from the base that comes with the package, and not from `test`."""
    model = load("blood_cells")
    training, *base = model.provenance
    assert training.command.startswith("ssd-np train --data voc:BCCD")
    assert [used.split for used in training.data] == ["trainval", "trainval, held back"]
    assert training.metric and training.metric.on == "voc:BCCD, split trainval, held back"
    assert any("detect.tflite" in line.command for line in base)
    names = [layer.name for layer in model.config.layers]
    assert names == [layer.name for layer in load_config("small").layers][: len(names)]


def test_they_are_small_enough_to_ship():
    sizes = {path.stem: path.stat().st_size for path in SHIPPED.glob("*.npz")}
    assert {"shapes", "blood_cells", "base"} <= sizes.keys()
    assert sizes["base"] <= 4e6 and sum(sizes.values()) <= 14e6


def test_the_base_is_that_of_small_and_computes_the_same_with_a_batch_of_photographs(bccd_root):
    """Also in 8 bits: the statistics of any photographs are near those that it was given."""
    config, arrays = read_base(BASE, load_config("small"))
    model = SSD(config)
    assert set_base(model, arrays, str(BASE)) == [] and arrays.keys() == set(trunk_names(config))
    dataset = evaluation_data(f"voc:{bccd_root}", "val", None)
    with Batches(dataset, config, batch_size=8, seed=0, augment=False) as batches:
        images = next(iter(batches)).images
    measure_statistics(model, [images])
    logits = [model.forward(images, training)[0].ravel() for training in (False, True)]
    assert np.corrcoef(*logits)[0, 1] > 0.999


def test_the_notice_stands_beside_the_base():
    text = (BASE.parent / "base.LICENSE.txt").read_text(encoding="utf-8")
    assert "Apache License" in text and "Version 2.0" in text and "detect.tflite" in text
