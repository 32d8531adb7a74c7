"""Reading every kind of image file, resizing, normalising."""

import dataclasses
import struct
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image

from ssd_np.config import load_config
from ssd_np.data import image as image_module
from ssd_np.data.image import normalise, preprocess, read_header, read_image, resize
from ssd_np.errors import DataError, ShapeError


@pytest.fixture
def rgb():
    """(3, 4, 3) uint8 with large differences, so that lossless formats are checked exactly."""
    return np.random.default_rng(0).integers(0, 256, (3, 4, 3), dtype=np.uint8)


def save(path, array_or_picture, **options):
    picture = array_or_picture
    if isinstance(picture, np.ndarray):
        picture = Image.fromarray(picture)
    picture.save(path, **options)
    return path


def test_the_bytes_of_a_file_are_read_like_the_file(tmp_path, rgb):
    content = save(tmp_path / "a.png", rgb).read_bytes()
    assert np.array_equal(read_image(content), rgb)
    for damaged in (b"", content[:40], b"text"):
        with pytest.raises(DataError, match=f"^{len(damaged)} bytes: "):
            read_image(damaged)


@pytest.mark.parametrize("extension", ["png", "bmp", "tif", "ppm", "webp"])
def test_lossless_rgb(tmp_path, rgb, extension):
    options = {"lossless": True} if extension == "webp" else {}
    path = save(tmp_path / f"a.{extension}", rgb, **options)
    image = read_image(path)
    assert image.dtype == np.uint8 and np.array_equal(image, rgb)
    assert read_header(path).size == (3, 4)


def test_grey_bilevel_and_palette(tmp_path):
    grey = np.array([[0, 100], [200, 255]], np.uint8)
    assert np.array_equal(read_image(save(tmp_path / "g.png", grey)), np.stack([grey] * 3, -1))
    bits = read_image(save(tmp_path / "b.png", Image.fromarray(grey > 150)))
    assert np.array_equal(bits[..., 1], [[0, 0], [255, 255]])
    palette = Image.new("P", (2, 1))
    palette.putpalette([10, 20, 30, 200, 100, 50])
    palette.putdata([0, 1])
    assert read_image(save(tmp_path / "p.png", palette)).tolist() == [
        [[10, 20, 30], [200, 100, 50]]
    ]


def test_sixteen_bits_are_scaled_by_value(tmp_path):
    values = np.array([[0, 257, 32768], [65535, 128, 129]], np.uint16)
    for name in ("a.png", "a.tif"):
        image = read_image(save(tmp_path / name, values))
        # 65535 / 255 = 257 to a grey level: 128 is nearer to 0, 129 nearer to 257
        assert image[..., 0].tolist() == [[0, 1, 128], [255, 0, 1]]
        assert image.shape == (2, 3, 3)


def test_more_than_sixteen_bits_is_refused(tmp_path):
    save(tmp_path / "i.tif", np.array([[70000, 0]], np.int32))
    save(tmp_path / "f.tif", np.array([[0.5, 0.1]], np.float32))
    for name, what in (("i.tif", "16 bits"), ("f.tif", "floating")):
        with pytest.raises(DataError, match=what) as caught:
            read_image(tmp_path / name)
        assert caught.value.where.endswith(name)


def test_transparency_shows_white(tmp_path):
    pixels = np.array([[[0, 0, 0, 0], [200, 0, 100, 255], [0, 0, 0, 51]]], np.uint8)
    image = read_image(save(tmp_path / "a.png", pixels))
    assert image.tolist() == [[[255, 255, 255], [200, 0, 100], [204, 204, 204]]]
    palette = Image.new("P", (2, 1))
    palette.putpalette([10, 20, 30, 200, 100, 50])
    palette.putdata([0, 1])
    image = read_image(save(tmp_path / "p.gif", palette, transparency=0))
    assert image.tolist() == [[[255, 255, 255], [200, 100, 50]]]


def test_cmyk(tmp_path):
    picture = Image.new("CMYK", (8, 8), (0, 255, 255, 0))  # no cyan, all magenta and yellow: red
    image = read_image(save(tmp_path / "a.jpg", picture, quality=100))
    assert np.abs(image.astype(int) - [255, 0, 0]).max() <= 3


@pytest.mark.parametrize(
    "orientation, upright",
    [
        (1, lambda a: a),
        (2, lambda a: a[:, ::-1]),
        (3, lambda a: a[::-1, ::-1]),
        (4, lambda a: a[::-1]),
        (5, lambda a: a.transpose(1, 0, 2)),
        (6, lambda a: np.rot90(a, -1)),
        (7, lambda a: a[::-1, ::-1].transpose(1, 0, 2)),
        (8, lambda a: np.rot90(a)),
    ],
)
def test_exif_rotation(tmp_path, rgb, orientation, upright):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = save(tmp_path / "a.png", rgb, exif=exif)
    image = read_image(path)
    assert np.array_equal(image, upright(rgb))
    assert read_header(path).size == image.shape[:2]


