"""`ssd-np train --data D` and nothing else: what it fits, begins with, holds back, and repeats."""

import contextlib
import dataclasses
import itertools
import json
import re
import shutil
import types

import numpy as np
import pytest
from in_process import run
from PIL import Image

from ssd_np.cli import main
from ssd_np.config import config_from_json, config_to_json, load_config
from ssd_np.data.splits import hold_back
from ssd_np.evaluate.average_precision import evaluate_voc
from ssd_np.evaluate.run import detect_dataset
from ssd_np.evaluate.threshold import best_threshold
from ssd_np.fit.config import fit
from ssd_np.fit.fingerprint import fingerprint
from ssd_np.model.archive import read_archive
from ssd_np.model.pretrained import network_of
from ssd_np.model.ssd import SSD
from ssd_np.model.weights import BASE, load, save
from ssd_np.train import budget
from ssd_np.train.average import AVERAGE
from ssd_np.train.trainer import Trainer, TrainResult

SMALL = ("--size", "96x96")  # quick to train on
SIDE = 96


def drawn(rng):
    """A picture with a dark disc or a light square, its class and its box in pixels."""
    image = rng.integers(90, 130, (SIDE, SIDE, 3)).astype(np.uint8)
    size, kind = int(rng.integers(24, 40)), int(rng.integers(2))
    x, y = (int(rng.integers(SIDE - size)) for _ in range(2))
    patch = image[y : y + size, x : x + size]
    away = np.hypot(*(np.mgrid[:size, :size] - (size - 1) / 2))
    patch[...] = np.where((away < size / 2)[..., None], 20, patch) if kind else 230
    return image, ("square", "disc")[kind], (x, y, x + size, y + size)


def write(root, layout, splits):
    """A data set in a layout, `splits` by name and number of images; what `--data` says."""
    kind, rng, number = layout.partition(" ")[0], np.random.default_rng(0), itertools.count()
    rows, lists = [], {}
    for split, count in splits.items():
        folder = root / split if split and layout != "voc lists" else root
        images = folder / "images" if kind == "yolo" else folder
        for place in (images, folder / "labels" if kind == "yolo" else folder):
            place.mkdir(parents=True, exist_ok=True)
        for _ in range(count):
            image, name, box = drawn(rng)
            stem = f"p{next(number):03}"
            Image.fromarray(image).save(images / f"{stem}.png")
            rows.append((split, stem, name, box))
            lists.setdefault(split, []).append(stem)
            x0, y0, x1, y1 = box
            if kind == "yolo":
                numbers = (x0 + x1) / 2 / SIDE, (y0 + y1) / 2 / SIDE, *[(x1 - x0) / SIDE] * 2
                text = " ".join(map(str, (int(name == "disc"), *numbers)))
                (folder / "labels" / f"{stem}.txt").write_text(text)
            if kind == "voc":
                sides = zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True)
                sides = "".join(f"<{key}>{value + 1}</{key}>" for key, value in sides)
                (folder / f"{stem}.xml").write_text(
                    f"<annotation><filename>{stem}.png</filename><object><name>{name}</name>"
                    f"<bndbox>{sides}</bndbox></object></annotation>"
                )
    if layout == "voc lists":
        for folder, end in (("JPEGImages", "png"), ("Annotations", "xml")):
            (root / folder).mkdir()
            for path in root.glob(f"*.{end}"):
                path.rename(root / folder / path.name)
        (root / "ImageSets" / "Main").mkdir(parents=True)
        for split, stems in lists.items():
            (root / "ImageSets" / "Main" / f"{split}.txt").write_text("\n".join(stems))
    if kind == "yolo":
        called = {"": "train", "valid": "val"}
        places = "".join(f"{called.get(s, s)}: {s or '.'}/images\n" for s in splits)
        (root / "data.yaml").write_text(f"{places}names: [square, disc]\n")
    for split in splits if kind in ("csv", "coco") else ():
        own = [row for row in rows if row[0] == split]
        if kind == "csv":
            lines = [f"{stem}.png,{','.join(map(str, box))},{name}" for _, stem, name, box in own]
            text = "\n".join(["filename,xmin,ymin,xmax,ymax,class", *lines])
            (root / split / "_annotations.csv").write_text(text)
            continue
        content = {
            "images": [
                {"id": i, "file_name": f"{row[1]}.png", "width": SIDE, "height": SIDE}
                for i, row in enumerate(own)
            ],
            "categories": [{"id": 1, "name": "square"}, {"id": 2, "name": "disc"}],
            "annotations": [
                {"id": i, "image_id": i, "category_id": 1 + (name == "disc"),
                 "bbox": [x0, y0, x1 - x0, y1 - y0]}
                for i, (_, _, name, (x0, y0, x1, y1)) in enumerate(own)
            ],
        }  # fmt: skip
        (root / split / "_annotations.coco.json").write_text(json.dumps(content))
    return f"{kind}:{root}"


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    """48 images to learn from and four to evaluate on."""
    return write(tmp_path_factory.mktemp("photographs"), "voc lists", {"trainval": 48, "test": 4})


