"""Networks of one channel: kernels summed over the colours, data, augmentation, training, files."""

import dataclasses

import numpy as np
import pytest
from PIL import Image

from ssd_np.bench.twin import torch_network
from ssd_np.config import (
    AugmentationConfig,
    InputConfig,
    config_from_json,
    config_to_json,
    load_config,
)
from ssd_np.data.image import preprocess, to_grey
from ssd_np.data.pipeline import augment
from ssd_np.data.shapes import ShapesDataset
from ssd_np.dialects import in_dialect
from ssd_np.errors import ConfigError, ShapeError, WeightsError
from ssd_np.explore.build import runs_in_page
from ssd_np.gradcheck import relative_error
from ssd_np.infer.detect import Detector
from ssd_np.infer.explain import explain
from ssd_np.kinds.depthwise import DepthwiseLayer
from ssd_np.model.fold import fold_batchnorm
from ssd_np.model.grey import grey_model
from ssd_np.model.pretrained import base_names, read_base, save_base
from ssd_np.model.published import MAKERS, to_published
from ssd_np.model.ssd import SSD
from ssd_np.model.trace import trace
from ssd_np.model.weights import export_torchvision, load, load_torch, save
from ssd_np.records import Sample, Truth
from ssd_np.train.trainer import Trainer
from ssd_np.viz.augmentation import augmentation_figure
from ssd_np.viz.explain import mined_figure


def grey_config(name="tiny", **changes):
    config = load_config(name)
    given = dataclasses.replace(config.input, channels=1, **changes)
    return dataclasses.replace(config, input=given)


def grey_picture(side=128, seed=0):
    """A grey picture, smooth enough that no rounding of a resize shows; (side, side) uint8."""
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (side, side), dtype=np.uint8)


# --- the network ---------------------------------------------------------------------------------


@pytest.mark.parametrize("std", [(1.0, 1.0, 1.0), (58.4, 57.1, 57.4)])
def test_the_summed_network_equals_pytorch_s_of_three_channels(std):
    """A grey picture, repeated three times, through PyTorch; once through the network of one."""
    torch = pytest.importorskip("torch")
    config = load_config("tiny")
    config = dataclasses.replace(config, input=InputConfig(128, (118.0,) * 3, std))
    colour = SSD(config, seed=4, dtype=np.float64)
    grey = grey_model(colour)
    assert grey.config.input.channels == 1 and grey.config.input.mean == (118.0,)
    picture = grey_picture()
    _, forward = torch_network(torch, colour, channels_last=False)
    seen = preprocess(np.repeat(picture[..., None], 3, axis=2), config)[None].astype(np.float64)
    expected = forward(torch.tensor(seen.transpose(0, 3, 1, 2).copy()))
    ours = grey.forward(preprocess(picture, grey.config)[None].astype(np.float64))
    for mine, theirs in zip(ours, expected, strict=True):
        assert relative_error(mine, theirs.detach().numpy()) <= 1e-6  # images are float32


def test_of_different_means_only_the_border_differs():
    """The first layer: equal inside, and at a padded border by the means' distance alone."""
    config = dataclasses.replace(load_config("tiny"), input=InputConfig(128))
    colour = SSD(config, seed=4, dtype=np.float64)
    grey = grey_model(colour)
    picture = grey_picture()
    maps = []
    for model in (colour, grey):
        image = np.repeat(picture[..., None], 3, axis=2)
        seen = preprocess(image, model.config)[None].astype(np.float64)
        layer = model.stages[0].layers[0]
        layer.activation = "none"
        maps.append(layer.forward(seen)[0])
    difference = np.abs(maps[0] - maps[1])
    assert difference[1:-1, 1:-1].max() <= 1e-4  # numbers of hundreds, from float32 images
    weights = np.abs(colour.parameters["conv1_1.weight"].value).sum(axis=(0, 1, 2)).max()
    assert 1e-2 < difference.max() <= 11 * weights  # the means lie 11 grey levels apart


def test_a_network_that_begins_otherwise_is_named():
    tiny = load_config("tiny")
    layers = DepthwiseLayer("first"), *tiny.layers
    model = SSD(dataclasses.replace(tiny, layers=layers))
    with pytest.raises(ConfigError, match=r"layer 'first': is dw 3x3, which mixes no colours"):
        grey_model(model)


def test_without_a_bias_the_constant_goes_into_the_normalisation_behind():
    """The colours' means differ; the inner cells, which see no border, answer the same."""
    model = SSD("slim", dtype=np.float64)
    given = dataclasses.replace(model.config.input, mean=(120.0, 127.0, 130.0))
    model.config = dataclasses.replace(model.config, input=given)
    small = grey_model(model)
    x = np.random.default_rng(3).integers(0, 256, (1, 240, 320, 1)).astype(np.float64)
    ours, theirs = (
        net.stages[0].layers[1].forward(net.stages[0].layers[0].forward(values).copy())
        for net, values in (
            (small, (x - small.config.input.mean[0]) / 128),
            (model, (x - np.array(given.mean)) / 128),
        )
    )
    assert relative_error(ours[:, 1:, 1:], theirs[:, 1:, 1:]) <= 1e-10
    assert np.abs(small.parameters["block0.mean"].value).max() > 0.01


