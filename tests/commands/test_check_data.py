"""`ssd-np check-data`, and what training and evaluation say about data with problems."""

import json
import shutil

import numpy as np
import pytest
from in_process import run
from PIL import Image

from ssd_np.commands.datasets import (
    PROBLEMS_SHOWN,
    evaluation_data,
    image_ids,
    training_data,
)
from ssd_np.data.sources import voc_roots
from ssd_np.data.stored import StoredDataset
from ssd_np.errors import DataError


def write_voc(root, items, split="trainval"):
    """items: id -> list of (class, xmin, ymin, xmax, ymax); images of 200 x 150 pixels."""
    for folder in ("Annotations", "JPEGImages", "ImageSets/Main"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    for name, objects in items.items():
        body = "".join(
            f"<object><name>{kind}</name><difficult>{int(kind == 'cat')}</difficult><bndbox>"
            f"<xmin>{a}</xmin><ymin>{b}</ymin><xmax>{c}</xmax><ymax>{d}</ymax></bndbox></object>"
            for kind, a, b, c, d in objects
        )
        size = "<size><width>200</width><height>150</height></size>"
        xml = f"<annotation><filename>{name}.png</filename>{size}{body}</annotation>"
        (root / "Annotations" / f"{name}.xml").write_text(xml)
        Image.new("RGB", (200, 150)).save(root / "JPEGImages" / f"{name}.png")
    (root / "ImageSets" / "Main" / f"{split}.txt").write_text("\n".join(items))
    return f"voc:{root}"


def write_coco(root, split="train", boxes=((10, 10, 60, 60), (5, 5, 0, 9))):
    (root / split).mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (200, 150)).save(root / split / "a.png")
    content = {
        "images": [{"id": 4, "file_name": "a.png", "height": 150, "width": 200}],
        "categories": [{"id": 18, "name": "dog"}],
        "annotations": [
            {"id": i, "image_id": 4, "category_id": 18, "bbox": list(box)}
            for i, box in enumerate(boxes, start=1)
        ],
    }
    (root / f"{split}.json").write_text(json.dumps(content))
    return f"coco:{root}/{{split}}.json:{root}/{{split}}"


GOOD, EMPTY = ("dog", 10, 10, 90, 80), ("dog", 5, 5, 5, 9)


def test_nothing_wrong_is_exit_code_0(capsys, tmp_path):
    data = write_voc(tmp_path / "v", {"a": [GOOD, ("cat", 1, 1, 50, 60)], "b": []})
    code, out, err = run(capsys, "check-data", data)
    assert code == 0 and err == ""
    assert f"{data}, split trainval" in out and "2 images, 0 findings" in out
    assert "of 2 objects" in out and "config small:" in out


def test_what_would_be_dropped_is_exit_code_1_and_named(capsys, tmp_path):
    data = write_voc(tmp_path / "v", {"a": [GOOD, EMPTY], "b": [GOOD]})
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    code, out, _ = run(capsys, "check-data", data)
    assert code == 1 and "a.xml: object 1 (dog): box (5, 5, 5, 9) has no area" in out
    assert before == {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}


def test_a_duplicate_box_is_found_but_nothing_dropped(capsys, tmp_path):
    data = write_voc(tmp_path / "v", {"a": [GOOD, GOOD]})
    code, out, _ = run(capsys, "check-data", data)
    assert code == 0 and "[duplicate box; kept]" in out


def test_classes_config_picture_and_json(capsys, tmp_path):
    data = write_voc(tmp_path / "v", {"a": [GOOD, ("cat", 100, 10, 103, 13)]}, "train")
    argv = ["check-data", data, "--split", "train", "--config", "tiny", "--json"]
    code, out, _ = run(capsys, *argv, "--out", tmp_path / "c.png", "--classes", "dog, cat")
    report = json.loads(out)
    assert code == 0 and report["config"] == "tiny" and report["images"] == 1
    assert report["objects"] == {"dog": {"medium": 1}, "cat": {"small": 1}}
    best = report["coverage"]["best_iou"]
    assert len(best) == 2 and best[0] > 0.5 > best[1] and report["coverage"]["uncovered"] == 0.5
    assert np.asarray(Image.open(tmp_path / "c.png")).shape[0] > 300
    code, out, _ = run(capsys, *argv, "--classes", "dog")
    (finding,) = json.loads(out)["findings"]
    assert code == 1 and (finding["kind"], finding["class"]) == ("class", "cat")


