"""What stands around the network agrees with torchvision's own code."""

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
from ssd_np.loss.multibox import multibox_loss

real = pytest.importorskip("real_torchvision")
torch = real.torch

GRIDS = (38, 19, 10, 5, 3, 1)


@pytest.fixture(scope="module", autouse=True)
def in_float64():
    """What PyTorch makes of whole numbers: torchvision computes the centres of boxes in it."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


@pytest.fixture(scope="module")
def net(in_float64):
    return real.ssd300(classes=91, dtype=torch.float64)


@pytest.fixture(scope="module")
def anchors(net):
    """(8732, 4) corners in pixels of the 300 x 300 image."""
    images = real.torchvision.models.detection.image_list.ImageList(
        torch.zeros(1, 3, 300, 300), [(300, 300)]
    )
    return net.anchor_generator(images, [torch.zeros(1, 1, side, side) for side in GRIDS])[0]


@pytest.fixture(scope="module")
def config():
    return in_dialect(load_config("ssd300_coco"), "torchvision")


@pytest.fixture(scope="module")
def boxes(config):
    return default_boxes(config)


def random_truth(rng, count):
    low = rng.uniform(0, 0.6, (count, 2))
    return np.concatenate([low, low + rng.uniform(0.08, 0.4, (count, 2))], axis=1)


def test_default_boxes(boxes, anchors):
    ours = 300 * center_to_corner(boxes[:, :4])
    np.testing.assert_allclose(ours, anchors.numpy(), rtol=0, atol=1e-10)


def test_encode_and_decode(config, boxes, net, anchors):
    rng = np.random.default_rng(0)
    gt = random_truth(rng, len(boxes))
    theirs = net.box_coder.encode_single(torch.tensor(300 * gt), anchors)
    ours = encode(corner_to_center(gt), boxes)
    np.testing.assert_allclose(ours, theirs.numpy(), rtol=0, atol=1e-9)
    offsets = rng.normal(0, 10, (len(boxes), 4))  # some beyond the limit on exp
    ours = center_to_corner(decode(offsets, boxes, config.decoding.max_exponent))
    theirs = net.box_coder.decode_single(torch.tensor(offsets), anchors)
    np.testing.assert_allclose(300 * ours, theirs.numpy(), rtol=1e-9, atol=1e-9)
    assert (offsets[:, 2:] / 5 > math.log(1000 / 16)).sum() > 50


def test_matching_without_conflicts(boxes, net, anchors):
    compared, corner = 0, center_to_corner(boxes[:, :4])
    for seed in range(20):
        gt = random_truth(np.random.default_rng(seed), 4)
        iou = real.torchvision.ops.box_iou(torch.tensor(300 * gt), anchors)
        if len(set(iou.argmax(1).tolist())) < 4:
            continue  # two objects want one box: torchvision's last one wins, here both are served
        np.testing.assert_array_equal(match(gt, corner), net.proposal_matcher(iou).numpy())
        compared += 1
    assert compared >= 10


def test_the_loss_of_a_batch_with_an_empty_image(net, anchors):
    """Mining too: the three hardest negatives for each positive of an image, none without one."""
    rng = np.random.default_rng(0)
    logits, offsets = rng.normal(0, 2, (3, 8732, 91)), rng.normal(0, 1, (3, 8732, 4))
    labels, targets = np.zeros((3, 8732), np.int64), np.zeros((3, 8732, 4))
    truths, matched = [], []
    for image, rows in enumerate(([5, 700, 8000], [1234], [])):
        truth = anchors[rows] + torch.tensor([1.0, -2.0, 3.0, 1.5])
        truths.append({"boxes": truth, "labels": torch.arange(1, len(rows) + 1)})
        matched.append(torch.full((8732,), -1))
        matched[-1][rows] = torch.arange(len(rows))
        labels[image, rows] = np.arange(1, len(rows) + 1)
        targets[image, rows] = net.box_coder.encode_single(truth, anchors[rows]).numpy()
    outputs = {"cls_logits": torch.tensor(logits), "bbox_regression": torch.tensor(offsets)}
    theirs = net.compute_loss(truths, outputs, [anchors] * 3, matched)
    ours = multibox_loss(logits, offsets, labels, targets)
    assert ours.confidence == pytest.approx(theirs["classification"].item(), rel=1e-12)
    assert ours.location == pytest.approx(theirs["bbox_regression"].item(), rel=1e-12)


def test_preprocessing(config, net):
    """Of integers; torchvision takes what they are in [0, 1]."""
    image = np.random.default_rng(0).integers(0, 256, (211, 333, 3), np.uint8)
    given = torch.tensor(image / 255).permute(2, 0, 1)
    theirs = net.transform([given])[0].tensors[0].permute(1, 2, 0).numpy()
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


def test_detections(config, boxes, outputs, net, anchors):
    ours = Detector(OnlyOutputs(config, boxes)).decode(*outputs)
    given = {
        "cls_logits": torch.tensor(outputs[0][None]),
        "bbox_regression": torch.tensor(outputs[1][None]),
    }
    (theirs,) = net.postprocess_detections(given, [anchors], [(300, 300)])
    assert len(ours) == 200
    np.testing.assert_array_equal(ours.labels, theirs["labels"].numpy())
    np.testing.assert_allclose(ours.scores, theirs["scores"].numpy(), rtol=0, atol=1e-12)
    np.testing.assert_allclose(300 * ours.boxes_corner, theirs["boxes"].numpy(), rtol=0, atol=1e-9)


def test_the_order_of_clip_and_suppression_matters_there(config, boxes, outputs):
    """Otherwise the agreement above would not show which one comes first."""
    other = with_value(config, "decoding.clip", "output")
    ours = [Detector(OnlyOutputs(c, boxes)).decode(*outputs) for c in (config, other)]
    assert ours[0].boxes_corner.tolist() != ours[1].boxes_corner.tolist()
