"""A network in which a deep map gives a shallow one its context: every way through the package."""

import dataclasses
import itertools
import json

import numpy as np
import pytest
from test_kinds import MERGED, with_layers

from ssd_np.bench.rivals import onnx_forward
from ssd_np.bench.twin import torch_network
from ssd_np.config import (
    Config,
    FeatureMapConfig,
    TrainConfig,
    config_from_json,
    config_to_json,
    load_config,
    sized,
)
from ssd_np.data.shapes import ShapesDataset
from ssd_np.engine import select
from ssd_np.errors import ConfigError
from ssd_np.explore.build import Shown, page, runs_in_page
from ssd_np.explore.maps import stored_maps
from ssd_np.gradcheck import relative_error
from ssd_np.infer.detect import Detector
from ssd_np.kinds.batchnorm import BatchNormLayer
from ssd_np.kinds.conv import ConvLayer
from ssd_np.kinds.merge import MergeLayer
from ssd_np.model.fold import fold_batchnorm, folded_config, unfolded
from ssd_np.model.pretrained import base_names, read_base, save_base, set_base
from ssd_np.model.published import from_torch_layout
from ssd_np.model.receptive_field import receptive_fields
from ssd_np.model.ssd import SSD
from ssd_np.model.trace import tensors, trace, trace_table
from ssd_np.model.weights import load, save
from ssd_np.train.pretrain import classifier_config, pretrain
from ssd_np.train.sgd import SGD
from ssd_np.train.trainer import Trainer

CONTEXT = (
    MergeLayer("top", "conv5_2"),
    ConvLayer("mix5", 24, kernel=1, pad=0),
    MergeLayer("middle", "conv4_2"),
    ConvLayer("mix4", 24, kernel=1, pad=0),
    ConvLayer("smooth", 24),
)


def pyramid(size=128, **changes) -> Config:
    """`tiny`, narrow, with maps of its own and one more on top, merged down to conv4_2's cells."""
    tiny = load_config("tiny")
    layers = tuple(
        dataclasses.replace(layer, channels=8 + i) if isinstance(layer, ConvLayer) else layer
        for i, layer in enumerate(tiny.layers)
    )
    last = FeatureMapConfig("smooth", None, None, 20, 30)
    config = dataclasses.replace(
        tiny, layers=(*layers, *CONTEXT), feature_maps=(*tiny.feature_maps, last), **changes
    )
    return config if size == 128 else sized(config, (size, size))


def outputs(model, seed=0):
    shape = (2, *model.config.input.shape, 3)
    images = np.random.default_rng(seed).standard_normal(shape).astype(model.dtype)
    return model.forward(images)


@pytest.mark.parametrize("engine", ["plain", "fast"])
@pytest.mark.parametrize("frozen", [None, "conv3_1", "conv4_2", "conv5_1", "conv6_2", "mix4"])
def test_every_gradient_is_pytorchs(engine, frozen):
    """A lateral that is a feature map too gets three gradients; what is frozen gets none."""
    torch = pytest.importorskip("torch")
    model = SSD(pyramid(60), dtype=np.float64, ops=select(engine))
    if frozen:
        model.freeze(frozen)
    rng = np.random.default_rng(0)
    images = rng.standard_normal((2, 60, 60, 3))
    weights, forward = torch_network(torch, model, channels_last=False)
    for _ in range(2):  # in memory that was used before, too
        expected = forward(torch.tensor(images.transpose(0, 3, 1, 2).copy()), True)
        ours = model.forward(images, training=True)
        for out, theirs in zip(ours, expected, strict=True):
            assert relative_error(out, theirs.detach().numpy()) <= 1e-10
        upstream = [rng.standard_normal(out.shape) for out in ours]
        for tensor in weights.values():
            tensor.grad = None
        torch.autograd.backward(expected, [torch.tensor(d) for d in upstream])
        model.backward(*upstream)
    for name, parameter in model.parameters.items():
        if not parameter.trainable:
            assert parameter.grad is None, name
            continue
        assert (
            relative_error(parameter.grad, from_torch_layout(weights[name].grad.numpy())) <= 1e-8
        ), name


@pytest.mark.parametrize("engine", ["plain", "fast"])
def test_inference_in_chains_is_training_layer_by_layer(engine):
    """Separable layers are computed in one call, but a lateral inside of them is kept."""
    layers = folded_config(load_config("slim")).layers[:12]
    for lateral in [layer.name for layer in layers[1:-1:2]]:
        merge = MergeLayer("join", lateral), ConvLayer("mix", 8, kernel=1, pad=0)
        model = SSD(with_layers(*layers, *merge, size=48), ops=select(engine))
        images = np.random.default_rng(1).standard_normal((2, 48, 48, 3)).astype(np.float32)
        kept = [out.copy() for out in model.forward(images, training=True)]
        for out, training in zip(model.forward(images), kept, strict=True):
            assert relative_error(out, training) <= 1e-5, lateral


