"""Pretraining: crops of single objects, a classifier with exact gradients, and the two commands."""

import dataclasses

import numpy as np
import pytest

from ssd_np.cli import main
from ssd_np.config import TrainConfig, load_config
from ssd_np.data.shapes import ShapesDataset
from ssd_np.errors import DataError
from ssd_np.gradcheck import numeric_gradient, relative_error
from ssd_np.model.archive import read_archive
from ssd_np.model.pretrained import base_names
from ssd_np.model.ssd import SSD
from ssd_np.model.weights import load, save
from ssd_np.records import Sample, Truth
from ssd_np.train.pretrain import Classifier, Crops, accuracy, classifier_config, pretrain

NAMES = ("dark", "bright")


class Spots:
    """Images of 64 x 64 pixels with a dark and a bright square on grey."""

    class_names = NAMES

    def __init__(self, count=20):
        self.count = count

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        image = np.full((64, 64, 3), 128, np.uint8)
        image[4:20, 4 + index : 20 + index] = 10
        image[40:60, 30:50] = 250
        return Sample(image, self.truth(index), f"spots-{index}")

    def truth(self, index):
        boxes = np.array([[4 + index, 4, 20 + index, 20], [30, 40, 50, 60]]) / 64
        return Truth(boxes, [1, 2], size=(64, 64))


@pytest.fixture(scope="module")
def config():
    return classifier_config(load_config("tiny"), NAMES)


def test_each_object_is_a_crop_around_its_box():
    crops = Crops(Spots())
    assert len(crops) == 40 and crops.class_names == NAMES
    dark, bright = crops[6], crops[7]  # of image 3
    assert dark.truth.labels.tolist() == [1] and bright.truth.labels.tolist() == [2]
    assert dark.image.shape == (20, 20, 3)  # 16 pixels and a quarter more
    np.testing.assert_array_equal(dark.image[2:18, 2:18], 10)
    assert (dark.image == 10).all(axis=2).sum() == 256
    assert bright.image.shape == (26, 26, 3) and (bright.image == 250).all(axis=2).sum() == 400


def test_a_crop_ends_at_the_border_and_crowds_are_left_out():
    class Edge(Spots):
        def truth(self, index):
            boxes = np.array([[0, 0, 32, 64], [0, 0, 1, 1]]) / 64
            return Truth(boxes, [1, 1], crowd=[False, True], size=(64, 64))

    crops = Crops(Edge(1))
    assert len(crops) == 1
    assert crops[0].image.shape == (64, 56, 3)  # 80 x 80 around (16, 32), cut


def test_the_classifier_is_the_base_and_sees_a_quarter_of_the_input(config):
    detector = load_config("tiny")
    assert config.input.size == detector.input.size // 4
    assert config.layers[-1].name == detector.base_end
    model = Classifier(config)
    assert set(base_names(detector)) == model.parameters.keys() - {"linear.weight", "linear.bias"}
    images = np.zeros((2, 40, 24, 3), np.float32)  # any size
    assert model.forward(images).shape == (2, 2)


def test_its_gradients_are_the_numeric_ones(config):
    model = Classifier(config, seed=1, dtype=np.float64)
    rng = np.random.default_rng(0)
    images, dlogits = rng.standard_normal((2, 32, 32, 3)), rng.standard_normal((2, 2))
    model.forward(images, training=True)
    model.backward(dlogits)
    for name in ("linear.weight", "linear.bias", "conv5_2.bias", "conv1_1.bias"):
        parameter = model.parameters[name]
        kept = parameter.value.copy()

        def f(value, parameter=parameter):
            parameter.assign(value)
            return model.forward(images)

        numeric = numeric_gradient(f, kept, dlogits, h=1e-6)
        parameter.assign(kept)
        assert np.abs(numeric).max() > 1e-3
        assert relative_error(parameter.grad, numeric) <= 1e-6, name


def test_it_agrees_with_pytorch(config):
    torch = pytest.importorskip("torch")
    model = Classifier(config, seed=1, dtype=np.float64)
    rng = np.random.default_rng(0)
    images, dlogits = rng.standard_normal((2, 32, 32, 3)), rng.standard_normal((2, 2))
    logits = model.forward(images, training=True)
    model.backward(dlogits)
    tensors = {}
    for name, p in model.parameters.items():
        value = p.value.transpose(3, 2, 0, 1) if p.value.ndim == 4 else p.value
        tensors[name] = torch.tensor(value).requires_grad_()
    x = torch.tensor(images).permute(0, 3, 1, 2)
    for layer in config.layers:
        if layer.kind == "pool":
            x = torch.nn.functional.max_pool2d(x, layer.size, layer.stride)
        else:
            w, b = tensors[f"{layer.name}.weight"], tensors[f"{layer.name}.bias"]
            x = torch.nn.functional.conv2d(x, w, b, layer.stride, layer.pad).relu()
    expected = x.mean((2, 3)) @ tensors["linear.weight"] + tensors["linear.bias"]
    assert relative_error(logits, expected.detach().numpy()) <= 1e-10
    expected.backward(torch.tensor(dlogits))
    for name, tensor in tensors.items():
        gradient = tensor.grad.permute(2, 3, 1, 0) if tensor.ndim == 4 else tensor.grad
        assert relative_error(model.parameters[name].grad, gradient.numpy()) <= 1e-8, name


