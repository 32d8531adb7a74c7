"""Weights files grown from a small corpus: by hand, knowing the formats, and by Atheris.

    python tests/reliability/weights_files.py SECONDS

lets Atheris (`pip install atheris`) grow the corpus by what reaches new branches of the readers;
the tests replay it without Atheris. The first files, of NumPy and PyTorch, were `1.npz`, `1.pth`
(zip), `2.pth` (legacy), `1.tflite`.
"""

import contextlib
import io
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np
from fuzzing import damaged

CORPUS = Path(__file__).parent / "corpus"
LARGEST = 4096  # bytes of a file of the corpus


def corpus() -> list[bytes]:
    return [path.read_bytes() for path in sorted(CORPUS.iterdir())]


def rezipped(content: bytes, rng: np.random.Generator) -> bytes:
    """A zip archive with one member changed and checksums that fit; another file as bytes."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as old:
            members = [(info.filename, old.read(info)) for info in old.infolist()]
    except (zipfile.BadZipFile, RuntimeError, ValueError, NotImplementedError, OSError, EOFError):
        members = []
    if not members:
        return damaged(content)(rng)
    chosen, buffer = rng.integers(len(members)), io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as new:
        for i, (name, data) in enumerate(members):
            new.writestr(name, damaged(data)(rng) if i == chosen else data)
    return buffer.getvalue()


def grown(files: list[bytes], rng: np.random.Generator) -> bytes:
    """A file with a few changes, or the beginning of one with the end of another."""
    one, other = (files[i] for i in rng.integers(len(files), size=2))
    kind = rng.integers(4)
    if kind == 0:
        return one[: rng.integers(len(one) + 1)] + other[rng.integers(len(other) + 1) :]
    return damaged(one)(rng) if kind == 1 else rezipped(one, rng)


def read_every_way(content: bytes, path: Path) -> int:
    """The number of readers that accept a file; raises nothing but what a reader must not."""
    from ssd_np.errors import WeightsError
    from ssd_np.model.archive import read_archive, read_arrays
    from ssd_np.model.tflite_file import read_tflite
    from ssd_np.model.torch_file import read_torch

    path.write_bytes(content)
    accepted = 0
    for read in (read_arrays, read_archive, read_torch, read_tflite):
        with contextlib.suppress(WeightsError):
            read(path)
            accepted += 1
    return accepted


def grow(seconds: str) -> None:
    """Adds to the corpus what reaches a branch that nothing in it reaches."""
    import atheris

    with atheris.instrument_imports(include=["ssd_np.model", "zipfile", "pickletools", "tflite"]):
        import ssd_np.model.archive
        import ssd_np.model.tflite_file
        import ssd_np.model.torch_file  # noqa: F401

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "w"
        limits = [f"-max_total_time={seconds}", f"-max_len={LARGEST}", "-rss_limit_mb=1024",
                  "-timeout=20", str(CORPUS)]  # fmt: skip
        atheris.Setup([sys.argv[0], *limits], lambda raw: read_every_way(raw, path))
        atheris.Fuzz()


if __name__ == "__main__":
    grow(sys.argv[1])