def test_the_table_counts_what_is_built():
    config = pyramid(60)
    model, rows = SSD(config), {row.name: row for row in trace(config)}
    shapes = {name: p.value.shape for name, p in model.parameters.items()}
    assert dict(sorted(tensors(config).items())) == dict(sorted(shapes.items()))
    images = np.zeros((1, 60, 60, 3), np.float32)
    for name, out in model.outputs(images):
        assert out.shape[1:] == rows[name].output, name
    deep, fine = rows["mix5"].output, rows["conv4_2"].output
    assert fine[:2] == (7, 7) and deep[:2] == (3, 3)  # no multiple
    assert rows["middle"].output == (*fine[:2], deep[2] + fine[2])
    assert rows["middle"].parameters == rows["middle"].multiply_adds == 0
    assert rows["mix4"].parameters == (deep[2] + fine[2]) * 24 + 24
    assert "merge" in trace_table(config)


def test_the_receptive_field_holds_all_that_a_cell_sees():
    """From the image's gradient of every cell; and some cell needs nearly the whole of it."""
    config = pyramid(100, head_kernel=1)
    model = SSD(config, dtype=np.float64, ops=select("plain"))
    for parameter in model.parameters.values():
        parameter.assign(np.abs(parameter.value) + 0.01)  # nothing is cut off
    field = receptive_fields(config)["head_smooth"]
    start = sum(m.boxes for m in config.feature_maps[:-1])
    last = config.feature_maps[-1]
    rng, reach = np.random.default_rng(0), 0.0
    images = rng.uniform(1, 2, (1, 100, 100, 3))
    logits, offsets = model.forward(images, training=True)
    for y, x in itertools.product(range(0, last.shape[0], 4), range(1, last.shape[1], 5)):
        dlogits = np.zeros_like(logits)
        row = start + (y * last.shape[1] + x) * last.boxes_per_cell
        dlogits[0, row] = 1
        dimage = model.backward(dlogits, np.zeros_like(offsets), input_gradient=True)
        seen = np.abs(dimage[0]).sum(axis=-1)
        for axis, cell in ((0, y), (1, x)):
            center = field.center[axis] + cell * field.stride
            pixels = np.flatnonzero(seen.sum(axis=1 - axis))
            assert pixels[0] >= center - field.size / 2 - 1e-9
            assert pixels[-1] + 1 <= center + field.size / 2 + 1e-9
            if pixels[0] > 0:
                reach = max(reach, 2 * (center - pixels[0]))
            if pixels[-1] < 99:
                reach = max(reach, 2 * (pixels[-1] + 1 - center))
    assert field.size > 60 and reach >= field.size - 2 * field.stride


# --- files and trainings --------------------------------------------------------------------------


