"""Photographs that the camera turned: boxes drawn before the turn follow the pixels.

The oracle is Pillow: a picture with one white object is stored, turned, and searched for white.
"""

import json

import numpy as np
import pytest
from PIL import Image

from ssd_np.data.coco import CocoDataset, CocoSource
from ssd_np.data.exif import turn_boxes
from ssd_np.data.image import read_header, read_image
from ssd_np.data.lint import check
from ssd_np.data.voc import VOCDataset, VOCSource

WIDTH, HEIGHT = 64, 40  # as stored
BOX = (8, 4, 40, 12)  # of the object, in pixels as stored, from 0


def photograph(path, orientation, size=(WIDTH, HEIGHT)):
    """A black picture with a white object, and the camera's note beside it."""
    pixels = np.zeros((size[1], size[0], 3), np.uint8)
    pixels[BOX[1] : BOX[3], BOX[0] : BOX[2]] = 255
    exif = Image.Exif()
    exif[0x0112] = orientation
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(
        path, exif=exif, **({"quality": 98} if path.suffix == ".jpg" else {})
    )


def white(image):
    """The box of the white pixels, as fractions."""
    rows, columns = np.nonzero(image[..., 0] > 127)
    height, width = image.shape[:2]
    found = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    return np.array(found) / (width, height, width, height)


def turned_size(orientation):
    return (WIDTH, HEIGHT) if orientation > 4 else (HEIGHT, WIDTH)


def coco(folder, path, boxes, sizes):
    """boxes: name -> corners in pixels; sizes: name -> (height, width) that the file claims."""
    content = {"categories": [{"id": 1, "name": "dog"}], "images": [], "annotations": []}
    for number, (name, (x0, y0, x1, y1)) in enumerate(boxes.items(), 1):
        height, width = sizes[name]
        image = {"id": number, "file_name": name, "height": height, "width": width}
        content["images"].append(image)
        box = [x0, y0, x1 - x0, y1 - y0]
        content["annotations"].append(
            {"id": number, "image_id": number, "category_id": 1, "bbox": box}
        )
    path.write_text(json.dumps(content))
    return folder, path


def voc(root, name, box, size, suffix):
    """One annotation, its pixels counted from 1; the image is there already."""
    sides = ("xmin", "ymin", "xmax", "ymax")
    corners = "".join(f"<{s}>{v + 1}</{s}>" for s, v in zip(sides, box, strict=True))
    claim = f"<size><width>{size[1]}</width><height>{size[0]}</height></size>" if size else ""
    (root / f"{name}.xml").write_text(
        f"<annotation><filename>{name}{suffix}</filename>{claim}<object><name>dog</name>"
        f"<bndbox>{corners}</bndbox></object></annotation>"
    )
    return root


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_boxes_are_turned_as_pillow_turns_pixels(tmp_path, orientation, suffix):
    path = tmp_path / f"a{suffix}"
    photograph(path, orientation)
    header = read_header(path)
    assert header.orientation == orientation and header.size == turned_size(orientation)
    image = read_image(path)
    assert image.shape[:2] == header.size
    stored = np.array([BOX]) / (WIDTH, HEIGHT, WIDTH, HEIGHT)
    np.testing.assert_allclose(turn_boxes(stored, orientation)[0], white(image), atol=1e-9)
    backwards = stored[:, [2, 1, 0, 3]]  # a box that ends before it begins stays one
    sides = turn_boxes(backwards, orientation)
    assert ((sides[:, 2:] - sides[:, :2]) < 0).sum() == 1


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
@pytest.mark.parametrize("layout", ["coco", "voc"])
def test_boxes_drawn_before_the_turn_are_turned_and_it_is_said(
    tmp_path, layout, orientation, suffix
):
    photograph(tmp_path / f"a{suffix}", orientation)
    if layout == "coco":
        place = coco(
            tmp_path, tmp_path / "i.json", {f"a{suffix}": BOX}, {f"a{suffix}": (HEIGHT, WIDTH)}
        )
        dataset, source = CocoDataset(*place), CocoSource(*place)
    else:
        voc(tmp_path, "a", BOX, (HEIGHT, WIDTH), suffix)
        dataset, source = VOCDataset(tmp_path, "all"), VOCSource(tmp_path, "all")
    sample = dataset[0]
    np.testing.assert_allclose(sample.truth.boxes_corner[0], white(sample.image), atol=1e-9)
    assert sample.truth.size == sample.image.shape[:2]
    (problem,) = dataset.problems
    assert (problem.kind, problem.effect) == ("turned", "kept")
    assert f"EXIF orientation {orientation}" in str(problem) and "boxes are turned" in str(problem)
    report = check(source)
    assert report.findings == [problem]
    np.testing.assert_array_equal(report.boxes[0], sample.truth.boxes_corner[0])


@pytest.mark.parametrize("layout", ["coco", "voc"])
def test_boxes_drawn_after_the_turn_stay(tmp_path, layout):
    photograph(tmp_path / "a.jpg", 6)
    after = (white(read_image(tmp_path / "a.jpg")) * (HEIGHT, WIDTH, HEIGHT, WIDTH)).tolist()
    if layout == "coco":
        place = coco(tmp_path, tmp_path / "i.json", {"a.jpg": after}, {"a.jpg": (WIDTH, HEIGHT)})
        dataset = CocoDataset(*place)
    else:
        dataset = VOCDataset(voc(tmp_path, "a", after, (WIDTH, HEIGHT), ".jpg"), "all")
    np.testing.assert_allclose(dataset[0].truth.boxes_corner[0], white(dataset[0].image), atol=1e-9)
    assert dataset.problems == []


@pytest.mark.parametrize(
    "orientation, claimed", [(3, (HEIGHT, WIDTH)), (2, (HEIGHT, WIDTH)), (6, None)]
)
def test_where_no_size_tells_a_person_should_look(tmp_path, orientation, claimed):
    """Half a turn keeps the size, and an annotation may have none."""
    photograph(tmp_path / "a.jpg", orientation)
    dataset = VOCDataset(voc(tmp_path, "a", BOX, claimed, ".jpg"), "all")
    (problem,) = dataset.problems
    assert (problem.kind, problem.effect) == ("turned", "kept")
    assert "no size tells" in str(problem)


def test_a_resized_image_in_coco_is_told_and_its_fractions_hold(tmp_path):
    photograph(tmp_path / "a.png", 1)
    doubled = tuple(2 * v for v in BOX)
    place = coco(tmp_path, tmp_path / "i.json", {"a.png": doubled}, {"a.png": (80, 128)})
    dataset = CocoDataset(*place)
    np.testing.assert_allclose(dataset[0].truth.boxes_corner[0], white(dataset[0].image), atol=1e-9)
    assert "annotated as 128 x 80 pixels, the image is 64 x 40" in str(dataset.problems[0])
