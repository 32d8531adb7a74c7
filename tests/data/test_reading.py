"""What of a data set's files is opened, and how far the names in them lead."""

import json
import os
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ssd_np.cli import main
from ssd_np.data import reading, stored
from ssd_np.data.coco import CocoDataset
from ssd_np.data.image import (
    ENDINGS,
    LARGE,
    MAX_PIXELS,
    MAX_SIDE,
    read_header,
    read_image,
    resize,
)
from ssd_np.data.items import Item, Problem, Source
from ssd_np.data.reading import below, read_bytes, read_text
from ssd_np.data.stored import StoredDataset
from ssd_np.data.voc import VOCDataset, images_by_stem
from ssd_np.errors import DataError

XML = (
    "<annotation><object><name>dog</name><bndbox><xmin>2</xmin><ymin>2</ymin>"
    "<xmax>30</xmax><ymax>20</ymax></bndbox></object></annotation>"
)


@pytest.fixture
def voc(tmp_path):
    """One image, and beside the folder another that is none of its business."""
    root = tmp_path / "data"
    for folder in ("Annotations", "JPEGImages", "ImageSets/Main"):
        (root / folder).mkdir(parents=True)
    Image.new("RGB", (40, 30)).save(root / "JPEGImages" / "a.png")
    Image.new("RGB", (40, 30), "red").save(tmp_path / "secret.png")
    (root / "Annotations" / "a.xml").write_text(XML)
    (tmp_path / "secret.xml").write_text(XML)
    (root / "ImageSets" / "Main" / "train.txt").write_text("a\n")
    return root


def coco(folder, file_name):
    content = {
        "images": [{"id": 1, "file_name": file_name, "height": 30, "width": 40}],
        "categories": [{"id": 1, "name": "dog"}],
        "annotations": [],
    }
    (folder / "i.json").write_text(json.dumps(content))
    return lambda: CocoDataset(folder / "JPEGImages", folder / "i.json")


def message(call):
    with pytest.raises(DataError) as caught:
        call()
    return str(caught.value)


# --- only regular files, with a limit ------------------------------------------------------------


@pytest.fixture(params=["pipe", "link to a device"])
def endless(request, tmp_path):
    """Makes a file that never ends, or for which one would wait for ever."""

    def make(path):
        path.unlink(missing_ok=True)
        os.mkfifo(path) if request.param == "pipe" else path.symlink_to("/dev/zero")

    return make


def test_what_is_no_regular_file_is_refused(voc, endless):
    endless(voc / "Annotations" / "a.xml")
    assert "is no regular file, so it is not read as annotation file" in message(
        lambda: VOCDataset(voc, "train")
    )
    (voc / "Annotations" / "a.xml").unlink()
    (voc / "Annotations" / "a.xml").write_text(XML)
    endless(voc / "JPEGImages" / "a.png")
    assert "no regular file" in message(lambda: VOCDataset(voc, "train"))
    assert "no regular file" in message(lambda: read_image(voc / "JPEGImages" / "a.png"))
    endless(voc / "ImageSets" / "Main" / "train.txt")
    assert "train.txt" in message(lambda: VOCDataset(voc, "train"))
    endless(voc / "i.json")
    assert "i.json: is no regular file" in message(lambda: CocoDataset(voc, voc / "i.json"))


@pytest.mark.parametrize("command", ["check-data", "eval"])
def test_the_commands_go_on_or_end_but_never_wait(voc, endless, command, capsys):
    endless(voc / "Annotations" / "a.xml")
    arguments = [f"voc:{voc}"] if command == "check-data" else ["shapes", "--data", f"voc:{voc}"]
    assert main([command, *arguments, "--split", "train"]) == 1
    assert "is no regular file" in "".join(capsys.readouterr())


def test_a_limit_of_size(tmp_path, monkeypatch):
    path = tmp_path / "a.txt"
    path.write_bytes(b"x" * 100)
    assert read_bytes(path, "list", 100) == b"x" * 100
    assert message(lambda: read_bytes(path, "list", 99)).startswith(f"{path}: is too large: 0 MiB")
    monkeypatch.setattr(reading, "RECORD", 5)  # of its own default nothing changes
    assert read_text(path, "list") == "x" * 100
    path.write_bytes(b"\xff\xfe")
    assert "list is not in UTF-8" in message(lambda: read_text(path, "list"))
    assert "no such list" in message(lambda: read_text(tmp_path / "b\0", "list"))
    assert "it is a folder" in message(lambda: read_text(tmp_path, "list"))


