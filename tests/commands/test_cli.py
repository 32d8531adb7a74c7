"""The command line as a user meets it: what it prints, writes, and says when something is wrong."""

import json
import re
import subprocess
import sys

import numpy as np
import pytest
from in_process import run
from PIL import Image

from ssd_np.cli import main
from ssd_np.config import load_config
from ssd_np.data.shapes import ShapesDataset
from ssd_np.model.ssd import SSD
from ssd_np.model.weights import load, save

COMMANDS = ["train", "eval", "check-data", "detect", "config"]


@pytest.fixture
def weights(tmp_path):
    path = tmp_path / "w.npz"
    save(path, SSD(load_config("tiny")))
    return path


@pytest.fixture
def picture(tmp_path):
    path = tmp_path / "ein Bild.png"
    Image.fromarray(ShapesDataset(5, 1)[0].image).save(path)
    return path


@pytest.mark.parametrize("command", COMMANDS)
def test_help_ends_with_an_example(capsys, command):
    code, out, _ = run(capsys, command, "--help")
    assert code == 0 and f"example: ssd-np {command}" in out


def test_python_m_is_the_same_command():
    shown = subprocess.run(
        [sys.executable, "-m", "ssd_np", "config", "tiny"], capture_output=True, check=True
    )
    assert json.loads(shown.stdout)["name"] == "tiny"


@pytest.mark.parametrize(
    "argv",
    [
        [],
        ["fly"],
        ["train", "--steps", "0"],
        ["train", "--steps", "1", "--epochs", "1"],
        ["train", "--seed", "-1"],
        ["train", "--data", "voc:"],
        ["train", "--data", "imagenet"],
        ["detect"],
        ["detect", "a.png", "--min-score", "1.5"],
        ["eval"],
    ],
)
def test_a_wrong_command_line_is_exit_code_2(capsys, argv):
    code, _, err = run(capsys, *argv)
    assert code == 2 and "usage:" in err


@pytest.mark.parametrize(
    "argv, words",
    [
        (["config", "huge"], "no such config: 'huge'"),
        (["eval", "none.npz"], "none.npz: no such weights file"),
        (["train", "--config", "none.json"], "no such config"),
        (["train", "--data", "voc:/nowhere"], "/nowhere"),
        (["detect", "none.jpg", "--weights", "none.npz"], "no such weights file"),
    ],
)
def test_anything_else_is_exit_code_1_and_one_line(capsys, argv, words):
    code, _, err = run(capsys, *argv)
    assert code == 1
    assert err.startswith("ssd-np: ") and words in err and err.count("\n") == 1


def test_an_unexpected_error_is_one_line_and_a_traceback_with_debug(capsys, monkeypatch):
    def broken(_):
        raise ZeroDivisionError("boom")

    monkeypatch.setattr("ssd_np.commands.config.run", broken)
    code, _, err = run(capsys, "config", "tiny")
    assert code == 1 and err.count("\n") == 1 and "ZeroDivisionError: boom" in err
    with pytest.raises(ZeroDivisionError):
        main(["config", "tiny", "--debug"])


def test_config_lists_presets_and_prints_one(capsys):
    code, out, _ = run(capsys, "config")
    assert code == 0 and "1344 default boxes, 5 classes" in out
    code, out, _ = run(capsys, "config", "small")
    assert code == 0 and json.loads(out)["input"]["size"] == 256


def test_train_from_start_to_pictures(capsys, tmp_path):
    config = json.loads(json.dumps(json.loads(run(capsys, "config", "tiny")[1])))
    for layer in config["layers"]:
        if layer["kind"] == "conv":
            layer["channels"] //= 4
    (tmp_path / "narrow.json").write_text(json.dumps(config))
    out = tmp_path / "out"
    argv = ["train", "--config", tmp_path / "narrow.json", "--steps", 2, "--out", out, "--seed", 4]
    code, text, _ = run(capsys, *argv)
    assert code == 0
    names = {path.name for path in out.iterdir()}
    assert names == {
        "best.npz", "config.json", "confusion.png", "eval.json", "last.npz", "log.csv", "loss.png",
        "precision_recall.png", "run.json", "worst.png",
    }  # fmt: skip
    assert "2 steps in" in text and "500 generated images" in text and "triangle" in text
    report = json.loads((out / "eval.json").read_text())
    assert report["images"] == 500
    assert load(out / "best.npz").config.training.steps == 2
    assert load(out / "best.npz").config.training.seed == 4
    code, _, err = run(capsys, *argv)  # the folder is taken now
    assert code == 1 and "not empty" in err and "--force" in err
    code, text, _ = run(capsys, "train", "--resume", out)
    assert code == 0 and "going on at step 2 of 2" in text
    code, _, err = run(capsys, "train", "--resume", tmp_path)
    assert code == 1 and "holds no training to go on with" in err


