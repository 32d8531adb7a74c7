"""Damaged pictures and data sets, each read by the command in a process of its own: results or one
line that is the library's own, at most 1 GiB of memory and 20 seconds of a core."""

import io
import json
import os
import shutil

import numpy as np
import pytest
from alone import assert_sound, command, needs_fork
from fuzzing import cycling, damaged, strange_json
from PIL import Image
from test_bad_images import claims_to_be
from training_runs import write_voc

from ssd_np.data.shapes import ShapesDataset

pytestmark = needs_fork
PICTURE = Image.fromarray(ShapesDataset(5, 1)[0].image)
KINDS = "JPEG RGB, PNG RGBA, GIF P, BMP RGB, TIFF RGB, WEBP RGB, PPM RGB, JPEG CMYK, PNG I;16"


def encoded(kind, mode):
    buffer = io.BytesIO()
    PICTURE.convert("L" if mode == "I;16" else mode).convert(mode).save(buffer, kind)
    return buffer.getvalue()


def claimed(rng):
    """A picture of a few bytes that claims up to 2^31 pixels a side."""
    return claims_to_be(*(2 ** rng.uniform(8, 31, 2)).astype(int).tolist())


def tried(count, make, arguments):
    """`make(rng)` lays out the input of `arguments` -> how many had results, the most of both."""
    rng, sound, most, slowest = np.random.default_rng(7), 0, 0.0, 0.0
    for i in range(count):
        what = make(rng)
        ended = command(arguments)
        assert_sound(ended, f"{i}: {what}")
        sound += ended.code == 0
        most, slowest = max(most, ended.memory), max(slowest, ended.worked)
    return f"{count}, {sound} of them without a fault; at most {most:.0f} MB and {slowest:.1f} s"


def test_pictures(tmp_path, full, tell):
    path = tmp_path / "p.jpg"
    originals = [damaged(encoded(*kind.split())) for kind in KINDS.split(", ")]
    make = cycling(*originals, claimed)
    arguments = ["detect", path, "--weights", "shapes", "--out", tmp_path / "out", "--force"]
    tell(
        "pictures: "
        + tried(200 if full else 30, lambda rng: path.write_bytes(make(rng)), arguments)
    )


def layouts(root):
    """The same pictures and objects as VOC, COCO, YOLO and CSV: a data set's name -> its folder."""
    write_voc(root / "voc", 4)
    pictures = sorted((root / "voc/JPEGImages").iterdir())
    for other in ("coco", "yolo/images", "csv"):
        shutil.copytree(root / "voc/JPEGImages", root / other)
    images = [{"id": i, "file_name": p.name, "width": 128, "height": 128}
              for i, p in enumerate(pictures)]  # fmt: skip
    boxes = [{"id": i, "image_id": i, "category_id": 1, "bbox": [9, 9, 50, 40], "area": 2000,
              "iscrowd": 0} for i in range(4)]  # fmt: skip
    table = {"images": images, "annotations": boxes, "categories": [{"id": 1, "name": "star"}]}
    (root / "coco/_annotations.coco.json").write_text(json.dumps(table))
    (root / "yolo/labels").mkdir()
    (root / "yolo/data.yaml").write_text("train: images\nval: images\nnames: [star, cross]\n")
    for p in pictures:
        (root / "yolo/labels" / f"{p.stem}.txt").write_text("0 0.5 0.5 0.2 0.3\n1 0.3 0.4 0.1 0.1")
    rows = "".join(f"{p.name},128,128,star,9,9,60,50\n" for p in pictures)
    header = "filename,width,height,class,xmin,ymin,xmax,ymax\n"
    (root / "csv/_annotations.csv").write_text(header + rows)
    places = {"voc": "voc", "coco": "coco", "yolo": "yolo/data.yaml", "csv": "csv"}
    return {f"{kind}:{root / place}": root / kind for kind, place in places.items()}


def spoil(path, rng):
    """The file is damaged, or another thing stands in its place -> what was done."""
    content, kind = path.read_bytes(), int(rng.integers(0, 12))
    if kind > 5:
        strange = strange_json(json.loads(content)) if path.suffix == ".json" and kind > 8 else None
        path.write_bytes((strange or damaged(content))(rng))
        return "damaged"
    path.unlink()
    others = {
        "a pipe": lambda: os.mkfifo(path), "a device": lambda: path.symlink_to("/dev/zero"),
        "a loop": lambda: path.symlink_to(path.name), "a folder": path.mkdir,
        "much of one line": lambda: path.write_bytes(content[:60] + b"9" * (8 << 20)),
        "many times itself": lambda: path.write_bytes(content * (1 + (1 << 20) // len(content))),
    }  # fmt: skip
    name = [*others][kind]
    others[name]()
    return name


@pytest.mark.parametrize("layout", range(4), ids=("voc", "coco", "yolo", "csv"))
def test_data_sets(tmp_path, full, tell, layout):
    whole = layouts(tmp_path / "whole")
    spec, origin = list(whole.items())[layout]
    root = tmp_path / "spoilt"
    split = "all" if layout == 0 else "trainval"

    def make(rng):
        shutil.rmtree(root, ignore_errors=True)
        shutil.copytree(origin, root)
        files = sorted(path for path in root.rglob("*") if path.is_file())
        listings = [path for path in files if path.suffix not in (".png", ".jpg")]
        some = listings if rng.random() < 0.7 else files
        path = some[rng.integers(len(some))]
        return f"{path.name}: {spoil(path, rng)}"

    arguments = ["check-data", spec.replace(str(origin), str(root)), "--split", split]
    tell(f"{origin.name}: " + tried(50 if full else 12, make, arguments))
    shutil.rmtree(root)
    shutil.copytree(origin, root)
    assert command(arguments).code == 0