@pytest.fixture(scope="module")
def few(tmp_path_factory):
    return write(tmp_path_factory.mktemp("few"), "yolo", {"train": 12, "valid": 3})


@pytest.fixture
def begun(monkeypatch):
    """Trainers that were asked to train, and did not."""
    asked = []

    def fit(trainer):
        asked.append(trainer)
        trainer.progress.best_score = 0.0
        return TrainResult(0, 1.0, 0.0, 0.0)

    with monkeypatch.context() as patched:
        patched.setattr(Trainer, "fit", fit)
        patched.setattr("ssd_np.commands.train._evaluate", lambda *_: None)
        yield asked


# --- the splits ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("layout", "splits", "expected"),
    [
        ("voc lists", {"trainval": 7, "test": 3}, ("trainval", "test", 7)),
        ("voc lists", {"train": 5, "val": 3}, ("train", "val", 5)),
        ("voc", {"": 10}, ("train", "val", 8)),
        ("yolo", {"train": 5, "valid": 2, "test": 2}, ("trainval", "test", 7)),
        ("yolo", {"train": 5, "valid": 2}, ("train", "val", 5)),
        ("yolo", {"": 10}, ("train", "val", 8)),
        ("coco", {"train": 5, "valid": 2, "test": 2}, ("trainval", "test", 7)),
        ("coco", {"train": 5, "valid": 2}, ("train", "val", 5)),
        ("csv", {"train": 5, "valid": 2}, ("train", "val", 5)),
        ("csv", {"": 10}, ("train", "val", 8)),
    ],
)
def test_the_splits_that_are_there_decide(capsys, tmp_path, begun, layout, splits, expected):
    data = write(tmp_path / "data", layout, splits)
    code, out, err = run(capsys, "train", "--data", data, *SMALL, "--out", tmp_path / "run")
    assert code == 0, err
    settings = json.loads((tmp_path / "run" / "run.json").read_text())
    split, other, count = expected
    assert (settings["split"], settings["eval_split"]) == (split, other)
    assert len(begun[0].dataset) == count and f"\n{count} images, classes: " in out
    assert f"fitted to {data}, split {split}:" in out
    assert f"{other} is looked at once, at the end" in out
    assert ("drawn by seed 0" in err) == ("" in splits)


# --- the config ----------------------------------------------------------------------------------


def test_the_config_is_that_of_config_fit(capsys, tmp_path, begun, few):
    argv = ["train", "--data", few, "--from-scratch", "--out", tmp_path / "run"]
    code, out, _ = run(capsys, *argv)
    assert code == 0
    argv = ["config", "--fit", few, "--from-scratch", "--out", tmp_path / "c.json"]
    assert run(capsys, *argv)[0] == 0
    written, told = (tmp_path / p for p in ("run/config.json", "c.json"))
    assert written.read_text() == told.read_text()
    training = config_from_json(written.read_text()).training
    assert training.minutes == 6 and begun[0].config == training
    assert "as many steps as 6 minutes allow, at most 1,000" in out and "network scratch" in out


