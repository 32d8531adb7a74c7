"""Whatever the bytes are: a reader returns something sound or raises an SsdError, nothing else.

Real files are changed byte by byte and value by value; hypothesis makes up values of the right kind
in the wrong place. The counts are those of the scheduled run; otherwise a fortieth of them.
"""

import contextlib
import io
import json
import tracemalloc
import zipfile

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from training_runs import annotation, make_trainer, narrow_config

from ssd_np.config import Config, config_from_json, config_to_json, load_config
from ssd_np.data.coco import CocoDataset
from ssd_np.data.image import read_image, read_size
from ssd_np.data.shapes import ShapesDataset
from ssd_np.data.voc import VOCDataset
from ssd_np.errors import ConfigError, DataError, OutputError, SsdError, WeightsError
from ssd_np.evaluate.coco_results import from_coco_results, read_results
from ssd_np.model.archive import HEADER, read_archive, write_archive
from ssd_np.model.ssd import SSD
from ssd_np.model.weights import load, load_torch, save
from ssd_np.records import Detections

FULL = 40  # inputs of a scheduled run for each one in a quick run


@pytest.fixture
def attack(full, tell):
    """attack(count, make, read, error): reads `count` inputs; every refusal must be an `error`."""

    def run(count, make, read, error):
        rng = np.random.default_rng(count)
        read_well = refused = 0
        for i in range(count * FULL if full else count):
            content = make(rng)
            try:
                read(content)
                read_well += 1
            except SsdError as raised:
                assert isinstance(raised, error), f"input {i}: {type(raised)}: {raised}"
                assert "\n" not in str(raised) or "\n" in str(content), f"input {i}"
                refused += 1
            except Exception as leak:
                raise AssertionError(f"input {i} of {make}: {content[:2000]!r}") from leak
        assert refused > 0
        tell(f"{read_well + refused} inputs, {refused} refused, {read_well} read, no other error")

    return run


def damaged(original: bytes):
    """Makers of copies with one to four bytes, bits or pieces changed, copied, lost or inserted."""

    def make(rng) -> bytes:
        raw = bytearray(original)
        for _ in range(rng.integers(1, 5)):
            i, j = sorted(rng.integers(0, len(raw) + 1, 2))
            kind = rng.integers(0, 6)
            if kind == 0:
                raw[i : i + 1] = rng.bytes(1)
            elif kind == 1 and i < len(raw):
                raw[i] ^= 1 << rng.integers(0, 8)
            elif kind == 2:
                raw[j:j] = raw[i : i + rng.integers(1, 40)]
            elif kind == 3:
                del raw[i : i + rng.integers(1, 40)]
            elif kind == 4:
                raw[i:i] = rng.choice([b"\0", b"\xff", b"9" * 400, b"-1e999", b"<", b"&a;", b"{["])
            elif rng.random() < 0.2:
                del raw[i:]
        return bytes(raw)

    return make


STRANGE = (None, True, False, 0, -1, 2, 10**400, -(10**18), 2**31, 1.5, -0.0, 1e308, 1e-320,
           float("nan"), float("inf"), "", "x", "1", "\ud800", "a/../../b", "\0", "../" * 9,
           [], [[]], {}, {"a": 1}, [1, 2, 3, 4], [0, 0, 10**400, 1], [None] * 4,
           "N" * 5000)  # fmt: skip


def put_something_strange(value, rng):
    """A copy of a JSON value in which one place, chosen at random, is changed or lost."""
    if isinstance(value, dict) and value and rng.random() < 0.9:
        keys = list(value)
        key = keys[rng.integers(len(keys))]
        copy = {k: v for k, v in value.items() if k != key or rng.random() < 0.9}
        if key in copy:
            copy[key] = put_something_strange(value[key], rng)
        return copy
    if isinstance(value, list | tuple) and value and rng.random() < 0.9:
        copy = list(value)
        place = rng.integers(len(copy))
        copy[place] = put_something_strange(copy[place], rng)
        return copy if rng.random() < 0.9 else copy + copy
    return STRANGE[rng.integers(len(STRANGE))]


def strange_json(original):
    return lambda rng: json.dumps(put_something_strange(original, rng)).encode()


def cycling(*makers):
    """One maker after the other."""
    turn = iter(range(10**9))
    return lambda rng: makers[next(turn) % len(makers)](rng)


def of_hypothesis(strategy, count, read):
    """Reads `count` examples of a strategy, always the same ones."""

    @settings(max_examples=count, derandomize=True, database=None, deadline=None,
              suppress_health_check=list(HealthCheck))  # fmt: skip
    @given(strategy)
    def run(example):
        read(example)

    run()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=9,
)


