"""Every refusal of the readers of weights, word for word: what, where, and what to do."""

import builtins
import io
import json
import pickle
import struct
import zipfile

import numpy as np
import pytest
from test_torch_file import RAW, legacy_file, tensor_pickle, zip_file

from ssd_np.errors import WeightsError
from ssd_np.model import archive, torch_file
from ssd_np.model import zip_file as zips
from ssd_np.model.archive import HEADER, read_archive, read_arrays, write_archive
from ssd_np.model.torch_file import read_torch

IMPORT = " (a published .pth becomes one with `ssd-np import`)"
AGAIN = " (an incomplete download? fetch the file again)"
MADE = " (expected a .pth made by torch.save)"
RESAVE = " (if you trust it, save it again in PyTorch: torch.save(model.state_dict(), path))"
UNKNOWN = "FILE: {}: is none of the files that torch.save writes" + RESAVE
SYSTEM = {"little_endian": True}


def header(**changes):
    """A file of ours, with another header."""

    def make(path):
        write_archive(path, {}, {"a": np.zeros(2)})
        text, arrays = read_archive(path)
        text = json.dumps(text | changes).encode()
        save(**{HEADER: np.frombuffer(text, np.uint8)}, **arrays)(path)

    return make


def save(**arrays):
    return lambda path: path.write_bytes(buffered(np.savez, **arrays))


def buffered(write, **arrays):
    buffer = io.BytesIO()
    write(buffer, **arrays)
    return buffer.getvalue()


def members(**content):
    def make(path):
        with zipfile.ZipFile(path, "w") as writer:
            for name, data in content.items():
                writer.writestr(name, data)

    return make


def npy(shape="(2,)", kind="<f4", raw=bytes(8), version=1, length=None):
    text = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    size = struct.pack("<H" if version == 1 else "<I", len(text) if length is None else length)
    return members(**{"a.npy": b"\x93NUMPY" + bytes([version, 0]) + size + text.encode() + raw})


def pth(pickled=None, storages=None, **extra):
    pickled = tensor_pickle() if pickled is None else pickled
    return lambda path: zip_file(path, pickled, storages or {"0": RAW}, **extra)


def legacy(*values, rest=b""):
    def make(path):
        path.write_bytes(b"".join(pickle.dumps(value, protocol=2) for value in values) + rest)

    return make


def without_version(path):
    text, arrays = {"sha256": ""}, {"a": np.zeros(2)}
    save(**{HEADER: np.frombuffer(json.dumps(text).encode(), np.uint8)}, **arrays)(path)


def with_comment(path):
    pth()(path)
    with zipfile.ZipFile(path, "a") as writer:
        writer.comment = b"x"


def persistent(*fields):
    """A pickle that asks for a storage by these instructions."""
    return b"\x80\x02}X\x01\x00\x00\x00w(" + b"".join(fields) + b"tQs."


def text(value):
    return b"X" + struct.pack("<I", len(value)) + value.encode()


FLOAT = b"ctorch\nFloatStorage\n"
STATE = pickle.dumps({"w": 1}, protocol=2)

