"""What is written, and what never is: one rule for every command and every file.

Before any work, `check_outputs` holds what a command is to write against what it is to read:

* an output that is an input, by whatever path or link, is refused, and a folder that holds one;
* what exists is refused without `--force`: a file, a folder with something in it;
* what lies in a data set that is read is never replaced, `--force` or not.

`free_folder` finds the next free name where the user gave none. `write_atomically` is the
place that writes: the bytes go to a temporary file in the same folder, are flushed to the disk, and
only then take the file's name. Whoever reads finds the old file or the new one. `append` is for the
one file that grows, a log.
"""

import contextlib
import itertools
import json
import math
import os
import re
import sys
import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from ssd_np.errors import ConfigError, OutputError


@dataclass(frozen=True)
class Plan:
    """What a command is going to read and to write.

    reads    files that it reads
    trees    folders that it reads with all that is in them: data sets
    files    files that it writes
    folders  folders that it writes to, each with the names of the files it writes there
    """

    reads: Sequence[Path] = ()
    trees: Sequence[Path] = ()
    files: Sequence[Path] = ()
    folders: Sequence[tuple[Path, Sequence[str]]] = ()


def check_outputs(plan: Plan, force: bool) -> None:
    """Raises OutputError where the rule at the top of this page is broken; touches nothing."""
    for file in plan.files:
        _check_file(file, plan, force)
    for folder, _ in plan.folders:
        _check_folder(folder, plan, force)
    places = [*plan.files, *(folder / name for folder, names in plan.folders for name in names)]
    places += [folder for folder, _ in plan.folders]
    for one, other in itertools.combinations(map(os.path.realpath, places), 2):
        if one == other:
            raise OutputError("two results would be written to one place", where=one)


def _check_file(file: Path, plan: Plan, force: bool) -> None:
    _check_way(file)
    if os.path.isdir(file):
        raise OutputError("is a folder, a file is to be written", where=str(file))
    for read in plan.reads:
        if _same(file, read):
            raise _would_destroy(file, f"is what is read ({read})")
    if os.path.lexists(file):
        _refuse_inside(plan.trees, file)
        if not force:
            hint = "choose another name, or --force"
            raise OutputError("exists already", where=str(file), hint=hint)


def _check_folder(folder: Path, plan: Plan, force: bool) -> None:
    _check_way(folder)
    if not os.path.isdir(folder):
        if os.path.lexists(folder):
            raise OutputError("is a file, a folder is to be written to", where=str(folder))
        return
    for read in plan.reads:
        if _same(folder, read.parent) or _same(folder, Path(os.path.realpath(read)).parent):
            raise _would_destroy(folder, f"holds what is read ({read})")
    for tree in plan.trees:
        if _same(folder, tree):
            raise _would_destroy(folder, "is the data that is read")
    if not _is_empty(folder):
        _refuse_inside(plan.trees, folder)
        if not force:
            hint = "choose another --out, or --force"
            raise OutputError("is not empty", where=str(folder), hint=hint)


def _refuse_inside(trees: Iterable[Path], output: Path) -> None:
    real = Path(os.path.realpath(output))
    for tree in trees:
        if Path(os.path.realpath(tree)) in real.parents:
            raise _would_destroy(output, f"exists and lies in the data that is read ({tree})")


def _would_destroy(output: Path, what: str) -> OutputError:
    return OutputError(what, where=str(output), hint="choose another; --force does not help")


def _check_way(path: Path) -> None:
    """The folders above must be folders, as far as they are there."""
    if not _may_be_named(path):
        raise OutputError("is no name of a file", where=ascii(str(path))[1:-1])
    above = next((p for p in path.absolute().parents if os.path.lexists(p)), None)
    if above is not None and not os.path.isdir(above):
        raise OutputError(f"can not be written: {above} is a file", where=str(path))


def _same(a: Path, b: Path) -> bool:
    """Whether two paths lead to one file or folder, through links too."""
    try:
        return os.path.samefile(a, b)
    except (OSError, ValueError):  # one is not there
        return False


