"""Weights files of the package: round trip, and what is said of files that do not fit."""

import dataclasses
import json

import numpy as np
import pytest

from ssd_np.cli import main
from ssd_np.config import config_to_json, load_config
from ssd_np.errors import WeightsError
from ssd_np.model.archive import write_archive
from ssd_np.model.ssd import SSD
from ssd_np.model.weights import load, read_torch, save

TINY = load_config("tiny")


@pytest.fixture
def file(tmp_path):
    """A function that writes tiny's weights with some tensors replaced, or left out (None)."""

    def write(config=TINY, header=None, **changes):
        arrays = {name: p.value for name, p in SSD(config, seed=2).parameters.items()}
        for name, array in changes.items():
            arrays[name.replace("__", ".")] = array
        arrays = {name: array for name, array in arrays.items() if array is not None}
        header = {"config": config_to_json(config)} if header is None else header
        write_archive(tmp_path / "w.npz", header, arrays)
        return tmp_path / "w.npz"

    return write


def test_a_saved_model_comes_back_whole(tmp_path):
    config = dataclasses.replace(TINY, class_names=("a", "b"))
    model = SSD(config, seed=5)
    save(tmp_path / "w.npz", model)
    back = load(tmp_path / "w.npz")
    assert back.config == config
    assert list(back.parameters) == list(model.parameters)
    for name, parameter in model.parameters.items():
        np.testing.assert_array_equal(back.parameters[name].value, parameter.value)
    images = np.random.default_rng(0).standard_normal((1, 128, 128, 3)).astype(np.float32)
    for ours, theirs in zip(back.forward(images), model.forward(images), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def refusal(path):
    with pytest.raises(WeightsError) as caught:
        load(path)
    assert "w.npz" in str(caught.value)
    return str(caught.value)


def test_missing_and_surplus_tensors_are_named(file):
    message = refusal(file(conv3_1__bias=None, extra=np.zeros(3)))
    assert "missing tensors: ['conv3_1.bias']; surplus: ['extra']" in message


def test_a_wrong_shape_is_named(file):
    message = refusal(file(conv3_1__bias=np.zeros(7, np.float32)))
    assert "conv3_1.bias: shape (7,) float32, the network has" in message


def test_integers_are_no_weights(file):
    kept = SSD(TINY).parameters["conv3_1.bias"].value
    assert "conv3_1.bias" in refusal(file(conv3_1__bias=kept.astype(np.int32)))


def test_a_header_without_a_usable_config_is_refused(file):
    assert "carries no config" in refusal(file(header={}))
    assert "carries no config" in refusal(file(header={"config": 5}))
    values = json.loads(config_to_json(TINY)) | {"colour": "red"}
    assert "its config is refused: config: colour: unknown key" in refusal(
        file(header={"config": json.dumps(values)})
    )


def test_a_config_of_absurd_size_is_refused_before_a_network_is_built(file):
    wide = dataclasses.replace(TINY.layers[0], channels=10_000_000)
    config = dataclasses.replace(TINY, layers=(wide, *TINY.layers[1:]))
    message = refusal(file(header={"config": config_to_json(config)}))
    assert "numbers, its config needs 3," in message  # thousand millions


def test_a_pytorch_file_is_no_weights_file_and_the_message_says_what_to_do(tmp_path):
    torch = pytest.importorskip("torch")
    torch.save({"x": torch.arange(3.0)}, tmp_path / "w.npz")
    assert read_torch(tmp_path / "w.npz")["x"].tolist() == [0, 1, 2]
    assert "ssd-np import" in refusal(tmp_path / "w.npz")


def test_the_config_command_traces_a_network(capsys):
    assert main(["config", "ssd300_voc", "--trace"]) == 0
    lines = capsys.readouterr().out.splitlines()
    row = next(line.split() for line in lines if line.startswith("fc6"))
    assert row == ["fc6", "conv", "3x3", "dil", "6", "19", "x", "19", "x", "1024", "4,719,616",
                   "1,703,411,712", "420"]  # fmt: skip
    assert "26,285,486" in lines[-1] and "8,732 boxes" in lines[-1]
    assert main(["config", "--trace"]) == 1
    assert "which config?" in capsys.readouterr().err
    assert main(["config", "SSD500"]) == 1
    assert "SSD512" in capsys.readouterr().err
