"""Writing files so that nothing is ever half-written.

The bytes go to a temporary file in the same folder, are flushed to the disk, and only then take the
file's name. Whoever reads finds the old file or the new one; a full disk leaves the old one.
"""

import contextlib
import os
import re
import uuid
from pathlib import Path

from ssd_np.errors import OutputError


def write_atomically(path: str | Path, content: bytes | str) -> None:
    """Replaces the file at `path` by `content`, or raises OutputError and leaves it as it was."""
    path = Path(path)
    content = content.encode("utf-8") if isinstance(content, str) else content
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise OutputError(
            f"can not be written: {error.strerror or error}",
            where=str(path),
            hint="what was there before is untouched; check the folder and the free space",
        ) from error
    finally:
        with contextlib.suppress(OSError):
            os.unlink(temporary)  # already renamed when all went well


def remove_leftovers(folder: Path) -> None:
    """Takes away the temporary files of a process that was killed while it wrote to `folder`."""
    for path in folder.glob(".*"):
        if re.fullmatch(r"\..+\.[0-9a-f]{32}", path.name):
            with contextlib.suppress(OSError):
                path.unlink()
