"""A pretrained base: every kind of file, the thinning of fc6 and fc7, and freezing."""

import dataclasses

import numpy as np
import pytest

from ssd_np.config import ConvLayer, InputConfig, load_config
from ssd_np.errors import WeightsError
from ssd_np.loss.multibox import multibox_loss
from ssd_np.model.pretrained import base_names, decimate, read_base, save_base, set_base
from ssd_np.model.ssd import SSD
from ssd_np.model.weights import load, save
from ssd_np.nn.conv import conv2d_forward
from ssd_np.train.sgd import SGD

WIDTHS = {"conv1": 4, "conv2": 8, "conv3": 16, "conv4": 32, "conv5": 32, "fc6": 64, "fc7": 64}


@pytest.fixture
def torch():
    return pytest.importorskip("torch")


@pytest.fixture(scope="module")
def config():
    """ssd300_voc with a sixteenth of the channels and another normalisation."""
    config = load_config("ssd300_voc")
    layers = tuple(
        dataclasses.replace(layer, channels=layer.channels // 16)
        if isinstance(layer, ConvLayer)
        else layer
        for layer in config.layers
    )
    return dataclasses.replace(
        config, layers=layers, input=InputConfig(300, (1.0, 2.0, 3.0), (4.0, 5.0, 6.0))
    )


def vgg_layers():
    """(name, position in the Sequential, C, Co) of VGG-16's convolutions, narrow."""
    c_in, position, found = 3, 0, []
    for block, count in enumerate((2, 2, 3, 3, 3), 1):
        for i in range(1, count + 1):
            width = WIDTHS[f"conv{block}"]
            found.append((f"conv{block}_{i}", position, c_in, width))
            c_in, position = width, position + 2  # the convolution and its ReLU
        position += 1  # the pooling
    return found


def vgg16(torch, classifier=True):
    """A state dict as of torchvision's vgg16, a sixteenth as wide."""
    torch.manual_seed(0)
    tensors = {}
    for _, position, c_in, c_out in vgg_layers():
        tensors[f"features.{position}.weight"] = torch.randn(c_out, c_in, 3, 3)
        tensors[f"features.{position}.bias"] = torch.randn(c_out)
    if classifier:
        for position, (c_in, c_out) in {0: (32 * 49, 256), 3: (256, 256), 6: (256, 10)}.items():
            tensors[f"classifier.{position}.weight"] = torch.randn(c_out, c_in)
            tensors[f"classifier.{position}.bias"] = torch.randn(c_out)
    return tensors


def write(torch, tmp_path, tensors):
    torch.save(tensors, tmp_path / "base.pth")
    return tmp_path / "base.pth"


def test_decimation_by_hand():
    kernel = np.arange(8 * 2 * 7 * 7).reshape(8, 2, 7, 7)
    thin = decimate(kernel, (2, 2, 3, 3))
    assert thin.shape == (2, 2, 3, 3)
    assert thin[1, 1, 2, 0] == kernel[4, 1, 6, 0] and thin[0, 0, 1, 2] == kernel[0, 0, 3, 6]
    assert decimate(np.arange(4096), (1024,)).tolist() == list(range(0, 4096, 4))


def test_torchvisions_vgg16_becomes_a_base(torch, tmp_path, config):
    tensors = vgg16(torch)
    adapted, base = read_base(write(torch, tmp_path, tensors), config)
    assert list(base) == base_names(config) and len(base) == 30
    for name, position, _, _ in vgg_layers():
        kernel = tensors[f"features.{position}.weight"].permute(2, 3, 1, 0)
        np.testing.assert_array_equal(base[f"{name}.weight"], kernel)
        np.testing.assert_array_equal(base[f"{name}.bias"], tensors[f"features.{position}.bias"])
    # torch's own view of the classifier as a 7x7 convolution, every 4th output, every 3rd tap
    fc6 = tensors["classifier.0.weight"].view(256, 32, 7, 7)[::4, :, ::3, ::3]
    np.testing.assert_array_equal(base["fc6.weight"], fc6.permute(2, 3, 1, 0))
    np.testing.assert_array_equal(base["fc6.bias"], tensors["classifier.0.bias"][::4])
    fc7 = tensors["classifier.3.weight"][::4, ::4]
    np.testing.assert_array_equal(base["fc7.weight"][0, 0], fc7.T)
    np.testing.assert_array_equal(base["fc7.bias"], tensors["classifier.3.bias"][::4])
    assert adapted.input.mean == pytest.approx((0.485 * 255, 0.456 * 255, 0.406 * 255))
    assert adapted.input.std == pytest.approx((0.229 * 255, 0.224 * 255, 0.225 * 255))
    assert dataclasses.replace(adapted, input=config.input) == config
    assert set_base(SSD(adapted), base, "base.pth") == []


def test_thinned_fc6_sees_every_third_pixel_of_a_7x7_window(torch, tmp_path, config):
    """On a map with values at every third pixel only, both give the same outputs."""
    tensors = vgg16(torch)
    _, base = read_base(write(torch, tmp_path, tensors), config)
    sparse = torch.zeros(1, 32, 7, 7)
    sparse[:, :, ::3, ::3] = torch.randn(1, 32, 3, 3)
    full = tensors["classifier.0.weight"] @ sparse.flatten() + tensors["classifier.0.bias"]
    x = sparse.permute(0, 2, 3, 1).numpy()
    thin, _ = conv2d_forward(x, np.ascontiguousarray(base["fc6.weight"]), base["fc6.bias"], 1, 0, 3)
    np.testing.assert_allclose(thin[0, 0, 0], full[::4], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("empty", ["absent", "nan"])
def test_features_without_a_classifier(torch, tmp_path, config, empty):
    """torchvision's vgg16 for SSD has a classifier of NaN, and Caffe's normalisation."""
    tensors = vgg16(torch, classifier=empty == "nan")
    for name, tensor in tensors.items():
        if name.startswith("classifier"):
            tensor[:] = float("nan")
    adapted, base = read_base(write(torch, tmp_path, tensors), config)
    assert len(base) == 26 and adapted.input.mean == (123, 117, 104)
    assert adapted.input.std == (1, 1, 1)
    model, fresh = SSD(adapted), SSD(adapted)
    assert set_base(model, base, "base.pth") == ["fc6", "fc7"]
    for name, parameter in model.parameters.items():
        expected = base[name] if name in base else fresh.parameters[name].value
        np.testing.assert_array_equal(parameter.value, expected)


def test_reducedfc_and_the_base_of_a_whole_detector(torch, tmp_path, config):
    fc = [("fc6", 31, 32, 64, 3), ("fc7", 33, 64, 64, 1)]
    layers = [(*layer, 3) for layer in vgg_layers()] + fc
    reduced = {}
    for _, position, c_in, c_out, kernel in layers:
        reduced[f"{position}.weight"] = torch.randn(c_out, c_in, kernel, kernel)
        reduced[f"{position}.bias"] = torch.randn(c_out)
    whole = {f"vgg.{name}": tensor for name, tensor in reduced.items()}
    whole |= {"L2Norm.weight": torch.ones(32), "loc.0.bias": torch.ones(16)}
    for tensors, prefix in ((reduced, ""), (whole, "vgg.")):
        adapted, base = read_base(write(torch, tmp_path, tensors), config)
        assert adapted.input.mean == (123, 117, 104) and list(base) == base_names(config)
        for name, position, *_ in layers:
            kernel = tensors[f"{prefix}{position}.weight"].permute(2, 3, 1, 0)
            np.testing.assert_array_equal(base[f"{name}.weight"], kernel)


def test_the_base_of_our_own_files(tmp_path, config):
    model = SSD(config, seed=4)
    save(tmp_path / "detector.npz", model)
    arrays = {name: model.parameters[name].value for name in base_names(config)}
    save_base(tmp_path / "base.npz", config, arrays)
    other = dataclasses.replace(config, input=InputConfig(300))
    for name in ("detector.npz", "base.npz"):
        adapted, base = read_base(tmp_path / name, other)
        assert adapted.input == config.input
        assert base.keys() == arrays.keys()
        for key, array in arrays.items():
            np.testing.assert_array_equal(base[key], array)
    with pytest.raises(WeightsError, match=r"base\.npz: holds a pretrained base.*--base-weights"):
        load(tmp_path / "base.npz")


def test_a_gap_and_a_wrong_shape_are_refused(config):
    arrays = {name: SSD(config).parameters[name].value for name in base_names(config)}
    gap = {name: array for name, array in arrays.items() if name != "conv3_2.bias"}
    with pytest.raises(WeightsError, match=r"x\.npz: missing.*\['conv3_2\.bias'\].*conv1_1"):
        set_base(SSD(config), gap, "x.npz")
    with pytest.raises(WeightsError, match="missing"):
        set_base(SSD(config), {}, "x.npz")
    wrong = arrays | {"conv2_1.weight": np.zeros((3, 3, 4, 9), np.float32)}
    with pytest.raises(WeightsError, match=r"x\.npz: conv2_1\.weight: shape \(3, 3, 4, 9\)"):
        set_base(SSD(config), wrong, "x.npz")


def test_a_file_of_something_else_is_refused(torch, tmp_path, config):
    with pytest.raises(WeightsError, match=r"no base known to have tensors \['stem\.weight'\]"):
        read_base(write(torch, tmp_path, {"stem.weight": torch.ones(3)}), config)
    tensors = vgg16(torch) | {"classifier.0.weight": torch.ones(256, 100)}
    with pytest.raises(WeightsError, match=r"classifier\.0\.weight: shape \(256, 100\) is no 7x7"):
        read_base(write(torch, tmp_path, tensors), config)


def test_frozen_tensors_stay_bit_equal_to_the_file_and_cost_nothing(tmp_path):
    config = load_config("tiny")
    source = SSD(config, seed=8)
    save(tmp_path / "base.npz", source)
    config, base = read_base(tmp_path / "base.npz", config)
    model = SSD(config, seed=0)
    set_base(model, base, "base.npz")
    model.freeze(up_to="conv4_1")
    optimiser = SGD(model.parameters, momentum=0.9, weight_decay=5e-4)
    frozen = [n for n in base_names(config) if n.startswith(("conv1", "conv2", "conv3", "conv4_1"))]
    assert frozen and not set(frozen) & set(optimiser.velocity)
    before = {name: p.value.copy() for name, p in model.parameters.items()}
    rng = np.random.default_rng(0)
    count = len(model.default_boxes)
    for _ in range(5):
        images = rng.standard_normal((2, 128, 128, 3)).astype(np.float32)
        labels = rng.integers(0, 40, (2, count))
        labels[labels > 5] = 0
        offsets = rng.standard_normal((2, count, 4)).astype(np.float32)
        loss = multibox_loss(*model.forward(images, training=True), labels, offsets)
        assert model.backward(loss.dlogits, loss.doffsets) is None
        optimiser.step(0.01, 10.0)
    save(tmp_path / "after.npz", model)
    after = load(tmp_path / "after.npz").parameters
    for name, parameter in model.parameters.items():
        if name in frozen:
            assert parameter.grad is None
            assert after[name].value.tobytes() == source.parameters[name].value.tobytes()
        else:
            assert np.abs(parameter.value - before[name]).max() > 0, name


STRANGE = [(), (0,), (1,), (8, 1), (0, 3, 3, 3), (2, 3, 4), (1, 2, 3, 4, 5), (256, 0)]


def test_a_tensor_of_a_strange_shape_is_refused_by_name(torch, config, tmp_path):
    """Every tensor in turn: a bias of two axes, of none, an empty weight, five axes."""
    whole, model = vgg16(torch), SSD(config)
    used = [name for name in whole if not name.startswith("classifier.6")]
    for i, name in enumerate(used):
        for shape in STRANGE[i % 2 :: 2] if name.startswith("features") else STRANGE:
            torch.save(whole | {name: torch.zeros(shape)}, tmp_path / "odd.pth")
            with pytest.raises(WeightsError, match=r"shape \(|missing"):
                set_base(model, read_base(tmp_path / "odd.pth", config)[1], "odd.pth")
