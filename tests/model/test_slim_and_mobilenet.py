"""The two presets that MobileNet's ideas made: they build, run, train, fold and travel."""

import dataclasses
import json

import numpy as np
import pytest

from ssd_np.bench.twin import torch_network
from ssd_np.boxes.default_boxes import default_boxes, derive_scales
from ssd_np.config import config_from_json, config_to_json, load_config, sized
from ssd_np.data.shapes import ShapesDataset
from ssd_np.engine import select
from ssd_np.errors import ConfigError
from ssd_np.gradcheck import relative_error
from ssd_np.infer.place import place_of
from ssd_np.loss.multibox import multibox_loss
from ssd_np.model.fold import fold_batchnorm
from ssd_np.model.published import from_torch_layout
from ssd_np.model.ssd import SSD
from ssd_np.model.weights import load, save
from ssd_np.train.trainer import Trainer

NAMES = ("slim", "mobilenet_coco")
KNOWN = {  # trained numbers (none below a batch normalisation), boxes, sums of cx, cy, w and h
    "slim": (260_188, 4_420, (2210, 2210, 338.5, 450.0)),
    "mobilenet_coco": (4_000_965, 1_917, (958.5, 958.5, 568.5628, 568.5628)),
}


def outside(seed, config):
    """A batch of two normalised images."""
    shape = (2, *config.input.shape, 3)
    return np.random.default_rng(seed).standard_normal(shape)


@pytest.mark.parametrize("name", NAMES)
def test_published_numbers(name):
    model = SSD(name)
    trained, boxes, sums = KNOWN[name]
    assert sum(p.value.size for p in model.parameters.values() if p.trainable) == trained
    assert model.default_boxes.shape == (boxes, 8)
    np.testing.assert_allclose(model.default_boxes[:, :4].sum(axis=0), sums, atol=1e-4)
    assert config_from_json(config_to_json(model.config)) == model.config


def test_boxes_of_faces():
    """Squares of so many pixels of the input; the highest are cut to the image's height."""
    boxes = default_boxes(load_config("slim"))[:, :4]
    rows = {
        0: (0.0125, 0.0166667, 0.03125, 0.0416667),
        3: (0.0375, 0.0166667, 0.03125, 0.0416667),
        3600: (0.025, 0.0333333, 0.1, 0.1333333),
        4200: (0.05, 0.0625, 0.2, 0.2666667),
        4362: (0.1, 0.125, 0.8, 1.0),
        4419: (0.9, 0.875, 0.8, 1.0),
    }
    np.testing.assert_allclose(boxes[list(rows)], list(rows.values()), atol=1e-7)


def test_boxes_by_scales():
    config = load_config("mobilenet_coco")
    assert [list(map(tuple, m.scales)) for m in config.feature_maps] == [
        [tuple(map(float, pair)) for pair in pairs] for pairs in derive_scales()
    ]
    boxes = default_boxes(config)[:, :4]
    rows = {  # cx, cy, w, h
        1: (0.026316, 0.026316, 0.282843, 0.141421),
        3: (0.078947, 0.026316, 0.1, 0.1),
        1087: (0.05, 0.05, 0.202073, 0.606218),
        1088: (0.05, 0.05, 0.418330, 0.418330),
        1912: (0.5, 0.5, 1.343503, 0.671751),
        1916: (0.5, 0.5, 0.974679, 0.974679),
    }
    np.testing.assert_allclose(boxes[list(rows)], list(rows.values()), atol=1e-6)


def test_scales_are_of_the_shorter_side():
    """A square stays a square where the image is none (TensorFlow's min_im_shape)."""
    config = load_config("mobilenet_coco")
    wide = default_boxes(sized(config, (300, 600)))
    np.testing.assert_allclose(wide[0, 2:4] * (600, 300), (30, 30))


def test_faces_at_other_sizes():
    """The boxes keep their pixels; the author's own counts at the sizes that he names."""
    config, counts = load_config("slim"), {}
    for size in ((96, 128), (120, 160), (360, 480), (480, 640), (960, 1280)):
        other = sized(config, size)
        counts[size] = other.num_boxes
        assert [m.sides for m in other.feature_maps] == [m.sides for m in config.feature_maps]
    assert list(counts.values()) == [708, 1118, 9984, 17_640, 70_500]
    boxes = default_boxes(sized(config, (480, 640)))[:, :4]
    np.testing.assert_allclose(boxes.sum(axis=0), (8820, 8820, 672, 896), atol=1e-9)


def test_boxes_by_height_and_width():
    """A side may be a pair; [24, 16] is 24 pixels high."""
    slim = load_config("slim")
    first = dataclasses.replace(slim.feature_maps[0], sides=(10, [24, 16], (12.5, 40)))
    config = dataclasses.replace(slim, feature_maps=(first, *slim.feature_maps[1:]))
    assert config_from_json(config_to_json(config)) == config
    assert first.boxes_per_cell == 3 and first.sides == (10, (24, 16), (12.5, 40))
    boxes = default_boxes(config)
    np.testing.assert_allclose(boxes[:3, 2:4] * (320, 240), [(10, 10), (16, 24), (40, 12.5)])
    place = place_of(SSD(config), 1)
    assert place.shape == "19.6 1:1.5" and "1.5 times as high as wide" in place.meaning


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("sides", [], r"feature_maps\[0\]\.sides: expected at least one side"),
        ("sides", [8, -1], r"feature_maps\[0\]\.sides: expected pixels above 0"),
        ("sides", [8, [16, 0]], r"feature_maps\[0\]\.sides: expected pixels above 0"),
        ("sides", [[8, 16, 4]], r"feature_maps\[0\]\.sides\[0\]: expected 2 values"),
        ("scales", [[0.1, 1]], r"feature_maps\[0\]\.scales: unknown key"),
        ("kind", "rings", r"kind is 'caffe' or 'listed' or 'scales'"),
        ("head", "1x1", r"feature_maps\[0\]\.head: expected 'full' or 'separable'"),
    ],
)
def test_what_no_map_can_be_is_refused_by_its_path(key, value, words):
    values = json.loads(config_to_json(load_config("slim")))
    values["feature_maps"][0][key] = value
    with pytest.raises(ConfigError, match=words):
        config_from_json(json.dumps(values))


