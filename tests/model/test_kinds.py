"""Kinds of layers: what a description says is what is built; users' own kinds; the old files."""

import dataclasses
import json
from typing import Literal

import numpy as np
import pytest

from ssd_np.bench.twin import torch_network
from ssd_np.config import (
    KINDS,
    Config,
    FeatureMapConfig,
    InputConfig,
    config_from_json,
    config_to_json,
    load_config,
)
from ssd_np.engine import select
from ssd_np.errors import ConfigError, WeightsError
from ssd_np.geometry import shortest
from ssd_np.gradcheck import relative_error
from ssd_np.kinds.batchnorm import BatchNormLayer
from ssd_np.kinds.conv import ConvLayer
from ssd_np.kinds.depthwise import DepthwiseLayer
from ssd_np.kinds.kind import LayerKind, Window
from ssd_np.kinds.merge import MergeLayer
from ssd_np.kinds.pool import PoolLayer
from ssd_np.kinds.walk import walk
from ssd_np.model.base import build_stages
from ssd_np.model.published import from_torch_layout
from ssd_np.model.receptive_field import receptive_fields
from ssd_np.model.ssd import SSD
from ssd_np.model.trace import trace, trace_table
from ssd_np.model.weights import load, save
from ssd_np.nn.layers import Layer
from ssd_np.train.checkpoint import Progress, load_checkpoint, save_checkpoint
from ssd_np.train.sgd import SGD

SAME = ((0, 1), (0, 1))  # TensorFlow's, at stride 2 of an even side


def with_layers(*layers: LayerKind, size: int | tuple[int, int] = 32) -> Config:
    """A small detector of two classes; its one map is the output of the last layer."""
    shape = (size, size) if isinstance(size, int) else size
    *_, (*_, cells, _) = walk(layers, shape, 3)
    steps = shortest(*(side / n for side, n in zip(shape, cells, strict=True)))
    last = FeatureMapConfig(layers[-1].name, shortest(*cells), steps, 8, 16)
    config = load_config("tiny")
    return dataclasses.replace(
        config,
        class_names=("a", "b"),
        input=InputConfig(size),
        layers=layers,
        base_end=layers[0].name,
        feature_maps=(last,),
    )


SEPARABLE = (
    ConvLayer("stem", 6, stride=2, pad=SAME, activation="none"),
    BatchNormLayer("stem_bn", activation="relu6"),
    DepthwiseLayer("dw", kernel=3, stride=2, pad=((1, 0), (0, 1)), activation="none"),
    BatchNormLayer("dw_bn", eps=1e-3, momentum=0.2),
    ConvLayer("point", 8, kernel=1, pad=0, activation="relu6"),
    PoolLayer("pool", size=3, stride=2, pad=((0, 1), (1, 1))),
    DepthwiseLayer("wide", dilation=2, pad=2),
)

MERGED = (
    *SEPARABLE,
    MergeLayer("join", "dw_bn"),
    ConvLayer("mix", 5, kernel=1, pad=0, activation="none"),
    BatchNormLayer("mix_bn"),
    MergeLayer("again", "stem_bn"),
    ConvLayer("smooth", 6),
)

EXAMPLES = {layer.kind: layer for layer in MERGED}


def test_every_kind_has_an_example():
    assert EXAMPLES.keys() == {kind.kind for kind in KINDS}


# what a merge says of itself is in test_merge.py: it has two inputs
@pytest.mark.parametrize("layer", SEPARABLE, ids=lambda layer: layer.name)
def test_what_is_said_is_what_is_built(layer):
    built = layer.build(5, np.random.default_rng(0), np.dtype(np.float64), select("plain"))
    x = np.random.default_rng(1).standard_normal((2, 9, 13, 5))
    out = built.forward(x)
    assert out.shape == (2, *layer.output_shape((9, 13)), layer.output_channels(5))
    shapes = {name: p.value.shape for name, p in built.parameters.items()}
    said = {f"{layer.name}.{part}": shape for part, shape in layer.tensors(5).items()}
    assert shapes == said and list(shapes) == list(said)
    assert layer.label and layer.name == built.name
    products = sum(np.prod(shape) for part, shape in said.items() if part.endswith("weight"))
    assert layer.multiply_adds(5) == products