# --- configs -------------------------------------------------------------------------------------


def test_configs(attack):
    text = config_to_json(load_config("tiny"))
    make = cycling(damaged(text.encode()), strange_json(json.loads(text)))

    def read(content):
        config = config_from_json(content.decode("utf-8", errors="surrogateescape"))
        assert config_from_json(config_to_json(config)) == config

    attack(100, make, read, ConfigError)


def test_configs_of_hypothesis(full, tell):
    """Sections and single keys with values of every kind."""
    sections = [f for f in Config.__dataclass_fields__]
    known = json.loads(config_to_json(load_config("tiny")))
    keys = sorted({key for v in known.values() if isinstance(v, dict) for key in v})
    inner = st.dictionaries(st.sampled_from(keys), JSON, max_size=3)
    changes = st.dictionaries(st.sampled_from(sections), JSON | inner | st.lists(inner, max_size=2))
    count = 25 * FULL if full else 25

    def read(change):
        with contextlib.suppress(ConfigError):
            config_from_json(json.dumps(known | change))

    of_hypothesis(changes, count, read)
    tell(f"{count} inputs")


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


def test_xml_of_hypothesis(full, voc_reader, tell):
    numbers = st.integers() | st.floats() | st.text(max_size=9) | st.sampled_from(STRANGE)
    objects = st.lists(st.tuples(st.text(max_size=9), st.tuples(*[numbers] * 4)), max_size=3)
    count = 25 * FULL if full else 25

    def read(items):
        text = annotation("0.png", [n for n, _ in items], [box for _, box in items])
        with contextlib.suppress(DataError):
            voc_reader(text.encode("utf-8", errors="surrogatepass"))

    of_hypothesis(objects, count, read)
    tell(f"{count} inputs")


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


# --- weights -------------------------------------------------------------------------------------


@pytest.fixture
def weights(tmp_path):
    save(tmp_path / "whole.npz", SSD(narrow_config()))
    return tmp_path / "whole.npz"


def read_weights(path):
    def read(content):
        path.write_bytes(content)
        model = load(path)
        assert all(p.value.dtype == np.float32 for p in model.parameters.values())

    return read


def test_npz_bytes(attack, weights):
    """Damage of every kind; the zip's checksums and ours find most of it."""
    attack(25, damaged(weights.read_bytes()), read_weights(weights), WeightsError)


def rezip(path, change, rng) -> bytes:
    """The archive with one member changed by `change`, and checksums of zip that fit."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(buffer, "w") as new:
        names = old.namelist()
        chosen = names[rng.integers(len(names))] if rng.random() < 0.5 else f"{HEADER}.npy"
        for name in names:
            content = old.read(name)
            new.writestr(name, change(content)(rng) if name == chosen else content)
    return buffer.getvalue()


def test_npz_members(attack, weights):
    """Damage below the zip's checksums: headers of arrays, our header, the numbers."""
    whole = weights.with_name("original.npz")
    whole.write_bytes(weights.read_bytes())
    attack(25, lambda rng: rezip(whole, damaged, rng), read_weights(weights), WeightsError)


def test_npz_made_up(attack, weights):
    """Files that carry a checksum that fits: a stranger's, not a damaged one."""
    header, arrays = read_archive(weights)
    del header["sha256"]
    header["config"] = json.loads(header["config"])
    path = weights.with_name("made_up.npz")
    shapes = ((), (0,), (1,), (3, 3, 3, 4), (2, 2**16))

    def make(rng):
        changed = put_something_strange(header, rng) if rng.random() < 0.7 else dict(header)
        if isinstance(changed, dict) and isinstance(changed.get("config"), dict):
            changed["config"] = json.dumps(changed["config"])
        own = dict(arrays)
        if rng.random() < 0.5:
            name = list(own)[rng.integers(len(own))]
            dtype = (np.float64, np.int8, np.bool_, np.float16)[rng.integers(4)]
            own[name] = np.zeros(shapes[rng.integers(len(shapes))], dtype)
        write_archive(path, changed if isinstance(changed, dict) else {"config": changed}, own)
        return path.read_bytes()

    attack(20, make, read_weights(weights), WeightsError)


def test_checkpoints(attack, tmp_path):
    make_trainer(tmp_path, steps=1).fit()
    path = tmp_path / "last.npz"
    original = tmp_path / "original.npz"
    original.write_bytes(path.read_bytes())
    learner = make_trainer(tmp_path, steps=1)

    def read(content):
        path.write_bytes(content)
        learner.resume()

    make = cycling(damaged(path.read_bytes()), lambda rng: rezip(original, damaged, rng))
    attack(15, make, read, (WeightsError, DataError))