def test_it_is_written_and_read(tmp_path):
    config = pyramid(60)
    text = config_to_json(config)
    assert '"name": "middle", "lateral": "conv4_2", "kind": "merge"' in text
    assert config_from_json(text) == config
    model = SSD(config)
    save(tmp_path / "w.npz", model)
    for ours, theirs in zip(outputs(load(tmp_path / "w.npz")), outputs(model), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_fine_tuned_to_new_classes_the_trunk_stays(tmp_path):
    model = SSD(pyramid())
    save(tmp_path / "w.npz", model)
    tuned = load(tmp_path / "w.npz", replace_heads=("one", "two"))
    assert tuned.config.class_names == ("one", "two")
    for name, parameter in tuned.parameters.items():
        if not name.startswith("conf_"):
            np.testing.assert_array_equal(parameter.value, model.parameters[name].value)


def trainer(out):
    rule = TrainConfig(steps=4, batch_size=2, learning_rate=0.01, checkpoint_every=2)
    return Trainer(SSD(pyramid(60, training=rule), seed=1), ShapesDataset(0, 8), rule, out)


def test_a_training_goes_on_bit_by_bit(tmp_path):
    """Four steps at once; two, an interruption, and the other two."""
    whole = trainer(tmp_path / "whole")
    whole.fit()
    part = trainer(tmp_path / "part")
    learn = part.learn

    def two(step):
        if step.number == 2:
            raise KeyboardInterrupt
        learn(step)

    part.learn = two
    with pytest.raises(KeyboardInterrupt):
        part.fit()
    rest = trainer(tmp_path / "part")
    rest.resume()
    assert rest.progress.step == 2
    rest.fit()
    for name, parameter in whole.model.parameters.items():
        np.testing.assert_array_equal(parameter.value, rest.model.parameters[name].value)


def test_a_base_is_set_and_a_base_that_merges_is_pretrained(tmp_path):
    """The layers up to base_end come from the file, a merge among them; those above stay."""
    config = pyramid(base_end="mix5")
    data = ShapesDataset(0, 4)
    small = classifier_config(config, data.class_names)
    rule = TrainConfig(steps=2, batch_size=2, learning_rate=0.01)
    classifier, loss = pretrain(small, data, rule)
    assert np.isfinite(loss)
    base = {name: parameter.value for name, parameter in classifier.base.parameters.items()}
    assert list(base) == base_names(config) and "mix5.weight" in base
    save_base(tmp_path / "base.npz", small, base)
    found, arrays = read_base(tmp_path / "base.npz", config)
    model = SSD(found, seed=5)
    mix4 = model.parameters["mix4.weight"].value.copy()
    assert set_base(model, arrays, "base.npz") == []
    np.testing.assert_array_equal(model.parameters["mix5.weight"].value, base["mix5.weight"])
    np.testing.assert_array_equal(model.parameters["mix4.weight"].value, mix4)


def test_both_engines_train_alike():
    """Ten steps in float64, the same sums."""
    rng, models = np.random.default_rng(0), []
    images = rng.standard_normal((2, 60, 60, 3))
    for engine in ("plain", "fast"):
        models.append(SSD(pyramid(60), dtype=np.float64, ops=select(engine)))
    optimisers = [SGD(model.parameters) for model in models]
    for _ in range(10):
        sums = []
        for model, optimiser in zip(models, optimisers, strict=True):
            logits, offsets = model.forward(images, training=True)
            sums.append(float(np.square(logits).sum() + np.square(offsets).sum()))
            model.backward(1e-3 * logits, 1e-3 * offsets)
            optimiser.step(0.01)
        assert sums[0] == pytest.approx(sums[1], rel=1e-9)


@pytest.mark.parametrize("engine", ["plain", "fast"])
def test_folded_it_answers_the_same_and_its_laterals_are_the_convolutions(engine):
    model = SSD(with_layers(*MERGED, size=(32, 46)), dtype=np.float64, ops=select(engine))
    rng = np.random.default_rng(3)
    for parameter in model.parameters.values():
        parameter.assign(parameter.value + rng.uniform(0.1, 0.5, parameter.value.shape))
    folded = fold_batchnorm(model)
    merges = [layer for layer in folded.config.layers if isinstance(layer, MergeLayer)]
    assert [layer.lateral for layer in merges] == ["dw", "stem"]
    for ours, theirs in zip(outputs(folded), outputs(model), strict=True):
        assert relative_error(ours, theirs) <= 1e-10
    again = unfolded(folded, model.config)
    for ours, theirs in zip(outputs(again), outputs(model), strict=True):
        assert relative_error(ours, theirs) <= 1e-10


def test_a_lateral_before_the_normalisation_keeps_it():
    layers = (
        ConvLayer("c", 4, activation="none"),
        BatchNormLayer("bn"),
        ConvLayer("d", 4, stride=2),
        MergeLayer("join", "c"),
    )
    model = SSD(with_layers(*layers))
    with pytest.raises(ConfigError, match=r"can not be folded.*no lateral of a merge"):
        fold_batchnorm(model)
    assert Detector(model).model is not None  # it is used as it is


def test_onnx_runtime_computes_the_same():
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    model = SSD(pyramid(60))
    images = np.random.default_rng(1).standard_normal((2, 60, 60, 3)).astype(np.float32)
    forward = onnx_forward(model, images)
    for theirs, ours in zip(forward(), model.forward(images), strict=True):
        assert relative_error(theirs, ours) <= 1e-4


def test_the_page_shows_its_maps_without_running_it():
    model = SSD(pyramid(60))
    assert not runs_in_page(model)
    maps = stored_maps(model, np.zeros((60, 60, 3), np.float32))
    assert maps["middle"]["height"] == 7 and {"smooth", "conf_smooth"} <= maps.keys()
    picture = np.zeros((60, 60, 3), np.uint8)
    assert '"kind":"merge"' in page(model, "weights", [Shown("black", picture)])


# --- what is refused ------------------------------------------------------------------------------


def changed(index, **values):
    """The JSON text of `pyramid` with another layer at `index` from the end."""
    config = json.loads(config_to_json(pyramid()))
    layer = config["layers"][index] | values
    config["layers"][index] = {key: value for key, value in layer.items() if value is not None}
    return json.dumps(config)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"lateral": "conv9"}, r"layers\[-3\].lateral: 'conv9' is no layer before 'middle'"),
        ({"lateral": "smooth"}, r"layers\[-3\].lateral: 'smooth' is no layer before 'middle'"),
        ({"lateral": "middle"}, r"layers\[-3\].lateral: 'middle' is no layer before 'middle'"),
        ({"lateral": "conv6_2"}, r"layers\[-3\].lateral: 'conv6_2' has 4 x 4 cells, fewer than "),
        ({"lateral": None}, r"layers\[-3\].lateral: missing key"),
        ({"lateral": 3}, r"layers\[-3\].lateral: expected a text in quotes, got 3"),
        ({"channels": 3}, r"layers\[-3\].channels: unknown key \(known: name, lateral, kind\)"),
    ],
)
def test_a_lateral_that_can_not_be_is_one_clear_line(values, message):
    count = len(pyramid().layers)
    with pytest.raises(ConfigError, match=message.replace("-3", str(count - 3))) as caught:
        config_from_json(changed(-3, **values))
    assert "\n" not in str(caught.value)


def test_an_input_that_leaves_nothing_names_the_layer():
    with pytest.raises(ConfigError, match="leaves nothing for layer"):
        sized(pyramid(), (4, 4))