def free_folder(name: str | Path) -> Path:
    """NAME, or NAME-2, NAME-3, ...: the first that is not there, or is there and empty."""
    path = Path(name)
    candidates = (
        path if k == 1 else path.with_name(f"{path.name}-{k}") for k in itertools.count(1)
    )
    return next(p for p in candidates if not os.path.lexists(p) or _is_empty(p))


def _is_empty(folder: Path) -> bool:
    return os.path.isdir(folder) and not any(os.scandir(folder))


def remove_files(folder: Path, names: Iterable[str]) -> None:
    """Takes away what an earlier run wrote, so that nothing of it stands beside the new results."""
    for path in (Path(folder) / name for name in names):
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise OutputError(f"can not be removed: {error}", where=str(path)) from error


def make_folder(folder: Path) -> None:
    """And those above it; OutputError if it can not be made."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        what = f"can not be made: {error.strerror or error}"
        raise OutputError(what, str(folder), "check the folder above it") from error


def as_path(path: object) -> Path:
    """A path, from a text or a Path; ConfigError for what is none. Whether it exists, and may have
    such a name, says who opens it."""
    if not isinstance(path, str | os.PathLike) or isinstance(os.fspath(path), bytes):
        raise ConfigError(f"a path is expected, not {str(path)[:80]!r}")
    return path if isinstance(path, Path) else Path(path)


def _may_be_named(path: Path) -> bool:
    """Whether a file may have this name at all: any bytes but 0, and no half of a character."""
    try:
        return b"\0" not in os.fsencode(path)
    except UnicodeEncodeError:
        return False


def write_atomically(
    path: str | Path, content: bytes | str | Callable[[BinaryIO], object], make_folder: bool = True
) -> None:
    """Replaces the file at `path` by `content`, or raises OutputError and leaves it as it was.

    What is too large to be put together first, a function writes to the file that it is given.
    Without `make_folder` a folder that is gone stays gone: with one file alone it would look whole.
    """
    path = as_path(path)
    if not path.name or not _may_be_named(path):
        raise OutputError("is no name of a file", where=ascii(str(path))[1:-1])
    content = content.encode("utf-8") if isinstance(content, str) else content
    temporary = path.with_name(f".{_start_of(path.name)}.{uuid.uuid4().hex}")
    try:
        if make_folder:
            path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "xb") as file:
            if callable(content):
                content(file)
            else:
                file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        what = f"can not be written: {error.strerror or error}"
        hint = "what was there before is untouched; check the folder and the free space"
        raise OutputError(what, str(path), hint) from error
    finally:
        with contextlib.suppress(OSError):
            os.unlink(temporary)  # already renamed when all went well


def json_text(values: Any, indent: int | None = 2) -> str:
    """Plain values as JSON, which has no word for NaN and infinity: they become null."""

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: plain(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [plain(item) for item in value]
        return None if isinstance(value, float) and not math.isfinite(value) else value

    return json.dumps(plain(values), indent=indent, allow_nan=False)


def _start_of(name: str) -> str:
    """As much of a name as may stand in that of its temporary file, which systems limit too."""
    return os.fsencode(name)[:180].decode(sys.getfilesystemencoding(), "ignore")


def append(path: str | Path, length: int, text: str) -> int:
    """Puts `text` behind the first `length` bytes of a file and returns its new length.

    What stood there, the rest of a write that was broken off, is cut off. The text is on the disk
    when this returns; before, and if it raises OutputError, the first `length` bytes are whole.
    """
    content = text.encode("utf-8")
    try:
        with open(path, "r+b" if length else "wb") as file:
            file.seek(length)
            file.truncate()
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        what = f"can not be written: {error.strerror or error}"
        raise OutputError(what, str(path), "check the folder and the free space") from error
    return length + len(content)


def remove_leftovers(folder: Path) -> None:
    """Takes away the temporary files of a process that was killed while it wrote to `folder`."""
    for path in folder.glob(".*"):
        if re.fullmatch(r"\..+\.[0-9a-f]{32}", path.name):
            with contextlib.suppress(OSError):
                path.unlink()
