"""The reader of COCO's instances files, on a small file; pycocotools as a second opinion."""

import json
import math

import numpy as np
import pytest
from PIL import Image

from ssd_np.data.coco import COCO_CATEGORIES, CocoDataset, _numbers
from ssd_np.errors import DataError


def instances():
    """Two images with objects, one without; categories out of order and with gaps in their ids."""
    return {
        "info": {},
        "images": [
            {"id": 30, "file_name": "c.png", "height": 50, "width": 100},
            {"id": 10, "file_name": "a.png", "height": 50, "width": 100},
            {"id": 20, "file_name": "b.png", "height": 50, "width": 100},
        ],
        "categories": [
            {"id": 18, "name": "dog"}, {"id": 1, "name": "person"}, {"id": 90, "name": "cup"},
        ],
        "annotations": [
            {"id": 1, "image_id": 10, "category_id": 18, "bbox": [10, 5, 40, 20], "area": 321.5,
             "iscrowd": 0},
            {"id": 2, "image_id": 30, "category_id": 90, "bbox": [0, 0, 100, 50], "area": 5000.0},
            {"id": 3, "image_id": 10, "category_id": 1, "bbox": [90.5, 40, 20, 30], "iscrowd": 1,
             "area": 7},
            {"id": 4, "image_id": 10, "category_id": 1, "bbox": [3, 3, 0, 9], "area": 0},
            {"id": 5, "image_id": 30, "category_id": 1, "bbox": [25, 10, 50, 25]},
        ],
    }  # fmt: skip


@pytest.fixture
def make(tmp_path):
    def write(content):
        for i, name in enumerate("abc"):
            Image.new("RGB", (100, 50), (i, 0, 0)).save(tmp_path / f"{name}.png")
        path = tmp_path / "instances.json"
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return tmp_path, path

    return write


def test_boxes_labels_crowd_area(make):
    dataset = CocoDataset(*make(instances()))
    assert dataset.class_names == ("person", "dog", "cup") and dataset.category_ids == [1, 18, 90]
    assert dataset.image_ids == [30, 10, 20] and dataset.names == ["c.png", "a.png", "b.png"]
    assert len(dataset) == 3
    truth = dataset.truth(1)
    np.testing.assert_allclose(truth.boxes_corner, [[0.1, 0.1, 0.5, 0.5], [0.905, 0.8, 1, 1]])
    assert truth.labels.tolist() == [2, 1] and truth.crowd.tolist() == [False, True]
    assert truth.area.tolist() == [321.5, 7] and truth.size == (50, 100)
    np.testing.assert_allclose(dataset.truth(0).area, [5000, 1250])  # the second is the box's own
    assert len(dataset.truth(2)) == 0 and dataset.truth(2).boxes_corner.shape == (0, 4)
    sample = dataset[2]
    assert (
        sample.name == "b.png" and sample.image[0, 0, 0] == 1 and sample.truth == dataset.truth(2)
    )


def test_boxes_without_area_are_left_out_and_reported(make):
    (problem,) = CocoDataset(*make(instances())).problems
    assert (problem.object_index, problem.name) == (4, "person")
    assert "instances.json: object 4 (person): box (3, 3, 0, 9) has no area" in str(problem)


def test_an_image_without_its_file_is_left_out_with_its_objects(make):
    content = instances()
    content["images"][1]["file_name"] = "x.png"
    dataset = CocoDataset(*make(content))
    assert dataset.image_ids == [30, 20] and dataset.names == ["c.png", "b.png"]
    (gone,) = dataset.problems  # the box without area went with its image
    assert gone.left_out and gone.object_index is None and "x.png; the image is" in str(gone)
    whole = CocoDataset(*make(instances()))
    for index, index_before in ((0, 0), (1, 2)):
        kept, before = dataset.truth(index), whole.truth(index_before)
        assert np.array_equal(kept.boxes_corner, before.boxes_corner)
        assert dataset[index].truth == kept
    for image in content["images"]:
        image["file_name"] = "x.png"
    with pytest.raises(DataError, match="none of the 3 images can be used"):
        CocoDataset(*make(content))


