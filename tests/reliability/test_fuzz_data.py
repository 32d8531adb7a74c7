"""Configs, annotations, pictures: a reader returns something sound or raises its SsdError.

Real files are changed byte by byte and value by value. The counts are those of a quick
run; a scheduled one takes forty times as many.
"""

import ast
import io
import json
from pathlib import Path

import numpy as np
import pytest
from fuzzing import JSON, STRANGE, cycling, damaged, strange_json
from hypothesis import strategies as st
from PIL import Image
from training_runs import annotation, narrow_config, start_arguments

import ssd_np
from ssd_np.cli import main
from ssd_np.config import Config, config_from_json, config_to_json, load_config
from ssd_np.data.coco import CocoDataset
from ssd_np.data.image import read_header, read_image
from ssd_np.data.shapes import ShapesDataset
from ssd_np.data.voc import VOCDataset
from ssd_np.errors import ConfigError, DataError
from ssd_np.evaluate.coco_results import from_coco_results, read_results
from ssd_np.records import Detections

# --- configs -------------------------------------------------------------------------------------


def test_configs(attack):
    text = config_to_json(load_config("tiny"))
    make = cycling(damaged(text.encode()), strange_json(json.loads(text)))

    def read(content):
        config = config_from_json(content.decode("utf-8", errors="surrogateescape"))
        assert config_from_json(config_to_json(config)) == config

    attack(100, make, read, ConfigError)


def test_configs_of_hypothesis(examples):
    """Sections and single keys with values of every kind."""
    sections = [f for f in Config.__dataclass_fields__]
    known = json.loads(config_to_json(load_config("tiny")))
    keys = sorted({key for v in known.values() if isinstance(v, dict) for key in v})
    inner = st.dictionaries(st.sampled_from(keys), JSON, max_size=3)
    changes = st.dictionaries(st.sampled_from(sections), JSON | inner | st.lists(inner, max_size=2))
    examples(25, changes, lambda c: config_from_json(json.dumps(known | c)), ConfigError)


# --- annotations ---------------------------------------------------------------------------------


@pytest.fixture
def voc_reader(voc, tmp_path):
    """Reads an annotation as the only one of a data set, with every box of it."""
    for folder in ("Annotations", "JPEGImages", "ImageSets/Main"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "JPEGImages/0.png").write_bytes((voc / "JPEGImages/0.png").read_bytes())
    (tmp_path / "ImageSets/Main/all.txt").write_text("0")

    def read(content, split=b"0"):
        (tmp_path / "Annotations/0.xml").write_bytes(content)
        (tmp_path / "ImageSets/Main/all.txt").write_bytes(split)
        truth = VOCDataset(tmp_path, "all").truth(0)
        assert (truth.boxes_corner >= 0).all() and (truth.boxes_corner <= 1).all()
        assert (truth.boxes_corner[:, 2:] > truth.boxes_corner[:, :2]).all()

    return read


def test_xml(attack, voc, voc_reader):
    attack(90, damaged((voc / "Annotations/0.xml").read_bytes()), voc_reader, DataError)


def test_xml_of_hypothesis(examples, voc_reader):
    numbers = st.integers() | st.floats() | st.text(max_size=9) | st.sampled_from(STRANGE)
    objects = st.lists(st.tuples(st.text(max_size=9), st.tuples(*[numbers] * 4)), max_size=3)

    def read(items):
        text = annotation("0.png", [n for n, _ in items], [box for _, box in items])
        voc_reader(text.encode("utf-8", errors="surrogatepass"))

    examples(25, objects, read, DataError)


def test_split_files(attack, voc, voc_reader):
    xml = (voc / "Annotations/0.xml").read_bytes()
    make = damaged(b"0\n../0\n0 -1\n\n0\r\n")
    attack(25, make, lambda content: voc_reader(xml, content), DataError)


def test_entities_are_refused_unexpanded(voc_reader):
    laughs = "".join(f'<!ENTITY l{i + 1} "{f"&l{i};" * 10}">' for i in range(12))
    bomb = f'<!DOCTYPE a [<!ENTITY l0 "ha">{laughs}]><annotation>&l12;</annotation>'
    outside = '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><annotation>&x;</annotation>'
    for text in (bomb, outside):
        with pytest.raises(DataError, match="DOCTYPE is refused"):
            voc_reader(text.encode())


