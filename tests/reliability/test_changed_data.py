"""Data that changed between a stop and a resume: a digest tells, --force goes on."""

import hashlib
import re
import shutil

import numpy as np
from training_runs import narrow_config, start_arguments, write_voc

from ssd_np.cli import main
from ssd_np.data.digest import SPREAD, digest
from ssd_np.data.shapes import ShapesDataset
from ssd_np.data.voc import VOCDataset
from ssd_np.records import Sample, Truth


def test_the_digest_of_stored_data(tmp_path):
    """Names, boxes, labels, flags and order; not where they lie."""
    root = write_voc(tmp_path / "a", 4)
    first = digest(VOCDataset(root, "all"))
    assert digest(VOCDataset(shutil.copytree(root, tmp_path / "b"), "all")) == first
    seen = {first}

    def altered(file, before, after):
        copy = shutil.copytree(root, tmp_path / f"{len(seen)}")
        text = (copy / file).read_text()
        assert before in text
        (copy / file).write_text(text.replace(before, after, 1))
        return digest(VOCDataset(copy, "all"))

    label = re.search("<name>(.*?)</name>", (root / "Annotations/2.xml").read_text())[1]
    other = next(name for name in ShapesDataset.class_names if name != label)
    x = re.search("<xmin>.*?</xmin>", (root / "Annotations/2.xml").read_text())[0]
    for change in (
        ("ImageSets/Main/all.txt", "0\n1\n", "1\n0\n"),
        ("ImageSets/Main/all.txt", "0\n", ""),
        ("Annotations/2.xml", label, other),
        ("Annotations/2.xml", x, x.replace("<xmin>", "<xmin>0")[:8] + "1.5</xmin>"),
        ("Annotations/2.xml", "<difficult>0", "<difficult>1"),
    ):
        found = altered(*change)
        assert found not in seen, change
        seen.add(found)
    assert digest(ShapesDataset(0, 4)) != digest(ShapesDataset(1, 4))
    assert digest(ShapesDataset(0, 4)) != digest(ShapesDataset(0, 5))


class Own:
    """A data set of somebody's own: without `truth`, whose items are read, and which are kept."""

    class_names = ("a", "b")

    def __init__(self, *truths, name="x"):
        self.samples = [Sample(GREY, truth, name) for truth in truths]
        self.read = []

    def __len__(self):
        return len(self.samples)

    def __getitem__(self, index):
        self.read.append(range(len(self.samples))[index])
        return self.samples[index]


class Annotated(Own):
    def truth(self, index):
        return self[index].truth


GREY = np.zeros((4, 4, 3), np.uint8)
BOX = np.array([[0.1, 0.2, 0.5, 0.6]])


def truth(shift=0.0, label=1, difficult=False, crowd=False):
    return Truth(BOX + shift, [label], [difficult], [crowd], size=(4, 4))


def test_the_digest_of_data_of_ones_own():
    """Is the SHA-256 of the count, then of each item that is asked its name, how many objects, and
    their columns."""
    parts = [b"1", b"x\n1", BOX.tobytes(), np.array([1]).tobytes(), b"\0", b"\0"]
    expected = hashlib.sha256(b"".join([parts[0], *parts[1:] * 2])).hexdigest()
    assert digest(Own(truth())) == expected  # the first is the last, too
    changes = {"shift": 0.1, "label": 2, "difficult": True, "crowd": True}
    others = [truth(**{key: value}) for key, value in changes.items()]
    for kind in (Own, Annotated):
        first, last = (
            {digest(kind(*place)) for place in places}
            for places in ([(other, truth()) for other in others],
                           [(truth(), other) for other in others])
        )  # fmt: skip
        assert len(first | last | {digest(kind(truth(), truth()))}) == 9
    assert digest(Own(truth(), name="\udcff")) != digest(Own(truth()))
    assert digest(Annotated(truth(), name="y")) == digest(Annotated(truth()))  # not asked for


def test_of_many_truths_a_thousand_are_asked_for():
    own, annotated = Own(*[truth()] * 1502), Annotated(*[truth()] * 1502)
    digest(own), digest(annotated)
    assert own.read == [0, 1501]
    assert len(set(annotated.read)) == SPREAD == len(annotated.read)
    assert annotated.read[0] == 0 and annotated.read[-1] == 1501
    assert set(np.diff(annotated.read)) == {1, 2}  # evenly
    few = Annotated(*[truth()] * 3)
    digest(few)
    assert few.read == [0, 1, 2]


def test_a_resume_with_changed_data(tmp_path, capsys, monkeypatch):
    voc = write_voc(tmp_path / "voc", 4)
    start = start_arguments(tmp_path, voc, narrow_config(steps=2, checkpoint_every=1))
    run = str(tmp_path / "run")

    def stop(self, trainer, step):
        raise KeyboardInterrupt("here")

    with monkeypatch.context() as patched:
        patched.setattr("ssd_np.train.stop.StopRequests.after_step", stop)
        assert main([*start, "--out", run]) == 130
    (voc / "ImageSets/Main/all.txt").write_text("0\n1\n2")
    capsys.readouterr()
    assert main(["train", "--resume", run]) == 1
    err = capsys.readouterr().err
    assert "made with other data: images was 4, is 3; names and truths was" in err
    assert "go on with them as they are: --force" in err and err.count("--force") == 1
    assert main(["train", "--resume", run, "--force"]) == 0
    assert "going on at step 1 of 2" in capsys.readouterr().out
    assert main(["train", "--resume", run]) == 0  # these are its data now
