"""The layouts of other people's data: YOLO, Roboflow's, a table of boxes, folders without lists."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from ssd_np.cli import main
from ssd_np.data.data_yaml import read_data_yaml
from ssd_np.data.lint import check
from ssd_np.data.sources import listed_splits, open_source, usual_splits
from ssd_np.data.splits import draw, resolve
from ssd_np.data.stored import StoredDataset
from ssd_np.errors import DataError, NoSuchSplit

SIZE = (40, 20)  # width and height of every image here
BOX = (10, 5, 30, 15)  # corners in pixels, counted from 0
FRACTIONS = [0.25, 0.25, 0.75, 0.75]


def picture(path, colour=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", SIZE, (colour, 0, 0)).save(path)


def xml(name="dog"):
    sides = zip(("xmin", "ymin", "xmax", "ymax"), BOX, strict=True)
    box = "".join(f"<{side}>{pixel + 1}</{side}>" for side, pixel in sides)
    return f"<annotation><object><name>{name}</name><bndbox>{box}</bndbox></object></annotation>"


def coco(names, categories=("pieces", "dog"), first_id=0):
    parents = ["none", *["pieces"] * (len(categories) - 1)]
    return {
        "images": [{"id": i, "file_name": n, "height": 20, "width": 40}
                   for i, n in enumerate(names, first_id)],
        "categories": [{"id": i, "name": n, "supercategory": p}
                       for i, (n, p) in enumerate(zip(categories, parents, strict=True))],
        "annotations": [{"id": i, "image_id": i, "category_id": 1, "bbox": [10, 5, 20, 10]}
                        for i, _ in enumerate(names, first_id)],
    }  # fmt: skip


# the test is not there: Roboflow names one in any case
YAML = (
    "train: ../train/images\nval: ../valid/images\ntest: ../test/images\n\n"
    "nc: 2\nnames: ['dog', 'cat']\n"
)


def write(kind, root):
    """Six images to learn from and two to measure, each with the one box; what `--data` says."""
    for split, names in (("train", "abcdef"), ("valid", "gh")):
        for i, name in enumerate(names):
            folder = root / split
            if kind == "yolo":
                picture(folder / "images" / f"{name}.jpg", i)
                (folder / "labels").mkdir(exist_ok=True)
                (folder / "labels" / f"{name}.txt").write_text("0 0.5 0.5 0.5 0.5\n")
                continue
            picture(folder / f"{name}.jpg", i)
            if kind == "voc":
                (folder / f"{name}.xml").write_text(xml())
        if kind == "coco":
            content = coco([f"{name}.jpg" for name in names])
            (root / split / "_annotations.coco.json").write_text(json.dumps(content))
        if kind == "csv":
            lines = [f"{n}.jpg,40,20,dog,10,5,30,15" for n in names]
            lines.insert(0, "filename,width,height,class,xmin,ymin,xmax,ymax")
            (root / split / "_annotations.csv").write_text("\n".join(lines))
    if kind == "yolo":
        (root / "data.yaml").write_text(YAML)
    return f"{kind}:{root}"


def message(call):
    with pytest.raises(DataError) as caught:
        call()
    return str(caught.value)


KINDS = ("yolo", "coco", "csv", "voc")


# --- the same data, whatever the layout ----------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_folder_with_splits(tmp_path, kind, capsys):
    spec = write(kind, tmp_path)
    assert listed_splits(spec) == (["train", "val"] if kind == "yolo" else ["train", "valid"])
    assert usual_splits(spec) == ("train", "val")
    counts = {"train": 6, "val": 2, "valid": 2, "trainval": 8, "all": 8, "train+val": 8}
    for split, count in counts.items():
        data = StoredDataset(open_source(spec, split))
        assert len(data) == count and data.problems == [] and data.drawn is None
        assert len(set(data.image_ids)) == count  # in both files, Roboflow counts from 0
        assert data.class_names == (("dog", "cat") if kind == "yolo" else ("dog",))
        for i in range(count):
            assert data.truth(i).boxes_corner.tolist() == [FRACTIONS]
            assert data.truth(i).labels.tolist() == [1]
    with pytest.raises(NoSuchSplit, match=r"no such split: 'test' .*splits there: train, val"):
        open_source(spec, "test")
    assert main(["check-data", spec]) == 0
    assert "8 images, 0 findings" in capsys.readouterr().out
    image = next(tmp_path.rglob("g.jpg"))
    assert open_source(spec, "all").item_of(image).objects[0].name == "dog"


@pytest.mark.parametrize("kind", ["coco", "csv", "voc"])
def test_without_splits_two_are_drawn_and_written_down(tmp_path, kind, capsys):
    write(kind, tmp_path / "all")
    spec = f"{kind}:{tmp_path / 'all' / 'train'}"
    assert listed_splits(spec) is None and usual_splits(spec) == ("train", "val")
    train, val = (StoredDataset(open_source(spec, split)) for split in ("train", "val"))
    assert (len(train), len(val)) == (5, 1)
    assert sorted(train.names + val.names) == StoredDataset(open_source(spec, "all")).names
    assert train.drawn == val.drawn == {"train": sorted(train.names), "val": val.names}
    with pytest.raises(NoSuchSplit, match=r"the data brings none .*all is everything"):
        open_source(spec, "test")
    out = tmp_path / "run"
    assert (
        main(["train", "--data", spec, "--config", "tiny", "--steps", "1", "--out", str(out)]) == 0
    )
    assert json.loads((out / "split.json").read_text()) == train.drawn
    told = capsys.readouterr().err
    assert "split train: 5 of 6 images, drawn by seed 0, for the data brings no split" in told
    assert json.loads((out / "run.json").read_text())["eval_split"] == "val"


def test_a_folder_with_nothing_but_train_brings_no_split(tmp_path):
    for kind in KINDS:
        spec = write(kind, tmp_path / kind)
        shutil.rmtree(tmp_path / kind / "valid")
        if kind == "yolo":
            (tmp_path / kind / "data.yaml").write_text(YAML.replace("val: ../valid/images", ""))
        assert listed_splits(spec) is None
        assert len(StoredDataset(open_source(spec, "val"))) == 1


def test_other_data_to_evaluate_on_is_read_whole_where_it_has_no_split(tmp_path):
    one, two = write("csv", tmp_path / "one"), write("voc", tmp_path / "two")
    assert usual_splits(one, f"{one}/train") == ("trainval", "all")
    assert usual_splits(f"{one}/train", two) == ("all", "val")
    assert usual_splits("shapes") == ("trainval", "test")


# --- the draw ------------------------------------------------------------------------------------


def test_a_draw_depends_on_the_names_alone():
    names = [f"{i}.jpg" for i in range(100)]
    drawn = draw(names)
    assert [len(drawn[split]) for split in ("train", "val")] == [80, 20]
    assert sorted(drawn["train"] + drawn["val"]) == sorted(names)
    assert draw(names[::-1]) == drawn
    more = draw([*names, *(f"new-{i}.jpg" for i in range(10))])  # few move to the other side
    assert len(set(drawn["val"]) - set(more["val"])) <= 4
    assert draw(["a", "b"]) in ({"train": ["a"], "val": ["b"]}, {"train": ["b"], "val": ["a"]})
    assert draw(["a"]) == {"train": ["a"], "val": []} and draw([]) == {"train": [], "val": []}


def test_a_class_that_only_one_drawn_split_has_is_known_to_both(tmp_path):
    rows = ["filename,xmin,ymin,xmax,ymax,class"]
    for i in range(10):
        picture(tmp_path / f"{i}.jpg")
        rows.append(f"{i}.jpg,10,5,30,15,{'rare' if i == 3 else 'dog'}")
    (tmp_path / "b.csv").write_text("\n".join(rows))
    for split in ("train", "val"):
        assert StoredDataset(open_source(f"csv:{tmp_path}/b.csv", split)).class_names == (
            "dog",
            "rare",
        )


@pytest.mark.parametrize(
    "split, known, expected",
    [
        ("validation", ["train", "val"], ["val"]),
        ("trainval", ["train", "trainval", "val"], ["trainval"]),
        ("trainval", ["test", "train"], ["train"]),
        ("all", ["test", "train", "trainval", "val"], ["test", "train", "val"]),
        ("test", ["train", "val"], []),
    ],
)
def test_names_of_splits(split, known, expected):
    assert resolve(split, known) == expected


# --- data.yaml -----------------------------------------------------------------------------------

ULTRALYTICS = """# COCO8 dataset
path: ../datasets/coco8 # dataset root dir
train: images/train # train images (relative to 'path') 4 images
val: images/val
test: # test images (optional)