def test_agrees_with_pycocotools(make):
    pytest.importorskip("pycocotools")
    from pycocotools.coco import COCO

    folder, path = make(instances())
    dataset, reference = CocoDataset(folder, path), COCO(str(path))
    for index, number in enumerate(dataset.image_ids):
        expected = [
            annotation
            for annotation in reference.loadAnns(reference.getAnnIds(imgIds=[number]))
            if min(annotation["bbox"][2:]) > 0
        ]
        truth = dataset.truth(index)
        ids = [dataset.category_ids[label - 1] for label in truth.labels]
        assert ids == [annotation["category_id"] for annotation in expected]
        x0y0 = [annotation["bbox"][:2] for annotation in expected]
        pixels = truth.boxes_corner[:, :2] * (100, 50)
        np.testing.assert_allclose(pixels, np.reshape(x0y0, (-1, 2)))


def test_the_80_categories(make):
    assert len(COCO_CATEGORIES) == len(set(COCO_CATEGORIES.values())) == 80
    missing = sorted(set(range(1, 91)) - set(COCO_CATEGORIES))
    assert missing == [12, 26, 29, 30, 45, 66, 68, 69, 71, 83]
    standard = [{"id": number, "name": name} for number, name in reversed(COCO_CATEGORIES.items())]
    dataset = CocoDataset(*make({"images": [], "annotations": [], "categories": standard}))
    assert dataset.class_names == tuple(COCO_CATEGORIES.values())
    labels = [dataset.category_ids.index(number) + 1 for number in (1, 13, 90)]
    assert labels == [1, 12, 80]  # without gaps


def broken(change):
    content = instances()
    change(content)
    return content


@pytest.mark.parametrize(
    "content, message",
    [
        ("{", "not a readable JSON"),
        ("[]", "no list 'images'"),
        (broken(lambda c: c.pop("categories")), "no list 'categories'"),
        (broken(lambda c: c["images"][1].update(id=30)), "image 30: its id occurs twice"),
        (broken(lambda c: c["images"][1].update(width=0)), "image 10: size of 0 x 50"),
        (broken(lambda c: c["images"][1].pop("height")), "image 10: height is None"),
        (broken(lambda c: c["images"].append(7)), "image at position 3: id is None"),
        (
            broken(lambda c: c["annotations"][2].update(category_id=5)),
            "object 3: .*no category 5",
        ),
        (broken(lambda c: c["annotations"][2].update(image_id=5)), "object 3 .*no image 5"),
        (broken(lambda c: c["annotations"][2].update(bbox=[1, 2, 3])), "annotation 3: bbox is"),
        (
            broken(lambda c: c["annotations"][2].update(bbox=[1, 2, 3, "4"])),
            "expected four numbers",
        ),
        (broken(lambda c: c["annotations"][2].pop("bbox")), "annotation 3: bbox is None"),
        (broken(lambda c: c["categories"][0].pop("name")), "category 18: name is None"),
        (broken(lambda c: c["categories"][0].update(name="cup")), "'cup' is not unique"),
        (json.dumps(instances()).replace("90.5", "NaN"), "annotation 3: bbox is"),
    ],
)
def test_errors_name_file_and_annotation(make, content, message):
    folder, path = make(content)
    with pytest.raises(DataError, match=message) as caught:
        CocoDataset(folder, path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_missing_file(tmp_path):
    with pytest.raises(DataError, match=r"none\.json: no such annotation file"):
        CocoDataset(tmp_path, tmp_path / "none.json")


def test_truths_are_made_when_asked_for(make):
    dataset = CocoDataset(*make(instances()))
    first, again = dataset.truth(1), dataset.truth(1)
    assert first == again and not np.shares_memory(first.boxes_corner, again.boxes_corner)
    first.boxes_corner[:] = 0
    assert dataset.truth(1) == again != first


@pytest.mark.parametrize("area", [321.5, 321, 0, 2.0**53])
@pytest.mark.parametrize("box", [[10, 5, 40, 20], [10.0, 5, 40.0, 20]])
def test_what_is_in_order_is_read_as_what_is_looked_at_part_by_part(area, box):
    record = {"id": 7, "image_id": 3, "category_id": 2, "bbox": box, "area": area}
    looked_at = _numbers({**record, "area": int(area)}, "f", 0)
    assert _numbers(record, "f", 0)[:3] == looked_at[:3] == (7, 3, 2)
    assert tuple(_numbers(record, "f", 0)[3]) == looked_at[3] == tuple(box)
    for key, value in (
        ("id", True),
        ("image_id", 1.0),
        ("bbox", [1, 2, 3]),
        ("area", -1.0),
        ("bbox", [1, 2, 3, math.inf]),
        ("bbox", [1, 2, math.nan, 4]),
        ("area", math.nan),
        ("id", 2**60),
    ):
        with pytest.raises(DataError):
            _numbers({**record, key: value}, "f", 0)
