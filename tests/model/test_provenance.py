"""Weights say where they come from: written, kept, read with suspicion, the same for equal runs."""

import dataclasses
import json

import numpy as np
import pytest
from test_class_heads import narrow

from ssd_np.cli import main
from ssd_np.config import config_to_json, load_config
from ssd_np.data.digest import digest
from ssd_np.data.shapes import ShapesDataset
from ssd_np.errors import WeightsError
from ssd_np.model.about import about
from ssd_np.model.archive import read_archive, write_archive
from ssd_np.model.class_heads import with_other_classes
from ssd_np.model.fold import fold_batchnorm, unfolded
from ssd_np.model.grey import grey_model
from ssd_np.model.provenance import MOST, Measured, Origin, Used, imported
from ssd_np.model.ssd import SSD
from ssd_np.model.weights import export, load, load_torch, save
from ssd_np.terminal import last_names
from ssd_np.train.callbacks import Callback
from ssd_np.train.trainer import Trainer


def origin(**keys):
    return Origin(training=load_config("tiny").training, data=(Used("a", "b", 3, "ff"),), **keys)


@pytest.fixture
def model():
    model = SSD(narrow("slim", "softmax"))
    model.provenance = (origin(metric=Measured("mAP", 0.5, "b")), origin(licence="MIT"))
    return model


@pytest.fixture
def few(monkeypatch):
    monkeypatch.setattr("ssd_np.commands.datasets.TRAIN_SHAPES", 20)
    monkeypatch.setattr("ssd_np.commands.datasets.EVAL_SHAPES", 4)


def test_it_is_kept_by_whatever_makes_a_model_of_a_model(model, tmp_path):
    told = model.provenance
    save(tmp_path / "w.npz", model)
    assert load(tmp_path / "w.npz").provenance == told
    assert load(tmp_path / "w.npz", replace_heads=["owl"]).provenance == told
    into = SSD(model.config)
    load(tmp_path / "w.npz", into=into)
    folded = fold_batchnorm(model)
    kept = [into, folded, unfolded(folded, model.config), with_other_classes(model, ["owl"])]
    assert [one.provenance for one in (*kept, grey_model(model))] == [told] * 5
    save(tmp_path / "again.npz", load(tmp_path / "w.npz"))
    assert (tmp_path / "again.npz").read_bytes() == (tmp_path / "w.npz").read_bytes()


def test_it_travels_with_an_export_and_back(published, tmp_path):
    file = published / "version-slim-320.pth"
    model = load_torch(file, size=(240, 320))
    assert model.provenance == (imported(file, "linzaer", "MIT"),)
    assert len(model.provenance[0].sha256) == 64 and model.provenance[0].file == file.name
    export(tmp_path / "e.npz", model, "linzaer")
    assert load_torch(tmp_path / "e.npz").provenance == model.provenance
    model.provenance = (*model.provenance, *[origin(command="x" * 2000)] * MOST)
    export(tmp_path / "e.npz", model, "linzaer")  # longer than a comment may be
    assert 10 < len(load_torch(tmp_path / "e.npz").provenance) <= MOST


@pytest.mark.parametrize(
    "value, words",
    [
        ({"a": 1}, "its provenance is no list"),
        ([{}] * (MOST + 1), "its provenance is no list"),
        (["trained"], r"provenance\[0\]: expected an object"),
        ([{"how": "stolen"}], r"provenance\[0\].how: expected 'trained' or"),
        ([{"command": 7}], r"provenance\[0\].command: expected a text"),
        ([{"licence": "x" * 10**6}], r"provenance\[0\].licence: expected a line of at most 2,000"),
        ([{"licence": "\x1b[2J"}], r"provenance\[0\].licence: expected a line"),
        ([{}, {"command": "a\nb"}], r"provenance\[1\].command: expected a line"),
        ([{"data": [{"name": "\u202e"}]}], r"provenance\[0\].data\[0\].name: expected a line"),
        ([{"data": [{"name": "a"}] * (MOST + 1)}], r"provenance\[0\].data: expected at most"),
        ([{"metric": {"metric": "a", "on": "b", "value": 1e999}}], "value: expected a finite"),
        ([{"training": {"steps": -1}}], r"provenance\[0\].training.steps: expected at least 1"),
        ([{"mood": "good"}], r"provenance\[0\].mood: unknown key"),
    ],
)
def test_what_makes_no_sense_is_refused(model, tmp_path, value, words):
    path = tmp_path / "w.npz"
    save(path, model)
    header, arrays = read_archive(path)
    write_archive(path, header | {"provenance": value}, arrays)
    for read in (load, about):
        with pytest.raises(WeightsError, match=words) as caught:
            read(path)
        assert "w.npz" in str(caught.value) and len(str(caught.value)) < 1000


