"""What a training must find as it was to go on, and what may have changed."""

import dataclasses

import numpy as np
import pytest
from test_trainer import assert_equal_weights, narrow_config

from ssd_np.config import Config, TrainConfig
from ssd_np.data.shapes import ShapesDataset
from ssd_np.errors import WeightsError
from ssd_np.model.archive import read_archive, write_archive
from ssd_np.model.ssd import SSD
from ssd_np.model.weights import load
from ssd_np.train.callbacks import Callback
from ssd_np.train.trainer import Trainer

RULE = TrainConfig(steps=4, batch_size=2, learning_rate=0.01, warmup_steps=2, milestones=(0.5, 0.9))


class Stop(Callback):
    def after_step(self, trainer, step):
        if step.number == 1:
            raise ZeroDivisionError


def make(out, config: Config, rule: TrainConfig = RULE, data=None, callbacks=()) -> Trainer:
    data = ShapesDataset(0, 12) if data is None else data
    return Trainer(SSD(config, seed=1), data, rule, out, callbacks=callbacks)


def stopped(out, **options) -> None:
    with pytest.raises(ZeroDivisionError):
        make(out, narrow_config(), callbacks=[Stop()], **options).fit()


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A training that stopped after two of four steps."""
    folder = tmp_path_factory.mktemp("run")
    stopped(folder)
    return folder


def changed(config, path, value):
    """The config with the value at a path of keys."""
    key, _, rest = path.partition(".")
    if rest:
        value = changed(getattr(config, key), rest, value)
    return dataclasses.replace(config, **{key: value})


@pytest.mark.parametrize(
    "key, value, message",
    [
        ("seed", 1, "training.seed was 0, is 1"),
        ("batch_size", 4, "training.batch_size was 2, is 4"),
        ("learning_rate", 0.1, "training.learning_rate was 0.01, is 0.1"),
        ("steps", 40, "training.steps was 4, is 40"),
        ("schedule", "cosine", "training.schedule was 'step', is 'cosine'"),
        ("milestones", (0.5,), r"training.milestones was \[0.5, 0.9\], is \[0.5\]"),
        ("momentum", 0.8, "training.momentum was 0.9, is 0.8"),
        ("clip_norm", None, "training.clip_norm was 10.0, is None"),
    ],
)
def test_another_training_config_is_refused_by_its_key(run, key, value, message):
    """Also where the model's own config says nothing of it."""
    with pytest.raises(WeightsError, match=r"last\.npz: was made with another config: " + message):
        make(run, narrow_config(), dataclasses.replace(RULE, **{key: value})).resume()


@pytest.mark.parametrize(
    "path, value, message",
    [
        ("augmentation.crop.tries", 7, "augmentation.crop.tries was 50, is 7"),
        ("augmentation.horizontal_flip", 0.25, "augmentation.horizontal_flip was 0.*, is 0.25"),
        ("matching.threshold", 0.6, "matching.threshold was 0.5, is 0.6"),
        ("loss.ratio", 2.0, "loss.ratio was 3.0, is 2.0"),
        ("boxes.variances", (1, 1, 1, 1), r"boxes.variances was .*, is \[1.0, 1.0, 1.0, 1.0\]"),
        ("convolution", "winograd2", "convolution was 'winograd4', is 'winograd2'"),
        ("input.resize", "half_pixel", "input.resize was 'antialias', is 'half_pixel'"),
        ("decoding.scores", "sigmoid", "decoding.scores was 'softmax', is 'sigmoid'"),
    ],
)
def test_another_config_is_refused_by_its_key(run, path, value, message):
    with pytest.raises(WeightsError, match=message):
        make(run, changed(narrow_config(), path, value)).resume()


def test_all_that_differs_is_counted(run):
    rule = dataclasses.replace(RULE, seed=1, steps=5, batch_size=3, momentum=0.5, gamma=0.5)
    with pytest.raises(WeightsError, match=r"steps was .*batch_size was .*; and 2 more"):
        make(run, narrow_config(), rule).resume()


def other_names(*names):
    data = ShapesDataset(0, 12)
    data.class_names = names
    return data


@pytest.mark.parametrize(
    "options, message",
    [
        ({"data": ShapesDataset(0, 13)}, "other data: images was 12, is 13; names and truths was"),
        ({"data": other_names("square", "circle", "triangle", "star", "cross")}, "labels was "),
    ],
)
def test_other_data_are_refused(run, options, message):
    with pytest.raises(WeightsError, match=message):
        make(run, narrow_config(), **options).resume()


@pytest.mark.parametrize(
    "names, ours",
    [
        (("square", "circle", "triangle", "star", "cross"), None),  # in another order
        (("circle", "square", "triangle", "star"), ShapesDataset.class_names[:4]),  # one less
    ],
)
def test_other_classes_are_refused(run, names, ours):
    config = dataclasses.replace(narrow_config(), class_names=names)
    data = other_names(*(ours or ShapesDataset.class_names))
    with pytest.raises(WeightsError, match=r"class_names was \['circle', .*\], is \['"):
        make(run, config, data=data).resume()


