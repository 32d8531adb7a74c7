"""Named arrays with a JSON header in one `.npz` file, written atomically, checked when read.

The header carries a format version and the SHA-256 of all arrays, so that a damaged or foreign file
is refused with what is wrong. Pickles are never read: a weights file can not run code.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

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
            hint="`ssd-np import` makes one of a published file",
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
    """All arrays of an uncompressed `.npz` file, whoever wrote it; raises WeightsError."""
    try:
        _check_sizes(path)
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except FileNotFoundError as error:
        raise WeightsError("no such file", where=str(path)) from error
    except Exception as error:  # zip, zlib and struct raise many kinds
        raise WeightsError(f"damaged or not an .npz file ({error})", where=str(path)) from error


def _digest(arrays: dict[str, np.ndarray]) -> str:
    """SHA-256 over names, types, shapes and values, in order of the names."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(np.ascontiguousarray(array).data if array.size else b"")
    return digest.hexdigest()


def _check_sizes(path: str | Path) -> None:
    """Archives are stored uncompressed: members that claim more than the file holds are refused."""
    size = Path(path).stat().st_size
    with zipfile.ZipFile(path) as archive:
        claimed = sum(member.file_size for member in archive.infolist())
    if claimed > size:
        raise ValueError(f"claims {claimed} bytes, is {size} long")
