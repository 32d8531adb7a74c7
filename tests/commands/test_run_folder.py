"""What a training was told stands in its folder, and comes back: each refusal word for word."""

import argparse
import json
import os

import pytest

from ssd_np.commands.run_folder import SETTINGS, begin, recall
from ssd_np.config import config_to_json, load_config
from ssd_np.data.shapes import ShapesDataset
from ssd_np.data.stored import StoredDataset
from ssd_np.errors import ConfigError, DataError

TOLD = {
    "data": "shapes:0:4", "split": "train", "eval_split": "val", "held_back": [], "eval_data": None,
    "val_split": None, "classes": ["a", "b"], "leave_out_difficult": True, "freeze_base": None,
}  # fmt: skip
AGAIN = {"command": "train", "module": 1, "line": 2, "debug": True, "force": True}
OLD = ("log.csv", "loss.png", "last.npz", "best.npz", "post_mortem.json", "split.json")


def resumed(folder, **given):
    arguments = argparse.Namespace(resume=str(folder), **AGAIN, seed=None, config=None, **given)
    recall(arguments)
    return arguments


def refusal(error, folder, **given):
    with pytest.raises(error) as caught:
        resumed(folder, **given)
    return str(caught.value)


@pytest.fixture
def run(tmp_path):
    for name in OLD:
        (tmp_path / name).write_text("of an earlier run")
    begin(tmp_path, argparse.Namespace(**TOLD), load_config("tiny"), ShapesDataset(0, 4))
    return tmp_path


def test_what_is_told_comes_back(run):
    assert {path.name for path in run.iterdir()} == {"config.json", "run.json"}
    assert (run / "config.json").read_text() == config_to_json(load_config("tiny"))
    assert (run / "run.json").read_text() == json.dumps(TOLD, indent=2) + "\n"
    found = vars(resumed(run, classes=None, freeze_base=False))
    assert {name: found[name] for name in SETTINGS} == TOLD
    assert found["config"] == run / "config.json" and found["seed"] is None
    assert found["resume"] == str(run) and found["command"] == "train"


def test_a_split_that_was_drawn_is_kept(tmp_path):
    data = StoredDataset.__new__(StoredDataset)
    for drawn in ({}, {"train": ["a.jpg"], "val": ["b.jpg"]}):
        data.drawn = drawn
        begin(tmp_path, argparse.Namespace(**TOLD), load_config("tiny"), data)
        assert (tmp_path / "split.json").exists() == bool(drawn)
    assert (tmp_path / "split.json").read_text() == json.dumps(drawn, indent=2) + "\n"


@pytest.mark.parametrize("name, value", [("batch_size", 4), ("val_split", ""), ("steps", 0)])
def test_nothing_else_may_be_given(run, name, value):
    assert refusal(ConfigError, run, **{name: value}) == (
        f"--{name.replace('_', '-')}: a resumed training goes on as it was started (leave it out; "
        "to train the weights further or otherwise, start a new run: "
        "ssd-np train --fine-tune RUN/best.npz)"
    )


HINT = " (give the folder that `ssd-np train` wrote its results to)"
NONE_OF = {"data": None, "split": 3, "eval_split": None, "held_back": None, "classes": "ab",
           "leave_out_difficult": "yes", "freeze_base": 1, "eval_data": ["x"]}  # fmt: skip


@pytest.mark.parametrize("name", NONE_OF)
def test_a_made_up_setting_is_refused(run, name):
    (run / "run.json").write_text(json.dumps(TOLD | {name: NONE_OF[name]}))
    said = f"{run}: holds no training to go on with ({name} is {NONE_OF[name]})" + HINT
    assert refusal(DataError, run) == said


@pytest.mark.parametrize("name", ["classes", "held_back"])
def test_names_are_texts(run, name):
    (run / "run.json").write_text(json.dumps(TOLD | {name: ["a", 3]}))
    assert f"({name} is ['a', 3])" in refusal(DataError, run)


def test_a_long_wrong_value_is_cut(run):
    (run / "run.json").write_text(json.dumps(TOLD | {"data": ["x" * 200]}))
    assert f"(data is ['{'x' * 97})" in refusal(DataError, run)


@pytest.mark.parametrize("text", ["", "[]", "3", "{}", "[" * 100_000, "\xff"])
def test_what_is_no_note_of_a_training_is_refused(run, text):
    (run / "run.json").write_text(text, encoding="latin-1")
    said = refusal(DataError, run)
    assert said.startswith(f"{run}: holds no training to go on with (") and said.endswith(HINT)
    (run / "run.json").unlink()
    assert "no such run.json" in refusal(DataError, run)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no pipes with names")
def test_a_pipe_is_no_note(run):
    """Nobody writes to it, so that reading would wait for ever."""
    (run / "run.json").unlink(missing_ok=True)
    os.mkfifo(run / "run.json")
    assert "run.json: is no regular file" in refusal(DataError, run)
