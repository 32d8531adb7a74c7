"""`ssd-np train`: what it refuses, what it honours, what it says."""

import dataclasses
import json
import re
import subprocess
import sys

import numpy as np
import pytest
from in_process import run

from ssd_np.cli import COMMANDS, build_parser
from ssd_np.config import config_to_json, load_config, sized
from ssd_np.data.shapes import ShapesDataset
from ssd_np.errors import ConfigError
from ssd_np.model.ssd import SSD
from ssd_np.model.weights import load, save
from ssd_np.train.start import fitted


@pytest.fixture
def few(monkeypatch):
    monkeypatch.setattr("ssd_np.commands.datasets.TRAIN_SHAPES", 20)
    monkeypatch.setattr("ssd_np.commands.datasets.EVAL_SHAPES", 4)


@pytest.fixture
def narrow(tmp_path):
    """A config file of `tiny` with few channels."""
    config = load_config("tiny")
    layers = tuple(
        dataclasses.replace(layer, channels=layer.channels // 8) if layer.kind == "conv" else layer
        for layer in config.layers
    )
    (tmp_path / "narrow.json").write_text(
        config_to_json(dataclasses.replace(config, layers=layers))
    )
    return tmp_path / "narrow.json"


# --- what is evaluated ---------------------------------------------------------------------------


def test_none_is_no_evaluation_for_every_source(capsys, tmp_path, few, narrow):
    argv = ["train", "--config", narrow, "--steps", 1, "--eval-split", "none", "--out"]
    code, out, _ = run(capsys, *argv, tmp_path / "a")
    assert code == 0 and "AP" not in out and not (tmp_path / "a" / "eval.json").exists()
    assert load(tmp_path / "a" / "best.npz")
    code, out, _ = run(capsys, *argv, tmp_path / "b", "--val-split", "none")
    assert code == 0 and load(tmp_path / "b" / "best.npz").config.training.validate_every == 0
    argv = ["pretrain", "--config", narrow, "--steps", 1, "--out", tmp_path / "base.npz"]
    code, out, _ = run(capsys, *argv, "--eval-split", "none")
    assert code == 0 and "named rightly" not in out


def test_other_data_for_the_evaluation(capsys, tmp_path, few, narrow, bccd_root):
    argv = ["train", "--config", narrow, "--steps", 1, "--out", tmp_path / "run"]
    code, _, err = run(capsys, *argv, "--eval-data", f"voc:{bccd_root}")
    assert code == 1 and "unknown class 'WBC' (known: circle" in err
    assert not (tmp_path / "run").exists()
    argv = ["train", "--config", narrow, "--data", f"voc:{bccd_root}", "--split", "val"]
    argv += ["--eval-data", f"voc:{bccd_root}", "--steps", 1, "--out", tmp_path / "run"]
    code, out, err = run(capsys, *argv, "--eval-split", "test+val")
    assert code == 0 and "159 images" in out
    assert "note: 87 of the 159 images that it is evaluated on are images that it learns" in err
    settings = json.loads((tmp_path / "run" / "run.json").read_text())
    assert settings["eval_data"] == f"voc:{bccd_root}"


def test_a_validation_split_chooses(capsys, tmp_path, few, narrow):
    argv = ["train", "--config", narrow, "--steps", 12, "--eval-split", "none"]
    assert run(capsys, *argv, "--val-split", "val", "--out", tmp_path / "run")[0] == 0
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["training"]["validate_every"] == 2  # of 12 steps: at least ten times
    assert fitted_every(validated=True, validate_every=5) == 5  # what a config says counts
    assert fitted_every(validated=False) == 0


def fitted_every(validated, **training):
    config = load_config("tiny")
    rule = dataclasses.replace(config.training, **training)
    config = dataclasses.replace(config, training=rule)
    return fitted(config, ShapesDataset(0, 9), 0, validated=validated).training.validate_every


# --- resume --------------------------------------------------------------------------------------


OPTIONS = [
    action
    for action in build_parser()._subparsers._group_actions[0].choices["train"]._actions
    if action.dest not in ("help", "debug", "resume", "force")
]


@pytest.mark.parametrize("action", OPTIONS, ids=lambda action: action.dest)
def test_resume_takes_no_other_option(capsys, tmp_path, action):
    """Also those that happen to say what the option's default is."""
    option, values = action.option_strings[0], []
    if action.nargs != 0:
        known = {"steps": "5", "epochs": "5", "seed": "0", "data": "shapes", "size": "64x64"}
        known |= {"minutes": "1", "patience": "2"}
        values = [known.get(action.dest.removeprefix("eval_"), "trainval")]
    code, _, err = run(capsys, "train", "--resume", tmp_path, option, *values)
    assert code == 1 and f"{option}: a resumed training goes on as it was started" in err
    assert "--fine-tune RUN/best.npz" in err


def test_a_resume_of_nothing_is_no_new_training(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("", "  "):
        code, _, err = run(capsys, "train", "--resume", name)
        assert code == 2 and "--resume: names nothing" in err
    assert not list(tmp_path.iterdir())


def test_a_stop_before_the_first_checkpoint_advises_what_works(
    capsys, tmp_path, few, narrow, monkeypatch
):
    def stop(*_):
        raise KeyboardInterrupt

    argv = ["train", "--config", narrow, "--steps", 1, "--eval-split", "none"]
    argv += ["--out", tmp_path / "run"]
    with monkeypatch.context() as patched:
        patched.setattr("ssd_np.train.checkpoint.Checkpoint.begin", stop)
        code, _, err = run(capsys, *argv)
    assert code == 130 and "stopped; before its first step: begin again as before" in err
    assert "--resume" not in err
    assert run(capsys, "train", "--resume", tmp_path / "run")[0] == 1
    assert run(capsys, *argv, "--force")[0] == 0  # as it said
    with monkeypatch.context() as patched:
        patched.setattr("ssd_np.train.checkpoint.Checkpoint.begin", stop)
        code, _, err = run(capsys, "train", "--resume", tmp_path / "run")
    assert code == 130 and f"go on with: ssd-np train --resume {tmp_path / 'run'}" in err


# --- length --------------------------------------------------------------------------------------


def test_an_inherited_schedule_that_is_far_too_long_is_refused(capsys, tmp_path, few):
    config = load_config("tiny")
    rule = dataclasses.replace(config.training, steps=40_000, batch_size=32)
    save(tmp_path / "w.npz", SSD(dataclasses.replace(config, training=rule)))
    argv = ["train", "--fine-tune", tmp_path / "w.npz", "--eval-split", "none", "--out"]
    code, _, err = run(capsys, *argv, tmp_path / "a")
    assert code == 1 and not (tmp_path / "a").exists()
    assert "40,000 steps of 32 is 64,000 epochs of these 20 images, more than 200" in err
    assert "--steps or --epochs" in err
    for length in (["--steps", 1], ["--epochs", 1]):
        assert run(capsys, *argv, tmp_path / length[0], *length)[0] == 0


def test_a_schedule_of_ones_own_is_not_refused():
    config, one = load_config("ssd300_voc"), ShapesDataset(0, 1)
    assert fitted(config, one, 0).training.steps == config.training.steps
    assert fitted(config, one, 0, epochs=3, inherited_from="w.npz").training.steps == 1
    at_limit = dataclasses.replace(config.training, steps=200, batch_size=1)
    limit = dataclasses.replace(config, training=at_limit)
    assert fitted(limit, one, 0, inherited_from="w.npz").training.steps == 200
    above = dataclasses.replace(config, training=dataclasses.replace(at_limit, steps=201))
    with pytest.raises(ConfigError, match="201 steps of 1 is 201 epochs of these 1 images"):
        fitted(above, one, 0, inherited_from="w.npz")


# --- size ----------------------------------------------------------------------------------------


def test_a_size_of_ones_own(capsys, tmp_path, few, narrow):
    argv = ["train", "--config", narrow, "--steps", 1, "--eval-split", "none", "--size", "192x96"]
    assert run(capsys, *argv, "--out", tmp_path / "run")[0] == 0
    model = load(tmp_path / "run" / "best.npz")
    assert model.config.input.shape == (96, 192)  # height, width
    first = model.config.feature_maps[0]
    assert (first.shape, first.steps, first.min_size) == ((12, 24), (8, 8), 20 * 96 / 128)
    corner = model.default_boxes[:24, :4]
    assert np.all(corner[:, 2:].max(0) <= 1)
    code, _, _ = run(capsys, "train", "--fine-tune", tmp_path / "run" / "best.npz", *argv[3:],
                     "--out", tmp_path / "more")  # fmt: skip
    assert code == 0 and load(tmp_path / "more" / "best.npz").config.input.shape == (96, 192)


def test_the_published_size_is_what_it_is():
    """Sized to itself, a preset stays; SSD300's steps of its upper maps are the network's."""
    for name in ("tiny", "small", "ssd300_voc", "ssd512_voc"):
        config = load_config(name)
        same = sized(config, config.input.shape)
        for a, b in zip(config.feature_maps, same.feature_maps, strict=True):
            assert (a.shape, a.steps, a.min_size, a.max_size) == (
                b.shape, pytest.approx(b.steps), b.min_size, b.max_size
            )  # fmt: skip
    wide = sized(load_config("ssd300_voc"), (300, 600)).feature_maps
    assert wide[0].shape == (38, 75) and wide[0].steps == (8, 8)
    assert wide[-1].steps == pytest.approx((300, 600 / wide[-1].shape[1]))


@pytest.mark.parametrize("text", ["192", "x", "192x", "0x96", "1x2x3", "192x-96", "axb"])
def test_a_size_that_is_none(capsys, text):
    code, _, err = run(capsys, "train", "--size", text)
    assert code == 2 and err.count("\n") == 1 and "must be" in err


def test_a_size_too_small_for_the_network(capsys, tmp_path):
    argv = ["train", "--config", "ssd300_voc", "--size", "64x64", "--out", tmp_path / "run"]
    code, _, err = run(capsys, *argv)
    assert code == 1 and "64x64 leaves nothing for layer" in err and not (tmp_path / "run").exists()


# --- words ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["ten", "0", "-3", "1.5", "", "99999999999", "3_000", "٣"])
def test_a_number_that_is_none_takes_one_line_that_names_the_limits(capsys, value):
    code, out, err = run(capsys, "train", f"--steps={value}")
    assert code == 2 and out == "" and err.count("\n") == 1
    assert f"must be a whole number from 1 to 2147483647, not '{value}'" in err


@pytest.mark.parametrize("value", ["half", "-0.1", "1.5", "nan", "inf"])
def test_a_share_that_is_none_takes_one_line(capsys, value):
    code, _, err = run(capsys, "detect", "x.png", f"--min-score={value}")
    assert code == 2 and f"must be a number from 0 to 1, not '{value}'" in err


def test_help_has_an_example_everywhere_and_imports_nothing_heavy():
    code = (
        "import sys\nfrom ssd_np.cli import main\n"
        "try: main(sys.argv[1:])\n"
        "except SystemExit: pass\n"
        "heavy = {'numpy', 'numba', 'matplotlib', 'PIL', 'tqdm', 'pytest'} & set(sys.modules)\n"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    actions = [["exercise", action] for action in ("list", "start", "check")]
    for words in ([], *([name] for name in COMMANDS), *actions):
        command = [sys.executable, "-c", code, *words, "--help"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert re.search(r"example: ssd-np( \w|$)", done.stdout), words


@pytest.mark.parametrize("engine", ["plain", "fast"])
def test_version_says_the_engine(capsys, monkeypatch, engine):
    monkeypatch.setenv("SSD_NP_ENGINE", engine)
    code, out, _ = run(capsys, "--version")
    assert code == 0 and re.fullmatch(rf"ssd-np [0-9.]+, engine {engine}\n", out)
    monkeypatch.setenv("SSD_NP_ENGINE", "warp")
    code, _, err = run(capsys, "--version")
    assert code == 2 and "unknown engine 'warp'" in err and err.count("\n") == 1


def test_what_weights_know_is_said(capsys, tmp_path):
    from PIL import Image

    Image.fromarray(ShapesDataset(5, 1)[0].image).save(tmp_path / "p.png")
    argv = ["detect", tmp_path / "p.png", "--out", tmp_path / "d", "--weights"]
    code, out, _ = run(capsys, *argv, "blood_cells")
    assert code == 0 and "microscope pictures of blood smears; it knows Platelets, RBC, WBC" in out
    assert "in other pictures it is wrong, however sure" in out
    code, out, err = run(capsys, *argv, "shapes", "--json", "--force")
    assert "generated pictures of shapes" in err and json.loads(out)
    save(tmp_path / "w.npz", SSD(load_config("ssd300_voc")))
    code, out, _ = run(capsys, *argv, tmp_path / "w.npz", "--force")
    assert "it knows aeroplane, bicycle" in out and "and 12 more" in out and "wrong" not in out
    code, out, _ = run(capsys, "explain", tmp_path / "p.png", "--weights", "blood_cells")
    assert code == 0 and "it knows Platelets, RBC, WBC" in out
