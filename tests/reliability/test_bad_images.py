"""A folder of everything that people call pictures: read right, or refused by name with the reason,
and the rest goes on."""

import io
import json
import os
import struct
import subprocess
import sys
import zlib
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from alone import MOST_MEMORY, address_space, alone, command, needs_fork
from PIL import Image
from training_runs import narrow_config

from ssd_np.cli import main
from ssd_np.data.image import read_header, read_image
from ssd_np.data.shapes import ShapesDataset
from ssd_np.model.ssd import SSD
from ssd_np.model.weights import save

PICTURE = ShapesDataset(5, 1)[0].image[:96]  # (96, 128, 3)


def encoded(kind: str, picture=None, **options) -> bytes:
    buffer = io.BytesIO()
    (Image.fromarray(PICTURE) if picture is None else picture).save(buffer, kind, **options)
    return buffer.getvalue()


def turned() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn
    return encoded("JPEG", exif=exif)


def claims_to_be(width: int, height: int) -> bytes:
    """A PNG of a few bytes whose header claims a size."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = b""
    for chunk in (header, b"IDAT" + zlib.compress(bytes(1000)), b"IEND"):
        chunks += struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
    return b"\x89PNG\r\n\x1a\n" + chunks


def mode(name: str) -> Image.Image:
    return Image.fromarray(PICTURE).convert(name)


GREY16 = Image.fromarray(PICTURE[..., 0].astype(np.uint16) * 257)
FRAMES = [Image.fromarray(np.roll(PICTURE, 40 * i, axis=1)) for i in range(3)]

GOOD = {  # file name -> (bytes, shape it must have)
    "cmyk.jpg": (encoded("JPEG", mode("CMYK")), (96, 128)),
    "16 bit.png": (encoded("PNG", GREY16), (96, 128)),
    "palette.png": (encoded("PNG", mode("P")), (96, 128)),
    "alpha.png": (encoded("PNG", mode("RGBA")), (96, 128)),
    "grey and alpha.png": (encoded("PNG", mode("LA")), (96, 128)),
    "one channel.jpg": (encoded("JPEG", mode("L")), (96, 128)),
    "black and white.png": (encoded("PNG", mode("1")), (96, 128)),
    "animated.gif": (encoded("GIF", FRAMES[0], save_all=True, append_images=FRAMES), (96, 128)),
    "animated.webp": (encoded("WEBP", FRAMES[0], save_all=True, append_images=FRAMES), (96, 128)),
    "turned.jpg": (turned(), (128, 96)),
    "one pixel.png": (encoded("PNG", Image.new("RGB", (1, 1), "red")), (1, 1)),
    "wide.png": (encoded("PNG", Image.new("RGB", (20_000, 3), "red")), (3, 20_000)),
    "high.png": (encoded("PNG", Image.new("RGB", (2, 20_000), "red")), (20_000, 2)),
    "png inside.jpg": (encoded("PNG"), (96, 128)),
    "ein Bild mit Lücken und Ümläuten 猫.png": (encoded("PNG"), (96, 128)),
    "UPPER.JPG": (encoded("JPEG"), (96, 128)),
    "-v.png": (encoded("PNG"), (96, 128)),
    "new\nline.png": (encoded("PNG"), (96, 128)),
}
BAD = {  # file name -> (bytes, the reason that must be given)
    "truncated.jpg": (encoded("JPEG")[:900], "truncated"),
    "truncated.png": (encoded("PNG")[:900], "can not be read"),
    "header only.jpg": (encoded("JPEG")[:20], "can not be read|not an image"),
    "empty.jpg": (b"", "empty (0 bytes)"),
    "text.png": (b"not a picture", "not an image"),
    "bomb.png": (claims_to_be(60_000, 60_000), "too large|decompression bomb"),
    "claims more than it has.png": (claims_to_be(7_000, 7_000), "can not be read"),
    "program.jpg": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n", "program"),
    "floating.tif": (encoded("TIFF", Image.fromarray(PICTURE[..., 0].astype(np.float32))), "float"),
}


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "pictures of all kinds"
    folder.mkdir()
    for name, (content, _) in (GOOD | BAD).items():
        (folder / name).write_bytes(content)
    save(tmp_path / "w.npz", SSD(narrow_config()))
    return folder


def test_detect_goes_on_and_ends_with_a_count(folder, tmp_path, capfd, tell):
    out = tmp_path / "out"
    code = main(["detect", str(folder), "--weights", str(tmp_path / "w.npz"), "--out", str(out),
                 "--json"])  # fmt: skip
    shown, errors = capfd.readouterr()
    assert code == 1
    lines = [line for line in errors.splitlines() if line.startswith("ssd-np: ")]
    assert (
        lines[-1]
        == f"ssd-np: {len(BAD)} of {len(GOOD) + len(BAD)} images could not be read or drawn"
    )
    assert len(lines) == len(BAD) + 1
    for name, (_, reasons) in BAD.items():
        (line,) = [line for line in lines if f"{os.sep}{name}: " in line]
        assert any(reason in line for reason in reasons.split("|")), line
    reports = {os.path.basename(report["image"]): report for report in json.loads(shown)}
    assert reports.keys() == GOOD.keys()
    for name, (_, (height, width)) in GOOD.items():
        assert reports[name]["size"] == {"width": width, "height": height}
        with Image.open(reports[name]["picture"]) as drawn:
            assert drawn.size[0] > 0
    tell(f"{len(GOOD)} kinds of picture read, {len(BAD)} refused by name")


def test_a_turned_picture_is_seen_upright_and_so_are_its_boxes(tmp_path):
    """EXIF 6: the camera was turned; the rows of the file are the columns of the picture."""
    lossless = Image.fromarray(PICTURE)
    exif = Image.Exif()
    exif[0x0112] = 6
    lossless.save(tmp_path / "turned.png", exif=exif)
    np.testing.assert_array_equal(
        read_image(tmp_path / "turned.png"), np.rot90(PICTURE, k=-1)
    )  # clockwise


def test_a_name_that_no_file_can_have(tmp_path, capfd):
    save(tmp_path / "w.npz", SSD(narrow_config()))
    names = ["x" * 5000 + ".png", str(tmp_path / "nothing.png")]
    code = main(
        ["detect", *names, "--weights", str(tmp_path / "w.npz"), "--out", str(tmp_path / "d")]
    )
    errors = capfd.readouterr().err
    assert code == 1 and "2 of 2 images could not be read or drawn" in errors
    assert "unexpected" not in errors


LARGE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (1500, 2000, 3), np.uint8))
KINDS = {"JPEG": {"progressive": True}, "PNG": {}, "WEBP": {"quality": 10}, "JPEG2000": {},
         "TIFF": {"compression": "tiff_adobe_deflate"}}  # fmt: skip


@needs_fork
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="no word of memory here")
@pytest.mark.parametrize("kind", KINDS)
def test_want_of_memory_is_no_fault_of_the_picture(kind, tmp_path, tell):
    """Else it would be left out of a training, as one that can not be read."""
    path = tmp_path / "sound"
    path.write_bytes(encoded(kind, LARGE, **KINDS[kind]))
    # in a process of its own: what earlier tests have given back to its heap would be room
    program = f"import test_bad_images; test_bad_images.ends_in_little_memory({str(path)!r})"
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=Path(__file__).parent, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    ends = json.loads(done.stdout)
    assert set(ends) == {"0", "3"}, ends
    tell(f"{kind}: {ends['3']} ended by MemoryError, {ends['0']} read")


def ends_in_little_memory(path):
    """Prints how often readings in forks with little memory end by which code; 3: MemoryError."""
    read_header(path)  # imports the decoder

    def job(more):
        address_space(more)()
        full = []  # what the process has kept
        try:
            while True:
                full.append(bytes(1 << 20))
        except MemoryError:
            del full[:more]
        try:
            read_image(path)
        except MemoryError:
            return 3

    ends = Counter()
    for more in range(0, 120, 2):
        ended = alone(lambda more=more: job(more))
        assert ended.code in (0, 3), f"{more} MiB: {ended}"
        ends[ended.code] += 1
    print(json.dumps(ends))


@needs_fork
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_photograph_of_24_megapixels(kind, tmp_path, tell):
    path = tmp_path / "photograph"
    LARGE.resize((6000, 4000)).save(path, kind, compress_level=1)
    ended = command(["detect", path, "--weights", "shapes", "--out", tmp_path / "out"])
    assert ended.code == 0 and ended.memory < MOST_MEMORY / 2, ended
    tell(f"{kind} of {path.stat().st_size >> 20} MiB: at most {ended.memory:.0f} MB")
