"""The linter finds each kind of fault, and nothing in a data set without faults."""

import json
import os
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from ssd_np.data.coco import CocoDataset, CocoSource
from ssd_np.data.lint import check
from ssd_np.data.voc import VOCDataset, VOCSource
from ssd_np.data.voc_annotation import parse_annotation
from ssd_np.errors import DataError

GOOD = ("dog", 10, 10, 60, 60)


def xml_of(*objects, width=200, height=150):
    size = f"<size><width>{width}</width><height>{height}</height></size>"
    body = "".join(
        f"<object><name>{name}</name><bndbox><xmin>{a}</xmin><ymin>{b}</ymin>"
        f"<xmax>{c}</xmax><ymax>{d}</ymax></bndbox></object>"
        for name, a, b, c, d in objects
    )
    return f"<annotation><filename>x.jpg</filename>{size}{body}</annotation>"


@pytest.fixture
def make_voc(tmp_path):
    """Writes a VOC folder of id -> XML text, with images of 200 x 150 pixels."""

    def write(items):
        for folder in ("Annotations", "JPEGImages", "ImageSets/Main"):
            (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        for name, text in items.items():
            (tmp_path / "Annotations" / f"{name}.xml").write_text(text)
            Image.new("RGB", (200, 150)).save(tmp_path / "JPEGImages" / f"{name}.jpg")
        (tmp_path / "ImageSets" / "Main" / "train.txt").write_text("\n".join(items))
        return tmp_path

    return write


def test_an_image_that_is_named_very_often_is_read_once(make_voc, monkeypatch):
    root, looks = make_voc({"a": xml_of(GOOD), "b": xml_of(GOOD)}), []
    (root / "ImageSets/Main/train.txt").write_text("a\nb\n" * 5000)
    monkeypatch.setattr("ssd_np.data.voc.parse_annotation", counted(parse_annotation, looks))
    monkeypatch.setattr("ssd_np.data.lint.undecodable", lambda files: looks.extend(files) or {})
    findings = check(VOCSource(root, "train")).findings
    assert [(f.kind, f.what) for f in findings] == [
        ("duplicate image", "5000 times in the split; it is taken once")] * 2  # fmt: skip
    assert len(looks) == 4
    data = VOCDataset(root, "train")
    assert data.names == ["a", "b"] and len(looks) == 6


def counted(function, calls):
    return lambda *given: (calls.append(given), function(*given))[1]


def only(report):
    """The one finding of a report: kind, effect, name of the file, object."""
    assert len(report.findings) == 1, report.lines()
    (finding,) = report.findings
    file = finding.file.split(": ")[0].rsplit("/", 1)[-1]
    return finding.kind, finding.effect, file, finding.object_index


def test_nothing_wrong(make_voc):
    report = check(
        VOCSource(make_voc({"a": xml_of(GOOD, ("cat", 1, 1, 200, 150)), "b": xml_of()}), "train")
    )
    assert report.findings == [] and report.images == 2
    assert report.sizes == {"dog": Counter(medium=1), "cat": Counter(large=1)}
    assert "2 images, 0 findings" in report.lines()


@pytest.mark.parametrize(
    "bad, expected",
    [
        (("dog", 30, 30, 30, 60), ("no area", "left out", "a.xml", 1)),
        (("dog", 60, 30, 30, 50), ("reversed box", "left out", "a.xml", 1)),
        (("dog", 300, 30, 350, 60), ("outside", "left out", "a.xml", 1)),
        (("dog", 150, 30, 230, 60), ("outside", "kept", "a.xml", 1)),
        (("dog", 0, 30, 50, 60), ("outside", "kept", "a.xml", 1)),  # pixels count from 1
        (GOOD, ("duplicate box", "kept", "a.xml", 1)),
        (("cow", 10, 20, 60, 60), ("class", "stops", "a.xml", 1)),
        (("", 10, 20, 60, 60), ("annotation", "left out", "a.xml", None)),
        (("dog", 10, "x", 60, 60), ("annotation", "left out", "a.xml", None)),
    ],
)
def test_faults_of_objects(make_voc, bad, expected):
    root = make_voc({"a": xml_of(GOOD, bad), "b": xml_of(GOOD)})
    report = check(VOCSource(root, "train"), class_names=["dog"])
    assert only(report) == expected
    assert report.drops == (expected[1] != "kept")
    agrees_with_training(report, lambda: VOCDataset(root, "train", ["dog"]))


def agrees_with_training(report, open_dataset):
    """What the linter says happens, happens; and it counts what is trained on."""
    effects = {finding.effect for finding in report.findings}
    if "stops" in effects:
        with pytest.raises(DataError):
            dataset = open_dataset()
            [dataset[i] for i in range(len(dataset))]
        return
    dataset = open_dataset()
    dataset.leave_out_undecodable()
    assert any(problem.left_out for problem in dataset.problems) == ("left out" in effects)
    truths = [dataset[i].truth for i in range(len(dataset))]
    boxes = np.concatenate([truth.boxes_corner[~truth.crowd] for truth in truths])
    assert np.array_equal(boxes, report.boxes)
    assert len(boxes) == sum(sizes.total() for sizes in report.sizes.values())


def test_faults_of_files(make_voc):
    root = make_voc({"a": xml_of(GOOD), "b": xml_of(GOOD)})
    xml, image = root / "Annotations" / "b.xml", root / "JPEGImages" / "b.jpg"

    def expect(expected):
        report = check(VOCSource(root, "train"))
        assert only(report) == expected
        agrees_with_training(report, lambda: VOCDataset(root, "train"))

    xml.write_text("<annotation>")
    expect(("annotation", "left out", "b.xml", None))
    xml.unlink()
    expect(("annotation", "left out", "b.xml", None))
    xml.write_text(xml_of(GOOD, width=400, height=300))
    expect(("size", "kept", "b.xml", None))
    xml.write_text(xml_of(GOOD))

    noise = np.random.default_rng(0).integers(0, 256, (150, 200, 3), dtype=np.uint8)
    Image.fromarray(noise).save(image)
    whole = image.read_bytes()
    image.write_bytes(whole[: len(whole) // 2])  # its header is intact
    expect(("image", "left out", "b.jpg", None))
    image.write_bytes(b"")
    expect(("image", "left out", "b.jpg", None))
    image.unlink()
    expect(("no image", "left out", "b.xml", None))
    image.write_bytes(whole)

    (root / "ImageSets" / "Main" / "train.txt").write_text("a\nb\na\n")
    expect(("duplicate image", "kept", "a.xml", None))
    with pytest.raises(DataError, match="splits there"):
        check(VOCSource(root, "test"))


def test_the_files_are_not_changed(make_voc):
    root = make_voc({"a": xml_of(GOOD, GOOD)})
    before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    check(VOCSource(root, "train"))
    assert before == {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_report_for_people_and_for_json(make_voc):
    report = check(VOCSource(make_voc({"a": xml_of(GOOD, ("dog", 5, 5, 5, 5))}), "train"))
    lines = report.lines()
    assert "a.xml: object 1 (dog): box (5, 5, 5, 5) has no area [no area; left out]" in lines[0]
    assert lines[1] == "1 images, 1 findings (1 left out)"
    assert lines[3].split() == ["dog", "1", "0", "1", "0"]
    values = json.loads(json.dumps(report.as_dict()))
    assert values["images"] == 1 and values["objects"] == {"dog": {"medium": 1}}
    (finding,) = values["findings"]
    assert (finding["kind"], finding["object"], finding["class"]) == ("no area", 1, "dog")


def instances():
    return {
        "images": [
            {"id": 1, "file_name": "a.png", "height": 150, "width": 200},
            {"id": 2, "file_name": "b.png", "height": 150, "width": 200},
        ],
        "categories": [{"id": 3, "name": "dog"}, {"id": 7, "name": "cat"}],
        "annotations": [
            {"id": 11, "image_id": 1, "category_id": 3, "bbox": [10, 10, 50, 50]},
            {"id": 12, "image_id": 2, "category_id": 7, "bbox": [0, 0, 200, 150]},
        ],
    }


def no_change(content):
    pass


@pytest.mark.parametrize(
    "change, expected",
    [
        (no_change, None),
        (lambda c: c["annotations"][1].update(bbox=[5, 5, 0, 9]), ("no area", "left out", 12)),
        (
            lambda c: c["annotations"][1].update(bbox=[5, 5, 4, -9]),
            ("reversed box", "left out", 12),
        ),
        (lambda c: c["annotations"][1].update(bbox=[205, 5, 4, 9]), ("outside", "left out", 12)),
        (lambda c: c["annotations"][1].update(bbox=[-1, 5, 40, 9]), ("outside", "kept", 12)),
        (
            lambda c: c["annotations"][1].update(image_id=1, bbox=[10, 10, 50, 50]),
            ("duplicate box", "kept", 12),
        ),
        (lambda c: c["annotations"][1].update(category_id=4), ("class", "stops", 12)),
        (lambda c: c["annotations"][1].update(image_id=4), ("no image", "stops", 12)),
        (lambda c: c["annotations"][1].update(id=11), ("annotation", "stops", 11)),
        (lambda c: c["annotations"][1].update(bbox=None), ("annotation", "stops", None)),
        (lambda c: c["images"][1].update(file_name="none.png"), ("no image", "left out", None)),
        (
            lambda c: c["annotations"][1].update(iscrowd=1, bbox=[5, 5, 0, 9]),
            ("no area", "left out", 12),
        ),
        (lambda c: c["images"][1].update(file_name="text.png"), ("image", "left out", None)),
        (lambda c: c["images"][1].update(width=400), ("size", "kept", None)),
        (lambda c: c["images"].append({"id": 5}), ("image record", "stops", None)),
        (lambda c: c["images"].append(c["images"][0]), ("duplicate image", "stops", None)),
        (lambda c: c["categories"][1].update(name=" "), ("class", "stops", None)),
        (lambda c: c["categories"][1].update(name="dog"), ("class", "stops", None)),
    ],
)
def test_coco(tmp_path, change, expected):
    for name in "ab":
        Image.new("RGB", (200, 150)).save(tmp_path / f"{name}.png")
    (tmp_path / "text.png").write_text("no picture")
    content = instances()
    change(content)
    path = tmp_path / "instances.json"
    path.write_text(json.dumps(content))
    report = check(CocoSource(tmp_path, path))
    if expected is None:
        assert report.findings == [] and not report.drops
        assert report.sizes == {"dog": Counter(medium=1), "cat": Counter(large=1)}
        return
    kind, effect, _, index = only(report)
    assert (kind, effect, index) == expected
    agrees_with_training(report, lambda: CocoDataset(tmp_path, path))


@pytest.mark.parametrize("count", [1, 2])
def test_the_wrong_folder_is_one_mistake(tmp_path, count):
    """Not a finding for each image: nothing else can be said of images that are not there."""
    (tmp_path / "elsewhere").mkdir()
    content = instances()
    content["images"] = content["images"][:count]
    content["annotations"] = content["annotations"][:count]
    path = tmp_path / "instances.json"
    path.write_text(json.dumps(content))
    with pytest.raises(DataError, match=f"none of the {count} images is there; .*elsewhere"):
        check(CocoSource(tmp_path / "elsewhere", path))


def test_coco_classes_and_crowds(tmp_path):
    for name in "ab":
        Image.new("RGB", (200, 150)).save(tmp_path / f"{name}.png")
    content, path = instances(), tmp_path / "instances.json"
    content["annotations"][1]["iscrowd"] = 1
    path.write_text(json.dumps(content))
    report = check(CocoSource(tmp_path, path), ["dog", "cat"])
    assert report.findings == [] and report.sizes == {"dog": Counter(medium=1)}
    agrees_with_training(report, lambda: CocoDataset(tmp_path, path))
    (finding,) = check(CocoSource(tmp_path, path), ["dog"]).findings
    assert finding.kind == "class" and "unknown class 'cat'; known: dog" in str(finding)


@pytest.mark.skipif("BCCD_ROOT" not in os.environ, reason="BCCD_ROOT names no folder")
def test_real_photographs():
    report = check(VOCSource(os.environ["BCCD_ROOT"], "trainval+test"))
    found = [(f.kind, f.effect, f.file[-8:-4], f.object_index) for f in report.findings]
    expected = [("no area", "left out", "0338", 12), ("no area", "left out", "0343", 3)]
    assert sorted(found) == expected
    totals = {name: sizes.total() for name, sizes in report.sizes.items()}
    assert report.images == 364 and totals == {"Platelets": 361, "RBC": 4153, "WBC": 372}


def test_more_problems_than_anybody_reads(tmp_path, monkeypatch):
    """Each record of two bytes would be kept as one of hundreds."""
    (tmp_path / "a.json").write_text('{"images": [[],[],[]], "annotations": [], "categories": []}')
    source = CocoSource(tmp_path, tmp_path / "a.json")
    monkeypatch.setattr("ssd_np.data.lint.MOST_PROBLEMS", 3)
    assert len(check(source).findings) == 3
    monkeypatch.setattr("ssd_np.data.lint.MOST_PROBLEMS", 2)
    with pytest.raises(
        DataError, match=r"has over 2 problems, the last: .*a\.json: image at position 2"
    ):
        check(source)
