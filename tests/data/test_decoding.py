"""Every image is decoded once before it is needed, and what could be is remembered."""

import errno
import io
import os

import numpy as np
import pytest
from PIL import Image, ImageOps

from ssd_np.cli import main
from ssd_np.commands.datasets import evaluation_data, training_data
from ssd_np.data import decoding
from ssd_np.data.decoding import undecodable
from ssd_np.errors import DataError

XML = (
    "<annotation><object><name>dog</name><bndbox><xmin>2</xmin><ymin>2</ymin>"
    "<xmax>30</xmax><ymax>20</ymax></bndbox></object></annotation>"
)


@pytest.fixture
def remembered(monkeypatch, tmp_path):
    """The folder of what is remembered, empty."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "ssd_np" / "decoded.txt"


@pytest.fixture
def decoded(monkeypatch):
    """The names of the files that are decoded from here on."""
    names, read = [], decoding.read_image
    monkeypatch.setattr(
        decoding, "read_image", lambda file, large: (names.append(file.name), read(file, large))[1]
    )
    return names


@pytest.fixture
def folder(tmp_path):
    """Four photographs; one was cut off, behind a header that says nothing of it."""
    root = tmp_path / "photographs"
    root.mkdir()
    noise = np.random.default_rng(0).integers(0, 256, (90, 120, 3), dtype=np.uint8)
    for name in "abcd":
        Image.fromarray(noise).save(root / f"{name}.jpg")
        (root / f"{name}.xml").write_text(XML)
    cut(root / "c.jpg")
    return root


def cut(path):
    path.write_bytes(path.read_bytes()[:2000])


def files(folder):
    return sorted(folder.glob("*.jpg"))


def test_what_can_be_decoded_is_decoded_once(folder, remembered, decoded):
    faults = undecodable(files(folder))
    assert list(faults) == [2] and "truncated" in faults[2]
    assert sorted(decoded) == ["a.jpg", "b.jpg", "c.jpg", "d.jpg"]
    assert len(remembered.read_text().split()) == 3
    decoded.clear()
    assert list(undecodable(files(folder))) == [2] and decoded == ["c.jpg"]  # it may be mended
    decoded.clear()
    assert undecodable(files(folder)[:2]) == {} and decoded == []


def test_a_file_that_changed_is_decoded_anew(folder, remembered, decoded):
    undecodable(files(folder))
    decoded.clear()
    cut(folder / "a.jpg")  # another size
    os.utime(folder / "b.jpg", (1, 1))  # another time
    assert list(undecodable(files(folder))) == [0, 2]
    assert sorted(decoded) == ["a.jpg", "b.jpg", "c.jpg"]
    os.remove(folder / "d.jpg")
    assert "no such image" in undecodable([*files(folder), folder / "d.jpg"])[3]


@pytest.mark.parametrize("broken", ["no folder", "no text", "full"])
def test_where_nothing_can_be_remembered_all_is_as_it_was(folder, remembered, broken, monkeypatch):
    if broken == "no folder":
        remembered.parent.parent.write_text("a file in its place")
    elif broken == "no text":
        remembered.parent.mkdir(parents=True)
        remembered.write_bytes(b"\xff\x00")
    else:
        monkeypatch.setattr(decoding, "REMEMBERED", 2)
    for _ in range(2):
        assert list(undecodable(files(folder))) == [2]


def test_training_goes_without_it_and_says_so_in_one_line(folder, remembered, capsys):
    data = training_data(f"voc:{folder}", "all", 0)
    assert data.names == ["a", "b", "d"] and [data[i].name for i in range(3)] == data.names
    assert len(data.identities()) == len(data.image_ids) == 3 and len(data.truth(2)) == 1
    told = capsys.readouterr().err.splitlines()
    assert told[0] == f"voc:{folder}, split all: images left out: 1"
    assert len(told) == 2 and "c.jpg: image can not be read" in told[1]
    with pytest.raises(DataError, match="has problems: images left out: 1"):
        training_data(f"voc:{folder}", "all", 0, strict=True)
    assert len(evaluation_data(f"voc:{folder}", "all", None)) == 3


def test_a_whole_training_with_a_photograph_that_was_cut_off(folder, remembered, tmp_path, capsys):
    train = ["train", "--data", f"voc:{folder}", "--split", "all", "--eval-split", "none"]
    train += ["--config", "tiny", "--steps", "2", "--out", str(tmp_path / "run")]
    assert main(train) == 0
    assert "images left out: 1" in capsys.readouterr().err
    assert main([*train, "--force", "--strict"]) == 1
    assert main(["check-data", f"voc:{folder}"]) == 1
    assert "c.jpg: image can not be read" in capsys.readouterr().out


def test_when_none_is_left(folder, remembered):
    for file in files(folder):
        cut(file)
    with pytest.raises(DataError, match="none of the 4 images can be decoded"):
        training_data(f"voc:{folder}", "all", 0)


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_a_damaged_jpeg_shows_at_an_eighth_of_its_sides_as_it_does_whole(mode, progressive):
    rng = np.random.default_rng(0)
    picture = Image.fromarray(rng.integers(0, 256, (50, 70, 3), dtype=np.uint8)).convert(mode)
    picture.save(file := io.BytesIO(), "JPEG", progressive=progressive, restart_marker_blocks=9)
    assert decoding.read_image(file.getvalue(), decoding.ANY).shape == (7, 9, 3)
    found = []
    for _ in range(100):
        content = bytearray(file.getvalue())
        content[rng.integers(len(content))] = rng.integers(256)
        del content[rng.integers(2 * len(content)) :]
        found.append([fault(bytes(content), large) for large in (None, decoding.ANY)])
        assert found[-1][0] == found[-1][1]
    assert 30 < sum(bool(whole) for whole, _ in found) < 80


def fault(content, large):
    try:
        decoding.read_image(content, large)
    except DataError as error:
        return error.what
    return ""


@pytest.mark.parametrize(
    "lack, kind",
    [
        (MemoryError(), MemoryError),
        (OSError("out of memory when reading image file"), MemoryError),  # Pillow's
        (OSError(errno.EMFILE, "Too many open files"), OSError),
    ],
)
def test_what_the_system_lacks_leaves_no_picture_out(folder, remembered, monkeypatch, lack, kind):
    def lacking(*given, **how):
        raise lack

    monkeypatch.setattr(ImageOps, "exif_transpose", lacking)
    with pytest.raises(kind):
        undecodable(files(folder))
    assert not remembered.exists()
