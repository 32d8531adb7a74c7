"""Data that is no good, in one clear line, by every command that reads it; nothing is written."""

import zipfile

import pytest
from PIL import Image

from ssd_np.cli import main

YAML = "train: images/train\nval: images/val\n"
NAMES = YAML + "names: [cat, dog]\n"
HEADER = "filename,xmin,ymin,xmax,ymax,class"
COMMANDS = {
    "train": ["train", "--config", "tiny", "--eval-split", "none", "--steps", "1", "--out", "out",
              "--data"],
    "check-data": ["check-data"],
    "config": ["config", "--fit"],
    "eval": ["eval", "shapes", "--out", "out", "--data"],
    "pretrain": ["pretrain", "--config", "tiny", "--steps", "1", "--out", "out.npz", "--data"],
}  # fmt: skip
ALL = tuple(COMMANDS)
LEARNS = ("train", "config", "pretrain")


def picture(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (64, 64), (len(path.stem), 90, 200)).save(path)


def yolo(root, yaml, labels):
    """Four images a split, each with these labels."""
    for split in ("train", "val"):
        for i in range(4):
            picture(root / "images" / split / f"{i}.png")
            text = root / "labels" / split / f"{i}.txt"
            text.parent.mkdir(parents=True, exist_ok=True)
            text.write_text(labels)
    (root / "data.yaml").write_text(yaml)
    return "yolo:data.yaml"


def table(root, lines):
    for i in range(4):
        picture(root / f"{i}.png")
    (root / "boxes.csv").write_text("\n".join(lines))
    return "csv:boxes.csv"


def folder(kind, *inside):
    def make(root):
        for name in ("empty", *inside):
            (root / "empty" / name).mkdir(parents=True, exist_ok=True)
        return f"{kind}:empty"

    return make


CASES = {
    "names": (
        lambda root: yolo(root, YAML, "0 0.5 0.5 0.3 0.3\n"), ALL,
        "data.yaml: has no names of classes (names: [cat, dog])",
    ),
    "a label beyond the classes": (
        lambda root: yolo(root, NAMES, "7 0.5 0.5 0.3 0.3\n"), ("train", "config", "pretrain"),
        "labels/train/0.txt: object 0: class 7, but data.yaml names 2: 0 to 1",
    ),
    "the same when measured": (
        lambda root: yolo(root, NAMES, "7 0.5 0.5 0.3 0.3\n"), ("eval",),
        "labels/val/0.txt: object 0: class 7, but data.yaml names 2: 0 to 1",
    ),
    "all in pixels": (
        lambda root: yolo(root, NAMES, "0 32 32 10 10\n"), LEARNS,
        "there is no object to learn from (the first that was left out: labels/train/0.txt",
    ),
    "no labels at all": (
        lambda root: yolo(root, NAMES, ""), LEARNS,
        "there is no object to learn from (it would learn nothing)",
    ),
    "an empty folder of YOLO": (folder("yolo"), ALL, "empty: no data.yaml in this folder"),
    "an empty folder of VOC": (
        folder("voc"), ALL, "empty: is no folder of Pascal VOC's layout",
    ),
    "empty folders of VOC": (
        folder("voc", "Annotations", "JPEGImages"), ALL, "there are no images",
    ),
    "an empty folder of COCO": (
        folder("coco"), ALL, "empty: holds no _annotations.coco.json, and no folder with one",
    ),
    "an empty folder of tables": (
        folder("csv"), ALL, "empty: holds no _annotations.csv, and no folder with one",
    ),
    "no header": (
        lambda root: table(root, [f"{i}.png,1,1,20,20,cat" for i in range(4)]), ALL,
        f"boxes.csv: line 1: the table has no header (write as its first line {HEADER})",
    ),
    "nothing in it": (lambda root: table(root, []), ALL, "boxes.csv: the table is empty"),
    "nothing but a header": (lambda root: table(root, [HEADER]), ALL, "there are no images"),
}  # fmt: skip


