"""What `--data` may name: folders as people have them, and what is said where nothing is there."""

import json
import os
import shutil
import zlib

import numpy as np
import pytest
from PIL import Image

from ssd_np.cli import main
from ssd_np.commands.datasets import evaluation_data, training_data
from ssd_np.config import load_config
from ssd_np.data.batches import Batches
from ssd_np.data.coco import CocoDataset
from ssd_np.data.lint import check
from ssd_np.data.shapes import ShapesDataset
from ssd_np.data.shared import shared_images
from ssd_np.data.sources import check_spec, listed_splits, open_source
from ssd_np.data.voc import VOCDataset
from ssd_np.errors import DataError, NoSuchSplit
from ssd_np.evaluate.run import detect_dataset
from ssd_np.model.ssd import SSD
from ssd_np.records import Sample, Truth


def xml_of(name, *classes):
    box = "<bndbox><xmin>2</xmin><ymin>2</ymin><xmax>30</xmax><ymax>20</ymax></bndbox>"
    objects = "".join(f"<object><name>{kind}</name>{box}</object>" for kind in classes)
    size = "<size><width>40</width><height>30</height></size>"
    return f"<annotation><filename>{name}.jpg</filename>{size}{objects}</annotation>"


def write_voc(root, splits, classes=("dog",)):
    """splits: name -> ids. Every id is an image of 40 x 30 pixels with one object of each class."""
    for folder in ("Annotations", "JPEGImages", "ImageSets/Main"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    for split, ids in splits.items():
        (root / "ImageSets" / "Main" / f"{split}.txt").write_text("\n".join(ids))
        for name in ids:
            (root / "Annotations" / f"{name}.xml").write_text(xml_of(name, *classes))
            colour = zlib.crc32(name.encode()) & 0xFFFFFF  # each picture is another
            Image.new("RGB", (40, 30), colour).save(root / "JPEGImages" / f"{name}.jpg")
    return root


def write_coco(root, file_names, categories=("dog",)):
    content = {
        "images": [
            {"id": i, "file_name": name, "height": 30, "width": 40}
            for i, name in enumerate(file_names, 1)
        ],
        "categories": [{"id": i, "name": name} for i, name in enumerate(categories, 1)],
        "annotations": [],
    }
    (root / "i.json").write_text(json.dumps(content))
    return root / "i.json"


def message(call):
    with pytest.raises(DataError) as caught:
        call()
    return str(caught.value)


# --- what is there -------------------------------------------------------------------------------


def test_a_folder_with_xml_beside_its_images(tmp_path):
    for name in "ba":
        (tmp_path / f"{name}.xml").write_text(xml_of(name, "dog"))
        Image.new("RGB", (40, 30)).save(tmp_path / f"{name}.jpg")
    Image.new("RGB", (40, 30)).save(tmp_path / "without.jpg")
    data = training_data(f"voc:{tmp_path}", "all", 0)
    assert data.names == ["a", "b"] and data.class_names == ("dog",) and data.problems == []
    assert data[0].image.shape == (30, 40, 3)
    with pytest.raises(NoSuchSplit, match=r"'test'; the data brings none \(train and val can be"):
        open_source(f"voc:{tmp_path}", "test")
    (tmp_path / "ImageSets" / "Main").mkdir(parents=True)  # as docs/data.md says
    (tmp_path / "ImageSets" / "Main" / "train.txt").write_text("b\n")
    assert VOCDataset(tmp_path, "train").names == ["b"]


def test_all_is_every_annotation_unless_a_list_has_the_name(tmp_path):
    write_voc(tmp_path, {"train": ["a", "b"], "val": ["c"]})
    assert VOCDataset(tmp_path, "all").names == ["a", "b", "c"]
    (tmp_path / "ImageSets" / "Main" / "all.txt").write_text("c")
    assert VOCDataset(tmp_path, "all").names == ["c"]


# --- what is not there ---------------------------------------------------------------------------


def test_a_folder_that_is_not_there_or_is_no_such_folder(tmp_path):
    gone = tmp_path / "gone"
    assert message(lambda: open_source(f"voc:{gone}", "train")) == f"{gone}: no such folder"
    assert "neither a folder Annotations nor XML files" in message(
        lambda: open_source(f"voc:{tmp_path}", "train")
    )


def test_a_coco_folder_that_is_not_there_is_said_once(tmp_path, capsys):
    path = write_coco(tmp_path, [f"{i}.jpg" for i in range(16)])
    gone = tmp_path / "gone"
    said = message(lambda: open_source(f"coco:{path}:{gone}", "train"))
    assert said.startswith(f"{gone}: no such folder")
    assert main(["check-data", f"coco:{path}:{gone}"]) == 1
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and "no such folder" in err


@pytest.mark.parametrize("option", ["--eval-split", "--val-split"])
def test_a_missing_list_names_the_option_that_chose_it(tmp_path, option):
    root = write_voc(tmp_path, {"trainval": ["a"]})
    said = message(lambda: evaluation_data(f"voc:{root}", "test", None, option=option))
    assert "no such split: 'test'" in said and f"{option} names it" in said
    assert "splits there: trainval, all" in said
    spec = f"coco:{tmp_path}/{{split}}.json:{tmp_path}"
    assert option in message(lambda: evaluation_data(spec, "test", None, option=option))


def test_training_with_trainval_alone_says_what_to_do(tmp_path, capsys):
    root = write_voc(tmp_path, {"trainval": ["a"]})
    assert main(["train", "--data", f"voc:{root}", "--out", str(tmp_path / "out")]) == 1
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and "--eval-split names it" in err


@pytest.mark.parametrize("spec", ["voc:", "coco:a.json", "coco::b", "imagenet:x", "voc"])
def test_a_text_that_names_no_data(spec):
    assert "known: voc:FOLDER" in message(lambda: check_spec(spec))


# --- classes that look like one ------------------------------------------------------------------


@pytest.mark.parametrize(
    "first, second", [("Apple", "apple"), ("bus stop", "bus_stop"), ("sea-lion", "Sea Lion")]
)
def test_two_spellings_of_a_class_are_a_finding(tmp_path, first, second):
    root = write_voc(tmp_path, {"train": ["a"]}, (first, second, "pear"))
    (told,) = VOCDataset(root, "train").problems
    assert (told.kind, told.effect) == ("class", "kept")
    assert f"{first!r}" in told.what and f"{second!r}" in told.what
    found = [f for f in check(open_source(f"voc:{root}", "train")).findings if f.kind == "class"]
    assert found == [told]
    path = write_coco(tmp_path, [], (first, second, "pear"))
    (told,) = CocoDataset(tmp_path, path).problems
    assert told.kind == "class"
    assert check(open_source(f"coco:{path}:{tmp_path}", "train")).findings == [told]


# --- the same images twice -----------------------------------------------------------------------


def test_images_in_training_and_evaluation_are_counted(tmp_path):
    """Other lists, other links, another format: it is the file that counts."""
    root = write_voc(
        tmp_path / "v", {"trainval": ["a", "b", "c"], "val": ["b", "c"], "test": ["d"]}
    )
    learnt = VOCDataset(root, "trainval")
    assert shared_images(learnt, VOCDataset(root, "val")) == 2
    assert shared_images(learnt, VOCDataset(root, "test")) == 0
    assert shared_images(learnt, VOCDataset(root, "test+val")) == 2
    os.symlink(root, tmp_path / "link")
    assert shared_images(learnt, VOCDataset(tmp_path / "link", "val")) == 2
    path = write_coco(tmp_path, ["b.jpg", "d.jpg"])
    assert shared_images(learnt, CocoDataset(root / "JPEGImages", path)) == 1


def test_a_copy_of_an_image_is_the_same_image(tmp_path):
    """Of another name, in another folder; a picture of the same length that differs is another."""
    learnt = VOCDataset(write_voc(tmp_path / "v", {"train": ["a", "b"]}), "train")
    root = write_voc(tmp_path / "w", {"test": ["a", "q", "r"]})
    images, taken = root / "JPEGImages", tmp_path / "v" / "JPEGImages" / "b.jpg"
    shutil.copyfile(taken, images / "q.jpg")
    other = bytearray(taken.read_bytes())
    other[-3] ^= 1
    (images / "r.jpg").write_bytes(other)
    assert shared_images(learnt, VOCDataset(root, "test")) == 2
    assert shared_images(VOCDataset(root, "test"), learnt) == 2


def test_generated_pictures_and_data_of_ones_own(tmp_path):
    assert shared_images(ShapesDataset(1, 9), ShapesDataset(1, 5)) == 5
    assert shared_images(ShapesDataset(1, 9), ShapesDataset(2, 5)) == 0
    trained, unseen = training_data("shapes", "", 0), evaluation_data("shapes", "", None, 0)
    assert shared_images(trained, unseen) == 0

    assert shared_images(Mine([1]), Mine([1])) == 0  # nothing tells them apart


class Mine(list):
    """A data set of one's own: its length, its items, its class names, no more."""

    class_names = ("circle", "cross")


def test_data_of_ones_own_is_loaded_and_evaluated():
    config = load_config("tiny")
    truth = Truth([[0.1, 0.1, 0.5, 0.5]], [2])
    mine = Mine([Sample(np.zeros((40, 30, 3), np.uint8), truth, f"mine {i}") for i in range(3)])
    with Batches(mine, config, 3, seed=0) as batches:
        batch = batches.make(0)
    assert sorted(batch.names) == ["mine 0", "mine 1", "mine 2"]
    found, truths = detect_dataset(SSD(config), mine)
    assert len(found) == len(truths) == 3
    assert truths[0].labels.tolist() == [config.class_names.index("cross") + 1]


# --- which splits there are ----------------------------------------------------------------------


def test_splits_of_voc_folders(tmp_path):
    one = write_voc(tmp_path / "one", {"train": ["a"], "val": ["b"]})
    two = write_voc(tmp_path / "two+more", {"train": ["c"], "test": ["d"]})
    assert listed_splits(f"voc:{one}") == ["train", "val"]
    assert listed_splits(f"voc:{two}") == ["test", "train"]
    two = two.rename(tmp_path / "two")
    assert listed_splits(f"voc:{one}+{two}") == ["train"]  # in both
    shutil.rmtree(one / "ImageSets")
    assert listed_splits(f"voc:{one}") is None


def test_splits_of_coco_files(tmp_path):
    (tmp_path / "[x]").mkdir()  # what looks like a pattern is a name
    for name in ("train", "valid", "test+more"):
        (tmp_path / "[x]" / name).mkdir()
        (tmp_path / "[x]" / name / f"{name}.json").write_text("{}")
    (tmp_path / "[x]" / "other").mkdir()
    (tmp_path / "[x]" / "other" / "train.json").write_text("{}")
    spec = f"coco:{tmp_path}/[x]/{{split}}/{{split}}.json:{tmp_path}/[x]/{{split}}"
    assert listed_splits(spec) == ["test+more", "train", "valid"]
    assert listed_splits("coco:no/{split}.json:no") == []
    assert listed_splits("coco:i.json:no") is None  # one file, for every split
    with pytest.raises(DataError, match="is no data set"):
        listed_splits("voc:")