def test_published_weights_are_summed_where_the_config_is_grey(tmp_path):
    voc = load_config("ssd300_coco")
    colour = SSD(in_dialect(voc, "torchvision"), seed=1)
    export = tmp_path / "published.npz"
    (maker,) = (maker for maker in MAKERS if maker.name == "torchvision")
    arrays = to_published(maker, colour)
    np.savez(export, **arrays)  # as torchvision has it: no config
    grey = load_torch(export, grey_config("ssd300_coco"))
    expected = grey_model(colour)
    assert grey.config.input == expected.config.input
    assert grey.parameters["conv1_1.weight"].value.shape == (3, 3, 1, 64)
    for name, parameter in expected.parameters.items():
        np.testing.assert_array_equal(grey.parameters[name].value, parameter.value, err_msg=name)
    with pytest.raises(WeightsError, match="sees grey images"):
        export_torchvision(tmp_path / "out.npz", grey)


def test_a_base_of_colours_begins_a_grey_network_and_a_grey_one_too(tmp_path):
    tiny, config = load_config("tiny"), grey_config()
    colour = SSD(tiny, seed=2)
    names = base_names(tiny)
    save_base(tmp_path / "b.npz", tiny, {name: colour.parameters[name].value for name in names})
    read, arrays = read_base(tmp_path / "b.npz", config)
    expected = grey_model(colour)
    assert read.input == expected.config.input
    for name in names:
        np.testing.assert_array_equal(arrays[name], expected.parameters[name].value)
    save_base(tmp_path / "g.npz", read, arrays)
    again, same = read_base(tmp_path / "g.npz", config)
    assert again == read and all(np.array_equal(same[name], arrays[name]) for name in names)
    with pytest.raises(ConfigError, match="mean: expected 3 values"):
        read_base(tmp_path / "g.npz", tiny)


# --- config and data -----------------------------------------------------------------------------


def test_the_config_of_one_channel():
    config = grey_config()
    assert (config.input.mean, config.input.std) == ((127.5,), (64.0,))
    given = InputConfig(64, channels=1)
    assert given.mean == (pytest.approx((123 + 117 + 104) / 3),) and given.std == (1.0,)
    assert config_from_json(config_to_json(config)) == config
    given = InputConfig(64, mean=[128], std=[64], channels=1)
    assert (given.mean, given.std) == ((128.0,), (64.0,))
    assert trace(config)[0].parameters == 3 * 3 * 1 * 24 + 24
    for changes, words in (
        ({"channels": 2}, r"channels: expected 1 \(grey\) or 3"),
        ({"mean": (1, 2)}, "mean: expected 3 values"),
        ({"channels": 1, "std": (0,)}, "std: expected numbers above 0"),
    ):
        with pytest.raises(ConfigError, match=words):
            InputConfig(64, **changes)


def test_colour_becomes_grey_as_pillow_makes_it_and_grey_stays():
    colour = ShapesDataset(0, 1)[0].image
    expected = np.asarray(Image.fromarray(colour).convert("L"))
    np.testing.assert_array_equal(to_grey(colour)[..., 0], expected)
    grey = grey_picture()
    for same in (grey, grey[..., None], np.repeat(grey[..., None], 3, axis=2)):
        np.testing.assert_array_equal(to_grey(same)[..., 0], grey)
        sample = Sample(same, Truth([], []), "grey")
        assert sample.image.shape == (128, 128, 3) and sample.truth.size == (128, 128)
        np.testing.assert_array_equal(to_grey(sample.image)[..., 0], grey)
    for resize in ("antialias", "half_pixel"):
        config = grey_config(resize=resize, mean=(127.5,), std=(1.0,))
        seen = preprocess(colour, config)
        assert seen.shape == (128, 128, 1) and seen.dtype == np.float32
        np.testing.assert_allclose(seen[..., 0], expected - 127.5, rtol=1e-5)


def test_augmentation_of_grey_is_that_of_equal_colours():
    """Boxes and windows as ever; of the light only what grey has."""
    config = dataclasses.replace(grey_config(), augmentation=AugmentationConfig())
    seen = set()
    for i, sample in enumerate(ShapesDataset(0, 12)):
        image, boxes, labels, history = augment(sample, config, np.random.default_rng(i))
        assert image.shape == (128, 128, 1) and np.isfinite(image).all()
        assert len(boxes) == len(labels)
        seen |= {step.name for step in history}
    assert {"brightness", "contrast", "expand", "crop", "horizontal_flip"} <= seen
    assert not seen & {"saturation", "hue", "lighting_noise"}


# --- end to end ----------------------------------------------------------------------------------


def test_a_grey_network_trains_travels_detects_and_explains(tmp_path):
    data = ShapesDataset(1, 8)
    config = dataclasses.replace(grey_config(), class_names=data.class_names)
    short = dataclasses.replace(config.training, steps=3, batch_size=2)
    model = SSD(config, seed=0)
    Trainer(model, data, short, tmp_path, validation=ShapesDataset(2, 3)).fit()
    again = load(tmp_path / "last.npz")
    assert again.config == model.config
    detector, sample = Detector(again, score_threshold=0.0), data[0]
    found = detector.detect(sample.image)
    assert len(found) > 0 and found == Detector(model, score_threshold=0.0).detect(sample.image)
    grey = to_grey(sample.image)
    for same in (grey, grey[..., 0], Image.fromarray(sample.image), Image.fromarray(grey[..., 0])):
        other = detector.detect(same)
        assert other == found and "<img" in other._repr_html_()
    assert list(detector.detect_all([sample.image])) == [found]
    with pytest.raises(ShapeError, match=r"expects \(N, 128, 128, 1\)"):
        again.forward(np.zeros((1, 128, 128, 3), np.float32))
    report = explain(again, sample.image, sample.truth)
    mined_figure(sample.image, report.mining, tmp_path / "mined.png")
    augmentation_figure(sample, config, np.random.default_rng(0), tmp_path / "strip.png")
    assert not runs_in_page(again)
    folded = fold_batchnorm(again)
    save(tmp_path / "folded.npz", folded)
    assert load(tmp_path / "folded.npz").config == folded.config