# Classes
names:
  0: person
  1: dog's  # a plain apostrophe
  2: 'it''s # one'

download: |
  from pathlib import Path
  urls = {a: 'b
"""
KEYS = ("path", "train", "val", "test", "names", "nc")


@pytest.mark.parametrize(
    "text, expected",
    [
        (ULTRALYTICS, {"path": "../datasets/coco8", "train": "images/train", "val": "images/val",
                       "test": None, "names": {"0": "person", "1": "dog's", "2": "it's # one"}}),
        ("names:\n- a\n- \"caf\\xE9\"\n- 'no'\n- yes\nnc: 4", {"names": ["a", "café", "no", "yes"],
                                                               "nc": "4"}),
        ("---\nnames: [a, 'b, c',\n  d e, \"f\"]\n", {"names": ["a", "b, c", "d e", "f"]}),
        ("names: {0: a, 1: 'b: c'}\ntrain: [x/y,]\nval: []", {"names": {"0": "a", "1": "b: c"},
                                                              "train": ["x/y"], "val": []}),
        ("train: C:/x\nother:\n  - a: [b\n", {"train": "C:/x"}),
    ],
)  # fmt: skip
def test_the_yaml_that_is_written(tmp_path, text, expected):
    path = tmp_path / "data.yaml"
    path.write_text(text, encoding="utf-8")
    assert read_data_yaml(path, KEYS) == expected
    yaml = pytest.importorskip("yaml")
    if "yes" not in text:  # which is True to it
        theirs = yaml.safe_load(text.split("other:")[0].split("download:")[0])
        assert json.loads(json.dumps(theirs)) == expected


@pytest.mark.parametrize(
    "text, line",
    [
        ("names: &a [x]", 1), ("names: *a", 1), ("names: !!python/object:os.system x", 1),
        ("path: |\n  x", 2), ("path: >\n  x", 2), ("names: [[a]]", 1), ("names: [a, b", 1),
        ("names: [a b", 1), ("path: a\n  b", 2), ("junk", 1), ("- a", 1),
        ("names:\n  0:\n    a: b", 3),
        ("names:\n- a: b", 2), ("names:\n- - a", 2), ("names: ['a]", 1), ("names: {a, b}", 1),
        ('names: ["\\q"]', 1), ("names:\n  0: a\n  b", 3), ("names: [" + " " * 200_000 + "a", 1),
    ],
)  # fmt: skip
def test_yaml_beyond_it_is_refused_by_its_line(tmp_path, text, line):
    path = tmp_path / "data.yaml"
    path.write_text(text)
    said = message(lambda: read_data_yaml(path, KEYS))
    assert said.startswith(f"{path}: line {line}: ") and "beyond the YAML that is read here" in said


@pytest.mark.parametrize(
    "text, said",
    [
        ("train: train/images\n", "data.yaml: has no names of classes"),
        ("train: train/images\nnames: []", "has no names of classes"),
        ("train: train/images\nnames: [a, a]", "a list of names, each another"),
        ("train: train/images\nnames: dog", "a list of names, each another"),
        ("train: train/images\nnames: {0: a, 2: b}", "has the numbers 0, 2 (they count from 0)"),
        (
            "train: train/images\nnames: [a]\nnc: 3",
            "nc is 3, but names has 1 (make them agree",
        ),
        ("train: train/images\nnames: [a]\nnames: [b]", "line 3: has the key 'names' twice"),
        ("names: [a]\n", "names no images"),
        ("train: nowhere\nnames: [a]\n", "/nowhere: no such folder, or list of images (below"),
        ("train: empty\nnames: [a]\n", "holds no images"),
        ("train: bare\nnames: [a]\n", "none of the 1 images has a text of labels (the first would"),
        ("train: train/images\nnames: [a]\nkpt_shape: [17, 3]", "key points (kpt_shape)"),
    ],
)
def test_a_data_yaml_that_can_not_be_used(tmp_path, text, said):
    write("yolo", tmp_path)
    (tmp_path / "empty").mkdir()
    picture(tmp_path / "bare" / "a.jpg")
    (tmp_path / "data.yaml").write_text(text)
    assert said in message(lambda: open_source(f"yolo:{tmp_path}", "all"))


def test_where_a_data_yaml_is_looked_for(tmp_path):
    spec = write("yolo", tmp_path)
    (tmp_path / "data.yaml").rename(tmp_path / "chess.yaml")
    assert len(open_source(spec, "val")) == len(open_source(f"{spec}/chess.yaml", "val")) == 2
    (tmp_path / "more.yml").write_text("")
    assert "several .yaml files" in message(lambda: open_source(spec, "val"))
    assert "no data.yaml" in message(lambda: open_source(f"yolo:{tmp_path}/train", "val"))
    assert "gone.yaml: no such data.yaml" in message(lambda: open_source("yolo:gone.yaml", "val"))


def test_a_list_of_images_and_several_folders(tmp_path):
    write("yolo", tmp_path)
    names = "names: [dog, cat]\n"
    (tmp_path / "train.txt").write_text("./train/images/a.jpg\ntrain/images/b.jpg\n\n")
    (tmp_path / "data.yaml").write_text(
        f"path: {tmp_path}\ntrain: train.txt\nval: [valid/images, train/images]\n{names}"
    )
    data = StoredDataset(open_source(f"yolo:{tmp_path}", "train"))
    assert data.names == ["./train/images/a.jpg", "train/images/b.jpg"] and len(data.truth(1)) == 1
    assert len(open_source(f"yolo:{tmp_path}", "val")) == 8
    (tmp_path / "train.txt").write_text("../secret.jpg\n")
    assert "leads out of the folder" in message(lambda: open_source(f"yolo:{tmp_path}", "train"))


# --- labels of YOLO ------------------------------------------------------------------------------


def test_a_split_that_is_train_once_more_is_none(tmp_path):
    """Ultralytics' coco128.yaml and coco8 of old: what is learned from is not measured on."""
    write("yolo", tmp_path)
    spec, yaml = f"yolo:{tmp_path}", tmp_path / "data.yaml"
    yaml.write_text("train: train/images\nval: ../train/images\nnames: [dog, cat]\n")
    assert listed_splits(spec) is None
    train, val = (StoredDataset(open_source(spec, split)) for split in ("train", "val"))
    assert (len(train), len(val)) == (5, 1) and not set(train.names) & set(val.names)
    yaml.write_text(yaml.read_text() + "test: valid/images\n")
    assert listed_splits(spec) == ["test", "train"] and usual_splits(spec) == ("trainval", "test")
    assert len(StoredDataset(open_source(spec, "trainval"))) == 6


@pytest.mark.parametrize(
    "line, kind, effect, said",
    [
        ("2 0.5 0.5 0.5 0.5", "class", "stops", "class 2, but data.yaml names 2: 0 to 1"),
        ("0 20 10 20 10", "above 1", "left out", "has 20; YOLO's boxes are fractions of the image"),
        ("0 0.9 0.5 0.4 0.5", "outside", "kept", "reaches beyond the image"),
        ("0 0.5 0.5 0 0.5", "no area", "left out", "has no area"),
        ("0 0.5 0.5 -0.1 0.5", "reversed box", "left out", "ends before it begins"),
        ("0 0.5 0.5 0.5 0.5 0.9", "annotation", "left out", "6 numbers, expected class x y width "
         "height; the last is a score, so these are predictions"),
        ("0 0.5 0.5", "annotation", "left out", "3 numbers, expected class x y width height"),
        ("dog 0.5 0.5 0.5 0.5", "annotation", "left out", "'dog 0.5 0.5 0.5 0.5' is no class and"),
        ("0.5 0.5 0.5 0.5 0.5", "annotation", "left out", "is no class and its box"),
        ("-1 0.5 0.5 0.5 0.5", "annotation", "left out", "is no class and its box"),
        ("0 nan 0.5 0.5 0.5", "annotation", "left out", "is no class and its box"),
        ("0 0.2 0.3 0.8 0.3 0.5 0.9", "outline", "kept", "1 objects are outlines (polygons); the "
         "box around each is taken"),
    ],
)  # fmt: skip
def test_a_line_that_is_no_good(tmp_path, line, kind, effect, said):
    spec = write("yolo", tmp_path)
    (tmp_path / "train" / "labels" / "a.txt").write_text(f"1 0.5 0.5 0.5 0.5\n{line}\n")
    (finding,) = check(open_source(spec, "train")).findings
    assert (finding.kind, finding.effect) == (kind, effect) and said in finding.what
    if effect == "stops":
        assert said in message(lambda: StoredDataset(open_source(spec, "train")))
        return
    data = StoredDataset(open_source(spec, "train"))
    assert data.problems == ([finding] if kind != "outside" else [])  # what is clipped is not told
    if kind == "outline":
        np.testing.assert_allclose(data.truth(0).boxes_corner[1], [0.2, 0.3, 0.8, 0.9])


def test_an_image_without_labels_has_no_objects(tmp_path):
    spec = write("yolo", tmp_path)
    (tmp_path / "train" / "labels" / "a.txt").unlink()
    (tmp_path / "train" / "labels" / "b.txt").write_text("\n")
    data = StoredDataset(open_source(spec, "train"))
    assert [len(data.truth(i)) for i in range(6)] == [0, 0, 1, 1, 1, 1] and data.problems == []


def test_an_edge_that_rounding_moved_beyond_the_border_is_at_the_border(tmp_path):
    spec = write("yolo", tmp_path)
    (tmp_path / "train" / "labels" / "a.txt").write_text("0 0.333333 0.5 0.666667 1.000000\n")
    data = StoredDataset(open_source(spec, "train"))
    assert data.problems == [] and data.truth(0).boxes_corner[0, 0] == 0


# --- a table -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "header, row",
    [
        ("filename,xmin,ymin,xmax,ymax,class", "a.jpg,10,5,30,15,dog"),
        ("filename,width,height,class,xmin,ymin,xmax,ymax", "a.jpg,40,20,dog,10,5,30,15"),
        ("Image;X_min;Y_min;X_max;Y_max;Label", "a.jpg;10;5;30;15;dog"),
        ("path\tx1\tx2\ty1\ty2\tclass name\tsplit", "a.jpg\t10\t30\t5\t15\tdog\tx"),
        ("label,top,left,bottom,right,file", 'dog,5,10,15,30,"a.jpg"'),
        ("image,xmin,ymin,xmax,ymax,class", "a.jpg,0.25,0.25,0.75,0.75,dog"),
        ("\ufefffilename,xmin,ymin,xmax,ymax,class", ".\\a.jpg,10,5,30,15,dog"),
    ],
)
def test_columns_in_any_order_by_their_header(tmp_path, header, row):
    picture(tmp_path / "a.jpg")
    (tmp_path / "b.csv").write_text(f"{header}\r\n{row}\r\n", encoding="utf-8")
    data = StoredDataset(open_source(f"csv:{tmp_path}/b.csv", "all"))
    assert data.truth(0).boxes_corner.tolist() == [FRACTIONS] and data.class_names == ("dog",)
    elsewhere = tmp_path / "tables"
    elsewhere.mkdir()
    shutil.move(tmp_path / "b.csv", elsewhere)
    spec = f"csv:{elsewhere}/b.csv:{tmp_path}"
    assert StoredDataset(open_source(spec, "all"))[0].image.shape == (20, 40, 3)


