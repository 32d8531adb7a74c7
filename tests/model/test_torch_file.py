"""PyTorch files read without PyTorch: equal to torch.load, and nothing in a hostile file runs."""

import copyreg
import importlib
import io
import os
import pickle
import struct
import subprocess
import sys
import tracemalloc
import zipfile
from collections import OrderedDict

import numpy as np
import pytest

from ssd_np.errors import ConfigError, WeightsError
from ssd_np.model.torch_file import RESAVE, is_torch, read_torch
from ssd_np.model.torch_pickle import MAX_COPIES, MAX_INT, Machine
from ssd_np.model.zip_file import AGAIN

pytestmark = pytest.mark.lesson15

FORMATS = ["zip", "legacy"]
AMDEGROOT = {"vgg.0.weight": (6, 3, 3, 3), "vgg.0.bias": (6,), "L2Norm.weight": (5,),
             "extras.0.weight": (4, 6, 1, 1), "loc.0.weight": (8, 5, 3, 3)}  # fmt: skip
TORCHVISION = {"backbone.scale_weight": (5,), "backbone.features.0.weight": (6, 3, 3, 3),
               "backbone.extra.0.7.1.bias": (7,),
               "head.classification_head.module_list.0.weight": (9, 5, 3, 3)}  # fmt: skip


@pytest.fixture
def torch():
    return pytest.importorskip("torch")


def save(torch, content, path, fmt="zip", **options):
    torch.save(content, path, _use_new_zipfile_serialization=fmt == "zip", **options)
    return path


def state_dict(torch, shapes, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return OrderedDict((k, torch.randn(s, generator=generator)) for k, s in shapes.items())


def assert_same(arrays, tensors):
    assert list(arrays) == list(tensors)
    for name, tensor in tensors.items():
        expected = tensor.detach().numpy()
        assert arrays[name].dtype == expected.dtype
        assert arrays[name].flags.c_contiguous and arrays[name].flags.writeable
        np.testing.assert_array_equal(arrays[name], expected)


# --- files of PyTorch ----------------------------------------------------------------------------


@pytest.mark.parametrize("fmt", FORMATS)
@pytest.mark.parametrize("shapes", [AMDEGROOT, TORCHVISION])
def test_state_dict_equals_torch(torch, tmp_path, fmt, shapes):
    tensors = state_dict(torch, shapes)
    assert_same(read_torch(save(torch, tensors, tmp_path / "w.pth", fmt)), tensors)


@pytest.mark.parametrize("fmt", FORMATS)
@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_module_with_metadata_and_parameters(torch, tmp_path, fmt, protocol):
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))
    path = save(torch, net.state_dict(), tmp_path / "w.pth", fmt, pickle_protocol=protocol)
    assert_same(read_torch(path), net.state_dict())
    parameters = dict(net.named_parameters())
    path = save(torch, parameters, tmp_path / "p.pth", fmt, pickle_protocol=protocol)
    assert_same(read_torch(path), parameters)


@pytest.mark.parametrize("fmt", FORMATS)
def test_element_types(torch, tmp_path, fmt):
    names = ["float64", "float32", "float16", "int64", "int32", "int16", "int8", "uint8", "bool"]
    tensors = {n: torch.tensor([0, 1, 100, 3]).to(getattr(torch, n)) for n in names}
    assert_same(read_torch(save(torch, tensors, tmp_path / "w.pth", fmt)), tensors)


@pytest.mark.parametrize("fmt", FORMATS)
def test_bfloat16_becomes_float32_of_equal_value(torch, tmp_path, fmt):
    x = torch.tensor([1.0, -3.140625, 1e-40, 3e38, float("inf"), float("nan")]).bfloat16()
    arrays = read_torch(save(torch, {"x": x}, tmp_path / "w.pth", fmt))
    assert_same(arrays, {"x": x.float()})


@pytest.mark.parametrize("fmt", FORMATS)
def test_strides_offsets_and_shared_storages(torch, tmp_path, fmt):
    base = torch.arange(60.0).reshape(3, 4, 5)
    tensors = {"whole": base, "turned": base.permute(2, 0, 1), "part": base[1:, ::2, 3],
               "again": base, "expanded": base[0, 0, :1].expand(3), "scalar": base[2, 1, 1],
               "empty": base[:0], "last": base.flatten()[-1:]}  # fmt: skip
    arrays = read_torch(save(torch, tensors, tmp_path / "w.pth", fmt))
    assert_same(arrays, tensors)
    arrays["whole"][:] = 0
    assert arrays["again"][2, 3, 4] == 59  # each array is its own