@pytest.mark.parametrize(
    ("name", "engine"), [("slim", "plain"), ("slim", "fast"), ("mobilenet_coco", "fast")]
)
def test_outputs_and_gradients_equal_pytorch(name, engine):
    """In float64, with statistics of the batch: both outputs, and the gradient of every tensor."""
    torch = pytest.importorskip("torch")
    config = sized(load_config(name), (96, 128)) if name == "slim" else load_config(name)
    model = SSD(config, dtype=np.float64, ops=select(engine))
    images = outside(0, config)
    weights, forward = torch_network(torch, model, channels_last=False)
    expected = forward(torch.tensor(images.transpose(0, 3, 1, 2).copy()), True)
    ours = model.forward(images, training=True)
    rng = np.random.default_rng(1)
    upstream = [rng.standard_normal(out.shape) for out in ours]
    for out, theirs in zip(ours, expected, strict=True):
        assert relative_error(out, theirs.detach().numpy()) <= 1e-9
    torch.autograd.backward(expected, [torch.tensor(d) for d in upstream])
    model.backward(*upstream)
    for key, parameter in model.parameters.items():
        if not parameter.trainable:
            assert relative_error(parameter.value, weights[key].numpy()) <= 1e-10, key
            continue
        gradient = from_torch_layout(weights[key].grad.numpy())
        if key.endswith(".bias") and f"{key[:-5]}_bn.scale" in model.parameters:
            assert np.abs(parameter.grad).max() <= 1e-6, key  # the mean takes it away again
        elif not key.endswith(".bias"):
            assert relative_error(parameter.grad, gradient) <= 1e-6, key


@pytest.mark.parametrize("name", NAMES)
def test_folded_it_answers_the_same(name):
    model = SSD(name, dtype=np.float64)
    rng = np.random.default_rng(2)
    for key, parameter in model.parameters.items():
        if key.endswith((".scale", ".shift", ".mean", ".variance")):
            parameter.assign(parameter.value + rng.uniform(0, 0.3, parameter.value.shape))
    images = outside(3, model.config)[:1]
    folded = fold_batchnorm(model)
    assert {layer.kind for layer in folded.config.layers} == {"conv", "depthwise"}
    for ours, theirs in zip(folded.forward(images), model.forward(images), strict=True):
        assert relative_error(ours, theirs) <= 1e-9


@pytest.mark.parametrize("name", NAMES)
def test_it_trains_from_scratch_and_travels(name, tmp_path):
    """Three steps on shapes: a finite loss, every tensor moves that should."""
    shapes = ShapesDataset(seed=5, count=8)
    config = sized(load_config(name), (96, 128)) if name == "slim" else load_config(name)
    training = dataclasses.replace(config.training, steps=3, batch_size=2, warmup_steps=0)
    config = dataclasses.replace(config, class_names=shapes.class_names, training=training)
    model = SSD(config, seed=1)
    before = {key: p.value.copy() for key, p in model.parameters.items()}
    result = Trainer(model, shapes, training, tmp_path / "run").fit()
    assert np.isfinite(result.loss)
    now = {key: p.value for key, p in model.parameters.items()}
    still = {key for key, value in before.items() if np.array_equal(value, now[key])}
    # behind a depthwise layer that is normalised itself a scale is taken away again
    assert not {key for key in still if not key.endswith((".bias", ".scale"))}
    save(tmp_path / "w.npz", model)
    again = load(tmp_path / "w.npz")
    images = outside(4, config).astype(np.float32)[:1]
    np.testing.assert_array_equal(again.predict(images), model.predict(images))


# --- sigmoid scores ------------------------------------------------------------------------------


def test_the_loss_of_sigmoid_scores_is_pytorchs():
    """Column 0 counts for nothing; the costliest negatives by what all classes cost together."""
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    logits, offsets = rng.standard_normal((2, 40, 5)), rng.standard_normal((2, 40, 4))
    labels = np.zeros((2, 40), int)
    labels[0, [3, 8]], labels[1, [0, 39]], labels[0, 9] = (2, 4), (1, 3), -1
    targets = rng.standard_normal((2, 40, 4))
    found = multibox_loss(logits, offsets, labels, targets, scores="sigmoid")
    z = torch.tensor(logits, requires_grad=True)
    one_hot = torch.nn.functional.one_hot(torch.tensor(labels.clip(0)), 5).double()[..., 1:]
    cost = torch.nn.functional.binary_cross_entropy_with_logits(
        z[..., 1:], one_hot, reduction="none"
    ).sum(-1)
    negative = torch.tensor(labels == 0)
    total = cost[torch.tensor(labels > 0)].sum()
    for image in range(2):
        ranked = cost[image][negative[image]].sort(descending=True).values
        total = total + ranked[:6].sum()
    (total / 4).backward()
    assert found.confidence == pytest.approx(float(total.detach()) / 4, rel=1e-12)
    np.testing.assert_allclose(found.dlogits, z.grad.numpy(), rtol=1e-10, atol=1e-15)
    assert not found.dlogits[..., 0].any()
