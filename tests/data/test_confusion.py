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
from ssd_np.viz import confusion as viz
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
    assert result.outcomes[0].kinds == [
        "found", "duplicate", "misclassified", "confused", "invented"
    ]  # fmt: skip
    assert result.matrix.tolist() == [[1, 0, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1], [1, 1, 1, 0]]
    assert result.totals() == {
        "objects": 3, "found": 1, "missed": 1, "confused": 1, "duplicate": 1,
        "misclassified": 1, "invented": 1,
    }  # fmt: skip
    lower = confusion([found(*rows)], [truth], 0.4)
    assert lower.matrix[2].tolist() == [0, 0, 1, 0]


def test_the_own_class_comes_first():
    """A surer detection of another class takes nothing from the right one."""
    outcome = outcome_of(found((2, 0.9, A), (1, 0.6, A)), Truth([A], [1]))
    assert outcome.kinds == ["misclassified", "found"] and outcome.by.tolist() == [1]


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
        last_row = totals["duplicate"] + totals["misclassified"] + totals["invented"]
        assert last_row == result.matrix[-1].sum()


@pytest.mark.parametrize("seed", range(5))
def test_duplicates_overlap_their_own_class_and_misclassified_ones_another(seed):
    """Pair by pair, IoU by its definition."""
    kinds = set()
    for shown, truth in zip(*random_images(np.random.default_rng(seed)), strict=True):
        outcome = outcome_of(shown, truth)
        for box, label, kind in zip(shown.boxes_corner, shown.labels, outcome.kinds, strict=True):
            near = {}  # class -> whether one of its objects that counts is overlapped enough
            for its, other, counts in zip(
                truth.boxes_corner, truth.labels, outcome.counted, strict=True
            ):
                low, high = np.maximum(box[:2], its[:2]), np.minimum(box[2:], its[2:])
                inside = np.prod(np.maximum(high - low, 0))
                areas = np.prod(box[2:] - box[:2]) + np.prod(its[2:] - its[:2])
                near[other] = near.get(other, False) or (counts and 2 * inside >= areas - inside)
            kinds.add(kind)
            if kind == "duplicate":
                assert near[label]
            elif kind in ("misclassified", "confused"):
                assert not near.get(label) and any(near.values())
            elif kind == "invented":
                assert not any(near.values())
    assert {"duplicate", "misclassified", "invented"} <= kinds


def test_lists_that_do_not_fit_are_refused():
    with pytest.raises(ShapeError, match="1 detections for 2 truths"):
        confusion([found()], [Truth([], []), Truth([], [])])
    empty = confusion([found()], [Truth([], [])])
    assert empty.matrix.sum() == 0 and worst_first(empty.outcomes) == []


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
    assert all(picture.shape[1:] == (480, 3) for picture in pair)


def test_a_mistake_has_a_number_in_the_picture_and_a_line_under_it(monkeypatch):
    """What is right has neither, and names stand under the picture, never in it."""
    truth, tags, lines = Truth([A, B, C], [1, 2, 3]), [], []
    real = viz.draw_boxes
    monkeypatch.setattr(viz, "draw_boxes", lambda *a: tags.append(a[3]) or real(*a))
    write = viz.fitted
    monkeypatch.setattr(viz, "fitted", lambda text, *a: lines.append(text) or write(text, *a))
    shown = found((1, 0.9, A), (1, 0.8, moved(A, 0.02)), (3, 0.7, A), (1, 0.6, B))
    image = np.full((480, 480, 3), 128, np.uint8)
    pair = draw_outcome(image, shown, truth, outcome_of(shown, truth))
    assert tags == [["", "1", "2"], ["", "3", "4", "1"]]
    assert lines == [
        "1  dog: taken for cat", "2  owl: missed",
        "1  cat 0.60: confused", "3  cat 0.80: duplicate", "4  owl 0.70: misclassified",
    ]  # fmt: skip
    assert [len(picture) for picture in pair] == [480 + 2 * 18, 480 + 3 * 18]
    for picture in pair:
        assert (picture[480:] < 60).any() and (picture[480:] == 255).mean() > 0.8
    right = found((1, 0.9, A), (2, 0.8, B), (3, 0.8, C))
    assert [len(p) for p in draw_outcome(image, right, truth, outcome_of(right, truth))] == [
        480
    ] * 2
    many = found(*((1, 0.9, (0.5, k / 40, 0.6, k / 40 + 0.1)) for k in range(30)))
    del lines[:]
    draw_outcome(image, many, Truth([], []), outcome_of(many, Truth([], [])))
    assert len(lines) == 12 and lines[-1] == "and 19 more"


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
        "with scores of at least 0.5: 2 of 4 objects found, 1 missed; 1 confused, "
        "0 duplicate, 0 misclassified, 3 invented" in out
    )
    ((rows, _, header),) = pages
    assert [row[0] for row in rows] == [
        "b.png: 1 missed, 2 invented",
        "c.png: 1 invented",
        "d.png: 1 confused",
    ]
    assert "the 3 images with mistakes, " in header
    assert (four / "e" / "confusion.png").is_file()
    assert main([*argv, "--out", "f", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told == json.loads((four / "f" / "eval.json").read_text())
    monkeypatch.setattr("ssd_np.commands.measure.WORST_IMAGES", 1)
    assert main([*argv, "--out", "g"]) == 0 and len(pages[-1][0]) == 1
    assert "the 1 image with the most mistakes, " in pages[-1][2]
    table = told["confusion"]
    assert table["rows"] == ["cat", "dog", "background"] and table["columns"][-1] == "missed"
    assert table["counts"] == [[2, 0, 1], [1, 0, 0], [3, 0, 0]]


def test_without_a_mistake_no_worst_image_is_drawn(four, capsys):
    rows = json.loads((four / "found.json").read_text())
    dogs = [row | {"category_id": 2} for row in rows if row["image_id"] == "d.png"]
    cats = [row for row in rows if row["image_id"] in ("a.png", "c.png")]
    right = [*(row for row in cats if row["bbox"][0] == 0), *dogs]
    (four / "found.json").write_text(json.dumps([*right, right[0] | {"image_id": "b.png"}]))
    argv = ["eval", "--detections", "found.json", "--data", "csv:boxes.csv", "--split", "all"]
    assert main([*argv, "--out", "e"]) == 0
    out = capsys.readouterr().out
    assert "no mistake with scores of at least 0.5: no worst.png" in out
    assert out.count("worst.png") == 1 and not (four / "e" / "worst.png").exists()
