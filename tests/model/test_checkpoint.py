"""Checkpoints by themselves, without a training: what is in one, each refusal word for word."""

import dataclasses
from types import SimpleNamespace
from typing import Literal

import numpy as np
import pytest
from test_trainer import narrow_config

from ssd_np.config import TrainConfig
from ssd_np.data.digest import digest
from ssd_np.data.shapes import ShapesDataset
from ssd_np.errors import ConfigError, OutputError, WeightsError
from ssd_np.kinds import ConvLayer
from ssd_np.model.archive import read_archive, write_archive
from ssd_np.model.provenance import Origin
from ssd_np.model.ssd import SSD
from ssd_np.nn.layers import L2Normalization
from ssd_np.train.average import averaged
from ssd_np.train.checkpoint import (
    Checkpoint,
    Progress,
    conditions_of,
    frozen,
    load_checkpoint,
    save_checkpoint,
)
from ssd_np.train.sgd import SGD
from ssd_np.train.trainer import Trainer

CONFIG = narrow_config()
RULE = TrainConfig(steps=4, batch_size=2)
PROGRESS = Progress(3, 0.5, 1.25, 2)
DATA = {"images": 5, "names and truths": "ab"}


def taught() -> tuple[SSD, SGD]:
    """A model whose first layer is at rest, and an optimiser with velocities of its own."""
    model = SSD(CONFIG, seed=1)
    model.freeze("conv1_1")
    optimiser = SGD(model.parameters)
    for i, velocity in enumerate(optimiser.velocity.values()):
        velocity += i
    return model, optimiser


def fresh() -> tuple[SSD, SGD]:
    model = SSD(CONFIG, seed=2)
    return model, SGD(model.parameters)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "last.npz"


@pytest.fixture
def saved(path):
    """A checkpoint that says all that one may say."""
    model, optimiser = taught()
    model.provenance = (Origin(note="before"),)
    save_checkpoint(path, model, optimiser, PROGRESS, RULE, DATA)
    return path


def refusal(path, model=None, optimiser=None, training=RULE, conditions=DATA, other=False):
    """What `load_checkpoint` says, which leaves all as it was."""
    model = model or SSD(CONFIG, seed=2)
    optimiser = optimiser or SGD(model.parameters)
    before = {name: (p.value.copy(), p.trainable) for name, p in model.parameters.items()}
    with pytest.raises(WeightsError) as caught:
        load_checkpoint(path, model, optimiser, training, conditions, other)
    for name, parameter in model.parameters.items():
        value, trainable = before[name]
        np.testing.assert_array_equal(parameter.value, value)
        assert parameter.trainable == trainable and model.provenance == ()
    assert str(caught.value).startswith(f"{path}: ")
    return str(caught.value).removeprefix(f"{path}: ")


def altered(path, change):
    """The file with another header."""
    header, arrays = read_archive(path)
    del header["sha256"]
    change(header, arrays)
    write_archive(path, header, arrays)
    return path


def test_what_is_frozen():
    model, _ = taught()
    assert frozen(model) == ["conv1_1.bias", "conv1_1.weight"]
    assert frozen(fresh()[0]) == []
    first = next(iter(model.parameters.values()))
    first.statistic = True  # which never learns: nobody froze it
    assert len(frozen(model)) == 1


def test_everything_comes_back(saved):
    model, optimiser = taught()
    header, arrays = read_archive(saved)
    assert header["training"] == {**dataclasses.asdict(RULE), "milestones": [*RULE.milestones]}
    assert header["progress"] == dataclasses.asdict(PROGRESS)
    assert header["frozen"] == ["conv1_1.bias", "conv1_1.weight"]
    assert header["conditions"] == DATA
    assert header["optimiser"] == sorted(optimiser.state())
    assert arrays.keys() == model.parameters.keys() | optimiser.state().keys()
    other, others = fresh()
    assert load_checkpoint(saved, other, others, RULE, DATA) == PROGRESS
    for name, parameter in model.parameters.items():
        np.testing.assert_array_equal(other.parameters[name].value, parameter.value)
        assert other.parameters[name].trainable == parameter.trainable
    for name, velocity in optimiser.velocity.items():
        np.testing.assert_array_equal(others.velocity[name], velocity)
    assert other.provenance == (Origin(note="before"),)


