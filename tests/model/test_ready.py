"""What a training will need is looked at before its first step, and no run is overwritten."""

import dataclasses

import numpy as np
import pytest
from test_trainer import trainer

from ssd_np.config import load_config
from ssd_np.data.shapes import ShapesDataset
from ssd_np.errors import ConfigError, DataError, DegenerateBox, OutputError, ShapeError, SsdError
from ssd_np.model.ssd import SSD
from ssd_np.records import Sample, Truth
from ssd_np.train.callbacks import Callback
from ssd_np.train.sgd import SGD
from ssd_np.train.trainer import Trainer

IMAGE = np.zeros((20, 30, 3), np.uint8)
GOOD = Sample(IMAGE, Truth([[0.1, 0.1, 0.5, 0.5]], [1]), "good")


class Own:
    """A data set as somebody writes it who has not read all of the documentation."""

    def __init__(self, *items, names=("circle", "square"), length=None):
        self.items, self.class_names = items, names
        self.length = len(items) if length is None else length

    def __len__(self):
        return self.length

    def __getitem__(self, index):
        item = self.items[index]
        return item() if callable(item) else item


class NoLength:
    class_names = ("circle",)

    def __getitem__(self, index):
        return GOOD


class NoNames:
    def __len__(self):
        return 1

    def __getitem__(self, index):
        return GOOD


def raising(error):
    def read():
        raise error

    return read


FLAT = Sample(IMAGE, Truth([[0.1, 0.1, 0.1, 0.5]], [1]), "7.jpg")
SETS = {
    "no length": (NoLength(), DataError, r"{}: data set NoLength: has no __len__"),
    "no names": (NoNames(), DataError, "{}: data set NoNames: has no class_names"),
    "one name": (Own(GOOD, names="circle"), DataError, "{}: .*class_names is 'circle'"),
    "no list of names": (Own(GOOD, names=3), DataError, "{}: data set Own: can not be read"),
    "misspelt": (Own(GOOD, names=("circel",)), DataError, "{}: .*'circel'.*is 'circle' meant"),
    "no items": (Own(), DataError, "{}: data set Own: has no images"),
    "length is text": (Own(GOOD, length="1"), DataError, "can not be read: TypeError"),
    "one item too many": (Own(GOOD, length=2), DataError, "{}: item 1 of .*Own: .*IndexError"),
    "no truth": (
        Own(raising(AttributeError("truth"))), DataError, "{}: item 0 .*: AttributeError: truth",
    ),
    "a pair": (Own((IMAGE, None)), DataError, "{}: item 0 .* is a tuple, expected a Sample"),
    "an array": (Own(IMAGE), DataError, "{}: item 0 .* is a ndarray, expected a Sample"),
    "no picture": (
        Own(lambda: Sample(IMAGE.astype(float), GOOD.truth, "7.jpg")),
        ShapeError, r"{}: 7.jpg: its image is \(20, 30, 3\) float64",
    ),
    "pixels": (
        Own(lambda: Sample(IMAGE, Truth([[1, 2, 30, 20]], [1]), "7.jpg")),
        ShapeError, "{}: item 0 .*boxes are fractions",
    ),
    "label above the names": (
        Own(dataclasses.replace(GOOD, truth=Truth([[0, 0, 1, 1]], [3]))),
        DataError, r"{}: item 0 .*\(good\): an object has label 3",
    ),
    "the last is broken": (Own(GOOD, GOOD, raising(KeyError("7"))), DataError, "{}: item 2 .*Key"),
    "no file": (Own(raising(FileNotFoundError("7.jpg"))), DataError, "{}: item 0 .*7.jpg"),
}  # fmt: skip


@pytest.mark.parametrize("role", ["training", "validation"])
@pytest.mark.parametrize("name", SETS)
def test_a_data_set_that_will_not_do_is_refused_before_the_first_step(tmp_path, name, role):
    data, error, message = SETS[name]
    given = {"training": {"dataset": data}, "validation": {"attached": {"validation": data}}}
    with pytest.raises(error, match=message.format(role)) as caught:
        trainer(tmp_path / "run", **given[role]).fit()
    assert isinstance(caught.value, SsdError) and "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_what_has_no_area_may_be_measured_by_but_not_learned(tmp_path):
    trainer(tmp_path / "a", steps=1, attached={"validation": Own(FLAT)}).fit()
    with pytest.raises(DegenerateBox, match=r"training: 7\.jpg: object 0: has no area"):
        trainer(tmp_path / "b", dataset=Own(FLAT)).fit()