INSTANCES = {
    "images": [{"id": i, "file_name": f"{i}.png", "height": 128, "width": 128} for i in range(3)],
    "categories": [{"id": 4, "name": "dog"}, {"id": 9, "name": "cat"}],
    "annotations": [
        {"id": 1, "image_id": 0, "category_id": 4, "bbox": [1, 2, 30, 40], "area": 9.5},
        {"id": 2, "image_id": 2, "category_id": 9, "bbox": [5.5, 2, 3, 4], "iscrowd": 1},
        {"id": 3, "image_id": 2, "category_id": 4, "bbox": [0, 0, 128, 128], "area": 100},
    ],
}


def test_coco_instances(attack, voc, tmp_path):
    path = tmp_path / "instances.json"
    make = cycling(strange_json(INSTANCES), damaged(json.dumps(INSTANCES).encode()))

    def read(content):
        path.write_bytes(content)
        data = CocoDataset(voc / "JPEGImages", path)
        for i in range(len(data)):
            assert np.isfinite(data.truth(i).boxes_corner).all()
            assert np.isfinite(data.truth(i).area).all()

    attack(90, make, read, DataError)


def test_coco_results(attack, tmp_path):
    path = tmp_path / "results.json"
    results = [{"image_id": 1, "category_id": 4, "bbox": [1, 2, 3, 4], "score": 0.5}] * 2
    make = cycling(strange_json(results), damaged(json.dumps(results).encode()))

    def read(content):
        path.write_bytes(content)
        rows = read_results(path)
        (found,) = from_coco_results(rows, [1], [(10, 10)], [4], ["dog"], str(path))
        assert isinstance(found, Detections) and np.isfinite(found.boxes_corner).all()

    attack(35, make, read, DataError)


# --- names, and what a run noted ------------------------------------------------------------------

NAMES = {  # of a class -> what is wrong with it
    "\x1b[2Jcat": "holds control characters",
    "a\ncat": "holds control characters",
    "half \ud800": "holds control characters",
    "x" * 10**6: "has 1,000,000 characters",
    " ": "is empty",
}


@pytest.mark.parametrize("name", NAMES, ids=ascii(range(9)).format)
def test_a_name_that_nobody_should_print(name, voc, tmp_path, capsys):
    values = json.loads(config_to_json(load_config("tiny"))) | {"class_names": ["dog", name]}
    with pytest.raises(ConfigError, match=NAMES[name]) as refused:
        config_from_json(json.dumps(values))
    assert len(str(refused.value)) < 1000
    content = INSTANCES | {"categories": [{"id": 4, "name": "dog"}, {"id": 9, "name": name}]}
    (tmp_path / "instances.json").write_text(json.dumps(content))
    with pytest.raises(DataError, match=NAMES[name]) as refused:
        CocoDataset(voc / "JPEGImages", tmp_path / "instances.json")
    assert len(str(refused.value)) < 1000


@pytest.mark.parametrize("name", ["velocity/a", "..", "../../a", "a:b", "C:\\a", "\x1ba"])
@pytest.mark.parametrize("key", ["layer", "config"])
def test_a_name_that_leads_elsewhere(name, key):
    """A layer's is one of an array in an archive, a config's one of a folder of results."""
    values = json.loads(config_to_json(load_config("tiny")))
    (values if key == "config" else values["layers"][0])["name"] = name
    with pytest.raises(ConfigError, match=r"name: expected a name \(it (would|holds)"):
        config_from_json(json.dumps(values))


LONG = "x" * 300


