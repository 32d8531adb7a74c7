"""Whether the images of a data set can be decoded, found out before they are needed.

A header says nothing of a file that was cut off: its turn might come after hours. So every image is
decoded once. That it could be is remembered, by the file's place, size and time of change, in
`ssd_np/decoded.txt` of the user's cache folder (XDG_CACHE_HOME, else ~/.cache), for the next time.

A JPEG is decoded at an eighth of its sides: the decoder reads every bit, as it would for the whole,
and computes fewer pixels of them.
"""

import contextlib
import hashlib
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from ssd_np.data.image import read_image
from ssd_np.errors import ConfigError, DataError, OutputError
from ssd_np.files import write_atomically
from ssd_np.progress import Progress

ANY = 1  # pixel: every JPEG has as many, see `read_image`
REMEMBERED = 2_000_000  # images at most; then it begins anew
THREADS = 2  # Pillow decodes without holding the interpreter


def undecodable(
    files: Sequence[Path], names: Sequence[str] = (), reads: Sequence[Callable[[], object]] = ()
) -> dict[int, str]:
    """Which of the images can not be decoded, by their position, and why.

    Of images in archives, `names` are those inside the files, and `reads` read them.
    """
    if len(names) not in (0, len(files)) or len(reads) not in (0, len(files)):
        what = f"{len(names)} names and {len(reads)} reads for {len(files)} files"
        raise ConfigError(what, hint="one for each, or none at all")
    keys = [_key(file, name) for file, name in zip(files, names or [""] * len(files), strict=True)]
    reads = reads or [partial(read_image, file, large=ANY) for file in files]
    known = _remembered()
    new = [i for i, key in enumerate(keys) if key not in known]
    if not new:
        return {}
    faults = {}
    bar = Progress(len(new), "decode", "image", leave=False)
    with bar, ThreadPoolExecutor(THREADS) as pool:
        for i, fault in zip(new, pool.map(_fault, (reads[i] for i in new)), strict=True):
            bar.update()
            if fault:
                faults[i] = fault
    _remember(known, {key for i in new if i not in faults and (key := keys[i])})
    return faults


def _fault(read: Callable[[], object]) -> str:
    try:
        read()
    except DataError as error:
        return error.what
    return ""


def _key(file: Path, name: str) -> str:
    """What an image is known by; nothing for a file that is not there, which is not remembered."""
    try:
        found = os.stat(file)
    except OSError:
        return ""
    text = f"{os.path.realpath(file)}\0{found.st_size}\0{found.st_mtime_ns}\0{name}"
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:32]


def _memory() -> Path:
    cache = os.environ.get("XDG_CACHE_HOME") or Path(os.path.expanduser("~"), ".cache")
    return Path(cache, "ssd_np", "decoded.txt")


def _remembered() -> set[str]:
    try:
        return set(_memory().read_text(encoding="ascii").split())
    except (OSError, ValueError):  # none yet, or no file of ours
        return set()


def _remember(known: set[str], more: set[str]) -> None:
    """Where nothing can be written, they are decoded again."""
    kept = known | more if len(known) + len(more) <= REMEMBERED else more
    with contextlib.suppress(OutputError):
        write_atomically(_memory(), "\n".join(sorted(kept)) + "\n")