@pytest.mark.parametrize("engine", ["plain", "fast"])
def test_a_network_of_all_kinds_equals_pytorch(engine):
    """Outputs, the gradient of every tensor and of the image, and the running statistics."""
    torch = pytest.importorskip("torch")
    model = SSD(with_layers(*MERGED, size=(32, 46)), dtype=np.float64, ops=select(engine))
    rng = np.random.default_rng(0)
    for parameter in model.parameters.values():
        noise = rng.uniform(0.5, 1.5, parameter.value.shape)
        parameter.assign(parameter.value * noise + 0.1 * noise)
    images = rng.standard_normal((3, 32, 46, 3))
    weights, forward = torch_network(torch, model, channels_last=False)
    inputs = torch.tensor(images.transpose(0, 3, 1, 2).copy()).requires_grad_()
    for training in (False, True):
        expected = forward(inputs, training)
        ours = model.forward(images, training)
        for out, theirs in zip(ours, expected, strict=True):
            assert relative_error(out, theirs.detach().numpy()) <= 1e-10
    upstream = [rng.standard_normal(out.shape) for out in ours]
    torch.autograd.backward(expected, [torch.tensor(d) for d in upstream])
    dimages = model.backward(*upstream, input_gradient=True)
    assert relative_error(dimages, inputs.grad.permute(0, 2, 3, 1).numpy()) <= 1e-8
    for name, parameter in model.parameters.items():
        if not parameter.trainable:  # running statistics
            assert relative_error(parameter.value, weights[name].numpy()) <= 1e-12, name
            continue
        gradient = weights[name].grad.numpy()
        if name in ("stem.bias", "dw.bias", "mix.bias"):  # the mean takes it away again
            assert max(np.abs(parameter.grad).max(), np.abs(gradient).max()) <= 1e-10
            continue
        assert relative_error(parameter.grad, from_torch_layout(gradient)) <= 1e-8, name


def test_the_table_and_the_fields_of_all_kinds():
    config = with_layers(*SEPARABLE, size=(32, 46))
    rows = {row.name: row for row in trace(config)}
    assert rows["stem"].output == (16, 23, 6) and rows["dw"].output == (8, 11, 6)
    assert rows["dw"].multiply_adds == 8 * 11 * 6 * 9 and rows["dw"].parameters == 60
    assert rows["stem_bn"].parameters == 24 and rows["stem_bn"].multiply_adds == 0
    model = SSD(config)
    assert sum(p.value.size for p in model.parameters.values()) == sum(
        row.parameters for row in rows.values()
    )
    assert "dw 3x3" in trace_table(config) and "batch norm" in trace_table(config)
    fields = receptive_fields(config)
    assert fields["stem_bn"] == fields["stem"]
    assert (fields["dw"].size, fields["dw"].center) == (7, (1.5 - 2 + 2, 1.5 + 2))


# --- files ---------------------------------------------------------------------------------------


def test_all_kinds_travel_through_json():
    config = with_layers(*SEPARABLE, size=(32, 46))
    text = config_to_json(config)
    assert '"pad": [[0, 1], [0, 1]]' in text and '"kind": "batchnorm"' in text
    assert config_from_json(text) == config


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"pad": [[0, 1], [0]]}, r"layers\[0\]\.pad\[1\]: expected 2 values"),
        ({"pad": [[0, 1], [0, -1]]}, r"layers\[0\]\.pad: expected at least 0"),
        ({"pad": "same"}, r"layers\[0\]\.pad: expected a whole number"),
        ({"activation": "swish"}, r"layers\[0\]\.activation: expected 'none' or 'relu' or 'relu6'"),
        ({"relu": True, "activation": "none"}, r"layers\[0\]\.relu: unknown key"),
        ({"kind": "group_norm"}, r"layers\[0\]: expected an object whose kind is 'conv' or 'pool'"),
    ],
)
def test_what_no_layer_can_be_is_refused_by_its_path(changes, words):
    values = json.loads(config_to_json(load_config("tiny")))
    values["layers"][0] |= changes
    with pytest.raises(ConfigError, match=words):
        config_from_json(json.dumps(values))


