"""Reads the weights in a TensorFlow Lite file (`.tflite`), as floats, without TensorFlow.

The file is a flatbuffer: a tree of tables that point at one another by offsets; the package
`tflite` knows its tables. A weight is whole numbers with one scale and one zero point,

    real = scale * (stored - zero point)

(Jacob et al. 2018, arXiv 1712.05877, equation 1). Nothing in the file is run, and nothing is
allocated that the file does not hold.
"""

import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ssd_np.errors import WeightsError
from ssd_np.files import as_path
from ssd_np.model.weights_file import Arrays, opened, plain

MAGIC = b"TFL3"
MAX_BYTES = 1 << 30
HINT = "expected the detect.tflite of coco_ssd_mobilenet_v1_1.0_quant_2018_06_29"
# what the flatbuffer's accessors raise when an offset leads out of the file
BROKEN = (struct.error, IndexError, ValueError, TypeError, AttributeError, OverflowError)


@dataclass(frozen=True)
class Tflite:
    """What is taken from a file: its first input, and all stored tensors by name, as float32.

    Full and pointwise kernels are (Co, kh, kw, C), depthwise ones (1, kh, kw, C), biases (Co,).
    """

    input_name: str
    input_shape: tuple[int, ...]
    arrays: Arrays


def read_tflite(path: str | Path) -> Tflite:
    """Reads a file without running anything of it.

    Raises WeightsError if the file is no TensorFlow Lite model, is damaged, or holds tensors of a
    type that quantised weights do not have.
    """
    with opened(path, HINT) as (file, size):
        if size > MAX_BYTES:
            raise WeightsError(f"has {size:,} bytes, more than any detector for a phone")
        data = file.read()
        if data[4:8] != MAGIC:
            raise WeightsError("is not a TensorFlow Lite file")
        tflite = _package()
        try:
            return _weights(tflite, data)
        except BROKEN as error:
            raise WeightsError(f"is damaged or cut off ({error})") from error


def _weights(tflite: Any, data: bytes) -> Tflite:
    model = tflite.Model.GetRootAsModel(data)
    graph = model.Subgraphs(_index(0, model.SubgraphsLength()))
    count, buffers = graph.TensorsLength(), model.BuffersLength()
    if 4 * max(count, buffers) > len(data):  # each has an offset of 4 bytes
        raise WeightsError(f"claims {count:,} tensors: it is damaged")
    for i in range(graph.OperatorsLength()):  # not run; a file that was cut off lacks the last ones
        model.OperatorCodes(_index(graph.Operators(i).OpcodeIndex(), model.OperatorCodesLength()))
    for i in range(model.OperatorCodesLength()):
        model.OperatorCodes(i).BuiltinCode()
    first = graph.Tensors(_index(graph.Inputs(_index(0, graph.InputsLength())), count))
    stored_bytes = 0
    found: Arrays = {}
    for i in range(count):
        tensor = graph.Tensors(i)
        stored = model.Buffers(_index(tensor.Buffer(), buffers)).DataAsNumpy()
        # a number where there is no data: a map between layers
        if isinstance(stored, np.ndarray) and _is_weight(tflite, tensor):
            name = _name(tensor)
            stored_bytes += stored.nbytes
            if name in found or stored_bytes > len(data):
                raise WeightsError("is in the file twice", plain(name))
            found[name] = _to_float(tflite, tensor, stored, plain(name))
    return Tflite(_name(first), _shape(first), found)


def _index(i: int, length: int) -> int:
    """`i`, inside a list of this length: the accessors do not look, and read what stands there."""
    if not 0 <= i < length:
        raise IndexError(f"item {i} of {length}")
    return i


def is_tflite(path: str | Path) -> bool:
    """By its ending, or by what stands in it."""
    path = as_path(path)
    if str(path).endswith(".tflite") or not os.path.isfile(path):
        return str(path).endswith(".tflite")
    with open(path, "rb") as file:
        return file.read(8)[4:] == MAGIC


def _package() -> Any:
    try:
        import tflite
    except ImportError as error:
        hint = 'pip install "ssd-np[tflite]"'
        raise WeightsError("needs the package that parses this format", hint=hint) from error
    return tflite


def _name(tensor: Any) -> str:
    return tensor.Name().decode(errors="replace")


def _shape(tensor: Any) -> tuple[int, ...]:
    return tuple(int(side) for side in np.atleast_1d(tensor.ShapeAsNumpy()))


def _is_weight(tflite: Any, tensor: Any) -> bool:
    """Whole numbers without a scale are no weights but the shapes that reshapes ask for."""
    rule = tensor.Quantization()
    return tensor.Type() == tflite.TensorType.FLOAT32 or (rule is not None and rule.ScaleLength())


def _to_float(tflite: Any, tensor: Any, stored: np.ndarray, where: str) -> np.ndarray:
    """The tensor's bytes as real numbers in its shape."""
    names = {"UINT8": "<u1", "INT8": "<i1", "INT32": "<i4", "FLOAT32": "<f4"}
    kinds = {getattr(tflite.TensorType, name): np.dtype(kind) for name, kind in names.items()}
    if tensor.Type() not in kinds:
        raise WeightsError(f"has the type number {tensor.Type()}", where)
    shape, kind = _shape(tensor), kinds[tensor.Type()]
    needed = kind.itemsize * int(np.prod(shape, dtype=object))
    if any(side < 0 for side in shape) or needed != stored.nbytes:
        raise WeightsError(f"has {stored.nbytes} bytes, its shape {shape} {needed}", where)
    values = stored.view(kind).reshape(shape)
    if kind.kind == "f":
        return values.astype(np.float32)
    rule = tensor.Quantization()
    if rule.ScaleLength() != 1 or rule.ZeroPointLength() != 1:
        raise WeightsError("has not one scale and one zero point", where)
    scale, zero = float(rule.Scale(0)), int(rule.ZeroPoint(0))
    return (scale * (values.astype(np.float64) - zero)).astype(np.float32)
