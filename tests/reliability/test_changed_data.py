"""Data that changed between a stop and a resume: a digest tells, --force goes on."""

import re
import shutil

from training_runs import narrow_config, start_arguments, write_voc

from ssd_np.cli import main
from ssd_np.data.digest import digest
from ssd_np.data.shapes import ShapesDataset
from ssd_np.data.voc import VOCDataset


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