ARCHIVE = {  # what is wrong -> (how it is made, the whole message, FILE for its path)
    "no header": (save(a=np.zeros(2)),
                  "FILE: has no 'header.json': not a file of this package" + IMPORT),
    "no version": (without_version, "FILE: has no 'format': not a file of this package" + IMPORT),
    "another version": (header(format=2), "FILE: has format 2, this version reads 1 "
                        "(read it with the version of ssd_np that wrote it)"),
    "another digest": (header(sha256=""), "FILE: checksum does not match: the file was changed or "
                       "damaged (take another copy)"),
    "a header of bytes": (save(**{HEADER: np.frombuffer(b"\xff", np.uint8)}), "FILE: has a damaged "
                          "header ('utf-8' codec can't decode byte 0xff in position 0: invalid "
                          "start byte)"),
    "a header that is a list": (save(**{HEADER: np.frombuffer(b"[]", np.uint8)}), "FILE: has a "
                                "damaged header (list indices must be integers or slices, not "
                                "str)"),
    "a large header": (save(**{HEADER: np.zeros(archive.MAX_JSON + 1, np.uint8)}),
                       "FILE: its header has 4,194,305 bytes"),
}  # fmt: skip
ARRAYS = {
    "no file": (lambda path: None, "FILE: no such file" + IMPORT),
    "a folder": (lambda path: path.mkdir(), "FILE: is not a file" + IMPORT),
    "no zip": (lambda path: path.write_bytes(b"x"), "FILE: is a damaged or incomplete zip archive: "
               "File is not a zip file" + AGAIN),
    "no array": (members(**{"a.npy": b"\x93NUMPY\3\0"}),
                 "FILE: a: is no array of plain numbers as NumPy writes it" + IMPORT),
    "another length": (npy(length=9), "FILE: a: has a damaged array header" + IMPORT),
    "another length, version 2": (npy(length=9, version=2),
                                  "FILE: a: has a damaged array header" + IMPORT),
    "a type that is none": (npy(kind="<f3"), "FILE: a: has a damaged array header" + IMPORT),
    "too few bytes": (npy(shape="(3,)"),
                      "FILE: a: is an array (3,) float32 in 136 bytes" + IMPORT),
    "too many axes": (npy(shape="(" + "1," * 33 + ")", raw=bytes(4)),
                      f"FILE: a: is an array {(1,) * 33} float32 in 136 bytes" + IMPORT),
    "empty and too large": (npy(shape="(0, 999999999999999999, 9)", raw=b""),
                            "FILE: a: is an array (0, 999999999999999999, 9) float32 in 128 bytes"
                            + IMPORT),
}  # fmt: skip
TORCH = {
    "no file": (lambda path: None, "FILE: no such file"),
    "a folder": (lambda path: path.mkdir(), "FILE: is not a file"),
    "something else": (lambda path: path.write_bytes(b"x" * 600), "FILE: is not a PyTorch file"
                       + MADE),
    "a tar file": (lambda path: path.write_bytes(bytes(257) + b"ustar"),
                   "FILE: is a tar file of torch < 0.1.10, which is not read" + RESAVE),
    "a comment": (with_comment, "FILE: has a comment in its zip archive, which torch.save never "
                  "writes"),
    "a way out": (pth(**{"../../x": b""}),
                  "FILE: archive/../../x: has a name that leads out of the archive"),
    "no pickle": (members(x=b""), "FILE: is a zip archive with 0 data.pkl, where torch.save writes "
                  "one" + MADE),
    "two pickles": (members(**{"a/data.pkl": b"", "b/data.pkl": b""}), "FILE: is a zip archive "
                    "with 2 data.pkl, where torch.save writes one" + MADE),
    "an odd alignment": (pth(**{".storage_alignment": b"x"}),
                         "FILE: archive/.storage_alignment: is not what torch.save writes there"),
    "an odd version": (pth(version=b"\xff"),
                       "FILE: archive/version: is not what torch.save writes there"),
    "a version that PyTorch does not read": (
        pth(version=b"11\n"), "FILE: archive/version: is not what torch.save writes there"),
    "another version of its own": (
        pth(**{".data/version": b"0"}),
        "FILE: archive/.data/version: is not what torch.save writes there"),
    "no version": (members(**{"archive/data.pkl": b""}),
                   "FILE: has no version, which torch.save writes" + AGAIN),
    "another folder": (members(**{"archive/data.pkl": b"", "other/x": b""}),
                       UNKNOWN.format("other/x")),
    "an archive inside": (pth(**{"inner.zip": b""}), UNKNOWN.format("archive/inner.zip")),
    "a pickle further inside": (pth(**{"x/data.pkl": b""}), UNKNOWN.format("archive/x/data.pkl")),
    "a pickle in capitals": (pth(**{"DATA.PKL": b""}), UNKNOWN.format("archive/DATA.PKL")),
    "a second pickle behind the first": (
        pth(STATE + STATE), "FILE: has bytes behind its pickle, which torch.save never writes"),
    "an odd number of its own": (
        pth(**{".data/serialization_id": b"\xff"}),
        "FILE: archive/.data/serialization_id: is not what torch.save writes there"),
    "TorchScript": (pth(**{"code/x.py": b""}), "FILE: is a TorchScript archive, which holds a "
                    "program" + RESAVE),
    "TorchScript's constants": (pth(**{"constants.pkl": b""}), "FILE: is a TorchScript archive, "
                                "which holds a program" + RESAVE),
    "a storage too short": (pth(storages={"0": RAW[:8]}),
                            "FILE: tensor w: storage 0 should have 24 bytes, has 8"),
    "a storage missing": (pth(storages={"1": RAW}),
                          "FILE: tensor w: storage 0 should have 24 bytes, is missing"),
    "a large pickle": (pth(bytes(torch_file.MAX_PICKLE + 1)), "FILE: its data.pkl is above 4194304 "
                       "bytes, absurd for a state dict"),
    "the largest pickle": (pth(bytes(torch_file.MAX_PICKLE)), "FILE: has a damaged pickle" + AGAIN),
    "an odd byte order": (pth(byteorder=b"middle"),
                          "FILE: archive/byteorder: has neither little nor big byte order"),
    "a pickle of something": (legacy([1]), "FILE: is a pickle, but not one of torch.save" + RESAVE),
    "cut in its first pickle": (lambda path: path.write_bytes(b"\x80\x02"),
                                "FILE: is not a PyTorch file, or an incomplete one"),
    "another protocol": (legacy(torch_file.MAGIC, 1002),
                         "FILE: does not have protocol 1001, the only one there is"),
    "no list of storages": (legacy(torch_file.MAGIC, 1001, SYSTEM, {}, {}),
                            "FILE: has no list of storages"),
    "a storage nobody uses": (legacy(torch_file.MAGIC, 1001, SYSTEM, {}, ["0"]),
                              "FILE: lists a storage twice, or one that no tensor uses"),
    "a storage twice": (legacy(torch_file.MAGIC, 1001, SYSTEM,
                               rest=tensor_pickle(view=True) + pickle.dumps(["0", "0"])
                               + struct.pack("<q", 6) + RAW),
                        "FILE: lists a storage twice, or one that no tensor uses"),
    "another count": (legacy(torch_file.MAGIC, 1001, SYSTEM,
                             rest=tensor_pickle(view=True) + pickle.dumps(["0"])
                             + struct.pack("<q", 5) + RAW),
                      "FILE: storage 0: should have 6 elements, has 5"),
    "bytes behind the last storage": (
        legacy(torch_file.MAGIC, 1001, SYSTEM,
               rest=tensor_pickle(view=True) + pickle.dumps(["0"]) + struct.pack("<q", 6) + RAW
               + b"x"),
        "FILE: has bytes behind its last storage, which torch.save never writes"),
    "not listed": (lambda path: legacy_file(path, tensor_pickle(view=True), {}),
                   "FILE: tensor w: storage 0 is missing"),
    "no dict": (pth(pickle.dumps([1], protocol=2)), "FILE: does not hold a state dict" + RESAVE),
    "no tensors": (pth(STATE), "FILE: holds no tensors beside its keys w (expected a state dict, "
                   "or a dict with a state_dict or model in it)"),
    "six other things": (pth(pickle.dumps(dict.fromkeys("abcdef"), protocol=2)),
                         "FILE: holds no tensors beside its keys a, b, c, d, e (expected a state "
                         "dict, or a dict with a state_dict or model in it)"),
    "nothing at all": (pth(pickle.dumps({}, protocol=2)), "FILE: holds no tensors beside its keys "
                       "(none) (expected a state dict, or a dict with a state_dict or model in "
                       "it)"),
    "beyond its storage": (pth(tensor_pickle(offset=1)),
                           "FILE: tensor w: reaches element 6 of a storage of 6"),
    "far larger than the file": (pth(tensor_pickle((1 << 20, 3), (0, 1))),
                                 "FILE: tensor w: needs over 4 times the bytes of the file"),
    "a forbidden name": (pth(b"\x80\x02cos\nsystem\n."),
                         "FILE: refuses os.system: no part of a state dict" + RESAVE),
    "a forbidden instance": (pth(b"\x80\x02(itorch\nSize\n."),
                             "FILE: refuses the pickle instruction INST" + RESAVE),
    "a forbidden instruction": (pth(b"\x80\x02)\x81."),
                                "FILE: refuses the pickle instruction NEWOBJ" + RESAVE),
    "a whole model": (pth(persistent(text("module"), FLOAT, text("0"), text("cpu"), b"K\6")),
                      "FILE: holds a whole model object, not a state dict" + RESAVE),
    "a storage of a storage": (
        pth(persistent(text("storage"), FLOAT, text("0"), text("cpu"), b"K\6", b"K\1")),
        "FILE: has storages inside storages, as torch < 0.4 wrote" + RESAVE),
    "one storage, two sizes": (
        pth(b"\x80\x02}X\x01\x00\x00\x00w("
            + b"".join(text("storage") + FLOAT + text("0") + text("cpu") + size + b"tQ("
                       for size in (b"K\6", b"K\7")) + b"."),
        "FILE: storage 0: one storage has two types or sizes"),
    "a storage of four fields": (pth(persistent(text("storage"), FLOAT, text("0"), text("cpu"))),
                                 "FILE: has a damaged pickle" + AGAIN),
    "a pair of three": (pth(b"\x80\x02ccollections\nOrderedDict\n(](K\1K\2K\3eatR."),
                        "FILE: has a damaged pickle" + AGAIN),
    "a pair": (pth(b"\x80\x02ccollections\nOrderedDict\n(]](K\1K\2K\3eaatR."),
               "FILE: has a damaged pickle" + AGAIN),
    "an odd key": (pth(b"\x80\x02})K\1s."), "FILE: has a damaged pickle" + AGAIN),
    "a large key": (pth(b"\x80\x02}\x8a\5\0\0\0\0\1K\1s."), "FILE: has a damaged pickle" + AGAIN),
    "a memo that is empty": (pth(b"\x80\x02h\0."), "FILE: has a damaged pickle" + AGAIN),
    "an empty stack": (pth(b"\x80\x02."), "FILE: has a damaged pickle" + AGAIN),
}  # fmt: skip
CASES = [(read, name, *case) for read, table in
         ((read_archive, ARCHIVE), (read_arrays, ARRAYS), (read_torch, TORCH))
         for name, case in table.items()]  # fmt: skip