def test_what_is_left_out_is_the_models_own(path):
    model, optimiser = taught()
    save_checkpoint(path, model, optimiser, Progress())
    header, _ = read_archive(path)
    assert header["training"]["steps"] == CONFIG.training.steps and header["conditions"] == {}
    assert load_checkpoint(path, *fresh()) == Progress()
    assert refusal(path, training=RULE, conditions={}).startswith("was made with another config: ")


def test_a_folder_is_made_unless_it_is_to_be_there(tmp_path):
    save_checkpoint(tmp_path / "new" / "last.npz", *taught(), PROGRESS)
    with pytest.raises(OutputError, match="can not be written"):
        save_checkpoint(tmp_path / "gone" / "last.npz", *taught(), PROGRESS, make_folder=False)
    assert not (tmp_path / "gone").exists()


def test_an_optimiser_has_names_of_its_own(path):
    model, _ = taught()
    arrays = {
        name: np.zeros(1) for name in ("conv2_1.weight", "conv1_1.weight", "m/conv1_1.weight")
    }
    optimiser = SimpleNamespace(state=lambda: arrays, load_state=print)
    with pytest.raises(ConfigError) as caught:
        save_checkpoint(path, model, optimiser, PROGRESS)
    assert str(caught.value) == (
        "the optimiser: keeps 'conv1_1.weight', a parameter's name "
        "(state() calls them otherwise than the parameters, such as m/conv1_1.weight)"
    )
    assert not path.exists()


WRONG = {
    "optimiser NoneType: has no state, load_state (SGD has them)": {"optimiser": None},
    "progress is a dict (expected Progress)": {"progress": {}},
    "conditions is a list (expected Mapping)": {"conditions": []},
    "training is a int (expected TrainConfig)": {"training": 3},
}


@pytest.mark.parametrize("said", WRONG)
def test_what_none_of_a_checkpoint_can_be_is_named(path, said):
    model, optimiser = taught()
    given = {"model": model, "optimiser": optimiser, "progress": PROGRESS}
    with pytest.raises(ConfigError) as caught:
        save_checkpoint(path, **given | WRONG[said])
    assert str(caught.value) == said and not path.exists()
    with pytest.raises(ConfigError, match=r"^model is a NoneType"):
        frozen(None)


def test_what_is_no_checkpoint(saved, tmp_path):
    assert refusal(tmp_path / "none.npz") == (
        "no such checkpoint (is it this folder? a training that was stopped before its first step "
        "begins again, with --force)"
    )
    weights = altered(saved, lambda header, arrays: header.pop("progress"))
    assert refusal(weights) == "is no checkpoint but a weights file"


def test_one_of_version_0_1_knew_one_optimiser(saved):
    path = altered(saved, lambda header, arrays: header.pop("optimiser"))
    assert load_checkpoint(path, *fresh(), RULE, DATA) == PROGRESS


def first_array_goes(header, arrays):
    del arrays[header["optimiser"][-1]]


WHOLE = "is not a whole checkpoint (an earlier version may have made it)"
VELOCITY = "velocity/conv2_1.bias"
MADE_UP = {
    "no config": (lambda header, arrays: header.pop("config"), "carries no config"),
    "an array": (first_array_goes, WHOLE),
    "frozen": (lambda header, arrays: header.update(frozen={"conv1_1.bias": 1}), WHOLE),
    "no training": (
        lambda header, arrays: header.pop("training"),
        "its training is refused: training: expected an object in braces, got None",
    ),
    "a training": (
        lambda header, arrays: header["training"].update(steps=0),
        "its training is refused: training.steps: expected at least 1, got 0",
    ),
    "a velocity": (
        lambda header, arrays: arrays.update({VELOCITY: np.zeros(1, np.float32)}),
        f"{VELOCITY}: is (1,) float32, the parameter ({CONFIG.layers[1].channels},) float32",
    ),
    "provenance": (
        lambda header, arrays: header.update(provenance=3),
        "its provenance is no list (of at most 20 lines)",
    ),
    "own layers": (
        lambda header, arrays: header.update(own_layers={"a": "B"}),
        "was saved with layers that its config does not describe: {'a': 'B'}; this model has none "
        "(build that model and load(path, into=model))",
    ),
    "a weight": (
        lambda header, arrays: arrays.update({"conv1_1.bias": np.zeros(1, np.float32)}),
        f"conv1_1.bias: shape (1,) float32, the network has ({CONFIG.layers[0].channels},) float32",
    ),
}


