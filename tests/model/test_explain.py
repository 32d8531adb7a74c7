"""Explanations: they agree with the functions they explain, and every number in them adds up."""

import dataclasses
import json
import re

import numpy as np
import pytest
from PIL import Image

from ssd_np.boxes.codec import encode
from ssd_np.boxes.coords import center_to_corner, corner_to_center
from ssd_np.boxes.iou import iou_matrix
from ssd_np.boxes.targets import make_targets
from ssd_np.cli import main
from ssd_np.config import MatchingConfig, load_config
from ssd_np.data.image import preprocess
from ssd_np.data.shapes import ShapesDataset
from ssd_np.infer.detect import Detector
from ssd_np.infer.explain import explain, explain_detections, explain_matching
from ssd_np.infer.explain_text import to_json, to_text
from ssd_np.infer.place import place_of
from ssd_np.loss.multibox import multibox_loss
from ssd_np.model.ssd import SSD
from ssd_np.model.weights import save
from ssd_np.records import Truth

pytestmark = [pytest.mark.lesson03, pytest.mark.lesson09, pytest.mark.lesson13]
MIN_SCORE = 0.2  # an untrained network is sure of nothing


@pytest.fixture(scope="module")
def model() -> SSD:
    """With some confidence, at random."""
    model = SSD(load_config("tiny"), seed=3)
    for name, parameter in model.parameters.items():
        if name.startswith(("conf", "loc")):
            parameter.assign(parameter.value * np.float32(6))
    return model


@pytest.fixture(scope="module")
def sample():
    data = ShapesDataset(11, 20)
    return next(data[i] for i in range(20) if len(data.truth(i)) >= 3)


@pytest.fixture(scope="module")
def explanation(model, sample):
    return explain(model, sample.image, sample.truth, MIN_SCORE)


def changed(model, **parts):
    """The tiny network with another part of its config."""
    return SSD(dataclasses.replace(model.config, **parts))


# --- places --------------------------------------------------------------------------------------


def test_places_by_hand(model):
    first, other, last = (place_of(model, t) for t in (0, 4 * (16 + 2) + 3, 1343))
    assert (first.feature_map, first.row, first.column, first.shape) == ("conv4_2", 0, 0, "s")
    assert (other.row, other.column, other.shape) == (1, 2, "1/2")
    assert (last.feature_map, last.row, last.column, last.shape) == ("conv6_2", 3, 3, "1/2")
    assert place_of(model, 1024).feature_map == "conv5_2"
    np.testing.assert_allclose(other.center[:2], [20 / 128, 12 / 128])
    np.testing.assert_allclose(center_to_corner(np.array(other.center)), other.corner)


# --- matching ------------------------------------------------------------------------------------


def test_matches_are_those_that_training_uses(explanation, model, sample):
    truth = sample.truth
    labels, _ = make_targets(truth.boxes_corner, truth.labels, model.default_boxes)
    told = {m.place.index: o for o in explanation.objects for m in o.matches}
    assert sorted(told) == np.flatnonzero(labels > 0).tolist()
    names = model.config.class_names
    assert all(o.name == names[labels[t] - 1] for t, o in told.items())
    for item in explanation.objects:
        first = [m.rule for m in item.matches].count("best of its object")
        assert first == 1
        for m in item.matches:
            assert m.rule == "best of its object" or m.iou >= 0.5
            overlap = iou_matrix(np.array([item.corner]), np.array([m.place.corner]))
            assert m.iou == pytest.approx(overlap[0, 0])


def test_the_runner_up_and_why_it_lost(model):
    """Two objects: one on a default box, one a little beside the same."""
    box = center_to_corner(model.default_boxes[1024 + 4 * 9, :4])  # conv5_2, box s
    near = box + np.array([0.02, 0, 0.02, 0])
    objects, neutral = explain_matching(model, Truth([box, near], [1, 2]))
    assert objects[0].matches[0].place.index == 1024 + 4 * 9
    assert objects[0].matches[0].iou == pytest.approx(1)
    # of all boxes that are not its own, the one that object 0 has taken fits object 1 best
    lost = objects[1].runner_up
    assert lost.place.index == 1024 + 4 * 9
    assert lost.reason == "it is the best box of object 0 (IoU 1.000)"
    assert lost.iou == pytest.approx(iou_matrix(near[None], box[None])[0, 0])
    assert neutral == ()
    alone, _ = explain_matching(model, Truth([box], [1]))
    assert alone[0].runner_up.reason == "background, since below 0.5"
    assert alone[0].runner_up.iou < 0.5 <= alone[0].matches[-1].iou


