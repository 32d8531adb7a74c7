"""Published detectors as a base for other classes: what moves where, what rests, and the first step
against torch.optim.SGD."""

import dataclasses

import numpy as np
import pytest

from ssd_np.config import load_config
from ssd_np.errors import WeightsError
from ssd_np.model.pretrained import network_of, read_base, save_base, set_base, trunk_names
from ssd_np.model.ssd import SSD
from ssd_np.model.statistics import measure_statistics
from ssd_np.model.weights import BASE
from ssd_np.train.sgd import SGD

RATE, MOMENTUM, DECAY = 1e-3, 0.9, 5e-4
FILES = pytest.mark.parametrize(
    ("preset", "file", "tensors"),
    [("slim", "version-slim-320.pth", 131), ("mobilenet_coco", "detect.tflite", 175)],
)


def begun(preset, path):
    config, arrays = read_base(path, load_config(preset).with_classes(["apple", "pear"]))
    model = SSD(config)
    assert set_base(model, arrays, str(path)) == []
    return model, arrays


def silent(model):
    """Biases below a batch normalisation, which takes every mean away: their gradient is 0."""
    pairs = zip(model.config.layers, model.config.layers[1:], strict=False)
    return {f"{below.name}.bias" for below, norm in pairs if norm.kind == "batchnorm"}


def step(model):
    """Gradients of random outputs' gradients, and one step of ours."""
    rng = np.random.default_rng(0)
    images = rng.normal(0, 1, (2, *model.config.input.shape, 3)).astype(np.float32)
    outputs = model.forward(images, training=True)
    model.backward(*(rng.standard_normal(out.shape).astype(np.float32) for out in outputs))
    before = {name: p.value.copy() for name, p in model.parameters.items()}
    SGD(model.parameters, MOMENTUM, DECAY).step(RATE)
    return before


@FILES
def test_the_trunk_is_the_files_and_the_heads_are_new(preset, file, tensors, published):
    if file.endswith(".tflite"):
        pytest.importorskip("tflite")
    model, arrays = begun(preset, published / file)
    fresh = SSD(model.config)
    assert len(arrays) == tensors
    for name, parameter in model.parameters.items():
        head = name.startswith(("conf_", "loc_"))
        assert (name in arrays) != head
        expected = fresh.parameters[name].value if head else arrays[name]
        np.testing.assert_array_equal(parameter.value, expected)
    assert model.config.input.mean == load_config(preset).input.mean


@FILES
def test_a_step_moves_all_that_learns_as_pytorch_does(preset, file, tensors, published):
    torch = pytest.importorskip("torch")
    if file.endswith(".tflite"):
        pytest.importorskip("tflite")
    model, _ = begun(preset, published / file)
    before = step(model)
    for name, parameter in model.parameters.items():
        if not parameter.trainable:
            continue
        tensor = torch.tensor(before[name]).requires_grad_()
        tensor.grad = torch.tensor(np.ascontiguousarray(parameter.grad))
        decay = DECAY if parameter.decays and not name.endswith(".bias") else 0.0
        torch.optim.SGD([tensor], RATE, momentum=MOMENTUM, weight_decay=decay).step()
        expected = tensor.detach().numpy()
        np.testing.assert_allclose(parameter.value, expected, rtol=1e-5, atol=1e-6, err_msg=name)
        moved = not np.array_equal(parameter.value, before[name])
        assert moved or name in silent(model), f"{name} rests"


@FILES
def test_what_is_frozen_rests(preset, file, tensors, published):
    if file.endswith(".tflite"):
        pytest.importorskip("tflite")
    model, _ = begun(preset, published / file)
    model.freeze(model.config.base_end)
    before = {name: p.value.copy() for name, p in model.parameters.items()}
    step(model)
    names = [layer.name for layer in model.config.layers]
    frozen = set(names[: names.index(model.config.base_end) + 1])
    for name, parameter in model.parameters.items():
        rests = np.array_equal(parameter.value, before[name])
        assert name in silent(model) or rests == (name.rpartition(".")[0] in frozen), name
        assert rests or name.rpartition(".")[0] not in frozen


def test_the_network_that_a_base_fits(published, tmp_path):
    pytest.importorskip("tflite")
    assert network_of(published / "version-slim-320.pth").name == "slim"
    assert network_of(published / "detect.tflite").name == "small"
    assert network_of(BASE).name == "small"
    mine = dataclasses.replace(load_config("tiny"), name="mine")
    save_base(tmp_path / "b.npz", mine, {})
    assert network_of(tmp_path / "b.npz") == mine


def test_small_begins_with_the_coco_detector_and_computes_what_it_does(published):
    """Trunk and extra layer of `small` are the file's, with a batch's own statistics too."""
    pytest.importorskip("tflite")
    config, arrays = read_base(published / "detect.tflite", load_config("small"))
    assert arrays.keys() == set(trunk_names(config)) and config.input.mean == (128.0,) * 3
    model = SSD(config)
    assert set_base(model, arrays, "detect.tflite") == []
    x = np.random.default_rng(0).normal(0, 0.5, (2, 256, 256, 3)).astype(np.float32)
    as_published = np.concatenate(model.forward(x), axis=2)
    measure_statistics(model, [x])
    learning = np.concatenate(model.forward(x, training=True), axis=2)
    np.testing.assert_allclose(learning, as_published, atol=2e-3 * np.abs(as_published).max())


def test_another_network_is_told_which_config_fits(published):
    with pytest.raises(WeightsError, match="train with --config slim"):
        read_base(published / "version-slim-320.pth", load_config("small"))
    pytest.importorskip("tflite")
    with pytest.raises(WeightsError, match="train with --config mobilenet_coco"):
        read_base(published / "detect.tflite", load_config("slim"))
    _, arrays = begun("slim", published / "version-slim-320.pth")
    with pytest.raises(WeightsError, match=r"missing tensors of the base.* and .* more") as caught:
        set_base(SSD(load_config("ssd300_voc")), arrays, "version-slim-320.pth")
    assert len(str(caught.value)) < 300
    with pytest.raises(WeightsError, match="RFB variant"):
        read_base(published / "version-RFB-320.pth", load_config("slim"))
