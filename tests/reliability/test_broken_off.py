"""A call that is broken off, by Ctrl-C or for want of memory, leaves a model that works.

Python raises KeyboardInterrupt between any two steps of the interpreter, and MemoryError wherever
something is made. So each job runs again and again, every time with such an error at another call,
line or return of the package's Python. What was raised is kept, as a notebook keeps it, and with it
whatever its frames hold. Then the same job, in a thread of its own, must end and give the same.
"""

import contextlib
import linecache
import shutil
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from training_runs import narrow_config

import ssd_np
from ssd_np.data.shapes import ShapesDataset
from ssd_np.errors import ConfigError, DataError, SsdError
from ssd_np.infer.detect import Detector
from ssd_np.model.archive import read_archive
from ssd_np.model.ssd import SSD
from ssd_np.train.callbacks import Callback
from ssd_np.train.checkpoint import LAST
from ssd_np.train.log import LossCurve, read_log
from ssd_np.train.pretrain import Classifier, classifier_config
from ssd_np.train.trainer import Trainer

ROOM = Path(ssd_np.__file__).parent
TURNS = "engine/table.py", "engine/threads.py", "model/ssd.py", "infer/detect.py"
WATCHED = *(str(ROOM / file) for file in TURNS), contextlib.__file__  # of a quick run
EVERYTHING = str(ROOM), contextlib.__file__
PLACES = 20, 1000  # of a job, at most: of a quick run and of a full one
PATIENCE = 20  # seconds in which this process runs: what has not ended by then waits for ever
CONFIG, DATA = narrow_config(steps=2), ShapesDataset(0, 3)
PICTURES = [sample.image for sample in DATA]
IMAGES = np.random.default_rng(0).uniform(-99, 99, (1, 128, 128, 3)).astype(np.float32)


class Break:
    """A trace function that raises at the nth event; it counts them all where none is the nth."""

    def __init__(self, files, nth, error):
        self.files, self.nth, self.error, self.seen = files, nth, error, 0

    def __call__(self, frame, event, argument):
        if not frame.f_code.co_filename.startswith(self.files):
            return None
        line = linecache.getline(frame.f_code.co_filename, frame.f_lineno)
        if event == "line" and line.lstrip().startswith("with "):
            return self  # its way out is such a line, too, where Python lets no interrupt in
        self.seen += 1
        if self.seen == self.nth:
            raise self.error
        return self


def traced(job, files, nth, error=None):
    """How many events the job has, if none of them is the nth; else None, and what it raised is
    kept in `error`."""
    watch, before = Break(files, nth, error), sys.gettrace()
    sys.settrace(watch)
    try:
        job()
    except type(error):
        return None
    except SsdError as told:  # a reader says of a MemoryError which file was too large
        if told.__cause__ is not error:
            raise
        return None
    finally:
        sys.settrace(before)
    return watch.seen


def in_time(job):
    """What the job gives; an AssertionError where it does not end."""
    told = []
    thread = threading.Thread(target=lambda: told.append(job()), daemon=True)
    thread.start()
    for _ in range(PATIENCE):  # a process that is stopped for a minute loses one of them
        thread.join(1)
    assert not thread.is_alive(), "waits for ever"
    return told[0]


def learn(model, *inputs):
    outputs = model.forward(*inputs, training=True)
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    model.backward(*(np.cos(output) for output in outputs))
    return [parameter.grad.copy() for parameter in model.parameters.values()]


