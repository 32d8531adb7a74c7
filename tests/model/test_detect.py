"""Decoding: an independent reading of the rules, planted outputs, and the limits on counts."""

import dataclasses

import numpy as np
import pytest

from ssd_np.boxes.codec import encode
from ssd_np.boxes.coords import corner_to_center
from ssd_np.boxes.iou import iou_matrix
from ssd_np.config import load_config
from ssd_np.errors import NotFinite
from ssd_np.infer.detect import Detector
from ssd_np.model.ssd import SSD
from ssd_np.nn.softmax import softmax

pytestmark = pytest.mark.lesson13


@pytest.fixture(scope="module")
def model() -> SSD:
    return SSD(load_config("tiny"))


def plant(model: SSD, objects) -> tuple[np.ndarray, np.ndarray]:
    """Outputs that say background everywhere but (row, label, logit, box_corner) here."""
    logits = np.full((len(model.default_boxes), model.config.num_classes + 1), -20.0)
    logits[:, 0] = 0
    offsets = np.zeros((len(logits), 4))
    for row, label, logit, box in objects:
        logits[row, label] = logit
        center = corner_to_center(np.array([box]))
        offsets[row] = encode(center, model.default_boxes[row : row + 1])
    return logits, offsets


def test_planted_objects_are_found_best_first(model):
    boxes = [[0.1, 0.1, 0.3, 0.35], [0.5, 0.5, 0.9, 0.8], [0.6, 0.1, 0.8, 0.2]]
    objects = [(10, 2, 3.0, boxes[0]), (700, 4, 6.0, boxes[1]), (1300, 1, 4.5, boxes[2])]
    found = Detector(model).decode(*plant(model, objects))
    assert found.labels.tolist() == [4, 1, 2]
    np.testing.assert_allclose(found.boxes_corner, [boxes[1], boxes[2], boxes[0]], atol=1e-12)
    expected = [np.exp(z) / (np.exp(z) + 1) for z in (6.0, 4.5, 3.0)]
    np.testing.assert_allclose(found.scores, expected)
    assert found.class_names == ("circle", "square", "triangle", "star", "cross")


def test_two_boxes_on_one_object_become_one_but_other_classes_stay(model):
    box, near = [0.2, 0.2, 0.6, 0.6], [0.22, 0.2, 0.62, 0.6]
    objects = [(10, 2, 6.0, box), (11, 2, 5.0, near), (12, 3, 4.0, near)]
    found = Detector(model).decode(*plant(model, objects))
    assert found.labels.tolist() == [2, 3]


def test_boxes_are_clipped_at_the_output_only(model):
    """Suppression sees the boxes as they are: outside the image the two hardly overlap."""
    a, b = [-0.6, 0.2, 0.2, 0.4], [0.0, 0.2, 0.2, 0.4]
    outputs = plant(model, [(10, 1, 6.0, a), (11, 1, 5.0, b)])
    found = Detector(model).decode(*outputs)
    assert len(found) == 2
    np.testing.assert_allclose(found.boxes_corner, [[0, 0.2, 0.2, 0.4]] * 2, atol=1e-12)
    decoding = dataclasses.replace(model.config.decoding, clip="before_nms")
    other = SSD(dataclasses.replace(model.config, decoding=decoding))
    assert len(Detector(other).decode(*outputs)) == 1


@pytest.mark.parametrize("seed", range(5))
def test_equals_a_plain_reading_of_the_rules(model, seed):
    rng = np.random.default_rng(seed)
    logits = rng.standard_normal((1344, 6)) * 2
    offsets = rng.standard_normal((1344, 4))
    found = Detector(model, score_threshold=0.3, iou_threshold=0.3, top_k=50).decode(
        logits, offsets
    )
    scores, expected = softmax(logits), []
    cx, cy, w, h, v0, v1, v2, v3 = model.default_boxes.T
    x, y = cx + offsets[:, 0] * v0 * w, cy + offsets[:, 1] * v1 * h
    w, h = w * np.exp(offsets[:, 2] * v2), h * np.exp(offsets[:, 3] * v3)
    boxes = np.stack([x - w / 2, y - h / 2, x + w / 2, y + h / 2], axis=1)
    for label in range(1, 6):
        left = [i for i in np.argsort(-scores[:, label]) if scores[i, label] > 0.3][:400]
        while left:
            best = left.pop(0)
            expected.append((scores[best, label], label, *np.clip(boxes[best], 0, 1)))
            left = [
                i for i in left if iou_matrix(boxes[[best]], boxes[[i]])[0, 0] <= 0.3
            ]  # fmt: skip
    expected = sorted(expected, reverse=True)[:50]
    ours = np.column_stack([found.scores, found.labels, found.boxes_corner])
    np.testing.assert_allclose(ours, expected, atol=1e-12)