@pytest.mark.parametrize("case, command", [(c, name) for c in CASES for name in CASES[c][1]])
def test_one_line_says_what_is_wrong(case, command, tmp_path, monkeypatch, capsys):
    make, _, said = CASES[case]
    monkeypatch.chdir(tmp_path)
    spec = make(tmp_path)
    before = set(tmp_path.rglob("*"))
    assert main([*COMMANDS[command], spec]) == 1
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert last.startswith("ssd-np: ") and said in last
    assert set(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("command", LEARNS)
def test_where_all_labels_are_in_pixels_one_line_has_their_number(
    command, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    assert main([*COMMANDS[command], yolo(tmp_path, NAMES, "0 32 32 10 10\n")]) == 1
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert "left out: labels/train/0.txt: object 0" in line
    assert "objects left out: 4" in line and "`ssd-np check-data" in line


def test_the_linter_lists_every_such_label(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["check-data", yolo(tmp_path, NAMES, "7 0.5 0.5 0.3 0.3\n0 32 32 9 9\n")]) == 1
    out = capsys.readouterr().out
    assert out.count("class 7, but data.yaml names 2: 0 to 1 [class; stops]") == 8
    assert out.count("YOLO's boxes are fractions of the image, not pixels [above 1; left out]") == 8


def test_fractions_that_reach_beyond_the_image_are_no_pixels(tmp_path, monkeypatch, capsys):
    """One number above 1 does not make specks of all boxes of a table."""
    monkeypatch.chdir(tmp_path)
    lines = [HEADER, *(f"{i}.png,0.1,0.1,0.5,0.5,cat" for i in range(3)), "3.png,0.1,0.1,1.4,1,cat"]
    assert main(["check-data", table(tmp_path, lines), "--json"]) == 0
    out = capsys.readouterr().out
    assert out.count("reaches beyond the image of 64 x 64 pixels; it is clipped") == 1
    assert '"uncovered": 4' not in out


# --- folders of classes --------------------------------------------------------------------------


@pytest.fixture
def zipped(tmp_path, monkeypatch):
    """train.zip and val.zip, three pictures for each of two classes."""
    monkeypatch.chdir(tmp_path)
    for split in ("train", "val"):
        with zipfile.ZipFile(tmp_path / f"{split}.zip", "w") as archive:
            for kind in ("cat", "dog"):
                for i in range(3):
                    picture(tmp_path / f"{i}{kind}.png")
                    archive.write(tmp_path / f"{i}{kind}.png", f"{kind}/{i}.png")
    return tmp_path


def pretrain(spec, capsys):
    code = main([*COMMANDS["pretrain"], spec])
    return code, capsys.readouterr().err.strip().splitlines()


@pytest.mark.parametrize("name", ["train", "val"])
@pytest.mark.parametrize("keep", [0, 40, 0.5])
def test_a_zip_that_was_cut_off(zipped, capsys, name, keep):
    path = zipped / f"{name}.zip"
    content = path.read_bytes()
    path.write_bytes(content[: int(keep * len(content)) if keep < 1 else keep])
    code, lines = pretrain(f"folder:{zipped}", capsys)
    assert code == 1 and len(lines) == 1
    assert f"{name}.zip: is damaged, or no zip file" in lines[0]
    assert not (zipped / "out.npz").exists()


def test_a_picture_that_is_damaged_in_a_zip_is_left_out(zipped, capsys):
    path = zipped / "train.zip"
    content = bytearray(path.read_bytes())
    content[60:90] = bytes(30)
    path.write_bytes(content)
    code, lines = pretrain(f"folder:{zipped}", capsys)
    assert code == 0 and "train.zip/cat/0.png: can not be unpacked: Bad CRC-32" in lines[0]


def test_a_class_with_one_picture_is_told_once(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for kind, count in (("cat", 4), ("dog", 1)):
        for i in range(count):
            picture(tmp_path / "train" / kind / f"{i}.png")
            picture(tmp_path / "val" / kind / f"{i}.png")
    code, lines = pretrain(f"folder:{tmp_path}", capsys)
    assert code == 0 and sum("class 'dog' has one picture" in line for line in lines) == 1


def test_a_folder_of_classes_without_pictures(tmp_path, capsys, monkeypatch, zipped):
    (tmp_path / "nothing" / "train" / "cat").mkdir(parents=True)
    for spec, said in (
        ("folder:nothing", "nothing: split 'train' holds no pictures"),
        ("folder:train.zip", "train.zip: is a file: name the folder it is in"),
        ("folder:nowhere", "nowhere: no such folder"),
    ):
        code, lines = pretrain(spec, capsys)
        assert code == 1 and said in lines[-1]