def test_an_own_data_set_trains_and_validates(tmp_path):
    rule = {"validation": Own(GOOD, names=("circle",))}
    done = trainer(tmp_path, dataset=Own(GOOD, GOOD, GOOD), attached=rule).fit()
    assert done.steps == 4 and (tmp_path / "best.npz").exists()


class Note(Callback):
    """Whole."""


class Half:
    def after_step(self, trainer, step):
        pass


@pytest.mark.parametrize(
    "attached, message",
    [
        ({"callbacks": [Half()]}, "callback Half: has no resume, begin, save, failed, end"),
        ({"callbacks": [lambda trainer: None]}, "callback function: has no resume, begin, after"),
        ({"callbacks": [Note]}, r"callback Note: is a class \(give an object"),
        ({"schedule": lambda step: [1e-3, 1e-3][step]}, "list index"),
        ({"schedule": "cosine"}, "schedule: 'cosine' can not be called"),
        ({"loss": "focal"}, "loss: 'focal' can not be called"),
        ({"optimiser": object()}, "optimiser object: has no step, state, load_state"),
        ({"optimiser": SGD}, "optimiser SGD: is a class"),
        ({"schedule": lambda step: 2e-3 - 1e-3 * step}, "step 3: the learning rate is -0.00"),
    ],
)
def test_what_hangs_on_a_training_is_looked_at_too(tmp_path, attached, message):
    with pytest.raises((ConfigError, IndexError), match=message):
        trainer(tmp_path / "run", steps=4, attached=attached).fit()
    assert not (tmp_path / "run").exists()


def test_a_whole_config_is_no_training(tmp_path):
    for given, kind in ((load_config("tiny"), "Config"), ({"steps": 3}, "dict")):
        with pytest.raises(ConfigError, match=f"train_config: is a {kind} .*config.training"):
            Trainer(SSD("tiny"), ShapesDataset(0, 2), given, tmp_path)


# --- the folder ----------------------------------------------------------------------------------


def test_a_run_is_not_overwritten_without_force(tmp_path):
    first = trainer(tmp_path / "run", steps=2)
    first.fit()
    kept = {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()}
    with pytest.raises(OutputError, match=r"run: is not empty \(choose another --out, or --force"):
        trainer(tmp_path / "run", steps=3).fit()
    assert {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()} == kept
    first.fit()  # it has ended; nothing begins
    assert {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()} == kept
    (tmp_path / "run" / "post_mortem.json").write_text("{}")
    (tmp_path / "run" / "notes.txt").write_text("mine")
    other = trainer(tmp_path / "run", steps=3, attached={"force": True})
    other.fit()
    assert other.log.rows.shape[0] == 3
    assert not (tmp_path / "run" / "post_mortem.json").exists()  # of the run that was given up
    assert (tmp_path / "run" / "notes.txt").read_text() == "mine"


def test_a_folder_that_is_none_or_is_the_data_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    for place in ("file", "file/run"):
        with pytest.raises(OutputError, match="is a file"):
            trainer(tmp_path / place, attached={"force": True}).fit()
    data = ShapesDataset(0, 12)
    data.identities = lambda: [str(tmp_path / "images" / f"{i}.jpg") for i in range(12)]
    (tmp_path / "images" / "run").mkdir(parents=True)
    (tmp_path / "images" / "run" / "7.jpg").write_text("")
    for place, message in (("images", "is the data that is read"), ("images/run", "lies in the")):
        with pytest.raises(OutputError, match=message):
            trainer(tmp_path / place, dataset=data, attached={"force": True}).fit()
    trainer(tmp_path / "images" / "new", steps=1, dataset=data).fit()


def test_a_training_that_was_refused_can_be_begun_again(tmp_path):
    class Once(Callback):
        failed_before = False

        def begin(self, trainer):
            if not self.failed_before:
                self.failed_before = True
                raise ZeroDivisionError

    learner = trainer(tmp_path / "run", steps=1, attached={"callbacks": [Once()]})
    with pytest.raises(ZeroDivisionError):
        learner.fit()
    assert learner.fit().steps == 1


def test_a_refused_resume_does_not_open_the_folder(tmp_path):
    trainer(tmp_path, steps=2).fit()
    other = trainer(tmp_path, steps=2, seed=3)
    with pytest.raises(SsdError, match=r"training\.seed was 0, is 3"):
        other.resume()
    with pytest.raises(OutputError, match="is not empty"):
        other.fit()