def test_files_are_looked_for_with_os_path():
    """`Path.is_file` raises OSError for a name that no file can have; os.path.isfile says no."""
    for path in Path(ssd_np.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and node.attr in ("is_file", "is_dir", "exists"):
                assert ast.unparse(node.value) == "os.path", f"{path}:{node.lineno}"


@pytest.mark.parametrize(
    "arguments",
    [
        ["detect", "{voc}/JPEGImages/0.png", "--weights", LONG, "--out", "{tmp}/out"],
        ["detect", f"{LONG}.png", "--weights", "shapes", "--out", "{tmp}/out"],
        ["config", LONG],
        ["config", f"{LONG}.json"],
        ["train", "--data", "voc:{voc}", "--split", LONG, "--out", "{tmp}/out"],
        ["train", "--data", f"voc:{LONG}", "--out", "{tmp}/out"],
        ["train", "--config", LONG, "--out", "{tmp}/out"],
        ["train", "--base-weights", f"{LONG}.pth", "--out", "{tmp}/out"],
        ["train", "--resume", LONG],
        ["eval", "shapes", "--data", f"coco:{LONG}.json:{{voc}}", "--out", "{tmp}/out"],
        ["eval", "--detections", LONG, "--out", "{tmp}/out"],
        ["check-data", "coco:{tmp}/long.json:{voc}"],
        ["import", f"{LONG}.pth", "{tmp}/out.npz"],
        ["exercise", "check", LONG],
        ["exercise", "start", "match", "--out", LONG],
    ],
    ids=lambda arguments: " ".join(arguments).replace(LONG, "LONG"),
)
def test_names_above_255_characters(arguments, voc, tmp_path, capsys):
    images = [{"id": 1, "file_name": f"{LONG}.png", "height": 9, "width": 9}]
    (tmp_path / "long.json").write_text(json.dumps(INSTANCES | {"images": images}))
    filled = [argument.format(voc=voc, tmp=tmp_path) for argument in arguments]
    assert main(filled) == 1
    shown, error = capsys.readouterr()
    assert "unexpected" not in error and (error.count("\n") in (1, 2) or "no image" in shown)
    assert not (tmp_path / "out").exists() or not any((tmp_path / "out").iterdir())


def test_a_picture_whose_name_fills_what_a_system_allows(voc, tmp_path, capsys):
    """251 letters and `.png` can be read and written; one letter more for `-2` can not."""
    folder, name = tmp_path / "in", "x" * 251
    folder.mkdir()
    for ending in (".jpg", ".png"):
        (folder / f"{name}{ending}").write_bytes((voc / "JPEGImages/0.png").read_bytes())
    (folder / "z.png").write_bytes((voc / "JPEGImages/1.png").read_bytes())
    assert main(["detect", str(folder), "--weights", "shapes", "--out", str(tmp_path / "out")]) == 1
    _, error = capsys.readouterr()
    assert "File name too long" in error
    assert error.endswith("1 of 3 images could not be read or drawn\n")
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [f"{name}.png", "z.png"]


def test_what_a_run_noted(attack, tmp_path, voc, capsys):
    """run.json with one place changed, and nested 10,000 deep."""
    start = start_arguments(tmp_path, voc, narrow_config(steps=1, checkpoint_every=1))
    run = tmp_path / "run"
    assert main([*start[:-2], "--eval-split", "none", "--out", str(run)]) == 0
    original = json.loads((run / "run.json").read_text())
    makers = strange_json(original), damaged((run / "run.json").read_bytes())
    deep = lambda rng: b"[" * 10_000  # noqa: E731

    def read(content):
        (run / "run.json").write_bytes(content)
        capsys.readouterr()
        if main(["train", "--resume", str(run)]):
            error = capsys.readouterr().err
            assert "unexpected" not in error and "ssd-np: " in error, error
            *_, line = error.splitlines()  # notes may stand above it
            raise DataError(line)

    attack(24, cycling(*makers, deep), read, DataError)


# --- images --------------------------------------------------------------------------------------


def test_images(attack, tmp_path):
    picture = Image.fromarray(ShapesDataset(0, 1)[0].image).resize((32, 24))
    originals = []
    kinds = "JPEG RGB, PNG RGBA, GIF P, BMP RGB, TIFF RGB, WEBP RGB, PPM RGB, JPEG CMYK"
    for kind, mode in map(str.split, kinds.split(", ")):
        buffer, exif = io.BytesIO(), Image.Exif()
        exif[0x0112] = 6
        picture.convert(mode).save(buffer, kind, **({"exif": exif} if kind == "JPEG" else {}))
        originals.append(buffer.getvalue())
    path = tmp_path / "picture.jpg"

    def read(content):
        path.write_bytes(content)
        size = read_header(path).size
        image = read_image(path)
        assert image.dtype == np.uint8 and image.shape == (*size, 3)

    attack(70, cycling(*map(damaged, originals)), read, DataError)
