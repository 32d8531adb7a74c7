"""Layers of a user's own: described, they travel; put in by hand, no file loses them silently."""

import copy
import dataclasses
import pickle
from typing import Literal

import numpy as np
import pytest

from ssd_np.config import load_config
from ssd_np.data.shapes import ShapesDataset
from ssd_np.errors import ConfigError, WeightsError
from ssd_np.explore.build import runs_in_page
from ssd_np.gradcheck import numeric_gradient, relative_error
from ssd_np.infer.detect import Detector
from ssd_np.kinds.batchnorm import BatchNormLayer
from ssd_np.kinds.conv import ConvLayer
from ssd_np.kinds.kind import LayerKind
from ssd_np.model.fold import fold_batchnorm
from ssd_np.model.pretrained import base_names, read_base, save_base
from ssd_np.model.ssd import SSD
from ssd_np.model.weights import export_torchvision, load, save
from ssd_np.nn.layers import Layer
from ssd_np.nn.parameter import Parameter
from ssd_np.train.trainer import Trainer


class Leaky(Layer):
    """x where it is above 0, else a share of it."""

    def __init__(self, name, slope):
        super().__init__(name)
        self.slope = slope

    def forward(self, x, training=False):
        factor = np.where(x > 0, 1, self.slope).astype(x.dtype)
        self.cache = factor if training else None
        return x * factor

    def backward(self, dout, input_gradient=True):
        return dout * self.cache if input_gradient else None


@dataclasses.dataclass(frozen=True)
class LeakyReLU(LayerKind):
    slope: float = 0.1
    kind: Literal["leaky_relu"] = "leaky_relu"

    @property
    def label(self):
        return "leaky ReLU"

    def build(self, channels, rng, dtype, ops):
        return Leaky(self.name, self.slope)


