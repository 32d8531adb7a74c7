"""Pictures in a folder a class, in zip files too: what `pretrain --data folder:DIR` reads."""

import io
import zipfile

import numpy as np
import pytest
from PIL import Image

from ssd_np.cli import main
from ssd_np.commands.datasets import class_folders
from ssd_np.data.class_folders import FolderDataset
from ssd_np.data.sources import check_spec
from ssd_np.errors import DataError, NoSuchSplit

KINDS = ("ant", "bee")


def encoded(colour):
    buffer = io.BytesIO()
    Image.new("RGB", (16, 16), (colour, 0, 0)).save(buffer, "PNG")
    return buffer.getvalue()


def write(place, count=3, kinds=KINDS, above=""):
    """`count` pictures of each class, into a folder or a zip file."""
    files = {f"{above}{k}/{i}.png": encoded(50 * (k == "bee") + i) for k in kinds
             for i in range(count)}  # fmt: skip
    if place.suffix == ".zip":
        with zipfile.ZipFile(place, "w") as archive:
            for name, content in files.items():
                archive.writestr(name, content)
            archive.writestr("README.txt", "nothing")
        return
    for name, content in files.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_bytes(content)


def message(call):
    with pytest.raises(DataError) as caught:
        call()
    return str(caught.value)


@pytest.fixture(params=["folders", "zips"])
def root(request, tmp_path):
    root = tmp_path / "data"
    root.mkdir()
    if request.param == "zips":
        write(root / "train-0.zip", 4, KINDS[:1])
        write(root / "train-1.zip", 4, KINDS[1:], "train/")  # a folder above the class
        write(root / "val.zip", 2)
        (root / "words.txt").write_text("not a picture")
    else:
        write(root / "train", 4)
        write(root / "val", 2)
    return root


def test_a_picture_is_an_object_of_its_class(root):
    train, val = FolderDataset(root, "train"), FolderDataset(root, "val", KINDS)
    assert train.class_names == KINDS and train.problems == []
    assert (len(train), len(val), len(FolderDataset(root, "all"))) == (8, 4, 12)
    sample = train[5]
    assert sample.image.shape == (16, 16, 3) and sample.image[0, 0].tolist() == [51, 0, 0]
    assert sample.truth.boxes_corner.tolist() == [[0, 0, 1, 1]]
    assert train.truth(5).labels.tolist() == [2] and sample.name.endswith("bee/1.png")
    assert len(set(train.identities() + val.identities())) == 12
    with pytest.raises(NoSuchSplit, match=r"'test' .*splits there: train, val, all"):
        FolderDataset(root, "test")


def test_without_a_split_two_are_drawn(tmp_path):
    write(tmp_path, 5)
    train, val = FolderDataset(tmp_path, "train"), FolderDataset(tmp_path, "val", KINDS)
    assert (len(train), len(val)) == (8, 2)
    assert not set(train.identities()) & set(val.identities())


def test_what_can_not_be_used(tmp_path):
    def told(place="d", split="train", names=None):
        return message(lambda: FolderDataset(tmp_path / place, split, names))

    assert "no such folder" in told()
    (tmp_path / "d").mkdir()
    assert "split 'train' holds no pictures (a folder, or a zip file, with a folder" in told()
    write(tmp_path / "one", 3, ["ant"])
    assert "has one class, 'ant': there is nothing to tell apart" in told("one")
    write(tmp_path / "two")
    assert "unknown class 'bee' (known: ant" in told("two", "all", ["ant", "cat"])
    for content in (b"no zip", b"PK\x03\x04" + bytes(100)):
        (tmp_path / "d" / "train.zip").write_bytes(content)
        assert "train.zip: is damaged, or no zip file" in told()
    (tmp_path / "d" / "train.zip").unlink()
    (tmp_path / "d" / "train.zip").symlink_to("/dev/zero")
    assert "is no regular file" in told()
    for name in ("cut.zip", "whole.zip"):
        write(tmp_path / name)
    data = (tmp_path / "whole.zip").read_bytes()
    (tmp_path / "d" / "train.zip").unlink()
    (tmp_path / "d" / "train.zip").write_bytes(data[: len(data) // 2])
    assert "is damaged" in told()


def test_single_pictures_and_damaged_ones_are_told(tmp_path, capsys):
    write(tmp_path / "train", 3)
    write(tmp_path / "train", 1, ["cat"])
    (tmp_path / "train" / "ant" / "0.png").write_bytes(b"no picture")
    data = FolderDataset(tmp_path, "train")
    assert len(data) == 6 and data.problems[0] == "class 'cat' has one picture"
    assert "ant/0.png: not an image" in data.problems[1] and "left out" in data.problems[1]
    write(tmp_path / "val.zip", 2)
    content = bytearray((tmp_path / "val.zip").read_bytes())
    content[content.index(b"IHDR") + 8] ^= 1  # its checksum in the zip no longer fits
    (tmp_path / "val.zip").write_bytes(content)
    val = FolderDataset(tmp_path, "val", (*KINDS, "cat"))
    assert len(val) == 3 and "can not be unpacked: Bad CRC-32" in val.problems[0]


def test_a_class_with_one_picture_is_told_with_its_split(tmp_path, capsys):
    write(tmp_path / "train", 3)
    write(tmp_path / "train", 1, ["cat"])
    write(tmp_path / "val", 1, ["ant"])
    class_folders(f"folder:{tmp_path}", "train", None)
    assert capsys.readouterr().err.splitlines() == [
        f"folder:{tmp_path}, split train: class 'cat' has one picture",
        f"folder:{tmp_path}, split val: class 'ant' has one picture",
    ]


def test_names_in_a_zip_are_no_places(tmp_path):
    with zipfile.ZipFile(tmp_path / "train.zip", "w") as archive:
        for name in ("../../ant/a.png", "/etc/bee/a.png", "bee/b.png", "lone.png"):
            archive.writestr(name, encoded(7))
    data = FolderDataset(tmp_path, "train")
    assert [data[i].image[0, 0, 0] for i in range(len(data))] == [7] * len(data)
    assert [p.name for p in tmp_path.iterdir()] == ["train.zip"]


def test_pretraining_with_it(root, tmp_path, capsys):
    out = tmp_path / "base.npz"
    command = ["pretrain", "--data", f"folder:{root}", "--config", "tiny", "--out", str(out)]
    assert main([*command, "--steps", "2"]) == 0
    told = capsys.readouterr().out
    assert f"of the objects named rightly (folder:{root}, split val)" in told
    assert out.is_file() and np.load(out).files
    said = message(lambda: check_spec(f"folder:{root}"))
    assert "has classes, no boxes (it is for ssd-np pretrain)" in said


def test_a_sum_of_splits_needs_each_of_them(tmp_path):
    for split in ("train", "val"):
        for kind in "ab":
            (tmp_path / split / kind).mkdir(parents=True)
            Image.new("RGB", (8, 8)).save(tmp_path / split / kind / f"{split}.png")
    assert len(FolderDataset(tmp_path, "train+val")) == 4
    with pytest.raises(NoSuchSplit, match="'tset'"):
        FolderDataset(tmp_path, "train+tset")
