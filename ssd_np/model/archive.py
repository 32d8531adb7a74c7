"""Named arrays with a JSON header in one `.npz` file, written atomically, checked when read.

The header carries a format version and the SHA-256 of all arrays, so that a damaged or foreign file
is refused with what is wrong. Pickles are never read: a weights file can not run code.
"""

import hashlib
import json
import math
import re
import zipfile
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.lib import format as npy

from ssd_np.checks import check_kind
from ssd_np.errors import WeightsError
from ssd_np.files import write_atomically
from ssd_np.model.eight_bits import in_eight_bits, in_full
from ssd_np.model.weights_file import Arrays, opened, plain
from ssd_np.model.zip_file import StoredZip

FORMAT = 1
HEADER = "header.json"
MAX_ARRAY_HEADER = 1 << 12  # bytes; NumPy writes about 120
MAX_JSON = 4 << 20  # bytes of the header: a config of thousands of layers
MAX_DIMS = 32  # NumPy 1's limit
# not by NumPy's own reader, which runs Python's parser on whatever the file says
NPY = re.compile(
    rb"\x93NUMPY(?P<version>[\1\2])\0.{2}(?:\0\0)?\{'descr': '(?P<type>[<>|][biuf]\d)', "
    rb"'fortran_order': (?P<fortran>True|False), 'shape': \((?P<shape>(?:\d{1,18}, ?)*"
    rb"(?:\d{1,18})?)\), \} *\n",
    re.DOTALL,
)


def write_archive(
    path: str | Path,
    header: dict[str, Any],
    arrays: Arrays,
    make_folder: bool = True,
    eight_bits: bool = False,
) -> None:
    """Writes `arrays` and a JSON-able `header`, or raises OutputError and keeps the old file.

    With `eight_bits` kernels take a quarter of the room (`eight_bits.py`), and come back float32.
    """
    check_kind(header, dict, "header")
    check_kind(arrays, dict, "arrays")
    arrays = in_eight_bits(arrays) if eight_bits else arrays
    arrays = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    header = {"format": FORMAT, "sha256": _digest(arrays), **header}
    text = np.frombuffer(json.dumps(header).encode(), np.uint8)
    write_npz(path, {HEADER: text, **arrays}, make_folder=make_folder)


def write_npz(
    path: str | Path, arrays: Arrays, comment: bytes = b"", make_folder: bool = True
) -> None:
    """What `numpy.savez` writes of C-contiguous arrays, straight from their memory to the file."""
    check_kind(arrays, dict, "arrays")
    check_kind(comment, bytes, "comment")

    def fill(file: BinaryIO) -> None:
        with zipfile.ZipFile(file, "w") as archive:
            archive.comment = comment
            for name, array in arrays.items():
                with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                    npy.write_array_header_1_0(member, npy.header_data_from_array_1_0(array))
                    member.write(array.ravel().view(np.uint8).data)

    write_atomically(path, fill, make_folder)


def read_archive(path: str | Path) -> tuple[dict[str, Any], Arrays]:
    """Header and arrays; raises WeightsError for anything that `write_archive` did not write."""
    where, arrays = str(path), read_arrays(path)
    try:
        text = arrays.pop(HEADER)
        if text.nbytes > MAX_JSON:
            raise WeightsError(f"its header has {text.nbytes:,} bytes", where)
        header = json.loads(text.tobytes().decode())
        version, digest = header["format"], header["sha256"]
    except KeyError as error:
        what = f"has no {error.args[0]!r}: not a file of this package"
        hint = "a published .pth becomes one with `ssd-np import`"
        raise WeightsError(what, where, hint) from error
    except (ValueError, TypeError, RecursionError) as error:  # ValueError: JSON and UTF-8 too
        raise WeightsError(f"has a damaged header ({error})", where=where) from error
    if version != FORMAT:
        hint = "read it with the version of ssd_np that wrote it"
        raise WeightsError(f"has format {version!r}, this version reads {FORMAT}", where, hint)
    if digest != _digest(arrays):
        hint = "take another copy"
        raise WeightsError("checksum does not match: the file was changed or damaged", where, hint)
    return header, in_full(arrays, where)


def read_arrays(path: str | Path) -> Arrays:
    """All arrays of an uncompressed `.npz` file, whoever wrote it; raises WeightsError."""
    return read_arrays_and_comment(path)[0]


def read_arrays_and_comment(path: str | Path) -> tuple[Arrays, bytes]:
    """The same, and the comment at the archive's end.

    Nothing is allocated before it is known to lie in the file: `numpy.load` would believe what an
    array's header says. Nothing is unpacked to the disk, so a member's name can lead nowhere.
    """
    arrays: Arrays = {}
    with opened(path, "a published .pth becomes one with `ssd-np import`") as (file, size):
        _check_not_published(file.read(8))
        archive = StoredZip(file, size)
        for member in archive.members.values():
            name = member.name.removesuffix(".npy")
            if name in arrays:
                raise WeightsError("appears twice in the archive", plain(name))
            arrays[name] = _array(archive.read(member), plain(name))
    return arrays, archive.comment


def _check_not_published(start: bytes) -> None:
    """Says of a good file that it is another program's, and not that it is a damaged archive."""
    programs = {"PyTorch": start.startswith(b"\x80"), "TensorFlow Lite": start[4:] == b"TFL3"}
    for program in (name for name, its in programs.items() if its):
        hint = "`ssd-np import` makes a weights file of a published one"
        raise WeightsError(f"is a file of {program}", hint=hint)


def _array(raw: bytearray, where: str) -> np.ndarray:
    """The array in the bytes of a `.npy` file, whose header must tell their number exactly."""
    found = NPY.match(raw[:MAX_ARRAY_HEADER])
    if found is None:
        raise WeightsError("is no array of plain numbers as NumPy writes it", where)
    start = found.end()
    begin = {b"\1": 10, b"\2": 12}[found["version"]]  # of the header, behind its length
    if begin + int.from_bytes(raw[8:begin], "little") != start:
        raise WeightsError("has a damaged array header", where)
    shape = tuple(int(side) for side in re.findall(rb"\d+", found["shape"]))
    try:
        dtype = np.dtype(found["type"].decode())
    except TypeError as error:  # such as "f3"
        raise WeightsError("has a damaged array header", where) from error
    # Python's product, which does not overflow; max, for NumPy's limit holds for empty arrays too
    count, least = math.prod(shape), math.prod(max(1, side) for side in shape)
    too_large = len(shape) > MAX_DIMS or least * dtype.itemsize >= 1 << 62
    if too_large or count * dtype.itemsize != len(raw) - start:
        raise WeightsError(f"is an array {shape} {dtype} in {len(raw)} bytes", where)
    flat = np.frombuffer(raw, dtype, offset=start)  # (count,)
    return flat.reshape(shape, order="F" if found["fortran"] == b"True" else "C")


def _digest(arrays: Arrays) -> str:
    """SHA-256 over names, types, shapes and values, in order of the names."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()