def test_it_learns_to_tell_dark_from_bright(config):
    training = TrainConfig(steps=30, batch_size=8, learning_rate=0.01, warmup_steps=5)
    untrained = Classifier(config, training.seed)
    model, loss = pretrain(config, Spots(), training)
    assert accuracy(model, config, Spots()) == 1.0
    assert accuracy(untrained, config, Spots()) < 1.0
    again, same = pretrain(config, Spots(), training)
    assert same == loss  # the seed decides everything
    for name, parameter in model.parameters.items():
        np.testing.assert_array_equal(parameter.value, again.parameters[name].value)


def test_a_data_set_without_objects_is_refused(config):
    class Empty(Spots):
        def truth(self, index):
            return Truth(np.zeros((0, 4)), [])

    with pytest.raises(DataError, match="shows no object"):
        pretrain(config, Empty(), TrainConfig())


# --- the commands --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    path = tmp_path_factory.mktemp("base") / "base.npz"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ssd_np.commands.datasets.TRAIN_SHAPES", 20)
        patch.setattr("ssd_np.commands.datasets.EVAL_SHAPES", 4)
        assert main(["pretrain", "--config", "tiny", "--steps", "3", "--out", str(path)]) == 0
    return path


def test_pretrain_writes_the_base_alone(base, capsys):
    header, arrays = read_archive(base)
    assert header["base"] is True and list(arrays) == base_names(load_config("tiny"))
    assert main(["pretrain", "--config", "tiny", "--out", str(base)]) == 1
    assert "exists" in capsys.readouterr().err


@pytest.fixture
def few_pictures(monkeypatch):
    monkeypatch.setattr("ssd_np.commands.datasets.EVAL_SHAPES", 4)


def train(out, *arguments):
    return main(["train", "--config", "tiny", "--steps", "2", "--out", str(out), *arguments])


def test_train_from_a_frozen_base_keeps_its_bits(base, tmp_path, few_pictures, capsys):
    out = tmp_path / "run"
    assert train(out, "--base-weights", str(base), "--freeze-base") == 0
    assert f"begins with {base}" in capsys.readouterr().out
    _, arrays = read_archive(base)
    for name in ("best.npz", "last.npz"):
        parameters = load(out / name).parameters
        for tensor, array in arrays.items():
            assert parameters[tensor].value.tobytes() == array.tobytes()
    _, saved = read_archive(out / "last.npz")
    assert not any(f"velocity/{tensor}" in saved for tensor in arrays)


def test_train_from_a_base_frozen_up_to_a_layer(base, tmp_path, few_pictures):
    assert train(tmp_path / "run", "--base-weights", str(base), "--freeze-base", "conv3_1") == 0
    _, arrays = read_archive(base)
    parameters = load(tmp_path / "run" / "last.npz").parameters
    same = [n for n, a in arrays.items() if parameters[n].value.tobytes() == a.tobytes()]
    assert same == [n for n in arrays if n.startswith(("conv1", "conv2", "conv3_1"))]


def test_a_resumed_run_keeps_its_base_frozen(base, tmp_path, few_pictures):
    out = tmp_path / "run"
    assert train(out, "--base-weights", str(base), "--freeze-base") == 0
    assert main(["train", "--resume", str(out)]) == 0


def test_fine_tune_takes_over_all_but_the_class_heads(tmp_path, few_pictures, capsys):
    config = dataclasses.replace(load_config("tiny"), class_names=("cat", "dog"))
    save(tmp_path / "w.npz", SSD(config, seed=3))
    arguments = ["--fine-tune", str(tmp_path / "w.npz"), "--out", str(tmp_path / "run")]
    assert main(["train", "--steps", "1", "--freeze-base", *arguments]) == 0
    tuned, source = load(tmp_path / "run" / "last.npz"), load(tmp_path / "w.npz")
    assert tuned.config.class_names == ShapesDataset.class_names
    old, new = (m.parameters["conv1_1.weight"].value for m in (source, tuned))
    np.testing.assert_array_equal(old, new)
    assert main(["train", "--config", "tiny", *arguments, "--force"]) == 1
    assert "--fine-tune brings its own config" in capsys.readouterr().err


def test_freezing_random_weights_is_refused(tmp_path, capsys):
    assert train(tmp_path / "run", "--freeze-base") == 1
    assert "would freeze random weights" in capsys.readouterr().err
