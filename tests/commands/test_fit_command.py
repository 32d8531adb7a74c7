"""`ssd-np config --fit` and the end of `check-data`: what fitting decides, and what it changes."""

import json

import numpy as np
import pytest
from in_process import run
from PIL import Image

from ssd_np.config import config_from_json, load_config
from ssd_np.model.pretrained import save_base, trunk_names

CORNERS = ("xmin", "ymin", "xmax", "ymax")


@pytest.fixture
def poles(tmp_path):
    """A folder of VOC's layout with splits train and val: thin poles in portrait pictures."""
    root, rng = tmp_path / "poles", np.random.default_rng(0)
    for folder in ("Annotations", "JPEGImages", "ImageSets/Main"):
        (root / folder).mkdir(parents=True)
    for i in range(24):
        x, y = rng.integers(5, 85), rng.integers(5, 60)
        box = (x, y, x + rng.integers(9, 12), y + rng.integers(70, 90))
        image = np.full((160, 100, 3), rng.integers(120, 200), np.uint8)
        image[box[1] : box[3], box[0] : box[2]] = 30
        Image.fromarray(image).save(root / "JPEGImages" / f"{i}.png")
        sides = "".join(f"<{k}>{v}</{k}>" for k, v in zip(CORNERS, box, strict=True))
        (root / "Annotations" / f"{i}.xml").write_text(
            f"<annotation><filename>{i}.png</filename><object><name>pole</name>"
            f"<bndbox>{sides}</bndbox></object></annotation>"
        )
    for split, names in (("train", range(16)), ("val", range(16, 24))):
        text = "\n".join(map(str, names))
        (root / "ImageSets" / "Main" / f"{split}.txt").write_text(text)
    return f"voc:{root}"


def test_a_fitted_config_is_printed_and_its_reasons_beside_it(capsys, poles, tmp_path):
    code, out, err = run(capsys, "config", "--fit", poles)
    config = config_from_json(out)
    assert code == 0 and config.class_names == ("pole",)
    height, width = config.input.shape
    assert height > width
    assert err.startswith("split train\n16 images, usually 100 x 160 pixels, 16 objects")
    assert "100% of the images are portrait" in err and "network small" in err
    code, told, err = run(capsys, "config", "--fit", poles, "--out", tmp_path / "c.json")
    assert code == 0 and err == "" and told.endswith(f"config: {tmp_path / 'c.json'}\n")
    assert (tmp_path / "c.json").read_text() == out
    code, _, err = run(capsys, "config", "--fit", poles, "--out", tmp_path / "c.json")
    assert code == 1 and "--force" in err
    # it is a config like any other
    code, table, _ = run(capsys, "config", tmp_path / "c.json", "--trace")
    assert code == 0 and config.layers[0].name in table


def test_another_split_and_a_base(capsys, poles, tmp_path):
    code, out, err = run(capsys, "config", "--fit", poles, "--split", "val")
    assert code == 0 and "8 images" in err
    other = load_config("slim")
    base = {name: np.zeros(1, np.float32) for name in trunk_names(other)}
    save_base(tmp_path / "b.npz", other, base)
    code, out, err = run(capsys, "config", "--fit", poles, "--base-weights", tmp_path / "b.npz")
    assert "network slim" in err
    assert config_from_json(out).layers[0] == other.layers[0]
    code, out, err = run(capsys, "config", "--fit", poles, "--from-scratch")
    assert code == 0 and "network scratch" in err and '"depthwise"' not in out
    picture = tmp_path / "boxes.png"
    code, *_ = run(capsys, "config", "--fit", poles, "--draw", picture)
    assert code == 0 and np.asarray(Image.open(picture)).shape[1] > 1000  # two panels


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["small", "--split", "val"], "--split: belongs to --fit DATA"),
        (["small", "--from-scratch"], "--from-scratch: belongs to --fit DATA"),
        (["small", "--out", "new.json"], "--out: belongs to --fit DATA"),
        (["small", "--fit", "voc:x"], "--fit makes its own config (leave small out)"),
        (["--fit", "voc:nothing"], "nothing: no such folder"),
    ],
)
def test_what_does_not_go_together(capsys, argv, words):
    code, _, err = run(capsys, "config", *argv)
    assert code == 1 and words in err and err.count("\n") == 1


def test_check_data_ends_with_what_fitting_would_change(capsys, poles):
    code, out, _ = run(capsys, "check-data", poles, "--split", "train")
    last = out.splitlines()[-1]
    assert code == 0 and f"fitted to this data: ssd-np config --fit {poles} --split train" in out
    assert last.startswith("not covered: ") and "boxes of small, 0.0% with " in last
    code, out, _ = run(capsys, "check-data", poles, "--split", "train", "--json")
    report = json.loads(out)
    assert report["fitted"]["uncovered"] == 0 < report["coverage"]["uncovered"]
    assert report["fitted"]["reasons"][0].startswith("network small: separable")


def test_check_data_fits_nothing_to_data_that_stops_the_training(capsys, poles):
    argv = ["check-data", poles, "--split", "train", "--json", "--classes", "tree"]
    code, out, _ = run(capsys, *argv)
    assert code == 1 and json.loads(out)["fitted"] == {}
