"""Weights and checkpoints: a reader returns something sound or raises its SsdError.

Real files are changed byte by byte and value by value. The counts are those of a quick
run; a scheduled one takes forty times as many.
"""

import io
import json
import tracemalloc
import zipfile

import numpy as np
import pytest
from fuzzing import cycling, damaged, put_something_strange
from training_runs import make_trainer, narrow_config

from ssd_np.config import config_to_json
from ssd_np.errors import DataError, WeightsError
from ssd_np.model.archive import HEADER, read_archive, write_archive
from ssd_np.model.ssd import SSD
from ssd_np.model.torch_file import read_torch
from ssd_np.model.weights import load, load_torch, save


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


def made_up(path, put_something_strange):
    """Makers of files that carry a checksum that fits: a stranger's, not a damaged one."""
    header, arrays = read_archive(path)
    del header["sha256"]
    header["config"] = json.loads(header["config"])
    made = path.with_name("made_up.npz")
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
        write_archive(made, changed if isinstance(changed, dict) else {"config": changed}, own)
        return made.read_bytes()

    return make


def test_npz_made_up(attack, weights):
    make = made_up(weights, put_something_strange)
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