def test_coco_with_a_split_in_its_paths(capsys, tmp_path):
    data = write_coco(tmp_path, "train")
    write_coco(tmp_path, "val", boxes=[(10, 10, 60, 60)])
    code, out, _ = run(capsys, "check-data", data, "--split", "train")
    assert code == 1 and "train.json: object 2 (dog): box (5, 5, 0, 9) has no area" in out
    assert "of 1 objects" in out
    assert run(capsys, "check-data", data, "--split", "val")[0] == 0
    code, _, err = run(capsys, "check-data", data, "--split", "test")
    assert code == 1 and "test.json: no such annotation file" in err


def test_several_folders(capsys, tmp_path):
    one, two = tmp_path / "one", tmp_path / "two+more"
    write_voc(one, {"a": [GOOD]})
    write_voc(two, {"b": [GOOD, EMPTY]}, "train")
    assert voc_roots(str(two)) == [str(two)]  # the folder exists
    two = two.rename(tmp_path / "two")
    code, out, _ = run(capsys, "check-data", f"voc:{one}+{two}", "--split", "trainval+train")
    assert code == 1 and "2 images, 1 findings" in out
    assert training_data(f"voc:{one}+{two}", "trainval+train", 0).names == ["a", "b"]


@pytest.mark.parametrize("data", ["shapes", "voc:", "coco:a.json", "coco::b", "imagenet:x"])
def test_no_data_set_is_exit_code_2(capsys, data):
    assert run(capsys, "check-data", data)[0] == 2


# --- training and evaluation ---------------------------------------------------------------------


def test_what_is_left_out_is_said_once_with_the_count(capsys, tmp_path):
    data = write_voc(tmp_path / "v", {"a": [GOOD] + [EMPTY] * 7, "b": [GOOD], "c": [GOOD]})
    (tmp_path / "v" / "JPEGImages" / "b.png").unlink()
    dataset = training_data(data, "trainval", 0)
    assert len(dataset) == 2 and len(dataset.truth(0)) == 1
    lines = capsys.readouterr().err.strip().splitlines()
    assert lines[0] == f"{data}, split trainval: objects left out: 7, images left out: 1"
    assert len(lines) == PROBLEMS_SHOWN + 2 and "no image of the name 'b'" in lines[1]
    assert lines[-1].strip().startswith("and 3 more; `ssd-np check-data")
    assert all(line.count("left out") == 1 for line in lines[1:-1])


def test_no_problems_no_words(capsys, tmp_path):
    training_data(write_voc(tmp_path / "v", {"a": [GOOD]}), "trainval", 0)
    assert capsys.readouterr().err == ""


def test_strict_refuses_in_one_line(capsys, tmp_path):
    data = write_voc(tmp_path / "v", {"a": [GOOD, EMPTY]})
    with pytest.raises(DataError, match="has problems: objects left out: 1"):
        training_data(data, "trainval", 0, strict=True)
    out = tmp_path / "out"
    argv = ["train", "--data", data, "--eval-split", "trainval", "--strict", "--out", out]
    code, _, err = run(capsys, *argv)
    assert code == 1 and err.count("\n") == 1 and "a.xml: object 1" in err and not out.exists()


def test_difficult_objects_can_be_left_out_of_training(tmp_path):
    data = write_voc(tmp_path / "v", {"a": [GOOD, ("cat", 1, 1, 50, 60)]})
    assert len(training_data(data, "trainval", 0).truth(0)) == 2
    easy = training_data(data, "trainval", 0, keep_difficult=False)
    assert easy.truth(0).labels.tolist() == [2] and easy.class_names == ("cat", "dog")


def test_coco_for_training_and_evaluation(tmp_path):
    data = write_coco(tmp_path, "train")
    write_coco(tmp_path, "val", boxes=[(10, 10, 60, 60)])
    trained = training_data(data, "train", 0)
    assert isinstance(trained, StoredDataset) and trained.class_names == ("dog",)
    unseen = evaluation_data(data, "val", trained.class_names)
    assert image_ids(unseen) == [4] and len(unseen.truth(0)) == 1
    with pytest.raises(DataError, match=r"\['dog'\] are unknown to the model"):
        evaluation_data(data, "val", ["cat"])