def jobs(engine):
    """Name -> what is called."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSD_NP_ENGINE", engine)
        model, detector = SSD(CONFIG), Detector(SSD(CONFIG), top_k=5)
        classifier = Classifier(classifier_config(CONFIG, ("cat", "dog")))
        return {
            "forward": lambda: model.forward(IMAGES),
            "backward": lambda: learn(model, IMAGES),
            "predict": lambda: model.predict(IMAGES),
            "detect_all": lambda: [
                found.boxes_corner for found in detector.detect_all(PICTURES[:2], batch_size=1)
            ],
            "classifier": lambda: learn(classifier, IMAGES),
        }


# an error in a generator that is being closed has nobody to go to
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("name", jobs("plain"))
@pytest.mark.parametrize("engine", ["plain", "fast"])
def test_a_call_broken_off_anywhere(engine, name, full, tell, monkeypatch):
    monkeypatch.setenv("SSD_NP_THREADS", "2")
    job, broken = jobs(engine)[name], 0
    expected = job()
    files = EVERYTHING if full else WATCHED
    count = traced(job, files, 0)
    for nth, error in places(count, full):
        broken += traced(job, files, nth, error) is None
        for found, array in zip(in_time(job), expected, strict=True):
            np.testing.assert_array_equal(found, array, err_msg=f"{nth} of {count}")
    assert broken
    tell(f"{engine} {name} broken off at {broken} of {count} places: goes on")


def places(count, full):
    """Each place of a job with what is raised there; evenly spread where there are too many."""
    for nth in range(1, count + 1, -(-count // PLACES[full])):
        yield nth, KeyboardInterrupt() if nth % 2 else MemoryError()


def begun(folder):
    """A training in a folder that may hold one: it goes on then. It draws no curve."""
    trainer = Trainer(SSD(CONFIG), DATA, CONFIG.training, folder)
    trainer.callbacks = [one for one in trainer.callbacks if not isinstance(one, LossCurve)]
    if (folder / LAST).exists():
        trainer.resume()
    return trainer


def learned(trainer):
    return [parameter.value.copy() for parameter in trainer.model.parameters.values()]


def is_whole(folder):
    """The checkpoint and the log that belongs to it can be read."""
    header, arrays = read_archive(folder / LAST)
    read_log(folder / "log.csv", header["progress"]["step"])
    return arrays


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_save_broken_off_anywhere_keeps_a_whole_file(full, tell, tmp_path):
    trainer = begun(tmp_path)
    trainer.fit()
    expected, count, broken = is_whole(tmp_path), traced(trainer.save, EVERYTHING, 0), 0
    for nth, error in places(count, full):
        broken += traced(trainer.save, EVERYTHING, nth, error) is None
        for save in (lambda: None, trainer.save):
            in_time(save)
            arrays = is_whole(tmp_path)
            assert all(np.array_equal(arrays[name], expected[name]) for name in expected), nth
    tell(f"a save broken off at {broken} of {count} places: the file is whole, the next save saves")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_resume_broken_off_anywhere_can_be_tried_again(full, tell, tmp_path):
    expected = learned_by(tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    trainer, broken = begun(tmp_path), 0
    count = traced(trainer.resume, EVERYTHING, 0)
    for nth, error in places(count, full):
        broken += traced(trainer.resume, EVERYTHING, nth, error) is None
        in_time(trainer.resume)
        assert trainer.progress.step == CONFIG.training.steps and len(trainer.log.rows) == 2
        for found, array in zip(learned(trainer), expected, strict=True):
            np.testing.assert_array_equal(found, array, err_msg=f"{nth} of {count}")
        assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    tell(f"a resume broken off at {broken} of {count} places: the next one is whole")


def learned_by(folder):
    trainer = begun(folder)
    trainer.fit()
    return learned(trainer)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_training_broken_off_anywhere_is_resumed(full, tell, tmp_path):
    """By another trainer, from what the folder holds, to the weights of one that nothing befell."""
    expected, broken = learned_by(tmp_path / "whole"), 0
    trainer = begun(tmp_path / "counted")
    count = traced(trainer.fit, EVERYTHING, 0)
    for nth, error in places(count, full):
        folder = tmp_path / "broken"
        shutil.rmtree(folder, ignore_errors=True)
        trainer = begun(folder)
        broken += traced(trainer.fit, EVERYTHING, nth, error) is None
        if not (folder / LAST).exists():  # it had not begun
            shutil.rmtree(folder, ignore_errors=True)
        found = in_time(lambda folder=folder: learned_by(folder))
        for array, other in zip(found, expected, strict=True):
            np.testing.assert_array_equal(array, other, err_msg=f"{nth} of {count}")
        is_whole(folder)
    tell(f"a training broken off at {broken} of {count} places: resumed to bit-equal weights")


def test_a_line_of_the_log_that_can_not_be_made_loses_no_training(tmp_path):
    """The checkpoint is of no more steps than the log has lines; the step is done again."""
    expected, broken = learned_by(tmp_path / "whole"), begun(tmp_path / "broken")
    add = broken.log.add

    def failing(step):
        if step.number == 1:
            raise MemoryError
        add(step)

    broken.log.add = failing
    with pytest.raises(MemoryError):
        broken.fit()
    for array, other in zip(learned_by(tmp_path / "broken"), expected, strict=True):
        np.testing.assert_array_equal(array, other)


@pytest.mark.parametrize("engine", ["plain", "fast"])
def test_a_wrong_number_of_threads_breaks_off_one_call_only(engine, monkeypatch):
    calls = jobs(engine)
    expected = {name: call() for name, call in calls.items()}
    monkeypatch.setenv("SSD_NP_THREADS", "none")
    for call in calls.values():
        refused = pytest.raises(ConfigError, match="SSD_NP_THREADS")
        with refused if engine == "fast" else contextlib.nullcontext():  # plain asks nobody
            call()
    monkeypatch.delenv("SSD_NP_THREADS")
    for name, call in calls.items():
        for found, array in zip(in_time(call), expected[name], strict=True):
            np.testing.assert_array_equal(found, array, err_msg=name)


class Faulty(ShapesDataset):
    """Its second picture can not be read."""

    error: BaseException | None = None

    def __getitem__(self, index):
        if index == 1 and self.error is not None:
            raise self.error
        return super().__getitem__(index)


class Failing(Callback):
    error: BaseException | None = None

    def after_step(self, trainer, step):
        if self.error is not None:
            raise self.error


FAILURES = {"data": DataError("torn"), "loss": MemoryError(), "callback": KeyboardInterrupt()}


@pytest.mark.parametrize(("place", "error"), FAILURES.items(), ids=FAILURES)
def test_a_training_goes_on_in_the_same_trainer(place, error, tmp_path):
    """To the weights of one that nothing befell."""

    def trainer(folder):
        data, note = Faulty(0, 4), Failing()
        made = Trainer(SSD(CONFIG), data, CONFIG.training, tmp_path / folder, callbacks=[note])
        return made, data, note

    undisturbed, *_ = trainer("whole")
    in_time(undisturbed.fit)
    broken, data, note = trainer("broken")
    loss = broken.loss

    def failing(*outputs):
        raise error

    if place == "loss":
        broken.loss = failing
    else:
        {"data": data, "callback": note}[place].error = error
    with pytest.raises(type(error)):
        broken.fit()
    broken.loss, data.error, note.error = loss, None, None
    assert in_time(broken.fit).steps == CONFIG.training.steps
    for name, parameter in undisturbed.model.parameters.items():
        np.testing.assert_array_equal(broken.model.parameters[name].value, parameter.value)