def test_of_a_path_the_last_name():
    assert last_names("/home/me/net.npz") == "net.npz"
    assert last_names("voc:../a/VOC2007/+/b/VOC2012") == "voc:VOC2007+VOC2012"
    assert last_names("coco:/x/i_{split}.json:/y/{split}") == "coco:i_{split}.json:{split}"
    assert last_names(r"C:\Users\me\a.npz") == "C:a.npz"
    assert last_names("a\x1b[2J\n/b\nc\x07") == r"b\nc\x07" and len(last_names("x" * 9999)) == 2000


# --- trainings -----------------------------------------------------------------------------------


def config(tmp_path):
    tiny = narrow("tiny", "softmax").with_classes(ShapesDataset(0, 1).class_names)
    (tmp_path / "narrow.json").write_text(config_to_json(tiny))
    return tiny, tmp_path / "narrow.json"


def run(*argv):
    assert main([str(a) for a in argv]) == 0


def test_a_training_says_what_it_was(tmp_path, few, capsys):
    file = config(tmp_path)[1]
    argv = ["train", "--config", file, "--steps", 4, "--val-split", "val", "--eval-split", "none"]
    for out in ("one", "two"):
        run(*argv, "--out", tmp_path / out)
    for name in ("best.npz", "last.npz"):  # another folder, the same bytes
        one, two = ((tmp_path / out / name).read_bytes() for out in ("one", "two"))
        assert one == two and str(tmp_path).encode() not in one
    best, last = (load(tmp_path / "one" / f"{n}.npz").provenance for n in ("best", "last"))
    (first,) = best
    assert first.command == (
        "ssd-np train --data shapes --split trainval --val-split val --eval-split none"
        " --config narrow.json --steps 4"
    )
    learned, chosen = first.data
    assert learned == Used("shapes", "trainval", 20, digest(ShapesDataset(0, 20)))
    assert (chosen.split, chosen.images) == ("val", 4) and chosen.digest != learned.digest
    assert (first.training.steps, first.training.seed) == (4, 0)
    assert first.metric.metric == "mAP at IoU 0.5" and first.metric.on == "shapes, split val"
    assert last[0].metric.metric == "average loss" and last[0].command == first.command
    # fine-tuning adds a line and keeps the parent's
    run("train", "--fine-tune", tmp_path / "one/best.npz", "--steps", 2, "--eval-split", "none",
        "--classes", "circle,star", "--out", tmp_path / "tuned")  # fmt: skip
    (new, parent) = load(tmp_path / "tuned/best.npz").provenance
    assert parent == first and "--fine-tune best.npz" in new.command
    assert "--classes circle,star" in new.command and new.metric.metric == "average loss"
    capsys.readouterr()
    run("info", tmp_path / "tuned/best.npz", "--json")
    told = json.loads(capsys.readouterr().out)
    assert told["class_names"] == ["circle", "star"] and len(told["provenance"]) == 2
    assert told["provenance"][1]["metric"]["value"] == first.metric.value


def test_a_resumed_training_says_the_same(tmp_path):
    tiny = config(tmp_path)[0]
    training = load_config("tiny").training
    training = dataclasses.replace(training, steps=4, checkpoint_every=2)
    data = ShapesDataset(0, 8)

    def trainer(out, **options):
        return Trainer(SSD(tiny, 1), data, training, tmp_path / out, **options)

    trainer("whole", origin=Origin(command="a")).fit()
    stopping = trainer("part", origin=Origin(command="a"), callbacks=[StopAfter(2)])
    with pytest.raises(KeyboardInterrupt):
        stopping.fit()
    going_on = trainer("part")  # what it was told stands in the file
    going_on.resume()
    going_on.fit()
    for name in ("best.npz", "last.npz"):
        whole, part = (read_archive(tmp_path / out / name)[0] for out in ("whole", "part"))
        assert whole == part  # with the digest of all arrays


class StopAfter:
    def __init__(self, step):
        self.step = step

    def after_step(self, trainer, step):
        if trainer.progress.step == self.step:
            trainer.save()
            raise KeyboardInterrupt

    resume = begin = save = failed = end = lambda self, *_: None


def test_a_training_that_is_called_twice_has_one_line(tmp_path):
    """As in a notebook, where it was stopped before its first step."""

    class Stop(Callback):
        def begin(self, trainer):
            self.begin = lambda _: None
            raise KeyboardInterrupt

    config = load_config("tiny").training
    rule = dataclasses.replace(config, steps=1, batch_size=1)
    trainer = Trainer(
        SSD(load_config("tiny")), ShapesDataset(0, 2), rule, tmp_path / "run", callbacks=[Stop()]
    )
    with pytest.raises(KeyboardInterrupt):
        trainer.fit()
    trainer.fit()
    assert len(load(tmp_path / "run" / "last.npz").provenance) == 1


def test_a_base_and_what_is_trained_from_it(tmp_path, few):
    file = config(tmp_path)[1]
    base = tmp_path / "base.npz"
    run("pretrain", "--config", file, "--steps", 2, "--out", base)
    (line,) = about(base).provenance
    assert line.how == "pretrained" and line.training.steps == 2 and line.data[0].images == 20
    assert line.metric.metric == "objects named rightly"
    run("train", "--config", file, "--base-weights", base, "--steps", 1, "--eval-split", "none",
        "--out", tmp_path / "run")  # fmt: skip
    first, *rest = load(tmp_path / "run/best.npz").provenance
    assert rest == [line] and "--base-weights base.npz" in first.command