@pytest.mark.parametrize(
    "read, make, message",
    [pytest.param(r, m, text, id=f"{r.__name__}: {name}") for r, name, m, text in CASES],
)
def test_a_refusal_word_for_word(read, make, message, tmp_path):
    make(tmp_path / "w")
    with pytest.raises(WeightsError) as refused:
        read(tmp_path / "w")
    assert str(refused.value).replace(str(tmp_path / "w"), "FILE") == message


def test_one_array_under_two_names(tmp_path):
    """`a.npy` and `a` are one name to NumPy."""
    npy()(tmp_path / "w")
    with zipfile.ZipFile(tmp_path / "w", "a") as writer:
        writer.writestr("a", b"")
    with pytest.raises(WeightsError) as refused:
        read_arrays(tmp_path / "w")
    assert str(refused.value) == f"{tmp_path / 'w'}: a: appears twice in the archive" + IMPORT


def test_pairs_of_an_older_python(tmp_path):
    """Python 2 pickled an OrderedDict as a list of pairs."""
    pairs = b"\x80\x02ccollections\nOrderedDict\n(]]("
    pth(pairs + text("w") + b"K\1eatR.")(tmp_path / "w")
    with pytest.raises(WeightsError, match="holds no tensors beside its keys w "):
        read_torch(tmp_path / "w")