# --- names lead to files below the folder --------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["../secret.png", "/etc/hostname", "a/../../secret.png", "..", "./.././x"]
)
def test_names_that_leave_the_folder(tmp_path, name):
    said = message(lambda: below(tmp_path / "data", name, "i.json: image 1"))
    assert said.startswith(f"i.json: image 1: {name!r} leads out of the folder {tmp_path}/data")
    assert "names in a file of annotations lead to files below its data's folder" in said


@pytest.mark.parametrize("name", ["a.png", "x/../a.png", "./a.png", "sub/a.png", "..a.png"])
def test_names_that_stay(tmp_path, name):
    assert below(tmp_path, name, "") == tmp_path / os.path.normpath(name)


def test_every_reader_keeps_to_it(voc, tmp_path):
    secret = str(tmp_path / "secret.png")
    for name in ("../../secret.png", secret):
        assert "leads out of the folder" in message(coco(voc, name))
    for name in ("../../secret", secret[:-4]):
        (voc / "ImageSets" / "Main" / "train.txt").write_text(f"a\n{name}\n")
        said = message(lambda: VOCDataset(voc, "train"))
        assert "split train" in said and "leads out of the folder" in said


def test_a_link_that_the_user_placed_is_followed(voc, tmp_path):
    (voc / "JPEGImages" / "a.png").unlink()
    (voc / "JPEGImages" / "a.png").symlink_to(tmp_path / "secret.png")
    assert VOCDataset(voc, "train")[0].image[0, 0].tolist() == [255, 0, 0]
    assert coco(voc, "a.png")()[0].image[0, 0].tolist() == [255, 0, 0]


# --- pictures ------------------------------------------------------------------------------------


def test_a_list_of_formats(tmp_path):
    """Pillow knows more of them: one that unpacks itself was 4 GB of a small file."""
    others = [e for e, f in Image.registered_extensions().items() if f in ("FITS", "ICO", "PCX")]
    assert others and not set(others) & set(ENDINGS)
    for kind in ("PCX", "ICO"):
        path = tmp_path / f"{kind}.jpg"
        Image.new("RGB", (40, 30)).save(path, kind)
        assert "not an image, or of another format (known: JPEG, PNG" in message(
            lambda path=path: read_image(path)
        )