def test_neutral_boxes(model):
    other = changed(model, matching=MatchingConfig(0.5, 0.4))
    box = center_to_corner(model.default_boxes[1024 + 4 * 9, :4])
    objects, neutral = explain_matching(other, Truth([box], [1]))
    labels, _ = make_targets(box[None], np.array([1]), model.default_boxes, 0.5, 0.4)
    assert sorted(n.place.index for n in neutral) == np.flatnonzero(labels == -1).tolist()
    assert neutral and all(0.4 <= n.iou < 0.5 and n.object_index == 0 for n in neutral)
    assert objects[0].runner_up.reason == "neutral, since below 0.5 but from 0.4 on"


def test_an_object_beyond_every_default_box(model):
    objects, _ = explain_matching(model, Truth([[1.5, 1.5, 1.6, 1.6]], [1]))
    assert objects[0].matches == () and objects[0].runner_up is None


# --- mining --------------------------------------------------------------------------------------


def test_mined_are_those_that_the_loss_trains(explanation, model, sample):
    truth = sample.truth
    logits, offsets = model.forward(preprocess(sample.image, model.config)[None])
    targets = make_targets(truth.boxes_corner, truth.labels, model.default_boxes)
    labels, goal = (a[None] for a in targets)
    loss = multibox_loss(logits, offsets, labels, goal)
    mining = explanation.mining
    assert mining.positives == loss.num_positive and mining.wanted == 3 * loss.num_positive
    assert sorted(n.place.index for n in mining.mined) == np.flatnonzero(loss.mined[0]).tolist()
    assert [n.rank for n in mining.mined] == list(range(1, mining.wanted + 1))
    costs = [n.loss for n in mining.mined]
    assert costs == sorted(costs, reverse=True)
    assert mining.first_left_out.rank == mining.wanted + 1
    assert mining.first_left_out.loss <= costs[-1]
    assert len(mining.losses) == np.count_nonzero(labels == 0)


def test_an_image_without_objects_has_nothing_mined(model, sample):
    nothing = explain(model, sample.image, Truth(np.zeros((0, 4)), []), MIN_SCORE)
    assert nothing.objects == () and nothing.mining.mined == () and nothing.mining.wanted == 0
    assert "0 wanted" in to_text(nothing)


# --- detections ----------------------------------------------------------------------------------


def test_detections_are_those_of_the_detector(explanation, model, sample):
    rule = model.config.decoding
    found = Detector(model, MIN_SCORE, rule.iou_threshold, rule.top_k).detect(sample.image)
    assert 3 < len(found) == len(explanation.detections)
    assert [d.name for d in explanation.detections] == [one.name for one in found]
    np.testing.assert_allclose([d.score for d in explanation.detections], found.scores, rtol=1e-6)
    corners = [d.corner for d in explanation.detections]
    np.testing.assert_allclose(corners, found.boxes_corner, atol=1e-6)


def test_the_arithmetic_adds_up(explanation):
    """Each line is computed anew from the numbers it shows."""
    for found in explanation.detections[:10]:
        box = []
        for line in found.arithmetic:
            _, formula, value = (part.strip() for part in line.split("="))
            again = eval(formula, {"exp": np.exp, "min": min})
            assert again == pytest.approx(float(value), abs=2e-4)
            box.append(float(value))
        corner = np.clip(center_to_corner(np.array(box)), 0, 1)
        np.testing.assert_allclose(corner, found.corner, atol=2e-4)


def outputs(model, objects):
    """Outputs that say background everywhere but (row, label, logit, box_corner) here."""
    logits = np.full((len(model.default_boxes), model.config.num_classes + 1), -20.0)
    logits[:, 0] = 0
    offsets = np.zeros((len(logits), 4))
    for row, label, logit, box in objects:
        logits[row, label] = logit
        center = corner_to_center(np.array([box]))
        offsets[row] = encode(center, model.default_boxes[row : row + 1])
    return logits, offsets