def test_what_an_optimiser_says_is_told_in_full(saved):
    class Picky(SGD):
        def load_state(self, state):
            raise WeightsError("is heavy", "its velocity", "begin anew")

    model = SSD(CONFIG)
    said = "its velocity: is heavy (begin anew)"
    assert refusal(saved, model, Picky(model.parameters)) == said


@pytest.mark.parametrize("what", MADE_UP)
def test_what_was_made_up_is_refused(saved, what):
    change, said = MADE_UP[what]
    assert refusal(altered(saved, change)) == said


FIELDS = "expected {'step': 0, 'best_score': None, 'loss_average': None, 'stale': 0}"
GOOD = dataclasses.asdict(PROGRESS)
NO_PROGRESS = [None, [], {}, GOOD | {"more": 1}, {**GOOD, "stale": -1}, {**GOOD, "step": 1.0},
               {**GOOD, "step": None}, {**GOOD, "best_score": "x"}, {**GOOD, "loss_average": 1},
               {"step": 1}, {**GOOD, "step": True}, {**GOOD, "stale": "x"}]  # fmt: skip


@pytest.mark.parametrize("progress", NO_PROGRESS)
def test_a_made_up_progress_is_refused(saved, progress):
    path = altered(saved, lambda header, arrays: header.update(progress=progress))
    assert refusal(path) == f"its progress is {progress!r} ({FIELDS})"


def test_a_progress_may_begin_at_nought_and_lack_its_scores(saved):
    start = dataclasses.asdict(Progress())
    path = altered(saved, lambda header, arrays: header.update(progress=start))
    assert load_checkpoint(path, *fresh(), RULE, DATA) == Progress()


ANEW = " (to train on otherwise, begin anew with its weights)"
BACK = " (bring them back, or go on with them as they are: --force)"


def test_what_differs_is_told_three_times_at_most(saved):
    rule = dataclasses.replace(RULE, batch_size=3, steps=5, milestones=(0.25,))
    assert refusal(saved, training=rule) == (
        "was made with another config: training.steps was 4, is 5; training.batch_size was 2, is 3;"
        f" training.milestones was {[*RULE.milestones]}, is [0.25]" + ANEW
    )
    rule = dataclasses.replace(rule, momentum=0.5)
    assert refusal(saved, training=rule).endswith("; and 1 more" + ANEW)
    config = dataclasses.replace(CONFIG, matching=dataclasses.replace(CONFIG.matching, threshold=1))
    assert refusal(saved, SSD(config)) == (
        "was made with another config: matching.threshold was 0.5, is 1.0" + ANEW
    )


def test_other_data_are_told_and_may_be_allowed(saved):
    now = {"images": 6, "names and truths": "cd"}
    said = "was made with other data: images was 5, is 6; names and truths was 'ab', is 'cd'" + BACK
    assert refusal(saved, conditions=now) == said
    with pytest.raises(WeightsError, match="other data"):  # nobody allowed it
        load_checkpoint(saved, *fresh(), RULE, now)
    now["images"] = 5
    assert "other data: names and truths was" in refusal(saved, conditions=now)
    both = {**now, "loss": "mine"}
    assert "another config: names and truths was" in refusal(saved, conditions=both)
    said = "was made with another config: loss was None, is 'mine'" + ANEW
    assert refusal(saved, conditions=both, other=True) == said
    assert load_checkpoint(saved, *fresh(), RULE, now, other_data=True) == PROGRESS
    path = altered(saved, lambda header, arrays: header.update(conditions=[1]))
    assert "images was None, is 5" in refusal(path)
    assert load_checkpoint(path, *fresh(), RULE) == PROGRESS


def with_names(*names):
    return SSD(dataclasses.replace(CONFIG, class_names=names))


def test_classes_may_be_renamed_but_not_exchanged(saved):
    circle, square, *others = CONFIG.class_names
    model = with_names("ring", square, *others)
    load_checkpoint(saved, model, SGD(model.parameters), RULE, DATA)
    said = refusal(saved, with_names(square, circle, *others))
    assert said.startswith("was made with another config: class_names was ['circle', ")
    assert "class_names was " in refusal(saved, with_names("ring", circle, *others))


@pytest.mark.parametrize("key", ["validate_every", "checkpoint_every"])
def test_what_says_nothing_of_the_steps_to_come_may_change(saved, key):
    load_checkpoint(saved, *fresh(), dataclasses.replace(RULE, **{key: 7}), DATA)