def test_unreadable_files_are_named(tmp_path, rgb):
    noise = np.random.default_rng(1).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    data = save(tmp_path / "whole.jpg", noise).read_bytes()
    (tmp_path / "cut.jpg").write_bytes(data[: len(data) // 2])
    png = save(tmp_path / "whole.png", noise).read_bytes()
    (tmp_path / "cut.png").write_bytes(png[: len(png) // 2])
    (tmp_path / "empty.jpg").write_bytes(b"")
    (tmp_path / "text.jpg").write_text("no picture")
    (tmp_path / "folder.jpg").mkdir()
    cases = {
        "cut.jpg": "can not be read",
        "cut.png": "can not be read",
        "empty.jpg": "0 bytes",
        "text.jpg": "not an image",
        "folder.jpg": "no such image",
        "missing.jpg": "no such image",
    }
    for name, what in cases.items():
        with pytest.raises(DataError, match=what) as caught:
            read_image(tmp_path / name)
        assert str(caught.value).startswith(str(tmp_path / name)) and "\n" not in str(caught.value)


def test_decompression_bomb(tmp_path, monkeypatch):
    path = tmp_path / "bomb.png"  # a header that claims 400 million pixels
    header = b"IHDR" + struct.pack(">IIBBBBB", 20000, 20000, 1, 0, 0, 0, 0)
    crc = struct.pack(">I", zlib.crc32(header))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + crc)
    with pytest.raises(DataError, match=r"bomb\.png"):
        read_image(path)
    with pytest.raises(DataError, match=r"bomb\.png"):
        read_header(path)
    small = save(tmp_path / "small.png", Image.new("L", (11, 10)))
    monkeypatch.setattr(image_module, "MAX_PIXELS", 109)
    with warnings.catch_warnings(), pytest.raises(DataError, match="11 x 10 pixels is too large"):
        warnings.simplefilter("error")
        read_image(small)


@pytest.mark.parametrize(
    "shape, size", [((48, 64), (30, 30)), ((7, 5), (20, 33)), ((1, 9), (4, 4))]
)
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_half_pixel_agrees_with_torch(shape, size, dtype):
    torch = pytest.importorskip("torch")
    image = np.random.default_rng(2).integers(0, 256, (*shape, 3)).astype(dtype)
    out = resize(image, *size, "half_pixel")
    tensor = torch.from_numpy(image.astype(np.float64)).permute(2, 0, 1)[None]
    expected = torch.nn.functional.interpolate(
        tensor, size=size, mode="bilinear", align_corners=False
    )
    assert out.dtype == np.float32
    np.testing.assert_allclose(out, expected[0].permute(1, 2, 0).numpy(), atol=2e-4)


def test_half_pixel_by_hand():
    image = np.repeat(np.array([[[0.0], [100.0]]], np.float32), 3, axis=2)  # (1, 2, 3)
    out = resize(image, 1, 4, "half_pixel")[0, :, 0]  # samples at -.25 (clipped), .25, .75, 1.25
    np.testing.assert_allclose(out, [0, 25, 75, 100])


def test_antialias_averages_what_half_pixel_skips():
    """Of white lines on every fourth column a four times smaller image keeps a quarter, or none."""
    lines = np.zeros((64, 64, 3), np.uint8)
    lines[:, ::4] = 255
    smooth = resize(lines, 16, 16, "antialias")
    assert smooth.dtype == np.uint8 and abs(smooth.mean() - 255 / 4) < 3
    assert resize(lines, 16, 16, "half_pixel").max() == 0


def test_resize_refuses_what_it_can_not_do(rgb):
    with pytest.raises(ShapeError, match="uint8"):
        resize(rgb.astype(np.float32), 4, 4, "antialias")
    with pytest.raises(ShapeError, match=r"\(3, 4\)"):
        resize(rgb[..., 0], 4, 4)


@pytest.mark.parametrize("method", ["antialias", "half_pixel"])
def test_preprocess(method):
    config = load_config("tiny")
    chosen = dataclasses.replace(config.input, mean=(10.0, 20.0, 30.0), std=(1.0, 2.0, 4.0),
                                 resize=method)  # fmt: skip
    config = dataclasses.replace(config, input=chosen)
    image = np.broadcast_to(np.array([50, 60, 70], np.uint8), (40, 90, 3)).copy()
    out = preprocess(image, config)
    assert out.shape == (128, 128, 3) and out.dtype == np.float32
    np.testing.assert_allclose(out, np.broadcast_to([40, 20, 10], out.shape), rtol=1e-6)


def test_normalising_before_or_after_resizing_is_the_same():
    config = load_config("tiny").input
    image = np.random.default_rng(3).integers(0, 256, (50, 60, 3), dtype=np.uint8)
    after = normalise(resize(image, 32, 32, "half_pixel"), config)
    before = resize(normalise(image, config), 32, 32, "half_pixel")
    np.testing.assert_allclose(after, before, atol=1e-5)