def test_size_classes_seed_and_length(capsys, tmp_path, begun, photographs):
    argv = ["train", "--data", photographs, "--from-scratch", "--size", "128x96", "--seed", 3]
    argv += ["--classes", "disc", "--out"]
    code, out, err = run(capsys, *argv, tmp_path / "a", "--epochs", 2, "--patience", 4)
    config = begun[0].model.config
    assert code == 0, err
    assert config.input.shape == (96, 128) and config.class_names == ("disc",)
    assert (config.training.seed, config.training.patience) == (3, 4)
    assert (config.training.steps, config.training.minutes) == (10, None)
    assert "input 128 x 96, as given" in out and "minutes" not in out
    assert run(capsys, *argv, tmp_path / "b", "--minutes", 0.5)[0] == 0
    assert begun[1].config.minutes == 0.5


def test_a_named_config_is_exactly_that(capsys, tmp_path, begun, photographs):
    argv = ["train", "--data", photographs, "--config", "small", "--out", tmp_path / "run"]
    code, out, err = run(capsys, *argv)
    preset = load_config("small").with_classes(["disc", "square"])
    assert code == 0, err
    assert "fitted" not in out
    assert (tmp_path / "run" / "config.json").read_text() == config_to_json(preset)
    assert len(begun[0].dataset) == 48 and begun[0].validation is None  # nothing is held back
    fresh = SSD(preset)
    for name, parameter in begun[0].model.parameters.items():
        np.testing.assert_array_equal(parameter.value, fresh.parameters[name].value)


def test_generated_shapes_have_tiny(capsys, tmp_path, begun):
    assert run(capsys, "train", "--out", tmp_path / "run")[0] == 0
    assert begun[0].model.config == load_config("tiny")


def test_minutes_are_for_schedules_whose_first_steps_know_no_length(capsys, tmp_path, begun):
    argv = ["train", "--config", "tiny", "--minutes", 1, "--out", tmp_path / "run"]
    code, _, err = run(capsys, *argv)
    assert code == 1 and "--minutes: the first steps of the schedule 'cosine'" in err
    for text in ("0", "-1", "nan", "six"):
        assert run(capsys, "train", f"--minutes={text}")[0] == 2


# --- what it begins with -------------------------------------------------------------------------


def trunk(model):
    layers = {layer.name for layer in model.config.layers}
    return {n: p for n, p in model.parameters.items() if n.rpartition(".")[0] in layers}


def test_it_begins_with_the_base_that_comes_with_the_package(capsys, tmp_path, begun, few):
    argv = ["train", "--data", few, *SMALL, "--out"]
    code, out, err = run(capsys, *argv, tmp_path / "a")
    assert code == 0, err
    assert "begins with the base of this package" in out
    code, out, err = run(capsys, *argv, tmp_path / "b", "--from-scratch")
    assert code == 0, err
    assert "begins with" not in out and "network scratch" in out
    code, out, err = run(capsys, "config", "--fit", few, "--out", tmp_path / "mine.json")
    assert code == 0, err
    argv = ["train", "--config", tmp_path / "mine.json", "--base-weights", "base", "--data", few]
    code, out, err = run(capsys, *argv, "--out", tmp_path / "c")
    assert code == 0, err
    assert "begins with the base of this package" in out and "random" not in out
    argv = ["train", "--config", tmp_path / "mine.json", "--data", few, "--out", tmp_path / "d"]
    code, out, err = run(capsys, *argv)  # of which nobody knows that it wants a base
    assert code == 0, err
    assert "random weights, of which the base learns at 0.3 of the rate (training.base_mul" in out
    based, scratch, written, _ = (trainer.model for trainer in begun)
    fresh, arrays = SSD(scratch.config), read_archive(BASE)[1]
    kernels = [name for name, p in trunk(based).items() if p.value.ndim > 1]
    assert len(kernels) > 10
    for name in kernels:
        np.testing.assert_array_equal(based.parameters[name].value, arrays[name])
        np.testing.assert_array_equal(written.parameters[name].value, arrays[name])
    for name, parameter in fresh.parameters.items():
        np.testing.assert_array_equal(scratch.parameters[name].value, parameter.value)