@pytest.mark.parametrize(
    "text, said",
    [
        ("", "the table is empty (its first line is filename,xmin,ymin,xmax,ymax,class)"),
        ("a.jpg,10,5,30,15,dog\n", "line 1: the table has no header (write as its first line file"),
        ("filename,xmin,ymin,xmax,class\n", "the header has no column ymax (it may be called ymax"),
        ("filename,label\na.jpg,dog\n", "the header has no column xmin"),
        ("filename,xmin,ymin,xmax,ymax,class\n../a.jpg,1,2,3,4,dog\n", "leads out of the folder"),
        ('filename,xmin,ymin,xmax,ymax,class\n"' + "x" * 200_000 + '",1,2,3,4,a\n', "can not be"),
    ],
)
def test_a_table_that_can_not_be_read(tmp_path, text, said):
    path = tmp_path / "b.csv"
    path.write_text(text)
    assert said in message(lambda: StoredDataset(open_source(f"csv:{path}", "all")))


def test_lines_that_are_no_objects(tmp_path):
    picture(tmp_path / "a.jpg")
    picture(tmp_path / "b.jpg")
    lines = ["a.jpg,10,5,30,15,dog", "a.jpg,10,5,x,15,dog", "a.jpg,10,5,30,15,", "b.jpg,,,,,",
             "a.jpg,10", ",10,5,30,15,dog", "", "gone.jpg,10,5,30,15,dog",
             "a.jpg,1,2,inf,3,dog"]  # fmt: skip
    (tmp_path / "b.csv").write_text("\n".join(["filename,xmin,ymin,xmax,ymax,class", *lines]))
    data = StoredDataset(open_source(f"csv:{tmp_path}/b.csv", "all"))
    assert data.names == ["a.jpg", "b.jpg"] and [len(data.truth(i)) for i in (0, 1)] == [1, 0]
    assert [p.object_index for p in data.problems] == [3, 4, 6, 7, 10, None]
    assert "object 3 (dog): its line is no file, four numbers and a class" in str(data.problems[0])
    assert "no such image file" in data.problems[-1].what


