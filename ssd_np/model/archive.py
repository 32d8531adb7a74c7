"""Named arrays with a JSON header in one `.npz` file, written atomically, checked when read.

The header carries a format version and the SHA-256 of all arrays, so that a damaged or foreign file
is refused with what is wrong. Pickles are never read: a weights file can not run code.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy

from ssd_np.errors import WeightsError
from ssd_np.files import write_atomically

FORMAT = 1
HEADER = "header.json"


def write_archive(path: str | Path, header: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
    """Writes `arrays` and a JSON-able `header`, or raises OutputError and keeps the old file."""
    arrays = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    header = {"format": FORMAT, "sha256": _digest(arrays), **header}
    buffer = io.BytesIO()
    text = np.frombuffer(json.dumps(header).encode("utf-8"), np.uint8)
    np.savez(buffer, **{HEADER: text}, **arrays)
    write_atomically(path, buffer.getvalue())


def read_archive(path: str | Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Header and arrays; raises WeightsError for anything that `write_archive` did not write."""
    where, arrays = str(path), read_arrays(path)
    try:
        header = json.loads(arrays.pop(HEADER).tobytes().decode("utf-8"))
        version, digest = header["format"], header["sha256"]
    except KeyError as error:
        raise WeightsError(
            f"has no {error.args[0]!r}: not a file of this package",
            where=where,
            hint="a published .pth becomes one with `ssd-np import`",
        ) from error
    except Exception as error:  # the header and JSON readers raise many kinds
        raise WeightsError(f"has a damaged header ({error})", where=where) from error
    if version != FORMAT:
        raise WeightsError(
            f"has format {version!r}, this version reads {FORMAT}",
            where=where,
            hint="read it with the version of ssd_np that wrote it",
        )
    if digest != _digest(arrays):
        raise WeightsError(
            "checksum does not match: the file was changed or damaged",
            where=where,
            hint="take another copy",
        )
    return header, arrays


def read_arrays(path: str | Path) -> dict[str, np.ndarray]:
    """All arrays of an uncompressed `.npz` file, whoever wrote it; raises WeightsError.

    Nothing is allocated before it is known to lie in the file: `numpy.load` would believe what an
    array's header says. Nothing is unpacked to the disk, so a member's name can lead nowhere.
    """
    try:
        if not Path(path).is_file():  # a device or a pipe has no size to check against
            what = "is not a file" if Path(path).exists() else "no such file"
            raise WeightsError(what, where=str(path))
        with zipfile.ZipFile(path) as archive:
            members = _members(archive, Path(path).stat().st_size)
            return {name: _array(archive.read(member)) for name, member in members.items()}
    except WeightsError:
        raise
    except Exception as error:  # zip, struct, NumPy's and Python's parsers raise many kinds
        raise WeightsError(
            f"damaged or not an .npz file ({error})",
            where=str(path),
            hint="a published .pth becomes one with `ssd-np import`",
        ) from error


def _members(archive: zipfile.ZipFile, size: int) -> dict[str, zipfile.ZipInfo]:
    """The members by array name; stored as they are, they claim no more than the file holds."""
    claimed = sum(member.file_size for member in archive.infolist())
    if claimed > size:
        raise ValueError(f"claims {claimed} bytes, is {size} long")
    members: dict[str, zipfile.ZipInfo] = {}
    for member in archive.infolist():
        name = member.filename.removesuffix(".npy")
        if member.compress_type != zipfile.ZIP_STORED:
            raise ValueError(f"{name!r} is compressed; numpy.savez writes what is read here")
        if name in members:
            raise ValueError(f"{name!r} occurs twice")
        members[name] = member
    return members


def _array(raw: bytes) -> np.ndarray:
    """The array in the bytes of a `.npy` file, whose header must tell their number exactly."""
    stream = io.BytesIO(raw)
    readers = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
    version = npy.read_magic(stream)
    if version not in readers:
        raise ValueError(f"an array of .npy version {version}")
    shape, fortran_order, dtype = readers[version](stream)
    if dtype.kind not in "biuf":
        raise ValueError(f"an array of type {dtype}")  # an object would be a pickle
    # Python's product, which does not overflow
    if min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize != len(raw) - stream.tell():
        raise ValueError(f"an array {shape} {dtype} in {len(raw)} bytes")
    flat = np.frombuffer(raw, dtype, offset=stream.tell()).copy()  # (count,), to be written to
    return flat.reshape(shape, order="F" if fortran_order else "C")


def _digest(arrays: dict[str, np.ndarray]) -> str:
    """SHA-256 over names, types, shapes and values, in order of the names."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(np.ascontiguousarray(array).data if array.size else b"")
    return digest.hexdigest()