def test_detect_draws_and_prints_a_table(capsys, tmp_path, weights, picture):
    out = tmp_path / "drawn"
    argv = ["detect", picture, "--weights", weights, "--out", out, "--min-score", "0.2"]
    code, text, _ = run(capsys, *argv)
    assert code == 0 and "ein Bild.png" in text
    drawn = np.asarray(Image.open(out / "ein Bild.png"))
    assert drawn.shape == (384, 384, 3)


def test_detect_asks_several_detectors_and_tells_the_rate(capsys, tmp_path, weights, picture):
    """Together they find what each finds alone, by its own names; two pictures have a rate."""
    second = tmp_path / "second.png"
    second.write_bytes(picture.read_bytes())
    reports = []
    for k, files in enumerate(([weights], ["shapes"], [weights, "shapes"])):
        argv = [word for file in files for word in ("--weights", file)]
        argv += [picture, second, "--min-score", "0.2", "--json", "--out", tmp_path / f"d{k}"]
        code, text, err = run(capsys, "detect", *argv)
        assert code == 0 and re.search(r"^2 images in [\d.]+ s, [\d.]+ a second$", err, re.M)
        reports.append(json.loads(text))
    for one, other, both in zip(*reports, strict=True):
        key = {"key": lambda found: (found["class"], found["box_pixels"], found["score"])}
        alone = one["detections"] + other["detections"]
        assert sorted(both["detections"], **key) == sorted(alone, **key)
        scores = [found["score"] for found in both["detections"]]
        assert scores == sorted(scores, reverse=True)


def test_detect_prints_json(capsys, tmp_path, weights, picture):
    argv = ["detect", picture, "--weights", weights, "--out", tmp_path / "d", "--json"]
    code, text, _ = run(capsys, *argv, "--min-score", "0")
    report = json.loads(text)[0]
    assert code == 0 and report["size"] == {"width": 128, "height": 128}
    assert len(report["detections"]) == 200
    for found in report["detections"]:
        assert found["class"] in load(weights).config.class_names
        assert 0 <= found["score"] <= 1
        assert all(0 <= v <= 128 for v in found["box_pixels"])


def test_detect_goes_on_past_a_bad_image(capsys, tmp_path, weights, picture):
    folder = tmp_path / "pictures"
    folder.mkdir()
    (folder / "cut.jpg").write_bytes(b"\xff\xd8\xff\xe0 no more")
    (folder / "good.png").write_bytes(picture.read_bytes())
    (folder / "notes.txt").write_text("not an image")
    code, text, err = run(capsys, "detect", folder, "--weights", weights, "--out", tmp_path / "d")
    assert code == 1
    assert "cut.jpg" in err and "1 of 2 images could not be read or drawn" in err
    assert "good.png" in text and (tmp_path / "d" / "good.png").is_file()


def test_two_images_of_one_name_do_not_overwrite_each_other(capsys, tmp_path, weights, picture):
    other = tmp_path / "other"
    other.mkdir()
    (other / picture.name).write_bytes(picture.read_bytes())
    out = tmp_path / "d"
    argv = ["detect", picture, other / picture.name, "--weights", weights, "--out", out]
    assert run(capsys, *argv)[0] == 0
    assert {p.name for p in out.iterdir()} == {"ein Bild.png", "ein Bild-2.png"}


def test_train_and_eval_on_photographs(capsys, tmp_path, bccd_root):
    """The degenerate boxes are named by file and object and left out."""
    out = tmp_path / "cells"
    argv = ["train", "--data", f"voc:{bccd_root}", "--split", "train", "--eval-split", "val"]
    code, text, _ = run(capsys, *argv, "--steps", 1, "--out", out)
    assert code == 0 and "185 images, classes: Platelets, RBC, WBC" in text
    assert "chosen by 20 more images of train" in text and "split val, 87 images" in text
    code, text, _ = run(
        capsys, "eval", out / "best.npz", "--data", f"voc:{bccd_root}", "--out", tmp_path / "e",
        "--metric", "voc07",
    )  # fmt: skip
    assert code == 0 and "11-point" in text
    assert json.loads((tmp_path / "e" / "eval.json").read_text())["images"] == 72


def test_degenerate_boxes_are_reported(capsys, tmp_path, bccd_root, weights):
    from ssd_np.commands.datasets import training_data

    training_data(f"voc:{bccd_root}", "trainval", 0)
    training_data(f"voc:{bccd_root}", "test", 0)
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 3 and lines[0].endswith("split trainval: objects left out: 2")
    assert "BloodImage_00338" in lines[1] and "BloodImage_00343" in lines[2]
