"""The reader of TensorFlow Lite files: what it reads, and each of its refusals word for word."""

import builtins
import struct
import sys

import numpy as np
import pytest

from ssd_np.errors import WeightsError
from ssd_np.model import tflite_file
from ssd_np.model.tflite_file import HINT, is_tflite, read_tflite

tflite = pytest.importorskip("tflite")
flatbuffers = pytest.importorskip("flatbuffers")
FLOAT32, FLOAT16, INT32, UINT8, INT8 = 0, 1, 2, 3, 9  # of the format's schema


def vector(builder, start, items, prepend):
    start(builder, len(items))
    for item in reversed(items):
        getattr(builder, prepend)(item)
    return builder.EndVector()


def tensor(name="w", kind=UINT8, shape=(2,), raw=b"\3\5", scales=(0.5,), zeros=(3,), buffer=None):
    """What `model` makes a tensor of. scales None: without a rule; buffer: another tensor's."""
    return name, kind, shape, raw, scales, zeros, buffer


INPUT = tensor("image", FLOAT32, (1, 4, 4, 3), None, None)


def model(*tensors, inputs=(0,), operators=()):
    """The bytes of a file with these tensors, the first of which is the network's input, and with
    operators of these codes, of which there is one."""
    b = flatbuffers.Builder(0)
    buffers, made = [], []
    for name, kind, shape, raw, scales, zeros, buffer in (INPUT, *tensors):
        data = None if raw is None else b.CreateByteVector(raw)
        tflite.BufferStart(b)
        if data is not None:
            tflite.BufferAddData(b, data)
        buffers.append(tflite.BufferEnd(b))
        rule = None
        if scales is not None:
            q = tflite.QuantizationParametersStartScaleVector
            scales = vector(b, q, scales, "PrependFloat32")
            q = tflite.QuantizationParametersStartZeroPointVector
            zeros = vector(b, q, zeros, "PrependInt64")
            tflite.QuantizationParametersStart(b)
            tflite.QuantizationParametersAddScale(b, scales)
            tflite.QuantizationParametersAddZeroPoint(b, zeros)
            rule = tflite.QuantizationParametersEnd(b)
        text = b.CreateString(name)
        sides = vector(b, tflite.TensorStartShapeVector, shape, "PrependInt32")
        tflite.TensorStart(b)
        tflite.TensorAddName(b, text)
        tflite.TensorAddShape(b, sides)
        tflite.TensorAddType(b, kind)
        tflite.TensorAddBuffer(b, len(buffers) - 1 if buffer is None else buffer)
        if rule is not None:
            tflite.TensorAddQuantization(b, rule)
        made.append(tflite.TensorEnd(b))
    made = vector(b, tflite.SubGraphStartTensorsVector, made, "PrependUOffsetTRelative")
    inputs = vector(b, tflite.SubGraphStartInputsVector, inputs, "PrependInt32")
    tflite.OperatorCodeStart(b)
    codes = [tflite.OperatorCodeEnd(b)]
    codes = vector(b, tflite.ModelStartOperatorCodesVector, codes, "PrependUOffsetTRelative")
    steps = []
    for code in operators:
        tflite.OperatorStart(b)
        tflite.OperatorAddOpcodeIndex(b, code)
        steps.append(tflite.OperatorEnd(b))
    steps = vector(b, tflite.SubGraphStartOperatorsVector, steps, "PrependUOffsetTRelative")
    tflite.SubGraphStart(b)
    tflite.SubGraphAddOperators(b, steps)
    tflite.SubGraphAddTensors(b, made)
    tflite.SubGraphAddInputs(b, inputs)
    graph = tflite.SubGraphEnd(b)
    graphs = vector(b, tflite.ModelStartSubgraphsVector, [graph], "PrependUOffsetTRelative")
    buffers = vector(b, tflite.ModelStartBuffersVector, buffers, "PrependUOffsetTRelative")
    tflite.ModelStart(b)
    tflite.ModelAddOperatorCodes(b, codes)
    tflite.ModelAddSubgraphs(b, graphs)
    tflite.ModelAddBuffers(b, buffers)
    b.Finish(tflite.ModelEnd(b), b"TFL3")
    return bytes(b.Output())