def test_a_file_of_ones_own_brings_its_network(capsys, tmp_path, begun, few):
    """Also layers that no preset has, and those behind the base."""
    own = dataclasses.replace(load_config("tiny"), name="mine")
    save(tmp_path / "own.npz", SSD(own, seed=5))
    argv = ["train", "--data", few, "--base-weights", tmp_path / "own.npz", "--size", "128x128"]
    code, out, err = run(capsys, *argv, "--out", tmp_path / "run")
    assert code == 0, err
    assert "network mine" in out, err
    model, file = begun[0].model, load(tmp_path / "own.npz")
    assert model.config.input.mean == own.input.mean and len(trunk(model)) > 8
    for name, parameter in trunk(model).items():
        np.testing.assert_array_equal(parameter.value, file.parameters[name].value)


def test_a_published_detector_brings_its_network(capsys, tmp_path, begun, few, published):
    faces = published / "version-slim-320.pth"
    argv = ["train", "--data", few, *SMALL, "--out"]
    code, out, err = run(capsys, *argv, tmp_path / "a", "--base-weights", faces)
    assert code == 0, err
    assert "network slim" in out, err
    slim = load_config("slim")
    config = begun[0].model.config
    assert config.layers == slim.layers[: len(config.layers)]
    assert config.input.mean == slim.input.mean
    # what is learned anew is as it is in `small`
    small = load_config("small")
    assert (config.matching, config.loss) == (small.matching, small.loss)
    assert config.decoding == dataclasses.replace(small.decoding, score_threshold=0.001)
    assert run(capsys, "config", "--fit", few, "--base-weights", faces)[0] == 0
    pytest.importorskip("tflite")
    assert network_of(published / "detect.tflite").layers[0].name == "block0_conv"
    code, out, err = run(
        capsys, *argv, tmp_path / "b", "--base-weights", published / "detect.tflite"
    )
    assert code == 0, err
    assert begun[1].model.config.layers[0].name == "block0_conv", err


# --- what is held back ---------------------------------------------------------------------------


def test_a_tenth_by_the_seed_and_the_names():
    names = [f"p{i}" for i in range(300)]
    held = hold_back(names, 0)
    assert len(held) == 30 and held == sorted(set(held)) == hold_back(names, 0)
    assert held != hold_back(names, 1)
    shuffled = names[::-1]
    assert {shuffled[i] for i in hold_back(shuffled, 0)} == {names[i] for i in held}
    assert [len(hold_back(names[:n], 0)) for n in (0, 39, 40, 80, 96)] == [0, 0, 8, 8, 10]


def test_copies_of_a_picture_stay_together():
    names = [f"p{i}_jpg.rf.{copy}" for i in range(40) for copy in "abc"]
    held = [names[i] for i in hold_back(names, 0)]
    assert 12 <= len(held) <= 14
    assert all(f"{name[:-1]}{copy}" in held for name in held for copy in "abc")