@pytest.mark.parametrize(
    "size", [(MAX_SIDE + 1, 1), (1, MAX_SIDE + 1), (10_000, MAX_PIXELS // 10_000 + 1)]
)
def test_a_limit_of_side_and_pixels(tmp_path, size):
    path = tmp_path / "a.png"
    Image.new("1", size).save(path)
    said = f"{size[0]} x {size[1]} pixels is too large .*at most 50,000,000 pixels and 30,000 a"
    for read in (read_image, read_header):
        with pytest.raises(DataError, match=said):
            read(path)


def test_jpeg_2000_may_have_half_the_pixels(tmp_path):
    """Its decoder takes 20 bytes a pixel, 24 with transparency."""
    path = tmp_path / "a.jp2"
    Image.new("L", (10_000, MAX_PIXELS // 20_000 + 1)).save(path)
    with pytest.raises(DataError, match=r"is too large .*at most 25,000,000 pixels"):
        read_image(path)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "LA", "L", "I;16", "CMYK"])
def test_strips_make_the_same_picture(tmp_path, monkeypatch, mode):
    pixels = np.random.default_rng(0).integers(0, 256, (50, 40, 4), np.uint8)
    if mode == "I;16":
        picture = Image.fromarray(pixels[..., 0].astype(np.uint16) * 257)
    else:
        picture = Image.fromarray(pixels).convert("RGB" if mode in "CMYK P" else "RGBA")
        picture = picture.convert(mode)
    path = tmp_path / ("a.tif" if mode == "CMYK" else "a.png")
    picture.save(path)
    whole = read_image(path)
    monkeypatch.setattr("ssd_np.data.image.STRIP", 40 * 7)
    np.testing.assert_array_equal(read_image(path), whole)


# --- large photographs ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "size, large, expected",
    [
        ((400, 300), None, (300, 400)),
        ((400, 300), 120_001, (300, 400)),
        ((400, 300), 120_000, (150, 200)),
        ((401, 301), 120_000, (151, 201)),
        ((400, 300), 20_000, (75, 100)),
        ((400, 300), 1, (38, 50)),  # an eighth is the least
    ],
)
def test_a_large_jpeg_is_decoded_smaller(tmp_path, size, large, expected):
    path = tmp_path / "a.jpg"
    ramp = np.broadcast_to(np.linspace(0, 255, size[0]).astype(np.uint8), size[::-1])
    Image.fromarray(ramp).convert("RGB").save(path, quality=95)
    image = read_image(path, large)
    assert image.shape == (*expected, 3)
    assert read_header(path).size == size[::-1]
    middle = (np.arange(expected[1]) + 0.5) / expected[1] * 255
    assert np.abs(image[0, :, 0] - middle).max() < 255 / expected[1] + 4


def test_training_sees_a_large_photograph_reduced_and_its_boxes_where_they_were(voc, monkeypatch):
    assert LARGE == 12_000_000
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned
    picture = Image.new("RGB", (800, 600))
    picture.paste("white", (200, 150, 400, 300))
    picture.save(voc / "JPEGImages" / "a.jpg", quality=95, exif=exif)
    (voc / "JPEGImages" / "a.png").unlink()
    box = "<xmin>301</xmin><ymin>201</ymin><xmax>451</xmax><ymax>401</ymax>"
    start, end = XML.index("<xmin>"), XML.index("</bndbox>")
    (voc / "Annotations" / "a.xml").write_text(XML[:start] + box + XML[end:])
    whole = VOCDataset(voc, "train")[0]
    assert whole.image.shape == (800, 600, 3) and whole.truth.size == (800, 600)
    monkeypatch.setattr("ssd_np.data.stored.LARGE", 480_000)
    half = VOCDataset(voc, "train")[0]
    assert half.image.shape == (400, 300, 3) and half.truth == whole.truth
    x0, y0, x1, y1 = (half.truth.boxes_corner[0] * (300, 400, 300, 400)).astype(int)
    assert half.image[y0 + 4 : y1 - 4, x0 + 4 : x1 - 4].min() > 240
    assert np.median(half.image[: y0 - 4]) < 10


@pytest.mark.parametrize("kind", ["jpg", "png"])
def test_a_training_reads_large_pictures_as_its_input_needs_them_and_decodes_them_once(
    voc, monkeypatch, kind
):
    (voc / "JPEGImages" / "a.png").unlink()
    for name, size in (("a", (400, 300)), ("b", (90, 60))):
        picture = Image.effect_mandelbrot(size, (-2, -1, 1, 1), 50)
        picture.save(voc / "JPEGImages" / f"{name}.{kind}")
        (voc / "Annotations" / f"{name}.xml").write_text(XML)
    (voc / "ImageSets" / "Main" / "train.txt").write_text("a\nb\n")
    reads = []

    def counted(file, large):
        reads.append(file.stem)
        return read_image(file, large)

    monkeypatch.setattr(stored, "read_image", counted)
    whole = VOCDataset(voc, "train")
    sized = whole.sized_for((24, 32))  # 768 pixels: of 16 times as many or more there is a part
    sizes = {}
    for i in range(len(whole)):
        full, part, again = whole[i], sized[i], sized.part([i])[0]
        assert part.truth == full.truth and np.array_equal(part.image, again.image)
        sizes[full.name] = part.image.shape[:2]
        # the same picture: as if it had been made smaller afterwards
        small = resize(full.image, *part.image.shape[:2])
        assert np.abs(small.astype(int) - part.image).mean() < 3
    assert sizes == {"a": (75, 100), "b": (60, 90)}
    assert (reads.count("a"), reads.count("b")) == (2, 3)
    monkeypatch.setattr(stored, "MEMORY", 100)
    full = whole.sized_for((24, 32))
    assert np.array_equal(full[0].image, full[0].image) and not full._pictures.kept


def test_a_small_file_takes_little_memory_however_large_one_may_be(tmp_path):
    (tmp_path / "a.xml").write_bytes(b"abc")
    tracemalloc.start()
    try:
        assert read_bytes(tmp_path / "a.xml", "file", reading.LISTING) == b"abc"
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_what_stops_is_said_before_any_image_is_opened(monkeypatch):
    class Table(Source):
        def __len__(self):
            return 2

        def items(self):
            yield Item(1, "a", Path("a.png"), "table", None, np.zeros((0, 4)), [])
            yield Problem("image record", "stops", "table", "has no second line")

    opened = []
    monkeypatch.setattr(stored, "read_header", opened.append)
    assert message(lambda: StoredDataset(Table())) == "table: has no second line"
    assert opened == []


def test_of_several_images_of_one_name_the_usual_format_counts(tmp_path):
    for name in ("a.png", "a.jpg", "a.bmp", "b.gif", "b.BMP", "c.d.tif", ".e.png", "f.txt", "g"):
        (tmp_path / name).touch()
    found = {stem: path.name for stem, path in images_by_stem(tmp_path).items()}
    assert found == {"a": "a.jpg", "b": "b.BMP", "c.d": "c.d.tif", ".e": ".e.png"}