class Named(ShapesDataset):
    """A data set of somebody's own: nothing is known of it but its items."""

    def __init__(self, count=12, changed=None):
        super().__init__(0, 12)
        self.count, self.changed = count, changed or {}

    def __getitem__(self, index):
        sample = super().__getitem__(index)
        return dataclasses.replace(sample, **self.changed) if index == 11 else sample


class Plain:
    """Without `truth`."""

    class_names = ShapesDataset.class_names

    def __init__(self, data):
        self.data = data

    def __len__(self):
        return len(self.data)

    def __getitem__(self, index):
        return self.data[index]


def test_changed_data_are_refused_and_force_goes_on(tmp_path):
    stopped(tmp_path, data=Plain(Named()))
    same = make(tmp_path, narrow_config(), data=Plain(Named()))
    same.resume()
    other = Plain(Named(changed={"name": "another"}))
    refused = r"made with other data: names and truths was '.*', is '.*' \(.*--force\)"
    with pytest.raises(WeightsError, match=refused):
        make(tmp_path, narrow_config(), data=other).resume()
    forced = Trainer(SSD(narrow_config()), other, RULE, tmp_path, force=True)
    forced.resume()
    assert forced.fit().steps == 4
    make(tmp_path, narrow_config(), data=other).resume()  # these are its data now
    rule = dataclasses.replace(RULE, seed=1)  # which force does not excuse
    forced = Trainer(SSD(narrow_config()), Plain(Named()), rule, tmp_path, force=True)
    with pytest.raises(WeightsError, match=r"another config: training\.seed was 0, is 1 \("):
        forced.resume()


def test_an_altered_type_of_numbers_is_refused(run):
    model = SSD(narrow_config(), dtype=np.float64)
    with pytest.raises(WeightsError, match="dtype was 'float32', is 'float64'"):
        Trainer(model, ShapesDataset(0, 12), RULE, run).resume()


GERMAN = ("Kreis", "Quadrat", "Dreieck", "Stern", "Kreuz")


@pytest.mark.parametrize(
    "paths",
    [
        {"decoding.top_k": 50, "decoding.iou_threshold": 0.6, "decoding.clip": "before_nms"},
        {"name": "mine", "head_init": "small_normal"},
        {"class_names": GERMAN},
    ],
)
def test_what_does_not_change_the_training_is_taken(tmp_path, paths):
    """And is what the files say afterwards; the weights are those of the training never stopped."""
    whole = make(tmp_path / "whole", narrow_config())
    whole.fit()
    stopped(tmp_path / "part", data=Plain(ShapesDataset(0, 12)))
    config = narrow_config()
    for path, value in paths.items():
        config = changed(config, path, value)
    rule = dataclasses.replace(RULE, validate_every=2, checkpoint_every=1)
    data = Plain(ShapesDataset(0, 12))
    data.class_names = config.class_names
    rest = make(tmp_path / "part", config, rule, data)
    rest.resume()
    rest.fit()
    assert_equal_weights(whole.model, rest.model)
    for name in ("last.npz", "best.npz"):
        assert load(tmp_path / "part" / name).config == config


def test_lists_and_numbers_of_numpy_are_the_same_config(tmp_path):
    """A config of one's own, as it is written in Python: lists for tuples, whole numbers."""
    own = dataclasses.replace(RULE, milestones=np.array([0.5, 0.9]), clip_norm=10)
    stopped(tmp_path, rule=own)
    config = narrow_config()
    config = changed(config, "class_names", list(config.class_names))
    config = changed(config, "layers", list(config.layers))
    rest = make(tmp_path, config, dataclasses.replace(RULE, milestones=[0.5, 0.9]))
    rest.resume()
    assert rest.progress.step == 2


def test_the_checkpoint_has_the_training_that_was_used(run):
    header, _ = read_archive(run / "last.npz")
    assert header["training"]["milestones"] == [0.5, 0.9] and header["training"]["steps"] == 4
    assert load(run / "last.npz").config == narrow_config()  # the model's own says another


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda header: header.pop("training"), "its training is refused"),
        (lambda header: header["training"].update(steps=0), "its training is refused.*steps"),
        (lambda header: header.pop("frozen"), "not a whole checkpoint"),
        (lambda header: header.update(frozen=3), "not a whole checkpoint"),
        (lambda header: header.update(optimiser=[3]), r"its optimiser is \[3\]"),
        (lambda header: header["optimiser"].append("more"), "not a whole checkpoint"),
        (lambda header: header["optimiser"].pop(), "surplus"),
        (lambda header: header.pop("conditions"), "loss was None"),
        (lambda header: header.update(conditions=[1]), "loss was None"),
    ],
)
def test_a_made_up_checkpoint_is_refused(run, tmp_path, change, message):
    header, arrays = read_archive(run / "last.npz")
    del header["sha256"]
    change(header)
    write_archive(tmp_path / "last.npz", header, arrays)
    with pytest.raises(WeightsError, match=message):
        make(tmp_path, narrow_config()).resume()