def test_the_tenth_teaches_nothing_and_is_written_down(capsys, tmp_path, begun, photographs):
    argv = ["train", "--data", photographs, "--from-scratch", *SMALL, "--out"]
    code, out, err = run(capsys, *argv, tmp_path / "a")
    assert code == 0, err
    assert "chosen by 8 more images of trainval, held back by seed 0" in out
    trainer = begun[0]
    held = json.loads((tmp_path / "a" / "run.json").read_text())["held_back"]
    assert held == trainer.validation.names and len(held) == 8
    assert not set(held) & set(trainer.dataset.names) and len(trainer.dataset) == 40
    for data in (trainer.dataset, trainer.validation):  # truths stay with their images
        sample = data[3]
        assert sample.name == data.names[3] and sample.truth == data.truth(3)
        whole = [i.rpartition("/")[2] for i in data.identities()]
        assert whole == [f"{name}.png" for name in data.names]
    assert run(capsys, *argv, tmp_path / "b", "--seed", 1)[0] == 0
    assert set(begun[1].validation.names) != set(held)
    code, out, err = run(capsys, *argv, tmp_path / "c", "--val-split", "test")
    assert code == 0, err
    assert len(begun[2].dataset) == 48 and len(begun[2].validation) == 4
    assert f"chosen by {photographs}, split test" in out


def test_few_images_all_teach_and_the_average_of_the_last_weights_is_used(capsys, tmp_path, few):
    argv = ["train", "--data", few, "--from-scratch", *SMALL, "--steps", 12, "--out", tmp_path]
    code, out, err = run(capsys, *argv, "--force")
    assert code == 0, err
    assert "of fewer than 40 images none is held back" in out
    assert "the average of the last weights" in out
    last, best = read_archive(tmp_path / "last.npz")[1], read_archive(tmp_path / "best.npz")[1]
    assert all(np.array_equal(best[name], last[AVERAGE + name]) for name in best)
    assert not all(np.array_equal(best[name], last[name]) for name in best)


# --- a whole training ----------------------------------------------------------------------------


def assert_same(one, other):
    for file in ("best.npz", "last.npz"):
        (header, arrays), (header2, arrays2) = read_archive(one / file), read_archive(other / file)
        for told in (header, header2):  # the command that made it may be another
            told["provenance"][0].pop("command")
        assert header == header2 and arrays.keys() == arrays2.keys(), file
        assert all(np.array_equal(arrays[name], arrays2[name]) for name in arrays), file


@pytest.fixture(scope="module")
def trained(photographs, tmp_path_factory):
    """A training of 12 steps: after more, any threshold is best, and their middle the preset's."""
    out = tmp_path_factory.mktemp("trained") / "run"
    argv = ["train", "--data", photographs, *SMALL, "--steps", "12", "--out", str(out)]
    assert main(argv) == 0
    return out


def test_the_weights_move(trained):
    model, fresh = load(trained / "last.npz"), read_archive(BASE)[1]
    moved = [not np.array_equal(p.value, fresh[name]) for name, p in trunk(model).items()]
    assert np.mean(moved) > 0.9


def test_the_threshold_is_chosen_on_the_tenth_and_used_by_detect(
    capsys, tmp_path, trained, photographs
):
    from ssd_np.commands.datasets import training_data

    held = json.loads((trained / "run.json").read_text())["held_back"]
    data = training_data(photographs, "trainval", 0)
    validation = data.part([i for i, name in enumerate(data.names) if name in held])
    best = load(trained / "best.npz")
    result = evaluate_voc(*detect_dataset(best, validation))
    threshold = best.config.decoding.show_threshold
    assert threshold == best_threshold(result, 0.0) != load_config("small").decoding.show_threshold
    report = json.loads((trained / "eval.json").read_text())
    assert report["thresholds"]["show"] == threshold and report["images"] == 4
    image = data.identities()[0]
    argv = ["detect", image, "--weights", trained / "best.npz", "--json", "--out", tmp_path / "d"]
    code, out, err = run(capsys, *argv)
    assert code == 0, err
    assert str(threshold) in (trained / "best.npz").read_bytes().decode("latin-1")
    scores = [d["score"] for d in json.loads(out)[0]["detections"]]
    found = detect_dataset(best, data.part([0]))[0][0]
    assert len(scores) == np.sum(found.scores >= threshold)