@pytest.mark.parametrize("read", [read_archive, read_arrays, read_torch])
@pytest.mark.parametrize(
    "error, message",
    [
        (OSError(5, "Input/output error"), "can not be read: [Errno 5] Input/output error"),
        (ValueError("no"), "can not be read: no"),
        (MemoryError(), "does not fit into memory"),
    ],
)
def test_what_the_system_says(read, error, message, tmp_path, monkeypatch):
    def broken(*_):
        raise error

    path = tmp_path / "w"
    path.write_bytes(b"x")
    monkeypatch.setattr(builtins, "open", broken)
    with pytest.raises(WeightsError) as refused:
        read(path)
    assert str(refused.value) == f"{path}: {message}"


def test_more_files_than_any_archive_has(tmp_path, monkeypatch):
    monkeypatch.setattr(zips, "MAX_MEMBERS", 2)
    members(a=b"", b=b"")(tmp_path / "w")
    raw = (tmp_path / "w").read_bytes()
    assert list(zips.StoredZip(io.BytesIO(raw), len(raw)).members) == ["a", "b"]
    members(a=b"", b=b"", c=b"")(tmp_path / "w")
    raw = (tmp_path / "w").read_bytes()
    with pytest.raises(WeightsError, match=r"^is a zip archive of 3 files$"):
        zips.StoredZip(io.BytesIO(raw), len(raw))


def test_the_limits_are_reached_and_not_passed(tmp_path):
    """One less than each limit is read."""
    npy(shape="(" + "1," * 32 + ")", raw=bytes(4))(tmp_path / "w")
    assert read_arrays(tmp_path / "w")["a"].shape == (1,) * 32
    npy(shape="(0, 999999999999999999)", raw=b"")(tmp_path / "w")
    assert read_arrays(tmp_path / "w")["a"].shape == (0, 10**18 - 1)
    npy(version=2)(tmp_path / "w")
    assert read_arrays(tmp_path / "w")["a"].tolist() == [0, 0]
