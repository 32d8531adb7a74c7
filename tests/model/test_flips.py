"""Detections averaged over an image and its mirror image."""

import json

import numpy as np
import pytest

from ssd_np.cli import main
from ssd_np.config import DecodingConfig
from ssd_np.data.shapes import ShapesDataset
from ssd_np.infer.detect import Detector
from ssd_np.infer.flips import FlipDetector, average, mirrored
from ssd_np.model.weights import load
from ssd_np.records import Detections

RULE = DecodingConfig()
A, NEAR_A, B = (0.1, 0.1, 0.5, 0.5), (0.12, 0.1, 0.52, 0.5), (0.6, 0.2, 0.9, 0.9)


def found(*rows):
    labels, scores, boxes = zip(*rows, strict=True) if rows else ((), (), ())
    boxes = np.reshape(boxes, (-1, 4)).astype(float)
    return Detections(boxes, np.array(labels, int), np.array(scores, float), ["a", "b"])


def test_pairs_are_averaged_and_the_rest_is_halved():
    both = average(found((1, 0.9, A), (2, 0.5, B)), found((1, 0.3, NEAR_A), (1, 0.2, B)), RULE)
    assert both.labels.tolist() == [1, 2, 1]  # of two classes: no pair
    np.testing.assert_allclose(both.scores, [0.6, 0.25, 0.1])
    expected = (0.9 * np.array(A) + 0.3 * np.array(NEAR_A)) / 1.2
    np.testing.assert_allclose(both.boxes_corner[0], expected)
    np.testing.assert_array_equal(both.boxes_corner[1:], [B, B])


def test_each_is_paired_once_and_the_better_first():
    both = average(found((1, 0.6, NEAR_A), (1, 0.9, A)), found((1, 0.8, A)), RULE)
    np.testing.assert_allclose(both.scores, [0.85, 0.3])


def test_the_rules_limits_hold():
    assert len(average(found((1, 0.015, A)), found(), RULE)) == 0  # half of it is below 0.01
    rule = DecodingConfig(top_k=2)
    assert len(average(found((1, 0.9, A), (2, 0.8, A)), found((2, 0.7, B)), rule)) == 2
    assert len(average(found(), found(), RULE)) == 0


@pytest.mark.parametrize("seed", range(5))
def test_the_same_on_both_sides_changes_nothing(seed):
    rng = np.random.default_rng(seed)
    low = rng.uniform(0, 0.6, (9, 2))
    boxes = np.concatenate([low, low + 0.2], axis=1)
    one = Detections(boxes, rng.integers(1, 3, 9), rng.uniform(0.1, 1, 9), ["a", "b"]).at_least(0)
    both = average(one, mirrored(mirrored(one)), RULE)
    np.testing.assert_allclose(both.scores, one.scores)
    np.testing.assert_allclose(both.boxes_corner, one.boxes_corner, atol=1e-12)


def test_a_mirrored_image_has_the_mirrored_answer():
    """The average is as symmetric as a plain detector is not."""
    model, images = load("shapes"), np.stack([ShapesDataset(3, 4)[i].image for i in range(4)])
    flipped = np.ascontiguousarray(images[:, :, ::-1])
    for kind, same in ((FlipDetector, True), (Detector, False)):
        detector = kind(model, 0.2)
        for one, other in zip(
            detector.detect_all(images), detector.detect_all(flipped), strict=True
        ):
            back = mirrored(other)
            equal = len(one) == len(back) and np.allclose(one.scores, back.scores, atol=1e-4)
            assert equal == same
            if same:
                np.testing.assert_allclose(one.boxes_corner, back.boxes_corner, atol=1e-4)


def test_eval_says_so(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("ssd_np.commands.datasets.EVAL_SHAPES", 4)
    monkeypatch.chdir(tmp_path)
    for out, more in (("plain", []), ("flips", ["--flips"])):
        assert (
            main(["eval", "shapes", "--out", out, *more, "--save-detections", f"{out}.json"]) == 0
        )
    told = [json.loads((tmp_path / out / "eval.json").read_text()) for out in ("plain", "flips")]
    assert "mirror image" in told[1]["detections"] and "mirror" not in told[0]["detections"]
    assert told[0]["mean_ap"] > 0.8 and told[1]["mean_ap"] > 0.8
    assert (tmp_path / "plain.json").read_text() != (tmp_path / "flips.json").read_text()
    capsys.readouterr()
    assert main(["eval", "--detections", "plain.json", "--flips"]) == 1
    assert "--flips: the detections are there already" in capsys.readouterr().err