def test_a_stopped_training_goes_on_to_the_same_bits(
    capsys, tmp_path, trained, photographs, monkeypatch
):
    argv = ["train", "--data", photographs, *SMALL, "--steps", 12, "--out", tmp_path / "run"]
    with monkeypatch.context() as patched:
        patched.setattr("ssd_np.train.stop.StopRequests.begin", lambda *_: None)
        patched.setattr("ssd_np.train.stop.StopRequests.end", lambda *_: None)
        patched.setattr("ssd_np.train.stop.StopRequests._asked", True, raising=False)
        assert run(capsys, *argv)[0] != 0  # after its first step
    code, out, err = run(capsys, "train", "--resume", tmp_path / "run")
    assert code == 0, err
    assert "going on at step 1 of 12" in out, err
    assert_same(trained, tmp_path / "run")


@contextlib.contextmanager
def clock_that_ticks(monkeypatch, seconds):
    """In here each look at the clock by which minutes are kept finds it that much later."""
    with monkeypatch.context() as patched:
        now = itertools.count()
        clock = types.SimpleNamespace(perf_counter=lambda: seconds * next(now))
        for place in ("ssd_np.train.budget.time", "ssd_np.commands.train.time"):
            patched.setattr(place, clock)
        yield


def test_minutes_fix_the_steps_and_the_number_repeats_them(
    capsys, tmp_path, photographs, monkeypatch
):
    argv = ["train", "--data", photographs, *SMALL, "--out"]
    with clock_that_ticks(monkeypatch, 0.5):
        # 33 s: looking at an image takes an eighth of half a second
        code, _, err = run(capsys, *argv, tmp_path / "timed", "--minutes", 0.55)
    assert code == 0, err
    config = config_from_json((tmp_path / "timed" / "config.json").read_text())
    steps = config.training.steps
    assert config.training.minutes is None and 22 < steps < 40
    assert f"{steps} steps: 0.55 minutes allow that" in err and f"--steps {steps}" in err
    assert run(capsys, *argv, tmp_path / "again", "--steps", steps)[0] == 0
    assert_same(tmp_path / "timed", tmp_path / "again")


def test_where_minutes_are_too_few_the_timing_ends_and_the_truth_is_said(
    capsys, tmp_path, photographs, monkeypatch
):
    argv = ["train", "--data", photographs, *SMALL, "--eval-split", "none", "--out"]
    with clock_that_ticks(monkeypatch, 20):
        code, _, err = run(capsys, *argv, tmp_path / "timed", "--minutes", 1)
    assert code == 0, err
    assert "4 steps: 1 minute can not hold, for these alone take about" in err
    assert "20 s a step" in err and "allow" not in err and "1 minutes" not in err
    assert run(capsys, *argv, tmp_path / "again", "--steps", 4)[0] == 0
    assert_same(tmp_path / "timed", tmp_path / "again")


class Trained:
    """What a budget asks of a trainer, on a machine that takes `each` seconds for a step."""

    def __init__(self, minutes, monkeypatch, each, first=0.0):
        training = load_config("small").training
        self.config = dataclasses.replace(
            training, minutes=minutes, steps=4500, schedule="warmup_cosine", warmup_steps=100
        )
        self.validation, self.said, self.now = None, [], 0.0
        self.progress = types.SimpleNamespace(step=0)
        self.bar = types.SimpleNamespace(say=self.said.append)
        clock = types.SimpleNamespace(perf_counter=lambda: self.now)
        monkeypatch.setattr(budget, "time", clock)
        monkeypatch.setattr(budget, "_seconds_to_detect", lambda _: 0.1)
        monkeypatch.setattr(budget, "set_length", self.set_length)
        watch = budget.Budget()
        while self.config.minutes is not None:
            self.now += each if self.progress.step else each + first
            self.progress.step += 1
            watch.after_step(self, types.SimpleNamespace(seconds=each))
        self.timed = self.progress.step

    def save(self):
        pass

    def set_length(self, _, steps):
        self.config = dataclasses.replace(self.config, steps=steps, minutes=None)