def test_who_suppressed_whom(model):
    """12 overlaps both that are kept; it goes to the one with the better score."""
    a, b, between = [0.1, 0.1, 0.5, 0.5], [0.26, 0.1, 0.66, 0.5], [0.18, 0.1, 0.58, 0.5]
    objects = [(10, 2, 6.0, a), (11, 2, 5.0, b), (12, 2, 4.0, between), (13, 3, 3.0, between)]
    kept, dropped = explain_detections(model, *outputs(model, objects), 0.5)
    assert [d.place.index for d in kept] == [10, 11, 13]  # another class is not suppressed
    assert [(d.place.index, d.by, d.name) for d in dropped] == [(12, 0, "square")]
    assert dropped[0].iou == pytest.approx(0.32 / 0.48)
    assert explain_detections(model, *outputs(model, []), 0.5) == ((), ())


def test_a_limit_on_growth_is_shown(model):
    decoding = dataclasses.replace(model.config.decoding, max_exponent=0.1)
    other = changed(model, decoding=decoding)
    logits, offsets = outputs(model, [(10, 2, 6.0, [0.1, 0.1, 0.2, 0.2])])
    offsets[10] = (0, 0, 5, -5)
    (found,), _ = explain_detections(other, logits, offsets, 0.5)
    assert "exp(min(5.0000 * 0.2, 0.1000))" in found.arithmetic[2]
    assert "exp(-5.0000 * 0.2)" in found.arithmetic[3]


# --- text, JSON, command -------------------------------------------------------------------------


def test_without_truth_only_detections(model, sample):
    bare = explain(model, sample.image, None, MIN_SCORE)
    assert bare.objects is bare.neutral is bare.mining is None and bare.detections
    assert to_text(bare).startswith("DETECTIONS") and to_json(bare)["mining"] is None


def test_the_text_tells_all_three_parts(explanation):
    text = to_text(explanation)
    best = explanation.objects[0].matches[0]
    assert f"IoU {best.iou:.4f}  {best.place.feature_map} row {best.place.row}" in text
    assert re.search(r"the cut: rank \d+ costs [\d.]+ and is in, rank \d+ costs [\d.]+", text)
    assert explanation.detections[0].arithmetic[0] in text
    assert max(len(line) for line in text.splitlines()) < 140


def test_json_holds_plain_values(explanation):
    values = json.loads(json.dumps(to_json(explanation), allow_nan=False))
    assert values["config"] == "tiny"
    assert values["mining"]["wanted"] == explanation.mining.wanted
    assert len(values["mining"]["mined"]) == len(explanation.mining.mined)
    assert values["detections"][0]["place"]["feature_map"].startswith("conv")
    assert len(values["objects"]) == len(explanation.objects)


@pytest.fixture
def files(tmp_path, model, sample):
    """A weights file, a picture and its annotation."""
    save(tmp_path / "w.npz", model)
    Image.fromarray(sample.image).save(tmp_path / "picture.png")
    height, width = sample.image.shape[:2]
    objects = ""
    for label, box in zip(sample.truth.labels, sample.truth.boxes_corner, strict=True):
        pixels = box * [width, height, width, height] + 1
        sides = "".join(
            f"<{side}>{value}</{side}>"
            for side, value in zip(("xmin", "ymin", "xmax", "ymax"), pixels, strict=True)
        )
        name = model.config.class_names[label - 1]
        objects += f"<object><name>{name}</name><bndbox>{sides}</bndbox></object>"
    (tmp_path / "Annotations").mkdir()
    (tmp_path / "Annotations" / "picture.xml").write_text(f"<annotation>{objects}</annotation>")
    return tmp_path


def run(capsys, files, *argv):
    weights = ["--weights", str(files / "w.npz"), "--min-score", str(MIN_SCORE)]
    code = main(["explain", str(files / "picture.png"), *weights, *map(str, argv)])
    return code, *capsys.readouterr()


def test_the_command(capsys, files, explanation):
    xml = files / "Annotations" / "picture.xml"
    code, out, _ = run(capsys, files, "--truth", xml, "--out", files / "why")
    assert code == 0 and out.startswith(to_text(explanation))
    pictures = {path.name for path in (files / "why").iterdir()}
    assert {"matches.png", "mined.png", "detection-0.png"} <= pictures
    for name in pictures:
        picture = Image.open(files / "why" / name).convert("RGB")
        assert picture.size[0] > 500 and len(picture.getcolors(2**24)) > 50
    code, other, _ = run(capsys, files, "--truth", f"voc:{files}", "--json")
    assert code == 0 and json.loads(other)["objects"][0]["matches"]
    assert run(capsys, files)[1].startswith("DETECTIONS")