def test_train_on_coco_and_evaluate_by_every_metric(capsys, tmp_path):
    data = write_coco(tmp_path, "train")
    shutil.copytree(tmp_path / "train", tmp_path / "test")
    shutil.copy(tmp_path / "train.json", tmp_path / "test.json")
    Image.new("RGB", (200, 150), "red").save(tmp_path / "test" / "a.png")  # not the one learnt from
    out = tmp_path / "out"
    argv = ["train", "--config", "tiny", "--data", data, "--split", "train", "--steps", 1]
    code, text, err = run(capsys, *argv, "--out", out)
    assert code == 0 and "1 image, classes: dog" in text and "learns from" not in err
    assert "waited for data" in text and err.count("objects left out: 1") == 2  # train and test
    options = ["--data", data, "--split", "test", "--out", tmp_path / "e", "--force"]
    for metric, words in (
        ("voc07", "11-point AP, IoU >= 0.5; difficult ignored"),
        ("voc", "all-point AP, IoU >= 0.5; difficult ignored"),
        ("coco", "COCO AP, mean over IoU .50:.05:.95; difficult counted"),
    ):
        code, text, _ = run(capsys, "eval", out / "best.npz", *options, "--metric", metric)
        assert code == 0 and words in text and f"{tmp_path}/test.json" in text
        assert "evaluate: scores above 0.01" in text and "show 0.5" in text
        report = json.loads((tmp_path / "e" / "eval.json").read_text())
        assert report["images"] == 1 and report["classes"][0]["truths"] == 1
        assert (report["thresholds"]["evaluate"], report["thresholds"]["show"]) == (0.01, 0.5)
    code, text, _ = run(capsys, "eval", out / "best.npz", *options, "--iou", "0.7")
    assert code == 0 and "IoU >= 0.7" in text


def test_evaluation_by_what_the_best_weights_were_chosen_by_is_said(capsys, tmp_path):
    """It is no training image, and yet no measure of best.npz."""
    data = write_voc(tmp_path / "v", {"a": [GOOD], "b": [GOOD]})
    images = tmp_path / "v" / "JPEGImages"
    Image.new("RGB", (200, 150), "red").save(images / "b.png")
    for split, name in (("one", "a"), ("two", "b")):
        (tmp_path / "v" / "ImageSets" / "Main" / f"{split}.txt").write_text(name)
    argv = ["train", "--config", "tiny", "--data", data, "--split", "one", "--val-split", "two"]
    argv += ["--eval-split", "two", "--steps", 1, "--out", tmp_path / "out"]
    code, text, err = run(capsys, *argv)
    assert code == 0 and "learns from" not in err
    assert "note: 1 of the 1 images that it is evaluated on are images that it is chosen by" in err
    assert f"best.npz is chosen by {data}, split two; highest mAP at IoU 0.5 there: " in text


def test_evaluation_on_the_training_images_is_said(capsys, tmp_path):
    data = write_voc(tmp_path / "v", {"a": [GOOD]})
    argv = ["train", "--config", "tiny", "--data", data, "--eval-split", "trainval", "--steps", 1]
    code, _, err = run(capsys, *argv, "--out", tmp_path / "out")
    assert (
        code == 0
        and "note: 1 of the 1 images that it is evaluated on are images that it learns from" in err
    )
    argv = ["pretrain", "--config", "tiny", "--data", data, "--eval-split", "trainval"]
    code, _, err = run(capsys, *argv, "--steps", 1, "--out", tmp_path / "base.npz")
    assert code == 0 and "note: 1 of the 1 images that it is evaluated on" in err


def test_saved_detections_above_a_high_score_are_noticed(capsys, tmp_path):
    data, path = write_voc(tmp_path / "v", {"a": [GOOD]}), tmp_path / "d.json"
    one = {"image_id": "a", "category_id": 1, "bbox": [9, 9, 80, 70], "score": 0.6}
    path.write_text(json.dumps([one]))
    argv = ["eval", "--detections", path, "--data", data, "--split", "trainval", "--force"]
    code, text, _ = run(capsys, *argv, "--out", tmp_path / "e")
    assert code == 0 and "note: detections begin at 0.6" in text
    assert json.loads((tmp_path / "e" / "eval.json").read_text())["mean_ap"] == 1.0
    for enough in ([one | {"score": 0.02}], [one] * 100):  # the tail is there; cut off by number
        path.write_text(json.dumps([one, *enough]))
        assert "note:" not in run(capsys, *argv, "--out", tmp_path / "e")[1]


def test_real_photographs(capsys, bccd_root):
    code, out, _ = run(capsys, "check-data", f"voc:{bccd_root}", "--split", "trainval+test")
    assert code == 1 and "364 images, 2 findings (2 left out)" in out
    assert "BloodImage_00338.xml: object 12 (RBC)" in out
    assert "BloodImage_00343.xml: object 3 (RBC)" in out
    assert isinstance(training_data(f"voc:{bccd_root}", "test", 0), StoredDataset)