def npz(members: dict[str, bytes], compression=zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def array_of(shape: str, raw: bytes = b"", dtype: str = "'<f4'") -> bytes:
    text = f"{{'descr': {dtype}, 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\1\0" + len(text).to_bytes(2, "little") + text.encode() + raw


HOSTILE = {
    "an array larger than its bytes": npz({"a.npy": array_of("(1000000000000,)")}),
    "a product that overflows": npz({"a.npy": array_of("(4294967296, 4294967296, 4)", bytes(16))}),
    "a negative size": npz({"a.npy": array_of("(-1,)")}),
    "an object, which is a pickle": npz({"a.npy": array_of("(1,)", b"cos\nsystem\n", "'|O'")}),
    "a structure with an object": npz({"a.npy": array_of("(1,)", bytes(8), "[('a', '|O')]")}),
    "a bomb": npz({"a.npy": array_of("(100000000,)", bytes(4 * 10**8))}, zipfile.ZIP_DEFLATED),
    "a small bomb": npz({"a.npy": array_of("(2,)", bytes(8))}, zipfile.ZIP_LZMA),
    "deep nesting": npz({"a.npy": array_of("(" * 3000 + ")" * 3000)}),
    "a way out": npz({"../../escaped.npy": array_of("(2,)", bytes(8))}),
    "a root": npz({"/escaped.npy": array_of("(2,)", bytes(8))}),
    "one name twice": npz({"a": array_of("(2,)", bytes(8)), "a.npy": array_of("(2,)", bytes(8))}),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_archives(name, tmp_path):
    path = tmp_path / "inner" / "folder" / "w.npz"
    path.parent.mkdir(parents=True)
    path.write_bytes(HOSTILE[name])
    tracemalloc.start()
    with pytest.raises(WeightsError, match=r"w\.npz"):
        load(path)
    assert tracemalloc.get_traced_memory()[1] < 5_000_000 + 3 * len(HOSTILE[name])
    tracemalloc.stop()
    assert [p.name for p in tmp_path.rglob("*") if p.is_file()] == ["w.npz"]


@pytest.mark.parametrize(
    "section, key, value",
    [("layers", "channels", 2**30), ("input", "size", 8000), ("class_names", None, 20_000)],
)
def test_a_config_of_absurd_size_builds_nothing(weights, section, key, value):
    header, arrays = read_archive(weights)
    config = json.loads(header["config"])
    if key is None:
        config[section] = [str(i) for i in range(value)]
    elif section == "layers":
        config[section][0][key] = value
    else:
        config[section][key] = value
    write_archive(weights, {"config": json.dumps(config)}, arrays)
    tracemalloc.start()
    with pytest.raises(WeightsError):
        load(weights)
    assert tracemalloc.get_traced_memory()[1] < 100_000_000
    tracemalloc.stop()


def test_an_export_whose_config_is_absurd_builds_nothing(tmp_path):
    """An exported file carries its config in the archive's comment."""
    config = json.loads(config_to_json(narrow_config()))
    config["layers"][0]["channels"] = 2**30
    path = tmp_path / "export.npz"
    np.savez(path, **{"backbone.features.0.weight": np.zeros((4, 3, 3, 3), np.float32)})
    with zipfile.ZipFile(path, "a") as archive:
        archive.comment = json.dumps(config).encode()
    with pytest.raises(
        WeightsError, match=r"holds 108 numbers, its config needs \d\d,\d\d\d,\d\d\d,"
    ):
        load_torch(path)


def test_pth(attack, tmp_path):
    torch = pytest.importorskip("torch")
    from ssd_np.model.torch_file import read_torch

    path, originals = tmp_path / "w.pth", []
    state = {"conv.weight": torch.ones(2, 3), "conv.bias": torch.ones(2).half()}
    for zipped in (True, False):
        torch.save(state, path, _use_new_zipfile_serialization=zipped)
        originals.append(path.read_bytes())
    with zipfile.ZipFile(io.BytesIO(originals[0])) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = next(name for name in members if name.endswith("data.pkl"))
    pickled = damaged(members[name])  # below the zip's checksum, so that it reaches the machine
    makers = [*map(damaged, originals), lambda rng: npz(members | {name: pickled(rng)})]

    def read(content):
        path.write_bytes(content)
        assert all(isinstance(array, np.ndarray) for array in read_torch(path).values())

    attack(60, cycling(*makers), read, WeightsError)


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
        size = read_size(path)
        image = read_image(path)
        assert image.dtype == np.uint8 and image.shape == (*size, 3)

    attack(70, cycling(*map(damaged, originals)), read, (DataError, OutputError))