# --- Roboflow's first category -------------------------------------------------------------------


def test_a_parent_that_no_object_has_is_no_class(tmp_path):
    spec = write("coco", tmp_path)
    data = StoredDataset(open_source(spec, "train"))
    assert data.class_names == ("dog",) and data.category_ids == [1]
    path = tmp_path / "train" / "_annotations.coco.json"
    content = json.loads(path.read_text())
    content["annotations"][0]["category_id"] = 0  # now somebody uses it
    path.write_text(json.dumps(content))
    assert StoredDataset(open_source(spec, "train")).class_names == ("pieces", "dog")
    assert "has other classes than" in message(lambda: open_source(spec, "all"))
    content = coco(["a.jpg"], ("animal", "dog", "person"))
    for record, parent in zip(content["categories"], ("animal", "animal", "person"), strict=True):
        record["supercategory"] = parent
    path.write_text(json.dumps(content))
    names = open_source(spec, "train").class_names
    assert names == ("dog", "person")  # as in COCO, a class may be called as its own group


# --- some of the classes -------------------------------------------------------------------------


def test_training_on_some_of_the_classes(tmp_path, capsys):
    rows = ["filename,xmin,ymin,xmax,ymax,class"]
    for i, name in enumerate(["dog", "cat", "cow"] * 4):
        picture(tmp_path / "d" / f"{i}.jpg")
        rows.append(f"{i}.jpg,10,5,30,15,{name}")
    (tmp_path / "d" / "b.csv").write_text("\n".join(rows))
    spec, out = f"csv:{tmp_path}/d/b.csv", tmp_path / "run"
    data = StoredDataset(open_source(spec, "all", ["cow", "dog"]))
    assert data.class_names == ("cow", "dog") and len(data) == 12
    assert [data.truth(i).labels.tolist() for i in range(3)] == [[2], [], [1]]
    train = ["train", "--data", spec, "--config", "tiny", "--steps", "1", "--out", str(out)]
    assert main([*train, "--split", "all", "--classes", "cow,dog"]) == 0
    assert json.loads((out / "config.json").read_text())["class_names"] == ["cow", "dog"]
    assert json.loads((out / "run.json").read_text())["classes"] == ["cow", "dog"]
    weights = str(out / "best.npz")
    evaluate = ["eval", weights, "--data", spec, "--out", str(tmp_path / "e")]
    assert main([*evaluate, "--split", "all", "--classes", "cow,dog"]) == 0
    capsys.readouterr()
    for classes, said in (
        ("cow,pig", "no object of class 'pig'"),
        ("cow,cow", "names 'cow' twice"),
    ):
        command = ["--force", "--split", "all", "--classes", classes]
        assert main([*train, *command]) == 1
        assert said in capsys.readouterr().err


def test_a_class_that_the_data_does_not_declare(tmp_path):
    spec = write("yolo", tmp_path)
    assert "no class 'cow' (known: dog, cat)" in message(
        lambda: open_source(spec, "train", ["cow"])
    )
    coco_spec = write("coco", tmp_path / "c")
    assert open_source(coco_spec, "train", ["dog"]).category_ids == [1]