@pytest.mark.parametrize(
    ("rule", "kept"),
    [({}, 3), ({"score_threshold": 0.96}, 2), ({"iou_threshold": 0.8}, 4), ({"top_k": 1}, 1)],
    ids=str,
)
def test_what_is_not_said_is_as_the_config_says(rule, kept, model):
    box, near = [0.2, 0.2, 0.6, 0.6], [0.25, 0.2, 0.65, 0.6]  # IoU 7 / 9
    objects = [(10, 2, 6.0, box), (11, 2, 5.0, near), (12, 3, 4.0, near), (13, 4, 3.0, box)]
    decoding = dataclasses.replace(model.config.decoding, **rule)
    other = SSD(dataclasses.replace(model.config, decoding=decoding))
    assert len(Detector(other).decode(*plant(model, objects))) == kept
    assert len(Detector(other, 0.01, 0.45, 200).decode(*plant(model, objects))) == 3


@pytest.mark.filterwarnings("error")
def test_a_network_gone_astray_warns_of_nothing(model):
    logits, offsets = plant(model, [(10, 2, 6.0, [0.2, 0.2, 0.6, 0.6])])
    offsets[10:20] = 1e6 * np.random.default_rng(0).standard_normal((10, 4))
    logits[10:20, 2] = 6
    assert len(Detector(model).decode(logits, offsets)) > 0


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("engine", ["plain", "fast"])
def test_weights_gone_astray_are_told_without_a_warning(engine, monkeypatch):
    monkeypatch.setenv("SSD_NP_ENGINE", engine)
    model = SSD(load_config("tiny"))
    for parameter in model.parameters.values():
        parameter.assign(parameter.value * np.float32(1e5))
    with pytest.raises(NotFinite, match="outputs are not finite"):
        Detector(model).detect(np.full((60, 80, 3), 200, np.uint8))


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_outputs_that_are_no_numbers_are_no_answer(which, bad, model):
    outputs = plant(model, [])
    outputs[which][700, 2] = bad
    with pytest.raises(NotFinite, match=r"outputs are not finite.*earlier step"):
        Detector(model).decode(*outputs)


def test_nothing_found_is_an_empty_answer(model):
    found = Detector(model).decode(*plant(model, []))
    assert len(found) == 0 and found.boxes_corner.shape == (0, 4)


def test_detect_takes_a_photograph_of_any_size(model):
    image = np.random.default_rng(0).integers(0, 256, (90, 160, 3), dtype=np.uint8)
    found = Detector(model, score_threshold=0.0).detect(image)
    assert len(found) == 200
    assert found.boxes_corner.min() >= 0 and found.boxes_corner.max() <= 1
    assert (np.diff(found.scores) <= 0).all()


def test_many_images_come_back_in_order():
    # im2col: Winograd takes other sums for one small image than for three
    model = SSD(dataclasses.replace(load_config("tiny"), convolution="im2col"))
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (64, 64, 3), dtype=np.uint8) for _ in range(7)]
    detector = Detector(model, score_threshold=0.2)
    together = list(detector.detect_all(iter(images), batch_size=3))
    assert len(together) == 7
    for image, found in zip(images, together, strict=True):
        alone = detector.detect(image)
        assert found.labels.tolist() == alone.labels.tolist()
        np.testing.assert_allclose(found.boxes_corner, alone.boxes_corner, atol=1e-5)
