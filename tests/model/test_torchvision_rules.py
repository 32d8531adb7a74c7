"""What stands around the network agrees with torchvision's rules, written here in torch."""

import math

import numpy as np
import pytest

from ssd_np.boxes.codec import decode, encode
from ssd_np.boxes.coords import center_to_corner, corner_to_center
from ssd_np.boxes.default_boxes import default_boxes
from ssd_np.boxes.matching import match
from ssd_np.config import load_config
from ssd_np.data.image import preprocess
from ssd_np.dialects import in_dialect, with_value
from ssd_np.infer.detect import Detector
from ssd_np.loss.mining import mine_hard_negatives

pytest.importorskip("torch")  # the network's oracle is built from it
from published_in_torch import (
    torch,
    torchvision_boxes,
    torchvision_decode,
    torchvision_detections,
    torchvision_match,
    torchvision_preprocess,
)


@pytest.fixture(scope="module")
def config():
    return in_dialect(load_config("ssd300_coco"), "torchvision")


@pytest.fixture(scope="module")
def boxes(config):
    return default_boxes(config)


def random_truth(rng, count):
    low = rng.uniform(0, 0.6, (count, 2))
    return np.concatenate([low, low + rng.uniform(0.08, 0.4, (count, 2))], axis=1)


def test_default_boxes(boxes):
    np.testing.assert_allclose(boxes[:, :4], torchvision_boxes().numpy(), rtol=0, atol=1e-12)


def test_encode_and_decode(config, boxes):
    rng = np.random.default_rng(0)
    gt = corner_to_center(random_truth(rng, len(boxes)))
    d = torchvision_boxes()
    theirs = torch.cat([(torch.tensor(gt[:, :2]) - d[:, :2]) / d[:, 2:] * 10,
                        (torch.tensor(gt[:, 2:]) / d[:, 2:]).log() * 5], -1)  # fmt: skip
    np.testing.assert_allclose(encode(gt, boxes), theirs.numpy(), rtol=0, atol=1e-9)
    offsets = rng.normal(0, 10, (len(boxes), 4))  # some beyond the limit on exp
    ours = decode(offsets, boxes, config.decoding.max_exponent)
    np.testing.assert_allclose(ours, torchvision_decode(torch.tensor(offsets), d), atol=1e-9)
    assert (offsets[:, 2:] / 5 > math.log(1000 / 16)).sum() > 50


def test_matching_without_conflicts(boxes):
    compared = 0
    for seed in range(20):
        gt = random_truth(np.random.default_rng(seed), 4)
        theirs = torchvision_match(torch.tensor(gt), torchvision_boxes()).numpy()
        ours = match(gt, center_to_corner(boxes[:, :4]))
        best = center_to_corner(boxes[:, :4])
        if len({int(np.argmax(row)) for row in pairwise(gt, best)}) < 4:
            continue  # two objects want one box: torchvision's last one wins, here both are served
        np.testing.assert_array_equal(ours, theirs)
        compared += 1
    assert compared >= 10


def pairwise(a, b):
    """IoU by the definition."""
    low, high = np.maximum(a[:, None, :2], b[:, :2]), np.minimum(a[:, None, 2:], b[:, 2:])
    shared = np.clip(high - low, 0, None).prod(-1)
    areas = [(x[:, 2:] - x[:, :2]).prod(-1) for x in (a, b)]
    return shared / (areas[0][:, None] + areas[1] - shared)


def test_mining():
    rng = np.random.default_rng(0)
    loss, positive = rng.exponential(1, (3, 200)), np.zeros((3, 200), bool)
    positive[0, :7], positive[1, 50:52] = True, True  # the third image is empty
    theirs = torch.tensor(loss)
    theirs[torch.tensor(positive)] = -math.inf
    rank = theirs.sort(1, descending=True)[1].sort(1)[1]
    expected = rank < 3 * torch.tensor(positive).sum(1, keepdim=True)
    mined = mine_hard_negatives(loss, positive, ~positive)
    np.testing.assert_array_equal(mined, expected.numpy())
    assert mined.sum(axis=1).tolist() == [21, 6, 0]


def test_preprocessing(config):
    image = np.random.default_rng(0).integers(0, 256, (211, 333, 3), np.uint8)
    theirs = torchvision_preprocess(image)[0].permute(1, 2, 0).numpy()
    np.testing.assert_allclose(preprocess(image, config), theirs, rtol=0, atol=2e-4)


class OnlyOutputs:
    """In place of a network: all that `Detector.decode` asks of a model."""

    def __init__(self, config, boxes):
        self.config, self.default_boxes = config, boxes


@pytest.fixture(scope="module")
def outputs():
    """Logits and offsets of one image."""
    rng = np.random.default_rng(3)
    logits = rng.normal(0, 1, (8732, 91))
    logits[:, 0] += 7
    logits[rng.integers(0, 8732, 3000), rng.integers(1, 4, 3000)] += 7  # many of few classes
    return logits, rng.normal(0, 10, (8732, 4))  # many leave the image, some grow without limit


def test_detections(config, boxes, outputs):
    logits, offsets = outputs
    ours = Detector(OnlyOutputs(config, boxes)).decode(logits, offsets)
    theirs, scores, labels = torchvision_detections(torch.tensor(logits), torch.tensor(offsets))
    assert len(ours) == 200
    np.testing.assert_array_equal(ours.labels, labels.numpy())
    np.testing.assert_allclose(ours.scores, scores.numpy(), rtol=0, atol=1e-12)
    np.testing.assert_allclose(ours.boxes_corner, theirs.numpy(), rtol=0, atol=1e-12)


def test_the_order_of_clip_and_suppression_matters_there(config, boxes, outputs):
    """Otherwise the agreement above would not show which one comes first."""
    other = with_value(config, "decoding.clip", "output")
    ours = [Detector(OnlyOutputs(c, boxes)).decode(*outputs) for c in (config, other)]
    assert ours[0].boxes_corner.tolist() != ours[1].boxes_corner.tolist()