@pytest.mark.parametrize("fmt", FORMATS)
def test_checkpoint_is_unwrapped_and_module_prefix_taken_away(torch, tmp_path, fmt):
    tensors = state_dict(torch, AMDEGROOT)
    net = torch.nn.Linear(2, 2)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    net(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    parallel = OrderedDict((f"module.{key}", value) for key, value in tensors.items())
    for wrapper in ("state_dict", "model"):
        checkpoint = {"epoch": 3, "best": torch.tensor(0.7), "loss": 0.5, "big": 2**70,
                      "optimizer": optimizer.state_dict(), wrapper: parallel}  # fmt: skip
        assert_same(read_torch(save(torch, checkpoint, tmp_path / "w.pth", fmt)), tensors)
    nested = {"model": {"state_dict": parallel}}
    assert_same(read_torch(save(torch, nested, tmp_path / "w.pth", fmt)), tensors)
    nested = {"model": {"model": nested}}
    assert_same(read_torch(save(torch, nested, tmp_path / "w.pth", fmt)), tensors)
    deeper = save(torch, {"model": nested}, tmp_path / "w.pth", fmt)
    assert "holds no tensors beside its keys state_dict" in refusal(deeper)


def test_module_prefix_stays_when_only_some_names_have_it(torch, tmp_path):
    tensors = {"module.a": torch.ones(2), "b": torch.ones(2)}
    assert_same(read_torch(save(torch, tensors, tmp_path / "w.pth")), tensors)


def test_entries_that_are_no_tensors_are_left_out(torch, tmp_path):
    path = save(torch, {"epoch": 3, "w": torch.ones(2), "note": None}, tmp_path / "w.pth")
    assert_same(read_torch(path), {"w": torch.ones(2)})


def test_big_endian_zip(torch, tmp_path):
    path = save(torch, {"x": torch.arange(5, dtype=torch.int32)}, tmp_path / "w.pth")
    rewritten = rewrite(path, {"byteorder": b"big", "data/0": np.arange(5, dtype=">i4").tobytes()})
    expected = torch.load(rewritten, weights_only=True)
    assert_same(read_torch(rewritten), expected)


def test_reads_where_torch_can_not_be_imported(torch, tmp_path):
    path = save(torch, {"x": torch.arange(3.0)}, tmp_path / "w.pth")
    program = (
        "import sys; sys.modules['torch'] = None; from ssd_np.model.torch_file import read_torch;"
        f"print(read_torch({str(path)!r})['x'].tolist())"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == "[0.0, 1.0, 2.0]", done.stderr


# --- files made by hand --------------------------------------------------------------------------


def zip_file(path, pickled, storages=None, root="archive", **extra):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{root}/data.pkl", pickled)
        for key, raw in (storages or {}).items():
            archive.writestr(f"{root}/data/{key}", raw)
        for name, raw in ({"version": b"3\n"} | extra).items():
            archive.writestr(f"{root}/{name}", raw)
    return path


def legacy_file(path, pickled, storages=None):
    with open(path, "wb") as file:
        for value in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}):
            file.write(pickle.dumps(value, protocol=2))
        file.write(pickled + pickle.dumps(list(storages or {}), protocol=2))
        for raw in (storages or {}).values():
            file.write(struct.pack("<q", len(raw) // 4) + raw)
    return path


def rewrite(path, changes):
    """The zip file again with other contents for some members (and a CRC that fits)."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    root = next(iter(members)).split("/")[0]
    changed = path.with_name("rewritten.pth")
    with zipfile.ZipFile(changed, "w") as archive:
        for name, raw in members.items():
            archive.writestr(name, changes.get(name.removeprefix(f"{root}/"), raw))
    return changed


def tensor_pickle(shape=(2, 3), strides=(3, 1), offset=0, numel=6, kind="FloatStorage",
                  function="_rebuild_tensor_v2", key="0", view=False):  # fmt: skip
    """{"w": tensor} as protocol 2, instruction by instruction."""

    def value(x):  # of these types Python's own pickles agree; without PROTO and STOP
        return pickle.dumps(x, protocol=2)[2:-1].replace(b"q\x00", b"").replace(b"q\x01", b"")

    text = lambda s: b"X" + struct.pack("<I", len(s)) + s.encode()  # noqa: E731
    storage = (b"(" + text("storage") + f"ctorch\n{kind}\n".encode() + text(key) + text("cpu")
               + value(numel) + (b"N" if view else b"") + b"tQ")  # fmt: skip
    sizes = [b"(" + b"".join(map(value, x)) + b"t" for x in (shape, strides)]
    call = (f"ctorch._utils\n{function}\n".encode() + b"(" + storage + value(offset)
            + sizes[0] + sizes[1])  # fmt: skip
    if function == "_rebuild_tensor_v2":  # requires_grad, hooks
        call += b"\x89ccollections\nOrderedDict\n)R"
    call += b"tR"
    return b"\x80\x02}" + text("w") + call + b"s."


RAW = np.arange(6, dtype="<f4").tobytes()


def refusal(path):
    with pytest.raises(WeightsError) as caught:
        read_torch(path)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert "\n" not in message and message.isascii() and len(message) < 600
    return message


@pytest.mark.parametrize("function", ["_rebuild_tensor", "_rebuild_tensor_v2"])
def test_handmade_files(tmp_path, function):
    expected = np.arange(6, dtype=np.float32).reshape(2, 3)
    path = zip_file(tmp_path / "w.pth", tensor_pickle(function=function), {"0": RAW})
    np.testing.assert_array_equal(read_torch(path)["w"], expected)
    pickled = tensor_pickle(function=function, view=True)
    path = legacy_file(tmp_path / "w.pth", pickled, {"0": RAW})
    np.testing.assert_array_equal(read_torch(path)["w"], expected)


def test_ordered_dict_of_python_2(tmp_path):
    one = tensor_pickle()[3:-2]  # key and tensor, without PROTO, EMPTY_DICT, SETITEM and STOP
    key = b"U\x01w" + one[6:]  # SHORT_BINSTRING, Python 2's str
    pickled = b"\x80\x02ccollections\nOrderedDict\n](](" + key + b"ee\x85R."
    path = zip_file(tmp_path / "w.pth", pickled, {"0": RAW})
    np.testing.assert_array_equal(read_torch(path)["w"].ravel(), np.arange(6))


@pytest.mark.parametrize(
    "bad",
    [
        {"shape": (2, 4)},
        {"offset": 1},
        {"strides": (4, 1)},
        {"shape": (2**40, 2**40)},
        {"offset": 2**47},
        {"shape": (1,), "strides": (1,), "offset": 6},
        {"shape": (), "strides": (), "offset": 6},
    ],
)
@pytest.mark.parametrize("fmt", FORMATS)
def test_a_tensor_can_not_reach_outside_its_storage(tmp_path, fmt, bad):
    make = zip_file if fmt == "zip" else legacy_file
    message = refusal(make(tmp_path / "w.pth", tensor_pickle(**bad), {"0": RAW}))
    assert "tensor w: reaches element" in message and "storage of 6" in message


@pytest.mark.parametrize(
    "bad",
    [{"offset": -1}, {"strides": (-3, 1)}, {"shape": (-2, 3)}, {"shape": (True, 3)},
     {"shape": (2, 3.0)}, {"shape": (2,)}, {"numel": -1}, {"numel": 2**80}, {"offset": "0"},
     {"shape": (1,) * 40, "strides": (1,) * 40}, {"kind": "Size"}],
)  # fmt: skip
def test_sizes_that_are_no_sizes(tmp_path, bad):
    path = zip_file(tmp_path / "w.pth", tensor_pickle(**bad), {"0": RAW})
    assert "damaged pickle" in refusal(path)


@pytest.mark.parametrize(
    "bad",
    [
        {"shape": (2**20, 2**20), "strides": (0, 0)},  # one element, a million million times
        {"shape": (0, 2**40, 2**40), "strides": (0, 0, 0)},  # no element, but sizes NumPy refuses
    ],
)
def test_absurdly_expanded_tensor(tmp_path, bad):
    path = zip_file(tmp_path / "w.pth", tensor_pickle(**bad), {"0": RAW})
    assert "tensor w: needs over 4 times the bytes of the file" in refusal(path)


def test_arrays_of_four_times_the_files_bytes_are_read(tmp_path):
    def make(count):  # of one element; all these numbers take two bytes in the pickle
        pickled = tensor_pickle((count, 1), (0, 0))
        return zip_file(tmp_path / "w.pth", pickled, {"0": RAW}).stat().st_size

    size = make(300)
    assert size == make(size) and read_torch(tmp_path / "w.pth")["w"].nbytes == 4 * size
    assert size == make(size + 1) and "needs over 4 times" in refusal(tmp_path / "w.pth")


def test_storage_that_does_not_fit(tmp_path):
    path = zip_file(tmp_path / "w.pth", tensor_pickle(), {"0": RAW[:-1]})
    assert "tensor w: storage 0 should have 24 bytes, has 23" in refusal(path)
    path = zip_file(tmp_path / "w.pth", tensor_pickle(), {"1": RAW})
    assert "tensor w: storage 0 should have 24 bytes, is missing" in refusal(path)
    path = legacy_file(tmp_path / "w.pth", tensor_pickle(), {"0": RAW + b"1234"})
    assert "storage 0: should have 6 elements, has 7" in refusal(path)
    path = legacy_file(tmp_path / "w.pth", tensor_pickle(), {"0": RAW[:-4]})
    assert "the file has" in refusal(path)
    path = legacy_file(tmp_path / "w.pth", tensor_pickle(), {})
    assert "tensor w: storage 0 is missing" in refusal(path)
    path = legacy_file(tmp_path / "w.pth", tensor_pickle(numel=2**47), {"0": RAW})
    message = refusal(path)
    assert "storage 0: should end at byte" in message and message.endswith("(fetch it again)")
    path = legacy_file(tmp_path / "w.pth", tensor_pickle(), {"0": RAW, "1": RAW})
    assert "one that no tensor uses" in refusal(path)


def test_one_storage_of_two_types(tmp_path):
    two = tensor_pickle()[:-1] + tensor_pickle(kind="IntStorage")[3:].replace(b"w", b"v", 1)
    path = zip_file(tmp_path / "w.pth", two, {"0": RAW})
    assert "storage 0: one storage has two types" in refusal(path)


# --- files that are something else ---------------------------------------------------------------


def test_not_a_pytorch_file(tmp_path):
    path = tmp_path / "w.pth"
    assert "no such file" in refusal(path)
    assert "is not a file" in refusal(tmp_path)
    for raw in (b"", b"\x80", b"<html>404", b"\x80\x02junk", b"\xff\xd8\xff\xe0", os.urandom(99)):
        path.write_bytes(raw)
        assert "is not a PyTorch file" in refusal(path)
    path.write_bytes(pickle.dumps([1, 2], protocol=2))
    assert "is a pickle, but not one of torch.save" in refusal(path)
    np.savez(tmp_path / "w.npz", w=np.ones(2))
    assert "0 data.pkl" in refusal(tmp_path / "w.npz")


def test_path_with_a_zero_byte():
    with pytest.raises(WeightsError):
        read_torch("w\0.pth")


def test_tar_format_is_refused(tmp_path):
    import tarfile

    with tarfile.open(tmp_path / "w.pth", "w") as archive:
        archive.addfile(tarfile.TarInfo("sys_info"))
    assert "torch < 0.1.10" in refusal(tmp_path / "w.pth")


def test_torchscript_is_refused(tmp_path):
    for name in ("constants.pkl", "code/__torch__.py"):
        path = zip_file(tmp_path / "w.pth", tensor_pickle(), {"0": RAW}, **{name: b""})
        assert "TorchScript" in refusal(path)


def test_whole_model_and_missing_tensors(torch, tmp_path):
    path = tmp_path / "w.pth"
    assert "refuses torch.nn.modules" in refusal(save(torch, torch.nn.Linear(2, 2), path))
    assert "does not hold a state dict" in refusal(save(torch, torch.ones(2), path))
    message = refusal(save(torch, {"epoch": 1, "net": {"w": torch.ones(2)}}, path))
    assert "epoch, net" in message
    message = refusal(save(torch, {0: torch.ones(2)}, path))
    assert message.endswith(f"has tensors without a name ({RESAVE})")


def test_dict_that_holds_itself(tmp_path):
    loop = {}
    loop["model"] = loop
    path = zip_file(tmp_path / "w.pth", pickle.dumps(loop, protocol=2))
    assert "holds no tensors" in refusal(path)


# --- hostile files -------------------------------------------------------------------------------


class Call:
    """Pickles as a call of `function`."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call

    def __call__(self):
        """Lets a call stand where pickle wants a function, as in getattr(os, "system")(...)."""


def attacks(marker):
    """Objects whose unpickling makes the file `marker`."""
    write = f"open({str(marker)!r}, 'w').close()"
    shell = f"echo > '{marker}'"
    system = Call(getattr, Call(importlib.import_module, "os"), "system")
    return {
        "os.system": Call(os.system, shell),
        "eval": Call(eval, write),
        "exec": Call(exec, write),
        "open": Call(open, str(marker), "w"),
        "subprocess": Call(subprocess.call, ["sh", "-c", shell]),
        "getattr": Call(system, shell),
        "nested pickle": Call(pickle.loads, pickle.dumps(Call(eval, write), protocol=2)),
        "map": Call(list, Call(map, eval, [write])),
    }


ATTACKS = list(attacks(""))


class FirstName(pickle.Unpickler):
    """Stops at the first name that Python's unpickler would import, and tells it."""

    def find_class(self, module, name):
        raise LookupError(f"{module}.{name}")


@pytest.mark.parametrize("fmt", FORMATS)
@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("name", ATTACKS)
def test_attack_is_refused_by_name_and_does_not_run(tmp_path, name, protocol, fmt):
    marker = tmp_path / "marker"
    pickled = pickle.dumps(attacks(marker)[name], protocol)
    with pytest.raises(LookupError) as first:
        FirstName(io.BytesIO(pickled)).load()
    make = zip_file if fmt == "zip" else legacy_file
    message = refusal(make(tmp_path / "w.pth", pickled))
    assert f"refuses {first.value}: no part of a state dict" in message
    assert not marker.exists()


@pytest.mark.parametrize("name", ATTACKS)
def test_the_attacks_are_live(tmp_path, name):
    """Python's own unpickler falls for every one of them, so the test above can fail."""
    marker = tmp_path / "marker"
    pickle.loads(pickle.dumps(attacks(marker)[name]))
    assert marker.exists()


def test_attack_in_each_part_of_a_file(tmp_path, torch):
    marker = tmp_path / "marker"
    shell = Call(os.system, f"echo > '{marker}'")
    parts = [0x1950A86A20F9469CFC6C, 1001, {}, {}, []]
    path = tmp_path / "w.pth"
    for i in range(len(parts)):
        changed = [*parts[:i], shell, *parts[i + 1 :]]
        path.write_bytes(b"".join(pickle.dumps(part, protocol=2) for part in changed))
        assert "refuses posix.system" in refusal(path) or os.name == "nt"
    # as arguments of the functions that are admitted, and in place of a persistent id
    for call in (b"ccollections\nOrderedDict\n", b"ctorch\nSize\n", b"ctorch\nFloatStorage\n"):
        pickled = b"\x80\x02" + call + pickle.dumps(shell, protocol=2)[2:-1] + b"\x85R."
        assert "refuses" in refusal(zip_file(path, pickled))
    pickled = b"\x80\x02" + pickle.dumps(shell, protocol=2)[2:-1] + b"Q."
    assert "refuses" in refusal(zip_file(path, pickled))
    assert "refuses torch.serialization.load" in refusal(
        zip_file(path, pickle.dumps({"w": Call(torch.load, "other.pth")}, 2))
    )
    assert not marker.exists()


def test_instructions_that_call_without_reduce(tmp_path):
    marker = tmp_path / "marker"
    command = f"echo > '{marker}'".encode()
    text = b"X" + struct.pack("<I", len(command)) + command
    by_instruction = {
        "posix.system": b"(" + text + b"iposix\nsystem\n.",
        "instruction INST": b"(icollections\nOrderedDict\n.",
        "instruction OBJ": b"(ccollections\nOrderedDict\no.",
        "instruction NEWOBJ": b"\x80\x02ccollections\nOrderedDict\n)\x81.",
        "instruction NEWOBJ_EX": b"\x80\x04ccollections\nOrderedDict\n)}\x92.",
        "instruction EXT1": b"\x80\x02\x82\xf0" + text + b"\x85R.",
        "instruction EXT2": b"\x80\x02\x83\xf0\x00.",
        "instruction EXT4": b"\x80\x02\x84\xf0\x00\x00\x00.",
        "instruction PERSID": b"Pposix.system\n.",
        "instruction DUP": b"\x80\x02]2.",
        "instruction BINBYTES8": b"\x80\x04\x8e" + struct.pack("<Q", 1) + b"a.",
        "posix.system: no part": b"\x80\x04\x8c\x05posix\x8c\x06system\x93.",
    }
    copyreg.add_extension(os.system.__module__, "system", 0xF0)
    try:
        for name, pickled in by_instruction.items():
            assert f"refuses {name}" in refusal(zip_file(tmp_path / "w.pth", pickled)).replace(
                "the pickle ", ""
            )
    finally:
        copyreg.remove_extension(os.system.__module__, "system", 0xF0)
    assert not marker.exists()


@pytest.mark.parametrize(
    "body",
    [
        b"X\x01\0\0\0aX\x01\0\0\0b\x85R",  # a text is no function
        b"ctorch\nFloatStorage\n)R",  # an admitted name that is no function
        b"ccollections\nOrderedDict\n(K\x01tR",  # wrong arguments
        b"ccollections\nOrderedDict\n(]K\x01atR",
        b"ctorch._utils\n_rebuild_tensor_v2\n)R",
        b"ctorch._utils\n_rebuild_parameter\n(K\x01tR",
        b"ctorch\nSize\n(K\x01tR",
        b"]}b",  # BUILD on a list
        b"NQ", b"(NNNNNtQ", b"K\x01]s", b"}]K\x01s", b"]K\x01K\x02s", b"}K\x01a", b"(K\x01e",
        b"h\x07", b"j\xff\xff\xff\xff", b"0", b"a", b"t", b"R", b"\x93", b"q\x00", b"\x85",
        b"}\x8a\x09\0\0\0\0\0\0\0\0\x01K\x01s",  # a key of 65 bits
    ],
)  # fmt: skip
def test_pickles_that_torch_would_not_write(tmp_path, body):
    path = zip_file(tmp_path / "w.pth", b"\x80\x02" + body + b".")
    message = refusal(path)
    assert "damaged pickle" in message or "refuses the pickle instruction" in message


@pytest.mark.filterwarnings("error")
def test_where_warnings_are_errors(tmp_path):
    path = zip_file(tmp_path / "w.pth", b"\x80\x02co\\qs\nsystem\n.")  # a wrong escape
    assert "damaged pickle" in refusal(path)


def test_attributes_of_a_state_dict_are_dropped(tmp_path):
    """BUILD normally writes into __dict__ or calls __setstate__; here it does nothing."""
    state = pickle.dumps({"__class__": 1, "update": 2}, protocol=2)[2:-1]
    path = zip_file(tmp_path / "w.pth", tensor_pickle()[:-1] + state + b"b.", {"0": RAW})
    assert read_torch(path)["w"].shape == (2, 3)


def test_names_are_shown_without_control_characters(tmp_path):
    path = zip_file(tmp_path / "w.pth", b"\x80\x04\x8c\x04a\x1b[1\x8c\x02b\n\x93.")
    assert r"refuses a\x1b[1.b\n" in refusal(path)


def test_nested_a_hundred_thousand_deep(tmp_path):
    for pickled in (b"]" * 10**5 + b"a" * (10**5 - 1), b"N" + b"\x85" * 10**5,
                    b"(" * 10**5 + b"t" * 10**5):  # fmt: skip
        path = zip_file(tmp_path / "w.pth", b"\x80\x02" + pickled + b".")
        assert "does not hold a state dict" in refusal(path)


def test_tuple_whose_hash_would_never_end(tmp_path):
    doubled = b"q\x00h\x00\x86" * 100  # each level holds the level below twice
    path = zip_file(tmp_path / "w.pth", b"\x80\x02}K\x01" + doubled + b"K\x01s.")
    assert "damaged pickle" in refusal(path)


def peak_of_refusal(path):
    tracemalloc.start()
    message = refusal(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return message, peak


@pytest.mark.parametrize(
    "body",
    [
        b"r\xff\xff\xff\xff",  # LONG_BINPUT: the C unpickler makes room for 2**32 values
        b"Nr\xff\xff\xff\xff",
        b"\x8b\xff\xff\xff\x7f",  # LONG4 of 2 GB
        b"X\xff\xff\xff\xff",  # BINUNICODE of 4 GB
        b"T\xff\xff\xff\x7f",
        b"\x8e" + b"\xff" * 7 + b"\x0f",  # BINBYTES8
        b"\x8d" + b"\xff" * 7 + b"\x0f",  # BINUNICODE8
        b"\x96" + b"\xff" * 7 + b"\x0f",  # BYTEARRAY8
        b"\x95" + b"\xff" * 7 + b"\x0f",  # FRAME
    ],
)
@pytest.mark.parametrize("fmt", FORMATS)
def test_absurd_sizes_in_a_pickle_allocate_nothing(tmp_path, fmt, body):
    make = zip_file if fmt == "zip" else legacy_file
    _, peak = peak_of_refusal(make(tmp_path / "w.pth", b"\x80\x04" + body + b"."))
    assert peak < 8e6


def test_absurd_tensors_allocate_nothing(tmp_path):
    for bad in ({"numel": 2**47}, {"shape": (2**20, 2**20), "strides": (0, 0)}):
        for make in (zip_file, legacy_file):
            path = make(tmp_path / "w.pth", tensor_pickle(**bad), {"0": RAW})
            assert peak_of_refusal(path)[1] < 8e6


# --- damaged and made-up zip archives ------------------------------------------------------------


def patch_directory(path, member, offset, raw):
    """Overwrites bytes of a member's entry in the central directory."""
    data = bytearray(path.read_bytes())
    entry = data.rindex(member.encode()) - 46
    assert data[entry : entry + 4] == b"PK\1\2"
    data[entry + offset : entry + offset + len(raw)] = raw
    path.write_bytes(data)
    return path


def test_zip_bombs(tmp_path):
    path = tmp_path / "w.pth"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", tensor_pickle(numel=10**7))
        archive.writestr("archive/data/0", bytes(4 * 10**7))
    message, peak = peak_of_refusal(path)
    assert "is compressed" in message and peak < 8e6
    # sizes of 2 GB declared, 24 bytes there
    zip_file(path, tensor_pickle(numel=2**29), {"0": RAW})
    patch_directory(path, "archive/data/0", 20, struct.pack("<II", 2**31, 2**31))
    message, peak = peak_of_refusal(path)
    assert "the file has" in message and "claims" in message and peak < 8e6
    # called compressed, though of equal sizes
    zip_file(path, tensor_pickle(), {"0": RAW})
    patch_directory(path, "archive/data/0", 10, struct.pack("<H", zipfile.ZIP_LZMA))
    assert "archive/data/0: is compressed" in refusal(path)
    zip_file(path, b"\x80\x02" + b"}" * (5 << 20))
    assert "absurd for a state dict" in refusal(path)


@pytest.mark.parametrize("name", ["../evil", "/etc/evil", "archive/../../evil", "a\\..\\evil"])
def test_zip_names_that_lead_out(tmp_path, name):
    path = zip_file(tmp_path / "w.pth", tensor_pickle(), {"0": RAW})
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(name, b"evil")
    assert "leads out of the archive" in refusal(path)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_zip_with_duplicates(tmp_path):
    path = zip_file(tmp_path / "w.pth", tensor_pickle(), {"0": RAW})
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("archive/data/0", RAW)
    assert "archive/data/0: appears twice" in refusal(path)
    path = zip_file(tmp_path / "w.pth", tensor_pickle(), {"0": RAW})
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("other/data.pkl", tensor_pickle())
    assert "2 data.pkl" in refusal(path)


def test_zip_with_wrong_crc_encryption_or_byte_order(tmp_path):
    path = zip_file(tmp_path / "w.pth", tensor_pickle(), {"0": RAW})
    patch_directory(path, "archive/data/0", 16, b"\0\0\0\0")
    assert "archive/data/0: the archive's headers and its directory disagree" in refusal(path)
    zip_file(path, tensor_pickle(), {"0": RAW})
    path.write_bytes(path.read_bytes().replace(RAW, RAW[:-1] + b"\1"))
    message = refusal(path)
    assert f"tensor w: archive/data/0: its checksum is wrong ({AGAIN})" in message
    zip_file(path, tensor_pickle(), {"0": RAW})
    patch_directory(path, "archive/data/0", 8, b"\1")
    assert "archive/data/0: the archive's headers and its directory disagree" in refusal(path)
    zip_file(path, tensor_pickle(), {"0": RAW}, byteorder=b"middle")
    assert "byte order" in refusal(path)


# --- what one list costs when the memo asks for it again and again -------------------------------


@pytest.mark.parametrize("fmt", FORMATS)
@pytest.mark.parametrize("ask", [b"ctorch\nSize\n(h\x00tR", b"ccollections\nOrderedDict\n(h\x00tR"])
def test_a_shared_list_is_not_copied_without_end(tmp_path, fmt, ask):
    item = b"](K\x01K\x02e" if b"Ordered" in ask else b"K\x01"
    body = b"\x80\x02}(X\x01\x00\x00\x00a](" + item * 20_000 + b"eq\x00"
    body += b"X\x01\x00\x00\x00b](" + ask * 2_000 + b"eu."
    path = tmp_path / "w.pth"
    (zip_file if fmt == "zip" else legacy_file)(path, body)
    message, peak = peak_of_refusal(path)
    assert ("copies over" in message or "damaged pickle" in message) and peak < 60e6


@pytest.mark.parametrize(("begin", "end"), [(b"(", b"t"), (b"](", b"e")], ids=["tuple", "list"])
def test_a_size_has_at_most_32_entries(begin, end):
    def read(count):
        items = begin + b"K\x03" * count + end
        return Machine().run(io.BytesIO(b"\x80\x02ctorch\nSize\n(" + items + b"tR."))

    assert read(32) == (3,) * 32
    with pytest.raises(WeightsError, match="damaged pickle"):
        read(33)


def machine_reads(body):
    return Machine().run(io.BytesIO(b"\x80\x02" + body))


def test_so_many_values_are_copied_and_not_one_more():
    def copy(count):  # 16 values each time; a list that is shared
        ask = b"ctorch\nSize\n(h\0tR"
        return b"](" + b"K\1" * 16 + b"eq\0](" + ask * (count // 16) + b"e."

    assert len(machine_reads(copy(MAX_COPIES))) == MAX_COPIES // 16
    with pytest.raises(WeightsError) as caught:
        machine_reads(copy(MAX_COPIES + 16))
    assert str(caught.value) == f"copies over 65,536 values in its pickle ({RESAVE})"


def test_the_greatest_numbers_of_a_pickle():
    """A key below 2^31, a size below 2^48; an entry of the memo may have a long number."""
    for key in ((1 << 31) - 1, 1 - (1 << 31)):
        assert machine_reads(b"}" + pickle.dumps(key, 2)[2:-1] + b"K\1s.") == {key: 1}
        beyond = key + (1 if key > 0 else -1)
        with pytest.raises(WeightsError, match="damaged pickle"):
            machine_reads(b"}" + pickle.dumps(beyond, 2)[2:-1] + b"K\1s.")
    assert machine_reads(tensor_pickle(numel=MAX_INT - 1)[2:])["w"].storage.numel == MAX_INT - 1
    with pytest.raises(WeightsError, match="damaged pickle"):
        machine_reads(tensor_pickle(numel=MAX_INT)[2:])
    assert machine_reads(b"K\7r\0\1\0\0j\0\1\0\0\x86.") == (7, 7)


PARAMETER = b"ctorch._utils\n_rebuild_parameter\n"
A_TENSOR = tensor_pickle()[9:-2]  # without the dict around it
ODD = {
    "a name in a module that is a number": b"K\1X\1\0\0\0x\x93.",
    "a name that is a number": b"X\1\0\0\0xK\1\x93.",
    "another thing than a storage": tensor_pickle().replace(b"storage", b"shelves"),
    "a storage with a number for a key": tensor_pickle().replace(b"X\1\0\0\x000", b"K\0"),
    "a parameter of two": PARAMETER + A_TENSOR + b"N\x86R.",
    "a parameter that is no tensor": PARAMETER + b"NNN\x87R.",
}


@pytest.mark.parametrize("what", ODD)
def test_what_is_sound_in_part(what):
    assert machine_reads(PARAMETER + A_TENSOR + b"NN\x87R.").shape == (2, 3)
    with pytest.raises(WeightsError, match="damaged pickle"):
        machine_reads(ODD[what])


def test_a_storage_is_held_once_beside_its_array(tmp_path):
    raw = bytes(1 << 22)
    zip_file(tmp_path / "w.pth", tensor_pickle((1 << 20,), (1,), numel=1 << 20), {"0": raw})
    tracemalloc.start()
    read_torch(tmp_path / "w.pth")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2.2 * len(raw)
    many = tensor_pickle((1,) * 32, (1,) * 32, numel=1 << 20)  # and as many axes as NumPy has
    assert read_torch(zip_file(tmp_path / "w.pth", many, {"0": raw}))["w"].ndim == 32


def test_what_may_be_a_file_of_torch():
    tar = bytes(257) + b"ustar" + bytes(250)
    assert is_torch(b"PK\3\4") and is_torch(b"\x80\x02") and is_torch(tar)
    assert not is_torch(bytes(512)) and not is_torch(b"") and not is_torch(b"PK")
    with pytest.raises(ConfigError, match=r"^start is a str"):
        is_torch("PK")


# --- damage of every kind ------------------------------------------------------------------------


def real_file(torch, path, fmt):
    tensors = state_dict(torch, {"conv.weight": (2, 3), "conv.bias": (2,)})
    checkpoint = {"epoch": 3, "model": tensors, "half": torch.ones(2).bfloat16()}
    return save(torch, checkpoint, path, fmt)


@pytest.mark.parametrize("fmt", FORMATS)
def test_every_truncation_is_an_error(torch, tmp_path, fmt):
    whole = real_file(torch, tmp_path / "whole.pth", fmt).read_bytes()
    path = tmp_path / "w.pth"
    for length in range(0, len(whole), 1 if fmt == "legacy" else 5):
        path.write_bytes(whole[:length])
        refusal(path)


def mutate(raw, rng):
    raw = bytearray(raw)
    for _ in range(rng.integers(1, 4)):
        i, j = sorted(rng.integers(0, len(raw), 2))
        kind = rng.integers(0, 4)
        if kind == 0:  # one other byte
            raw[i] = rng.integers(0, 256)
        elif kind == 1:  # one other bit
            raw[i] ^= 1 << rng.integers(0, 8)
        elif kind == 2:  # a piece copied elsewhere
            raw[j : j + 9] = raw[i : i + 9]
        else:  # a piece lost
            del raw[i : i + rng.integers(1, 9)]
    return bytes(raw)


@pytest.mark.parametrize("part", ["zip", "data.pkl", "legacy"])
def test_mutated_files_give_arrays_or_weights_errors(torch, tmp_path, part):
    original = real_file(torch, tmp_path / "whole.pth", "legacy" if part == "legacy" else "zip")
    rng = np.random.default_rng(7)
    with zipfile.ZipFile(original) if part == "data.pkl" else io.BytesIO() as archive:
        pickled = archive.read("whole/data.pkl") if part == "data.pkl" else b""
    path, outcomes = tmp_path / "w.pth", {"read": 0, "refused": 0}
    for _ in range(400):
        if part == "data.pkl":  # with a CRC that fits, so that the damage reaches the machine
            path = rewrite(original, {"data.pkl": mutate(pickled, rng)})
        else:
            path.write_bytes(mutate(original.read_bytes(), rng))
        try:
            arrays = read_torch(path)
            assert all(isinstance(array, np.ndarray) for array in arrays.values())
            outcomes["read"] += 1
        except WeightsError as error:
            assert str(error).startswith(str(path))
            outcomes["refused"] += 1
    assert min(outcomes.values()) > 0, outcomes
