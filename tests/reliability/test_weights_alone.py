"""Generated weights files, each read in a process of its own: the library's own error or none, at
most 1 GiB of memory and 20 seconds."""

import numpy as np
import pytest
from alone import MOST_MEMORY, MOST_SECONDS, alone, command, needs_fork
from fuzzing import cycling, damaged, put_something_strange
from PIL import Image
from test_fuzz_weights import made_up, rezip
from training_runs import narrow_config
from weights_files import corpus, grown, read_every_way

from ssd_np.data.shapes import ShapesDataset
from ssd_np.model.ssd import SSD
from ssd_np.model.weights import save

pytestmark = needs_fork
BATCH = 50  # files of the corpus in one process


def test_the_corpus_of_atheris(tmp_path, tell):
    """What a fuzzer found that looks at the branches of the readers (weights_files.py)."""
    files, refused = corpus(), 0
    for i in range(0, len(files), BATCH):

        def job(some=files[i : i + BATCH]):
            print(sum(not read_every_way(content, tmp_path / "w") for content in some))

        ended = alone(job)
        assert ended.code == 0 and ended.memory < MOST_MEMORY, ended
        refused += int(ended.said)
    assert len(files) > 100 and 0 < refused < len(files)
    tell(f"{len(files)} files, {refused} refused by all readers, no other error")


def test_grown_files(tmp_path, full, tell):
    files, rng, read, most = corpus(), np.random.default_rng(0), 0, 0.0
    count = 2000 if full else 60
    for i in range(count):
        content = grown(files, rng)
        ended = alone(lambda content=content: print(read_every_way(content, tmp_path / "w")))
        assert ended.code == 0 and ended.memory < MOST_MEMORY, (i, ended, content)
        read += int(ended.said) > 0
        most = max(most, ended.memory)
    tell(f"{count} files, {read} read, the others refused; at most {most:.0f} MB")


@pytest.fixture
def picture(tmp_path):
    Image.fromarray(ShapesDataset(5, 1)[0].image).save(tmp_path / "p.png")
    return tmp_path / "p.png"


def test_detect_with_strange_weights(tmp_path, picture, full, tell):
    """The command, with a file of ours damaged as bytes, below its checksums, and made up."""
    path, whole = tmp_path / "w.npz", tmp_path / "whole.npz"
    save(whole, SSD(narrow_config()))
    make = cycling(
        damaged(whole.read_bytes()),
        lambda rng: rezip(whole, damaged, rng),
        made_up(whole, put_something_strange),
        made_up(whole, put_something_strange),
    )
    rng, drawn, most, slowest = np.random.default_rng(1), 0, 0.0, 0.0
    count = 1000 if full else 40
    for i in range(count):
        path.write_bytes(make(rng))
        out = tmp_path / str(i)
        ended = command(["detect", picture, "--weights", path, "--out", out, "--json"])
        assert ended.code in (0, 1) and "unexpected" not in ended.said, (i, ended)
        assert ended.memory < MOST_MEMORY and ended.worked < MOST_SECONDS, (i, ended)
        assert out.exists() == (ended.code == 0), (i, ended)
        drawn += out.exists()
        most, slowest = max(most, ended.memory), max(slowest, ended.worked)
    tell(f"{count} files, {drawn} used, the others refused in one line; at most {most:.0f} MB and "
         f"{slowest:.1f} s")  # fmt: skip