def test_what_can_not_be_explained_is_told_in_one_line(capsys, files):
    xml = files / "Annotations" / "picture.xml"
    xml.write_text("<annotation><object><name>dog</name><bndbox><xmin>1</xmin><ymin>1</ymin>"
                   "<xmax>9</xmax><ymax>9</ymax></bndbox></object></annotation>")  # fmt: skip
    code, _, err = run(capsys, files, "--truth", xml)
    assert code == 1 and err.count("\n") == 1
    assert "object 0: unknown class 'dog' (known: circle," in err
    xml.unlink()
    code, _, err = run(capsys, files, "--truth", f"voc:{files}")
    assert code == 1 and "picture.xml: no annotation of this image" in err


@pytest.mark.parametrize(
    ("change", "name", "message"),
    [
        ("<size><width>7</width><height>9</height></size>", "picture", "of 7 x 9 pixels"),
        ("<filename>other.png</filename>", "else", "of another image, 'other.png'"),
        ("", "else", "of another image"),
    ],
)
def test_the_truth_of_another_image_is_refused(change, name, message, capsys, files):
    xml = files / "Annotations" / "picture.xml"
    other = files / "Annotations" / f"{name}.xml"
    other.write_text(xml.read_text().replace("<annotation>", f"<annotation>{change}"))
    code, out, err = run(capsys, files, "--truth", other)
    assert code == 1 and out == "" and err.count("\n") == 1
    assert message in err


@pytest.mark.parametrize("name", ["picture.jpg", "C:\\photos\\picture.png", "/home/me/picture.png"])
def test_an_annotation_that_names_the_image_may_be_called_otherwise(name, capsys, files):
    xml = files / "Annotations" / "picture.xml"
    told = f"<annotation><filename>{name}</filename>"
    (files / "copy.xml").write_text(xml.read_text().replace("<annotation>", told))
    assert run(capsys, files, "--truth", files / "copy.xml")[0] == 0


def test_every_detection_has_its_picture_or_it_is_said(capsys, files, explanation, monkeypatch):
    found = len(explanation.detections)
    code, out, _ = run(capsys, files, "--out", files / "all")
    drawn = len(list((files / "all").glob("detection-*.png")))
    assert code == 0 and drawn == min(found, 20) > 5
    assert ("pictures of the first" in out) == (found > 20)
    monkeypatch.setattr("ssd_np.commands.explain.MOST_DECODED", 2)
    _, out, _ = run(capsys, files, "--out", files / "some")
    assert f"pictures of the first 2 of {found} detections" in out


def test_the_names_of_the_boxes_are_explained(explanation, model):
    text = to_text(explanation)
    assert "s': side sqrt(min_size * max_size)" in text
    assert "conv5_2    s 40 x 40   s' 51 x 51   2 57 x 28   1/2 28 x 57" in text
    assert place_of(model, 1025).meaning == "a square of side sqrt(min_size * max_size) = " + (
        "sqrt(40 * 64) = 50.6"
    )


def test_the_annotation_of_another_image_is_refused(capsys, files):
    """By name, in the file and of it, and by size; a name in either of the two is enough."""
    xml = files / "Annotations" / "picture.xml"
    text, other = xml.read_text(), files / "other.xml"
    named = "<annotation><filename>other.jpg</filename>"
    other.write_text(text.replace("<annotation>", named))
    code, _, err = run(capsys, files, "--truth", other)
    assert code == 1 and err.count("\n") == 1
    assert "other.xml: is the annotation of another image, 'other.jpg'" in err
    other.write_text(text.replace("<annotation>", "<annotation><filename>picture.jpg</filename>"))
    assert run(capsys, files, "--truth", other)[0] == 0
    size = "<annotation><size><width>640</width><height>480</height></size>"
    xml.write_text(text.replace("<annotation>", size))
    for truth in (xml, f"voc:{files}"):
        code, _, err = run(capsys, files, "--truth", truth)
        assert code == 1 and "is the annotation of an image of 640 x 480 pixels" in err
