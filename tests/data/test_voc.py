"""The reader of Pascal VOC folders, on small folders made here and on real photographs."""

import os

import numpy as np
import pytest
from PIL import Image

from ssd_np.data.voc import VOCDataset
from ssd_np.errors import DataError


def xml_of(objects, width=100, height=50, filename="x.jpg"):
    """objects: (name, xmin, ymin, xmax, ymax) or the same with a difficult flag."""
    parts = []
    for name, x0, y0, x1, y1, *difficult in objects:
        flag = f"<difficult>{difficult[0]}</difficult>" if difficult else ""
        box = f"<xmin>{x0}</xmin><ymin>{y0}</ymin><xmax>{x1}</xmax><ymax>{y1}</ymax>"
        parts.append(f"<object><name>{name}</name>{flag}<bndbox>{box}</bndbox></object>")
    size = f"<size><width>{width}</width><height>{height}</height><depth>3</depth></size>"
    head = f"<annotation><filename>{filename}</filename>{size}"
    return head + "".join(parts) + "</annotation>"


@pytest.fixture
def make(tmp_path):
    """Writes a VOC folder: make(items) with items: id -> XML text; images are 100 x 50 pixels."""

    def write(items, folder="voc", split="train", extension=".jpg"):
        root = tmp_path / folder
        for name in ("Annotations", "JPEGImages", "ImageSets/Main"):
            (root / name).mkdir(parents=True, exist_ok=True)
        for name, text in items.items():
            (root / "Annotations" / f"{name}.xml").write_text(text)
            picture = Image.new("RGB", (100, 50), (len(name), 0, 0))
            picture.save(root / "JPEGImages" / f"{name}{extension}")
        (root / "ImageSets" / "Main" / f"{split}.txt").write_text("\n".join(items) + "\n")
        return root

    return write


