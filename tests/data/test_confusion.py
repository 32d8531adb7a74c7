"""The confusion matrix and the worst images: against Pascal VOC's own counts, and by hand."""

import json

import numpy as np
import pytest
from PIL import Image

from ssd_np.cli import main
from ssd_np.errors import ShapeError
from ssd_np.evaluate.average_precision import evaluate_voc
from ssd_np.evaluate.confusion import confusion, outcome_of, worst_first
from ssd_np.records import Detections, Truth
from ssd_np.viz.confusion import confusion_figure, draw_outcome

NAMES = ("cat", "dog", "owl")
A, B, C = (0.0, 0.0, 0.4, 0.4), (0.5, 0.5, 0.9, 0.9), (0.0, 0.6, 0.3, 0.9)


def found(*rows, names=NAMES):
    """(label, score, box) each"""
    labels, scores, boxes = zip(*rows, strict=True) if rows else ((), (), ())
    return Detections(np.reshape(boxes, (-1, 4)), np.array(labels, int), np.array(scores), names)


def moved(box, by):
    return tuple(np.add(box, by))


def test_each_kind_by_hand():
    truth = Truth([A, B, C], [1, 2, 3])
    rows = [
        (1, 0.9, A),  # found
        (1, 0.8, moved(A, 0.02)),  # the same once more
        (3, 0.7, A),  # another name for what is found already
        (1, 0.6, B),  # a dog, taken for a cat
        (2, 0.55, (0.6, 0.0, 0.9, 0.3)),  # there is nothing
        (3, 0.49, C),  # below the score
    ]
    result = confusion([found(*rows)], [truth], 0.5)
    assert result.outcomes[0].kinds == ["found", "doubled", "doubled", "confused", "invented"]
    assert result.matrix.tolist() == [[1, 0, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1], [1, 1, 1, 0]]
    assert result.totals() == {
        "objects": 3, "found": 1, "missed": 1, "confused": 1, "doubled": 2, "invented": 1,
    }  # fmt: skip
    lower = confusion([found(*rows)], [truth], 0.4)
    assert lower.matrix[2].tolist() == [0, 0, 1, 0]


def test_the_own_class_comes_first():
    """A surer detection of another class takes nothing from the right one."""
    outcome = outcome_of(found((2, 0.9, A), (1, 0.6, A)), Truth([A], [1]))
    assert outcome.kinds == ["doubled", "found"] and outcome.by.tolist() == [1]


def test_difficult_objects_and_crowds_are_left_out():
    truth = Truth([A, B], [1, 2], difficult=[True, False], crowd=[False, True])
    result = confusion([found((1, 0.9, A), (3, 0.8, B), (1, 0.7, C))], [truth])
    assert result.outcomes[0].kinds == ["left out", "left out", "invented"]
    assert result.matrix.sum() == 1 and result.totals()["objects"] == 0


def random_images(rng, count=30):
    detections, truths = [], []
    for _ in range(count):
        g, d = rng.integers(0, 7, 2)
        low = rng.uniform(0, 0.6, (g, 2))
        boxes = np.concatenate([low, low + rng.uniform(0.1, 0.4, (g, 2))], axis=1)
        truths.append(Truth(boxes, rng.integers(1, 4, g), rng.random(g) < 0.2))
        near = np.concatenate([boxes[rng.integers(0, g, d)] if g else np.zeros((d, 4))])
        near = near + rng.normal(0, 0.03, (d, 4))
        near[:, 2:] = np.maximum(near[:, 2:], near[:, :2] + 0.01)
        scores = rng.integers(1, 10, d) / 10  # with ties
        detections.append(Detections(near, rng.integers(1, 4, d), scores, NAMES))
    return detections, truths