def test_the_decoding_may_change_but_not_its_scores(saved):
    def model(**changes):
        return SSD(dataclasses.replace(
            CONFIG, name="mine", head_init="small_normal",
            decoding=dataclasses.replace(CONFIG.decoding, **changes)))  # fmt: skip

    load_checkpoint(saved, (other := model(top_k=7)), SGD(other.parameters), RULE, DATA)
    said = "was made with another config: decoding.scores was 'softmax', is 'sigmoid'" + ANEW
    assert refusal(saved, model(scores="sigmoid")) == said


def test_of_a_length_that_was_to_be_timed_nothing_depended(path):
    timed = dataclasses.replace(RULE, minutes=2.0, schedule="warmup_cosine")
    save_checkpoint(path, *taught(), PROGRESS, timed, DATA)
    known = dataclasses.replace(timed, minutes=None, steps=99, validate_every=9)
    assert load_checkpoint(path, *fresh(), known, DATA) == PROGRESS
    assert "seed was 0, is 1" in refusal(path, training=dataclasses.replace(known, seed=1))
    save_checkpoint(path, *taught(), PROGRESS, known, DATA)
    assert "minutes was None, is 2.0" in refusal(path, training=timed)


class Mine(ConvLayer):
    kind: Literal["mine"] = "mine"


def test_layers_of_ones_own_are_read_again(path):
    first, *others = CONFIG.layers
    own = Mine(**{**dataclasses.asdict(first), "kind": "mine"})
    config = dataclasses.replace(CONFIG, layers=(own, *others))
    model = SSD(config)
    save_checkpoint(path, model, SGD(model.parameters), PROGRESS)
    assert load_checkpoint(path, model, SGD(model.parameters)) == PROGRESS
    assert refusal(path, training=None, conditions={}).startswith("its config is refused: ")


def test_a_layer_that_was_put_in_by_hand_is_there_when_it_goes_on(path):
    model = SSD(CONFIG)
    model.stages[0].layers.append(L2Normalization("mine", CONFIG.layers[0].channels, 1.0))
    model.own_layers = ("mine",)
    save_checkpoint(path, model, SGD(model.parameters), PROGRESS)
    assert load_checkpoint(path, model, SGD(model.parameters)) == PROGRESS
    said = refusal(path, training=None, conditions={})
    assert "{'mine': 'L2Normalization'}; this model has none" in said


def test_the_conditions_of_a_training(tmp_path):
    data = ShapesDataset(0, 6)
    model = SSD(CONFIG)
    model.freeze("conv1_1")
    trainer = Trainer(model, data, RULE, tmp_path)
    assert conditions_of(trainer) == {
        "loss": "multibox_loss", "schedule": "learning_rate", "optimiser": "SGD",
        "dtype": "float32", "frozen": ["conv1_1.bias", "conv1_1.weight"],
        "labels": [0, 1, 2, 3, 4, 5], "images": 6, "names and truths": digest(data),
    }  # fmt: skip


@pytest.mark.parametrize(
    "done, over, saves", [(1, False, 0), (2, False, 1), (3, True, 1), (4, True, 1)]
)
def test_when_a_checkpoint_is_written(done, over, saves):
    told = []
    trainer = SimpleNamespace(
        progress=Progress(step=done),
        config=dataclasses.replace(RULE, checkpoint_every=2),
        over=over,
        save=lambda: told.append(done),
    )
    Checkpoint().begin(trainer)
    assert not told  # it goes on from a file
    Checkpoint().after_step(trainer, None)
    assert len(told) == saves
    trainer.progress.step = 0
    Checkpoint().begin(trainer)
    assert len(told) == saves + 1


def test_what_a_training_saves(tmp_path):
    trainer = Trainer(SSD(CONFIG), ShapesDataset(0, 6), RULE, tmp_path / "run")
    trainer.progress, trainer.conditions = PROGRESS, DATA
    with pytest.raises(OutputError):  # the folder is made by whoever begins
        Checkpoint().save(trainer)
    (tmp_path / "run").mkdir()
    Checkpoint().save(trainer)
    with averaged(trainer.optimiser):
        header, _ = read_archive(tmp_path / "run" / "last.npz")
    assert header["conditions"] == DATA and header["training"]["steps"] == 4
    assert header["progress"] == GOOD