def error_of(*arguments, **options):
    with pytest.raises(DataError) as caught:
        VOCDataset(*arguments, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def left_out(root, split="train"):
    """What is said about the one image that can not be used."""
    dataset = VOCDataset(root, split)
    (problem,) = dataset.problems
    assert problem.left_out and problem.object_index is None
    count = len((root / "ImageSets" / "Main" / f"{split}.txt").read_text().split())
    assert len(dataset) == len(dataset.names) == count - 1
    assert all(dataset[i].image.shape == (50, 100, 3) for i in range(len(dataset)))
    assert "\n" not in str(problem) and "the image is left out" in str(problem)
    return str(problem)


def test_pixels_count_from_one(make):
    root = make(
        {"a": xml_of([("dog", 1, 1, 101, 51), ("cat", 11, 6, 51, 26), ("cat", 0, -3, 2, 999)])}
    )
    dataset = VOCDataset(root, "train")
    assert dataset.class_names == ("cat", "dog")  # sorted
    truth = dataset.truth(0)
    assert truth.labels.tolist() == [2, 1, 1]
    expected = [[0, 0, 1, 1], [0.1, 0.1, 0.5, 0.5], [0, 0, 0.01, 1]]
    np.testing.assert_allclose(truth.boxes_corner, expected)
    assert truth.size == (50, 100)
    sample = dataset[0]
    assert sample.image.shape == (50, 100, 3) and sample.name == "a"
    assert sample.truth == truth and len(dataset) == 1


def test_given_class_names_set_the_labels(make):
    root = make({"a": xml_of([("dog", 1, 1, 9, 9), ("cat", 1, 1, 9, 9)])})
    dataset = VOCDataset(root, "train", class_names=["dog", "bird", "cat"])
    assert dataset.class_names == ("dog", "bird", "cat")
    assert dataset.truth(0).labels.tolist() == [1, 3]
    message = error_of(root, "train", class_names=["dog", "bird"])
    assert "a.xml: object 1" in message and "'cat'" in message and "dog, bird" in message
    assert "expected a list" in error_of(root, "train", class_names="dog")


def test_difficult_objects(make):
    root = make(
        {"a": xml_of([("dog", 1, 1, 9, 9, 1), ("cat", 1, 1, 9, 9, 0), ("cat", 1, 1, 5, 5)])}
    )
    assert VOCDataset(root, "train").truth(0).difficult.tolist() == [True, False, False]
    easy = VOCDataset(root, "train", keep_difficult=False)
    assert len(easy.truth(0)) == 2 and not easy.truth(0).difficult.any()
    assert easy.class_names == ("cat", "dog")  # labels do not depend on the choice


def test_degenerate_boxes_are_left_out_and_reported(make):
    objects = [
        ("dog", 5, 5, 5, 9),
        ("dog", 9, 9, 5, 5),
        ("dog", 2, 2, 7, 7),
        ("cat", 150, 1, 200, 9),
    ]
    root = make({"a": xml_of(objects), "b": xml_of([])})
    dataset = VOCDataset(root, "train")
    assert len(dataset.truth(0)) == 1 and len(dataset.truth(1)) == 0
    assert dataset.truth(1).boxes_corner.shape == (0, 4)
    found = [(problem.object_index, problem.name) for problem in dataset.problems]
    assert found == [(0, "dog"), (1, "dog"), (3, "cat")]
    assert all(problem.file.endswith("a.xml") for problem in dataset.problems)
    assert "object 1 (dog): box (9, 9, 5, 5) ends before it begins" in str(dataset.problems[1])


def test_size_of_the_image_counts(make):
    root = make({"a": xml_of([("dog", 1, 1, 51, 26)], width=200, height=100)})
    dataset = VOCDataset(root, "train")
    np.testing.assert_allclose(dataset.truth(0).boxes_corner, [[0, 0, 0.5, 0.5]])
    assert [problem.object_index for problem in dataset.problems] == [None]
    assert "200 x 100 pixels, the image is 100 x 50" in str(dataset.problems[0])
    assert not dataset.problems[0].left_out


def test_image_file_by_id_or_by_filename(make):
    root = make({"a": xml_of([], filename="b.jpg"), "c": xml_of([], filename="other.JPG")},
                extension=".png")  # fmt: skip
    (root / "JPEGImages" / "c.png").rename(root / "JPEGImages" / "other.PNG")
    dataset = VOCDataset(root, "train")
    assert dataset[0].image.shape == dataset[1].image.shape == (50, 100, 3)
    (root / "JPEGImages" / "other.PNG").unlink()
    message = left_out(root)
    assert "c.xml" in message and "no image of the name 'c'" in message


@pytest.mark.parametrize("extension", [".bmp", ".webp", ".tga", ".jp2", ".gif", ".ppm"])
def test_any_format_that_pillow_reads(make, extension):
    root = make({"a": xml_of([])}, extension=extension)
    assert VOCDataset(root, "train")[0].image.shape == (50, 100, 3)
    Image.new("RGB", (30, 20)).save(root / "JPEGImages" / "a.JPEG")  # of two files, the usual one
    assert VOCDataset(root, "train")[0].image.shape == (20, 30, 3)


def test_several_roots_and_splits(make):
    box = ("dog", 1, 1, 9, 9)
    one = make({"a": xml_of([box])}, "one", "train")
    make({"b": xml_of([box, ("ant", 1, 1, 9, 9)])}, "one", "val")
    two = make({"c": xml_of([box])}, "two", "train")
    assert VOCDataset(one, "train+val").names == ["a", "b"]
    assert VOCDataset([one, two], "train").names == ["a", "c"]
    both = VOCDataset([str(one), two], ["val", "train"])
    assert both.names == ["b", "c"] and both.class_names == ("ant", "dog")
    assert both.truth(1).labels.tolist() == [2]
    assert "2 folders and 3 splits" in error_of([one, two], "train+val+train")


def test_flags_and_blank_lines_of_a_split(make):
    root = make({"a": xml_of([]), "b 1x": xml_of([])})
    (root / "ImageSets" / "Main" / "dog.txt").write_text("a  1\n\nb 1x -1\r\n")
    assert VOCDataset(root, "dog").names == ["a", "b 1x"]


def test_what_can_not_be_used_is_left_out_and_named(make):
    good = xml_of([("dog", 1, 1, 9, 9)])
    root = make({"a": good, "b": good})
    xml, image = root / "Annotations" / "b.xml", root / "JPEGImages" / "b.jpg"

    message = error_of(root, "test")
    assert "test.txt" in message and "splits there: train" in message
    (root / "ImageSets" / "Main" / "none.txt").write_text("\n")
    assert "names no images" in error_of(root, "none")

    broken = {
        good[:-20]: "can not be parsed",
        "": "can not be parsed",
        good.replace("<xmax>9</xmax>", ""): "object 0 (dog): <xmax>",
        good.replace("<xmax>9</xmax>", "<xmax>nan</xmax>"): "object 0 (dog): <xmax>",
        good.replace("<xmax>9</xmax>", "<xmax>wide</xmax>"): "'wide'",
        good.replace("<name>dog</name>", ""): "object 0: object without a <name>",
        '<!DOCTYPE a [<!ENTITY e "x">]>' + good.replace("dog", "&e;"): "DOCTYPE",
        '<?xml version="1.0" encoding="nonsense"?>' + good: "can not be parsed",
    }
    for text, what in broken.items():
        xml.write_text(text)
        message = left_out(root)
        assert str(xml) in message and what in message
    xml.write_bytes(('<!DOCTYPE a [<!ENTITY e "x">]>' + good).encode("utf-16"))
    assert "DOCTYPE" in left_out(root)
    xml.unlink()
    assert "b.xml: no such annotation" in left_out(root)

    xml.write_text(good)
    image.write_bytes(b"")
    assert "b.jpg" in left_out(root)
    (root / "JPEGImages" / "a.jpg").unlink()
    assert "none of the 2 images can be used" in error_of(root, "train")


def test_a_truncated_image_is_found_when_read(make):
    root = make({"a": xml_of([])})
    image = root / "JPEGImages" / "a.jpg"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (50, 100, 3), np.uint8)).save(image)
    image.write_bytes(image.read_bytes()[:-800])
    dataset = VOCDataset(root, "train")
    with pytest.raises(DataError, match=r"a\.jpg: image can not be read"):
        dataset[0]


@pytest.mark.skipif("BCCD_ROOT" not in os.environ, reason="BCCD_ROOT names no folder")
def test_real_photographs():
    trainval, test = (VOCDataset(os.environ["BCCD_ROOT"], split) for split in ("trainval", "test"))
    assert (len(trainval), len(test)) == (292, 72)
    assert trainval.class_names == test.class_names == ("Platelets", "RBC", "WBC")
    problems = {(problem.file[-20:], problem.object_index) for problem in trainval.problems}
    assert problems == {("BloodImage_00338.xml", 12), ("BloodImage_00343.xml", 3)}
    assert test.problems == []
    for i in (0, 100, 291):
        sample = trainval[i]
        assert sample.image.shape[:2] == sample.truth.size and len(sample.truth) > 0