@pytest.mark.parametrize("seed", range(20))
def test_what_is_found_is_what_pascal_voc_counts(seed):
    detections, truths = random_images(np.random.default_rng(seed))
    for score, iou in ((0.5, 0.5), (0.3, 0.7), (0.0, 0.3)):
        result = confusion(detections, truths, score, iou)
        shown = [d.at_least(score) for d in detections]
        voc = evaluate_voc(shown, truths, iou)
        for k, c in enumerate(voc.classes):
            hits = 0 if np.isnan(c.best_recall) else round(c.best_recall * c.truths)
            assert result.matrix[k, k] == hits
            assert result.matrix[k].sum() == c.truths
        totals = result.totals()
        assert totals["objects"] == totals["found"] + totals["confused"] + totals["missed"]
        left_out = sum(outcome.kinds.count("left out") for outcome in result.outcomes)
        assert result.matrix[:, :-1].sum() == sum(map(len, shown)) - left_out
        assert totals["doubled"] + totals["invented"] == result.matrix[-1].sum()


def test_lists_that_do_not_fit_are_refused():
    with pytest.raises(ShapeError, match="1 detections for 2 truths"):
        confusion([found()], [Truth([], []), Truth([], [])])
    empty = confusion([found()], [Truth([], [])])
    assert empty.matrix.sum() == 0 and worst_first(empty.outcomes) == [0]


def test_pictures(tmp_path, rng):
    detections, truths = random_images(rng)
    result = confusion(detections, truths)
    confusion_figure(result, tmp_path / "few.png")
    many = tuple(f"class {k}" for k in range(60))
    rows = [(k + 1, 0.9, A) for k in range(40)]
    wide = confusion([found(*rows, names=many)], [Truth([A], [60])])
    confusion_figure(wide, tmp_path / "many.png")
    for name in ("few", "many"):
        assert max(Image.open(tmp_path / f"{name}.png").size) < 2400
    image = np.full((200, 200, 3), 128, np.uint8)
    shown = detections[3].at_least(0.5)
    pair = draw_outcome(image, shown, truths[3], outcome_of(shown, truths[3]))
    assert all(picture.shape == (400, 400, 3) for picture in pair)


# --- ssd-np eval ---------------------------------------------------------------------------------


@pytest.fixture
def four(tmp_path, monkeypatch):
    """A folder of four photographs of a cat each, and detections of them."""
    rows = ["filename,xmin,ymin,xmax,ymax,class"]
    for name in "abcd":
        Image.new("RGB", (100, 100)).save(tmp_path / f"{name}.png")
        rows.append(f"{name}.png,0,0,40,40,{'cat' if name != 'd' else 'dog'}")
    (tmp_path / "boxes.csv").write_text("\n".join(rows))
    right, nothing = [0, 0, 40, 40], [60, 60, 30, 30]
    results = [
        ("a.png", 1, right), ("b.png", 1, nothing), ("b.png", 1, [50, 0, 30, 30]),
        ("c.png", 1, right), ("c.png", 1, nothing), ("d.png", 1, right),
    ]  # fmt: skip
    (tmp_path / "found.json").write_text(
        json.dumps(
            [
                {"image_id": image, "category_id": label, "bbox": box, "score": 0.9}
                for image, label, box in results
            ]
        )
    )
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_eval_tells_and_draws_the_worst_first(four, monkeypatch, capsys):
    pages = []
    monkeypatch.setattr(
        "ssd_np.commands.measure.gallery", lambda rows, *a, **k: pages.append((rows, *a))
    )
    argv = ["eval", "--detections", "found.json", "--data", "csv:boxes.csv", "--split", "all"]
    assert main([*argv, "--out", "e"]) == 0
    out = capsys.readouterr().out
    assert (
        "with scores of at least 0.5: 2 of 4 objects found, 1 missed; 1 confused, 0 doubled, "
        "3 invented" in out
    )
    ((rows, _, header),) = pages
    assert [row[0] for row in rows] == [
        "b.png: 1 missed, 2 invented",
        "c.png: 1 invented",
        "d.png: 1 confused",
        "a.png: no mistake",
    ]
    assert "the 4 images with the most mistakes" in header
    assert (four / "e" / "confusion.png").is_file()
    assert main([*argv, "--out", "f", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told == json.loads((four / "f" / "eval.json").read_text())
    table = told["confusion"]
    assert table["rows"] == ["cat", "dog", "background"] and table["columns"][-1] == "missed"
    assert table["counts"] == [[2, 0, 1], [1, 0, 0], [3, 0, 0]]