def claiming(count):
    """A file whose list of tensors says that it is this long."""
    whole = model(tensor())
    graph = tflite.Model.GetRootAsModel(whole, 0).Subgraphs(0)
    length = graph._tab.Vector(graph._tab.Offset(4)) - 4  # of the vector `tensors`
    return whole[:length] + struct.pack("<I", count) + whole[length + 4 :]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "w.tflite"


def read(path, content):
    path.write_bytes(content)
    return read_tflite(path)


@pytest.mark.parametrize(
    "one, expected",
    [  # real = scale * (stored - zero point), worked out by hand
        (tensor(), [0.0, 1.0]),
        (tensor(kind=INT8, raw=b"\xfe\x04", zeros=(-1,)), [-0.5, 2.5]),
        (tensor(kind=INT32, raw=struct.pack("<2i", -70000, 70001)), [-35001.5, 34999.0]),
        (tensor(kind=FLOAT32, raw=struct.pack("<2f", 0.25, -3)), [0.25, -3.0]),
        (tensor(kind=FLOAT32, raw=struct.pack("<2f", 0.25, -3), scales=None), [0.25, -3.0]),
        (tensor(shape=(0,), raw=b""), []),
        (tensor(kind=FLOAT32, shape=(), raw=struct.pack("<f", 7), scales=None), 7.0),
    ],
)
def test_a_tensor_as_real_numbers(path, one, expected):
    found = read(path, model(one))
    assert (found.input_name, found.input_shape) == ("image", (1, 4, 4, 3))
    assert list(found.arrays) == ["w"] and found.arrays["w"].dtype == np.float32
    assert found.arrays["w"].tolist() == expected


def test_operators_are_looked_at_and_not_run(path):
    assert list(read(path, model(tensor(), operators=(0, 0))).arrays) == ["w"]


def test_maps_and_wished_shapes_are_no_weights(path):
    """A tensor without bytes is a map between layers; whole numbers without a scale are shapes."""
    no_scale = tensor("shape", INT32, (2,), bytes(8), (), ())
    no_rule = tensor("other", INT32, (2,), bytes(8), None)
    found = read(path, model(tensor("map", raw=None), no_scale, no_rule, tensor("b", shape=(1, 2))))
    assert list(found.arrays) == ["b"] and found.arrays["b"].shape == (1, 2)


def test_a_name_that_is_no_text(path):
    found = read(path, model(tensor(b"w\xff")))
    assert list(found.arrays) == ["w\N{REPLACEMENT CHARACTER}"]


def test_no_more_tensors_and_bytes_than_the_file_has(path):
    """At each limit the file is read, one beyond it is refused (above)."""
    most = len(model(tensor())) // 4
    with pytest.raises(WeightsError, match=f"claims {most + 1} tensors: it is damaged"):
        read(path, claiming(most + 1))
    with pytest.raises(WeightsError, match="is damaged or cut off"):  # further on
        read(path, claiming(most))

    def shared(size):
        return model(tensor("w1", raw=bytes(size), shape=(size,)),
                     tensor("w2", shape=(size,), buffer=1))  # fmt: skip

    sizes = [size for size in range(100, 1000) if len(shared(size)) == 2 * size]
    assert sizes and list(read(path, shared(sizes[0])).arrays) == ["w1", "w2"]