@pytest.mark.parametrize(("relu", "activation"), [(True, "relu"), (False, "none")])
def test_the_old_key_of_an_activation_is_read(relu, activation):
    values = json.loads(config_to_json(load_config("tiny")))
    del values["layers"][0]["activation"]
    values["layers"][0]["relu"] = relu
    assert config_from_json(json.dumps(values)).layers[0].activation == activation


def test_the_old_word_for_the_plain_convolution_is_read():
    values = json.loads(config_to_json(load_config("tiny"))) | {"convolution": "plain"}
    assert config_from_json(json.dumps(values)).convolution == "im2col"


# --- a kind of a user's own ----------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class ScaleLayer(LayerKind):
    """A factor for each channel, then the largest of two neighbours: nothing the package has."""

    start: float = 1.0
    kind: Literal["scale"] = "scale"

    @property
    def window(self) -> Window:
        return Window(kernel=1, stride=2)

    @property
    def label(self) -> str:
        return "scale"

    def tensors(self, channels):
        return {"factor": (channels,)}

    def build(self, channels, rng, dtype, ops):
        return Scale(self.name, channels, self.start, dtype)


class Scale(Layer):
    """Every second cell on both axes, times the factor."""

    def __init__(self, name, channels, start, dtype):
        from ssd_np.nn.parameter import Parameter

        super().__init__(name)
        self.factor = Parameter(np.full(channels, start, dtype))
        self.parameters = {f"{name}.factor": self.factor}

    def forward(self, x, training=False):
        self.cache = x if training else None
        return x[:, ::2, ::2] * self.factor.value

    def backward(self, dout, input_gradient=True):
        x = self.cache
        self.factor.grad = (dout * x[:, ::2, ::2]).sum(axis=(0, 1, 2))
        dx = np.zeros_like(x)
        dx[:, ::2, ::2] = dout * self.factor.value
        return dx if input_gradient else None


@pytest.fixture
def own():
    return with_layers(ConvLayer("c", 4), ScaleLayer("s", start=0.5), ConvLayer("d", 4))


def test_a_users_kind_travels_by_name(own, tmp_path):
    save(tmp_path / "w.npz", SSD(own, seed=5))
    with pytest.raises(
        WeightsError, match=r"layers\[1\]: expected an object whose kind is .*kinds=\[It"
    ):
        load(tmp_path / "w.npz")
    model = load(tmp_path / "w.npz", kinds=[ScaleLayer])
    assert model.config == own
    np.testing.assert_array_equal(model.parameters["s.factor"].value, [0.5] * 4)
    path = tmp_path / "own.json"
    path.write_text(config_to_json(own))
    assert load_config(path, kinds=[ScaleLayer]) == own
    assert load(tmp_path / "w.npz", ["x"], kinds=[ScaleLayer]).config.class_names == ("x",)


def test_a_users_kind_trains_and_resumes(own, tmp_path):
    model, rng = SSD(own, dtype=np.float64), np.random.default_rng(0)
    images = rng.standard_normal((1, 32, 32, 3))
    outputs = model.forward(images, training=True)
    model.backward(*(rng.standard_normal(out.shape) for out in outputs))
    optimiser = SGD(model.parameters)
    optimiser.step(0.1)
    assert np.abs(model.parameters["s.factor"].value - 0.5).min() > 0
    save_checkpoint(tmp_path / "last.npz", model, optimiser, Progress(1))
    again = SSD(own, dtype=np.float64)
    load_checkpoint(tmp_path / "last.npz", again, SGD(again.parameters))
    for name, parameter in model.parameters.items():
        np.testing.assert_array_equal(again.parameters[name].value, parameter.value)


def test_a_users_kind_may_stand_for_one_of_the_package(own):
    """A class of the same name is taken instead: to try another convolution in a published net."""

    class Wide(ConvLayer):
        @property
        def label(self):
            return "mine"

    config = config_from_json(config_to_json(load_config("tiny")), kinds=[Wide])
    assert config.layers[0].label == "mine"
    stages, _ = build_stages(config, np.random.default_rng(0))
    assert len(stages) == 3