class Group(Layer):
    """Group normalisation (Wu and He 2018): mean 0 and variance 1 in each group of channels."""

    def __init__(self, name, channels, groups, dtype, eps=1e-5):
        super().__init__(name)
        self.scale = Parameter(np.ones(channels, dtype))
        self.shift = Parameter(np.zeros(channels, dtype))
        self.parameters = {f"{name}.scale": self.scale, f"{name}.shift": self.shift}
        self.groups, self.eps = groups, eps

    def forward(self, x, training=False):
        grouped = x.reshape(len(x), -1, self.groups, x.shape[3] // self.groups)  # (N, HW, G, C/G)
        mean = grouped.mean(axis=(1, 3), keepdims=True)
        deviation = np.sqrt(grouped.var(axis=(1, 3), keepdims=True) + self.eps)
        z = ((grouped - mean) / deviation).reshape(x.shape)
        self.cache = (z, deviation) if training else None
        return z * self.scale.value + self.shift.value

    def backward(self, dout, input_gradient=True):
        z, deviation = self.cache
        if self.trainable:
            self.scale.grad, self.shift.grad = (dout * z).sum((0, 1, 2)), dout.sum((0, 1, 2))
        shape = len(z), -1, self.groups, z.shape[3] // self.groups
        dz, z = (dout * self.scale.value).reshape(shape), z.reshape(shape)
        dz = dz - dz.mean((1, 3), keepdims=True) - z * (dz * z).mean((1, 3), keepdims=True)
        return (dz / deviation).reshape(dout.shape) if input_gradient else None


@dataclasses.dataclass(frozen=True)
class GroupNorm(LayerKind):
    groups: int = 4
    kind: Literal["group_norm"] = "group_norm"

    @property
    def label(self):
        return f"group norm {self.groups}"

    def tensors(self, channels):
        return {"scale": (channels,), "shift": (channels,)}

    def build(self, channels, rng, dtype, ops):
        return Group(self.name, channels, self.groups, dtype)


OWN = [LeakyReLU, GroupNorm]


def with_own_kinds(**changes):
    """tiny, with a group norm and a leaky ReLU behind its first convolution."""
    tiny = load_config("tiny")
    first = dataclasses.replace(tiny.layers[0], activation="none")
    own = GroupNorm("gn1"), LeakyReLU("leaky1", slope=0.2)
    return dataclasses.replace(tiny, layers=(first, *own, *tiny.layers[1:]), **changes)


def images(model, count=2, seed=0):
    shape = (count, *model.config.input.shape, 3)
    return np.random.default_rng(seed).standard_normal(shape).astype(model.dtype)


def same_answers(model, other):
    x = images(model)
    return all(
        np.array_equal(a, b) for a, b in zip(model.forward(x), other.forward(x), strict=True)
    )


def shapes(count=8):
    return ShapesDataset(3, count)


def short(steps=3):
    tiny = load_config("tiny").training
    return dataclasses.replace(tiny, steps=steps, batch_size=2, checkpoint_every=1)


# --- described by a kind -------------------------------------------------------------------------


def test_the_layers_here_have_right_gradients():
    rng = np.random.default_rng(0)
    x, dout = rng.standard_normal((2, 3, 2, 8)), rng.standard_normal((2, 3, 2, 8))
    for layer in (Leaky("l", 0.2), Group("g", 8, 4, np.float64)):
        layer.forward(x, training=True)
        dx = layer.backward(dout)
        assert relative_error(numeric_gradient(layer.forward, x, dout), dx) <= 1e-6


def test_own_kinds_train_save_load_and_detect(tmp_path):
    data = shapes()
    model = SSD(with_own_kinds(class_names=tuple(data.class_names)), seed=1)
    Trainer(model, data, short(), tmp_path).fit()
    assert np.abs(model.parameters["gn1.shift"].value).max() > 0
    for name in ("best.npz", "last.npz"):
        with pytest.raises(WeightsError, match=r"layers\[1\]: expected an object whose kind is"):
            load(tmp_path / name)
    again = load(tmp_path / "last.npz", kinds=OWN)
    assert again.config == model.config and same_answers(model, again)
    image = data[0].image
    assert Detector(again).detect(image) == Detector(model).detect(image)
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert same_answers(model, other)
        save(tmp_path / "copy.npz", other)
    tuned = load(tmp_path / "last.npz", ["x"], kinds=OWN)
    np.testing.assert_array_equal(
        tuned.parameters["gn1.shift"].value, model.parameters["gn1.shift"].value
    )
    assert tuned.config.layers == model.config.layers and tuned.config.class_names == ("x",)


def test_own_kinds_resume_bit_equal(tmp_path):
    data = shapes()
    config = with_own_kinds(class_names=tuple(data.class_names))
    whole = SSD(config, seed=1)
    Trainer(whole, data, short(4), tmp_path / "whole").fit()

    class Enough(Exception):
        pass

    class Stop:
        def __init__(self, trainer):
            self.learn = trainer.learn

        def __call__(self, step):
            if step.number == 2:
                raise Enough
            self.learn(step)

    first = Trainer(SSD(config, seed=1), data, short(4), tmp_path / "two")
    first.learn = Stop(first)
    with pytest.raises(Enough):
        first.fit()
    rest = Trainer(SSD(config, seed=7), data, short(4), tmp_path / "two")
    rest.resume()
    rest.fit()
    assert rest.progress.step == 4 and same_answers(whole, rest.model)


def test_the_base_of_a_network_with_own_kinds_is_read_again(tmp_path):
    config = with_own_kinds()
    model = SSD(config, seed=3)
    assert "gn1.scale" in base_names(config)
    arrays = {name: model.parameters[name].value for name in base_names(config)}
    save_base(tmp_path / "base.npz", config, arrays)
    _, found = read_base(tmp_path / "base.npz", config)
    assert found.keys() == arrays.keys()


def test_own_kinds_are_folded_around_and_are_not_exported(tmp_path):
    tiny = load_config("tiny")
    first = dataclasses.replace(tiny.layers[0], activation="none")
    layers = first, BatchNormLayer("bn1"), LeakyReLU("leaky1"), *tiny.layers[1:]
    model = SSD(dataclasses.replace(tiny, layers=layers), dtype=np.float64)
    folded = fold_batchnorm(model)
    assert [layer.kind for layer in folded.config.layers[:2]] == ["conv", "leaky_relu"]
    x = images(model)
    assert relative_error(model.forward(x)[0], folded.forward(x)[0]) <= 1e-10
    assert not runs_in_page(model)
    voc = load_config("ssd300_voc")
    last = voc.feature_maps[-1].name
    assert voc.layers[-1].name == last
    model = SSD(dataclasses.replace(voc, layers=(LeakyReLU("leaky"), *voc.layers)))
    with pytest.raises(WeightsError, match="kinds that torchvision does not know: LeakyReLU"):
        export_torchvision(tmp_path / "out.npz", model)


def test_kinds_that_are_none_are_named():
    for kinds in ([Leaky], [GroupNorm("x")], [LayerKind]):
        with pytest.raises(ConfigError, match=r"kinds holds .*made from LayerKind"):
            load_config("tiny", kinds=kinds)
    with pytest.raises(ConfigError, match=r"kinds is .*GroupNorm'> \(a list of classes"):
        load_config("tiny", kinds=GroupNorm)


def test_a_description_that_forgets_a_tensor_is_refused_where_it_is_built():
    @dataclasses.dataclass(frozen=True)
    class Forgetful(GroupNorm):
        def tensors(self, channels):
            return {"scale": (channels,)}

    tiny = load_config("tiny")
    config = dataclasses.replace(tiny, layers=(Forgetful("gn"), *tiny.layers))
    with pytest.raises(ConfigError, match=r"layer 'gn': Forgetful tells of .*gn\.shift"):
        SSD(config)


def test_a_kind_that_would_come_back_as_another_is_refused(tmp_path):
    class Wide(ConvLayer):
        """Travels as "conv", and would be the package's convolution when it is read."""

    tiny = load_config("tiny")
    model = SSD(dataclasses.replace(tiny, layers=(Wide("conv0", 3), *tiny.layers)))
    with pytest.raises(ConfigError, match="layer 'conv0': is a Wide; read from a file it would be"):
        save(tmp_path / "w.npz", model)
    with pytest.raises(ConfigError, match="layer 'conv0': is a Wide"):
        Trainer(model, shapes(), short(), tmp_path / "run").fit()
    assert not list(tmp_path.glob("**/*.npz"))


# --- put in by hand ------------------------------------------------------------------------------


def leaky_by_hand(model):
    """ReLU of the first layer replaced by an own object: nothing in the config says so."""
    stage = model.stages[0]
    stage.layers[0].activation = "none"
    stage.layers.insert(1, Leaky("leaky1", 0.2))
    return model


def groups_by_hand(model):
    model.stages[0].layers.insert(1, Group("gn1", 24, 4, model.dtype))
    return model


def other_class(model):
    model.stages[0].layers[1] = Leaky(model.stages[0].layers[1].name, 0.2)
    return model


def altered(model):
    model.stages[0].layers[0].activation = "relu6"
    return model


def taken_out(model):
    del model.stages[1].layers[0]
    return model


def swapped(model):
    layers = model.stages[0].layers
    layers[1], layers[2] = layers[2], layers[1]
    return model


def other_head(model):
    model.heads[0] = copy.deepcopy(model.heads[0])
    return model


CHANGES = [leaky_by_hand, groups_by_hand, other_class, altered, taken_out, swapped, other_head]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_what_the_config_does_not_describe_is_refused_before_training_and_at_save(change, tmp_path):
    model = change(SSD("tiny"))
    name = next(iter(model.undescribed()))
    with pytest.raises(ConfigError, match=f"layer {name!r}: is a .* does not describe"):
        save(tmp_path / "w.npz", model)
    learned = []
    trainer = Trainer(model, shapes(), short(), tmp_path / "run")
    trainer.learn = learned.append
    with pytest.raises(ConfigError, match=f"layer {name!r}: is a"):
        trainer.fit()
    assert learned == [] and not list(tmp_path.glob("**/*.npz"))
    with pytest.raises(ConfigError, match=f"layer {name!r}: is a"):
        fold_batchnorm(model)
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert other.undescribed() == model.undescribed()


@pytest.mark.parametrize("change", [leaky_by_hand, groups_by_hand], ids=lambda c: c.__name__)
def test_named_layers_of_ones_own_load_into_the_model_that_has_them(change, tmp_path):
    data = shapes()

    def build(seed):
        model = change(SSD(dataclasses.replace(load_config("tiny"), class_names=data.class_names)))
        model.own_layers = tuple(model.undescribed())
        return model

    model = build(0)
    Trainer(model, data, short(), tmp_path).fit()
    for name in ("best.npz", "last.npz"):
        with pytest.raises(WeightsError, match=r"layers that its config does not describe.*into="):
            load(tmp_path / name)
        again = build(5)
        assert load(tmp_path / name, into=again) is again
    assert same_answers(model, again)
    resumed = Trainer(build(9), data, short(), tmp_path)
    resumed.resume()
    assert same_answers(model, resumed.model)
    with pytest.raises(ConfigError, match="does not describe"):
        fold_batchnorm(model)


def test_into_takes_only_the_network_that_the_file_is_of(tmp_path):
    tiny = load_config("tiny")
    model = SSD(tiny, seed=1)
    save(tmp_path / "w.npz", model)
    longer = dataclasses.replace(tiny, training=dataclasses.replace(tiny.training, steps=9))
    again = load(tmp_path / "w.npz", into=SSD(longer, seed=2))  # which changes no answer
    assert same_answers(model, again) and again.config == longer
    names = dataclasses.replace(tiny, class_names=tuple("abcde"[: tiny.num_classes]))
    with pytest.raises(WeightsError, match=r"class_names"):
        load(tmp_path / "w.npz", into=SSD(names))
    clipped = dataclasses.replace(tiny, boxes=dataclasses.replace(tiny.boxes, clip="all"))
    with pytest.raises(WeightsError, match=r"boxes\.clip 'none', the model 'all'"):
        load(tmp_path / "w.npz", into=SSD(clipped))
    with pytest.raises(WeightsError, match="this model has"):
        load(tmp_path / "w.npz", into=leaky_by_hand(SSD(tiny)))
    with pytest.raises(ConfigError, match="leave one out"):
        load(tmp_path / "w.npz", ["x"], into=SSD(tiny))


def test_a_layer_is_put_where_it_is_run(rng):
    """In the tuple of all layers nobody can believe to have put one."""
    model = SSD("tiny")
    images = rng.standard_normal((1, *model.config.input.shape, 3)).astype(np.float32)
    before = model.predict(images)
    layer = Leaky("leaky", -1.0)
    with pytest.raises(AttributeError, match="'tuple' object has no attribute 'insert'"):
        model.layers.insert(0, layer)
    with pytest.raises(TypeError, match="'tuple' object does not support item assignment"):
        model.layers[0] = layer
    for i, stage in enumerate(model.stages):
        stage.layers.append(layer)
        assert layer in model.layers and model.undescribed() == {"leaky": "Leaky"}
        model.heads[i], head = copy.deepcopy(model.heads[i]), model.heads[i]
        assert head not in model.layers
        stage.layers.pop()
        model.heads[i] = head
    np.testing.assert_array_equal(model.predict(images), before)
    model.stages[0].layers.insert(0, layer)  # which makes all pixels positive
    assert not np.allclose(model.predict(images), before)


def test_two_parameters_of_one_name_are_refused():
    model = SSD("tiny")
    for _ in range(2):
        model.stages[0].layers.append(Group("gn", 24, 4, model.dtype))
    with pytest.raises(ConfigError, match=r"layer 'gn': two parameters are called 'gn\.scale'"):
        _ = model.parameters