@pytest.mark.parametrize(
    ("minutes", "each", "first", "timed", "steps"),
    [
        (6, 0.125, 20, 21, 2720),
        (6, 10, 20, 11, 34),  # 120 s are over after the eleventh
        (1, 10, 0, 4, 6),
        (1, 10, 168, 4, 4),  # too few
        (1, 5, 0, 5, 12),
    ],
)
def test_no_more_than_a_third_of_the_minutes_is_timed(
    monkeypatch, minutes, each, first, timed, steps
):
    trained = Trained(minutes, monkeypatch, each, first)
    assert (trained.timed, trained.config.steps) == (timed, steps)
    (said,) = trained.said
    if steps > timed:
        assert trained.now + (steps - timed) * each <= 60 * minutes
        given = "1 minute allows" if minutes == 1 else "6 minutes allow"
        assert f"{steps:,} steps: {given} that, at" in said
    else:
        assert "1 minute can not hold, for these alone take about 208 s" in said


def test_what_is_held_back_is_not_counted_and_rare_classes_are_told(
    capsys, tmp_path, begun, photographs
):
    folder = tmp_path / "rare"
    shutil.copytree(photographs.removeprefix("voc:"), folder)
    names = (folder / "ImageSets" / "Main" / "trainval.txt").read_text().split()
    first = folder / "Annotations" / f"{names[0]}.xml"
    first.write_text(re.sub("<name>.*?</name>", "<name>dics</name>", first.read_text()))
    argv = ["train", "--data", f"voc:{folder}", "--from-scratch", *SMALL, "--seed", 0]
    code, out, err = run(capsys, *argv, "--out", tmp_path / "run")
    assert code == 0, err
    assert "300 passes over 40 images" in out and "\n40 images" in out
    held = names[0] in begun[0].validation.names
    told = [line for line in err.splitlines() if line.startswith("note: of the 3 classes")]
    assert f"fewer than 5 objects in the images that it learns from: 'dics' ({1 - held})" in told[0]
    assert "fewer than 1 object in the images that it is evaluated on: 'dics' (0)" in told[-1]
    assert len(told) == (2 if held else 3)
    code, _, err = run(capsys, "train", "--data", photographs, *SMALL, "--out", tmp_path / "b")
    assert code == 0 and "of the 2 classes" not in err


def test_a_fit_of_the_fingerprint_is_all_that_decides(photographs):
    from ssd_np.commands.datasets import training_data

    data = training_data(photographs, "trainval", 0)
    assert fit(fingerprint(data)) == fit(fingerprint(data))


def test_a_class_that_only_evaluation_has_is_known_and_missed(tmp_path, capsys):
    """VOC has no list of classes; COCO and YOLO, which have one, name it as well."""
    spec = write(tmp_path, "voc lists", {"train": 10, "val": 4})
    (tmp_path / "runs").mkdir()
    first = sorted((tmp_path / "ImageSets" / "Main").glob("val.txt"))[0].read_text().split()[0]
    (xml,) = tmp_path.rglob(f"{first}.xml")
    xml.write_text(re.sub("<name>[a-z]+</name>", "<name>star</name>", xml.read_text()))
    out = tmp_path / "run"
    command = ["train", "--data", spec, *SMALL, "--steps", "1", "--out", str(out)]
    assert main(command) == 0
    told = capsys.readouterr()
    assert "classes: disc, square, star" in told.out and "'star' (0)" in told.err
    report = json.loads((out / "eval.json").read_text())
    assert next(c for c in report["classes"] if c["name"] == "star")["truths"] == 1
    assert load(out / "best.npz").config.class_names == ("disc", "square", "star")
