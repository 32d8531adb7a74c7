"""The files of a data set, which a stranger may have written: which are opened, where names lead.

Only regular files are read, and no more of them than a limit: a pipe would block for ever, a device
never ends. A *name in a file* (COCO's file_name, the ids of a VOC list, a CSV's first column) leads
to files below the data's folder and nowhere else, for it may come from anywhere. Links are
followed: whoever placed one in the folder is whoever can read the folder. What the user names, on
the command line or in a `data.yaml`, which says where the data are, may lie anywhere.
"""

import json
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ssd_np.errors import DataError
from ssd_np.signatures import checked

MIB = 2**20
RECORD = 16 * MIB  # the annotation of one image
LISTING = 1024 * MIB  # the annotations, or the names, of a whole data set
PICTURE = 512 * MIB


def check_regular(path: str | Path, what: str, limit: int) -> int:
    """The bytes of a file. DataError if none is there, if it is a pipe or a device, or beyond the
    limit of bytes."""
    try:
        found = os.stat(path)
    except (OSError, ValueError) as error:  # ValueError: a name with a zero byte
        raise DataError(f"no such {what}", where=str(path)) from error
    if stat.S_ISDIR(found.st_mode):
        raise DataError(f"no such {what}", str(path), "it is a folder")
    if not stat.S_ISREG(found.st_mode):
        raise DataError(f"is no regular file, so it is not read as {what}", where=str(path))
    if found.st_size > limit:
        size = f"{found.st_size / MIB:,.0f} MiB"
        raise DataError(f"is too large: {size}", str(path), f"{what}: at most {limit // MIB} MiB")
    return found.st_size


def read_bytes(path: Path, what: str, limit: int = RECORD) -> bytes:
    """What is in a regular file. `what` it should be stands in the message of a DataError."""
    size = check_regular(path, what, limit)
    try:
        with open(path, "rb") as file:
            return file.read(size)  # of the limit's bytes Python would ask the system first
    except OSError as error:
        raise DataError(f"{what} can not be read: {error}", where=str(path)) from error


def read_text(path: Path, what: str, limit: int = RECORD) -> str:
    """The same, as text in UTF-8."""
    try:
        return read_bytes(path, what, limit).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{what} is not in UTF-8: {error}", where=str(path)) from error


@checked
def read_json(
    path: Path, what: str, limit: int = RECORD, hook: Callable[[dict], object] | None = None
) -> Any:
    """The values in a JSON file; each object goes through the `hook`."""
    text = read_text(path, what, limit)
    try:
        return json.loads(text, object_hook=hook)
    except (ValueError, RecursionError) as error:
        raise DataError(f"not a readable JSON file: {error}", where=str(path)) from error


def below(folder: Path, name: str, where: str) -> Path:
    """The file of this name in a folder; DataError if the name leads out of it."""
    inner = Path(os.path.normpath(name))
    if inner.anchor or inner.parts[:1] == (os.pardir,):  # an anchor is a drive, a root, or both
        hint = "names in a file of annotations lead to files below its data's folder"
        raise DataError(f"{name!r} leads out of the folder {folder}", where, hint)
    return folder / inner