REFUSED = {
    "the type": (model(tensor(kind=FLOAT16)), ": w: has the type number 1"),
    "too few bytes": (model(tensor(shape=(3,))), ": w: has 2 bytes, its shape (3,) 3"),
    "too many bytes": (model(tensor(kind=INT32, shape=(1,), raw=bytes(8))),
                       ": w: has 8 bytes, its shape (1,) 4"),
    "a negative shape": (model(tensor(shape=(-1, -2))), ": w: has 2 bytes, its shape (-1, -2) 2"),
    "beyond 64 bits": (model(tensor(shape=(2**31 - 1,) * 3)),
                       f": w: has 2 bytes, its shape {(2**31 - 1,) * 3} {(2**31 - 1) ** 3}"),
    "a scale a channel": (model(tensor(scales=(0.5, 0.5), zeros=(3, 3))),
                          ": w: has not one scale and one zero point"),
    "two scales": (model(tensor(scales=(0.5, 0.5))), ": w: has not one scale and one zero point"),
    "no zero point": (model(tensor(zeros=())), ": w: has not one scale and one zero point"),
    "one name twice": (model(tensor(), tensor()), ": w: is in the file twice"),
    "bytes twice": (model(tensor("w1", raw=bytes(5000), shape=(5000,)),
                          tensor("w2", shape=(5000,), buffer=1)), ": w2: is in the file twice"),
    "a name to read aloud": (model(tensor("a\x1b\n" + "b" * 200, kind=FLOAT16)),
                             ": a\\x1b\\n" + "b" * 117 + ": has the type number 1"),
    "a long list": (claiming(1000), ": claims 1,000 tensors: it is damaged"),
    "another input": (model(tensor(), inputs=(2,)), ": is damaged or cut off (item 2 of 2)"),
    "an input before the first": (model(inputs=(-1,)), ": is damaged or cut off (item -1 of 1)"),
    "no input": (model(inputs=()), ": is damaged or cut off (item 0 of 0)"),
    "another operator": (model(operators=(0, 1)), ": is damaged or cut off (item 1 of 1)"),
    "another buffer": (model(tensor(buffer=2)), ": is damaged or cut off (item 2 of 2)"),
    "something else": (b"\x00\x00\x00\x00TFL2", ": is not a TensorFlow Lite file"),
    "empty": (b"", ": is not a TensorFlow Lite file"),
    "its beginning": (model(tensor())[:40], ": is damaged or cut off (unpack_from requires a "
                      "buffer of at least 56 bytes for unpacking 4 bytes at offset 52 (actual "
                      "buffer size is 40))"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_a_refusal_word_for_word(name, path):
    content, message = REFUSED[name]
    with pytest.raises(WeightsError) as refused:
        read(path, content)
    assert str(refused.value) == f"{path}{message} ({HINT})"


def test_files_that_can_not_be_read(tmp_path, monkeypatch):
    (tmp_path / "folder").mkdir()
    (tmp_path / "large").write_bytes(model(tensor()))
    monkeypatch.setattr(tflite_file, "MAX_BYTES", len(model(tensor())))
    assert read_tflite(tmp_path / "large").arrays
    monkeypatch.setattr(tflite_file, "MAX_BYTES", 100)
    for name, said in (("none", f"no such file ({HINT})"), ("folder", f"is not a file ({HINT})"),
                       ("large", f"has 312 bytes, more than any detector for a phone ({HINT})"),
                       ("\0", f"no such file ({HINT})")):  # fmt: skip
        with pytest.raises(WeightsError) as refused:
            read_tflite(tmp_path / name)
        assert str(refused.value) == f"{tmp_path / name}: {said}"

    def denied(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(builtins, "open", denied)
    with pytest.raises(WeightsError) as refused:
        read_tflite(tmp_path / "large")
    denial = "can not be read: [Errno 13] Permission denied"
    assert str(refused.value) == f"{tmp_path / 'large'}: {denial}"


def test_without_the_package(path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tflite", None)
    with pytest.raises(WeightsError) as refused:
        read(path, model(tensor()))
    says = 'needs the package that parses this format (pip install "ssd-np[tflite]")'
    assert str(refused.value) == f"{path}: {says}"


def test_known_by_its_ending_or_by_what_stands_in_it(tmp_path):
    assert is_tflite("nowhere.tflite") and not is_tflite("nowhere.npz")
    assert not is_tflite(tmp_path)
    for content, known in ((b"\0\0\0\0TFL3 and more", True), (b"TFL3", False), (b"", False)):
        (tmp_path / "w.bin").write_bytes(content)
        assert is_tflite(tmp_path / "w.bin") is known
    (tmp_path / "w.tflite").write_bytes(b"")
    assert is_tflite(tmp_path / "w.tflite")