def test_the_licence_of_what_it_begins_with_holds_for_what_is_trained(tmp_path):
    tiny, base = config(tmp_path)[0], about("base").history
    training = dataclasses.replace(load_config("tiny").training, steps=1)
    for parents, licence in ((base, "Apache 2.0"), ((), "")):
        model = SSD(tiny)
        model.provenance = parents
        Trainer(model, ShapesDataset(0, 4), training, tmp_path / f"run{licence}").fit()
        first, *rest = load(tmp_path / f"run{licence}" / "best.npz").provenance
        assert first.licence == licence and tuple(rest) == parents


# --- ssd-np info ---------------------------------------------------------------------------------


def test_info_of_files_of_all_kinds(published, tmp_path, capsys):
    pytest.importorskip("tflite")
    run("info", published / "detect.tflite")
    out = capsys.readouterr().out
    assert "tensorflow's SSD MobileNet v1" in out and "Apache 2.0" in out and "1,917" in out
    run("info", published / "version-slim-320.pth")
    out = capsys.readouterr().out
    assert "slim face detector" in out and "MIT" in out and "none: the file does not tell" in out
    run("info", published / "version-RFB-320.pth")
    assert "RFB variant" in capsys.readouterr().out
    run("import", published / "detect.tflite", tmp_path / "coco.npz", "--labels",
        published / "labelmap.txt")  # fmt: skip
    run("info", tmp_path / "coco.npz")
    out = capsys.readouterr().out
    assert (
        "imported by ssd_np" in out and "ssd-np import detect.tflite --labels labelmap.txt" in out
    )
    assert "Apache 2.0" in out and "80: person" in out


def test_info_of_a_base_tells_no_classes_and_no_boxes(tmp_path, few, capsys):
    run("pretrain", "--config", config(tmp_path)[1], "--steps", 1, "--out", tmp_path / "own.npz")
    for file in ("base", tmp_path / "own.npz"):
        capsys.readouterr()
        run("info", file)
        lines = capsys.readouterr().out.splitlines()
        assert lines[0] == f"{file}: a base"
        told = [line.split()[0] for line in lines[1:4]]
        assert told[:2] == ["layers", "parameters"] and told[2] in ("made", "pretrained")
        run("info", file, "--json")
        told = json.loads(capsys.readouterr().out)
        gone = ("class_names", "classes", "input", "boxes", "score_threshold", "show_threshold")
        assert [told[key] for key in gone] == [None] * len(gone)
        assert told["layers"][0] in ("block0_conv", "conv1_1")


def test_the_base_of_the_package_tells_what_it_was_made_from():
    made, trunk = about("base").provenance
    assert made.command == ("python docs/base.py detect.tflite voc:BCCD voc:raccoon coco:chess")
    assert "8 bits" in made.note and "statistics" in made.note and made.licence == "Apache 2.0"
    assert [(one.split, one.images) for one in made.data] == [("train", 524)]
    assert (trunk.how, trunk.file, trunk.maker) == ("imported", "detect.tflite", "tensorflow")
    assert trunk.sha256.startswith("e4b118e5e4531945") and trunk.licence == "Apache 2.0"


def test_info_of_weights_that_do_not_tell(tmp_path, capsys):
    save(tmp_path / "w.npz", SSD(narrow("tiny", "softmax")))
    run("info", tmp_path / "w.npz")
    out = capsys.readouterr().out
    assert "provenance  none: the file does not tell how it was made" in out
    numbers = sum(a.size for a in read_archive(tmp_path / "w.npz")[1].values())
    assert f"{numbers:,} in" in out and "128 x 128 pixels" in out and "at least 0.5" in out
    np.savez(tmp_path / "other.npz", a=np.zeros(3))
    run("info", tmp_path / "other.npz")
    assert "not known" in capsys.readouterr().out
    (tmp_path / "bad.npz").write_bytes(b"PK")
    assert main(["info", str(tmp_path / "bad.npz")]) == 1
    assert "bad.npz" in capsys.readouterr().err


@pytest.mark.parametrize("raw", [b"", b"# a text", b"\x89HDF\r\n\x1a\n", b"\xff\xd8\xff\xe0"])
def test_info_of_another_kind_of_file_names_those_it_reads(tmp_path, capsys, raw):
    path = tmp_path / "some.file"
    path.write_bytes(raw)
    assert main(["info", str(path)]) == 1
    said = capsys.readouterr().err
    assert "some.file: is no file of weights (read are .npz " in said and "PyTorch file" not in said
    assert ".pth" in said and ".tflite" in said
    path = path.rename(tmp_path / "some.pth")  # by its ending it should be one
    assert main(["info", str(path)]) == 1 and "is not a PyTorch file" in capsys.readouterr().err
