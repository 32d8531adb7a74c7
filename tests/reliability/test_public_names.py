"""The usual mistakes are caught where they are made, in one line that says what to do.

One row for each public name and mistake: wrong type, channels first, pixels for fractions, labels
out of range, shapes that do not fit each other.
"""

import numpy as np
import pytest
from training_runs import narrow_config

from ssd_np.boxes.codec import decode, encode
from ssd_np.boxes.coords import center_to_corner, corner_to_center
from ssd_np.boxes.iou import iou_matrix
from ssd_np.boxes.matching import match
from ssd_np.boxes.nms import nms
from ssd_np.boxes.targets import make_targets
from ssd_np.data.batches import Batches
from ssd_np.data.coco import CocoDataset
from ssd_np.data.image import normalise, preprocess
from ssd_np.data.shapes import ShapesDataset
from ssd_np.data.voc import VOCDataset
from ssd_np.engine import select
from ssd_np.errors import SsdError
from ssd_np.evaluate.average_precision import evaluate_voc
from ssd_np.evaluate.coco import evaluate_coco
from ssd_np.evaluate.confusion import outcome_of
from ssd_np.infer.decode import decode_outputs
from ssd_np.infer.detect import Detector
from ssd_np.loss.cross_entropy import cross_entropy_forward
from ssd_np.loss.mining import mine_hard_negatives
from ssd_np.loss.multibox import multibox_loss
from ssd_np.loss.smooth_l1 import smooth_l1_backward, smooth_l1_forward
from ssd_np.model.ssd import SSD
from ssd_np.model.weights import export_torchvision, load, load_torch, read_torch, save
from ssd_np.nn.conv import conv2d_backward, conv2d_forward
from ssd_np.nn.im2col import col2im, im2col
from ssd_np.nn.l2norm import l2norm_backward, l2norm_forward
from ssd_np.nn.pool import max_pool2d_backward, max_pool2d_forward
from ssd_np.nn.relu import relu_backward, relu_forward
from ssd_np.nn.softmax import log_softmax_backward, log_softmax_forward, softmax
from ssd_np.records import Detections, Sample, Truth
from ssd_np.train.trainer import Trainer

BOX, PIXELS = np.array([[0.1, 0.1, 0.5, 0.6]]), np.array([[10.0, 10.0, 50.0, 60.0]])
TEXT = np.array([["a", "b", "c", "d"]])
PRIORS = np.array([[0.5, 0.5, 0.4, 0.4, 0.1, 0.1, 0.2, 0.2]] * 3)
MAP = np.ones((2, 8, 9, 3), np.float32)
KERNEL, BIAS = np.ones((3, 3, 3, 4), np.float32), np.zeros(4, np.float32)
LOGITS, OFFSETS = np.zeros((2, 3, 6), np.float32), np.zeros((2, 3, 4), np.float32)
LABELS, NAMES = np.zeros((2, 3), int), ("cat", "dog")
FLAGS = np.zeros((2, 3), bool)
MODEL = SSD(narrow_config())
IMAGES = np.zeros((1, 128, 128, 3), np.float32)
TRUTH = Truth(BOX, [1])


def found(boxes=BOX, labels=(1,), scores=(0.5,)):
    return Detections(np.asarray(boxes), np.asarray(labels), np.asarray(scores), NAMES)


def backward(pair, *arguments):
    """A backward function that is given the gradient of another output."""
    forward, back = pair
    return lambda: back(np.ones((5, 7), np.float32), forward(*arguments)[1])


def after_forward():
    MODEL.forward(IMAGES, training=True)
    MODEL.backward(LOGITS, OFFSETS)


class Mislabelled:
    """A data set whose own class names are too few for its labels."""

    class_names = ShapesDataset.class_names[:1]

    def __init__(self, seed, count):
        self.whole = ShapesDataset(seed, count)

    def __len__(self):
        return len(self.whole)

    def __getitem__(self, index):
        return self.whole[index]


FRACTIONS = "boxes are fractions of the image; divide pixels by its width and height"
FOUR = "boxes need four numbers in the last axis"

MISTAKES = {
    "corner_to_center: 3 numbers": (lambda: corner_to_center(np.ones((2, 3))), FOUR),
    "corner_to_center: text": (lambda: corner_to_center(TEXT), "boxes are numbers"),
    "center_to_corner: 5 numbers": (lambda: center_to_corner(np.ones(5)), FOUR),
    "iou_matrix: 3 numbers": (lambda: iou_matrix(BOX, np.ones((2, 3))), f"b_corner.*{FOUR}"),
    "iou_matrix: text": (lambda: iou_matrix(TEXT, BOX), "a_corner is <U1.*numbers"),
    "encode: pixels": (lambda: encode(PIXELS, PRIORS[:1]), FRACTIONS),
    "encode: lengths": (lambda: encode(BOX, PRIORS), r"\(1, 4\).*\(3, 8\)"),
    "encode: no variances": (lambda: encode(BOX, BOX), "cx cy w h and four variances"),
    "encode: no area": (lambda: encode(BOX * [1, 1, 0, 1], PRIORS[:1]), "boxes without area"),
    "decode: lengths": (lambda: decode(OFFSETS[0, :2], PRIORS), r"\(2, 4\).*\(3, 8\)"),
    "decode: text": (lambda: decode(TEXT, PRIORS[:1]), "numbers"),
    "match: pixels": (lambda: match(PIXELS, BOX), f"gt_corner holds 60.*{FRACTIONS}"),
    "match: default boxes in pixels": (lambda: match(BOX, PIXELS), "default_corner holds 60"),
    "match: rows of 8": (lambda: match(BOX, PRIORS), f"default_corner.*{FOUR}"),
    "make_targets: pixels": (lambda: make_targets(PIXELS, [1], PRIORS), FRACTIONS),
    "make_targets: label 0": (lambda: make_targets(BOX, [0], PRIORS), "classes count from 1"),
    "make_targets: names": (lambda: make_targets(BOX, ["cat"], PRIORS), "whole numbers"),
    "make_targets: lengths": (lambda: make_targets(BOX, [1, 2], PRIORS), "one label for each"),
    "make_targets: 4 columns": (lambda: make_targets(BOX, [1], BOX), "variances"),
    "nms: lengths": (lambda: nms(BOX, np.ones(2)), r"\(1, 4\), scores \(2,\)"),
    "nms: text": (lambda: nms(TEXT, np.ones(1)), "numbers"),
    "nms: scores of all classes": (lambda: nms(BOX, np.ones((1, 5))), r"expected \(D, 4\)"),
    "nms: nobody wanted": (lambda: nms(BOX, np.ones(1), top_k=0), "top_k is 0 .*from 1 on"),
    "best_first: the worst": (lambda: select().best_first(np.ones(9), -1), "top_k is -1"),
    "best_first, plain": (lambda: select("plain").best_first(np.ones(9), 2.5), "top_k is 2.5"),
    "im2col: one image": (lambda: im2col(MAP[0], 3), r"\(N, H, W, C\)"),
    "im2col: kernel too large": (lambda: im2col(MAP, 20), "does not fit"),
    "col2im: other rows": (lambda: col2im(np.ones((5, 27)), MAP.shape, 3), r"\(5, 27\)"),
    "conv2d: channels first": (
        lambda: conv2d_forward(MAP.transpose(0, 3, 1, 2), KERNEL, BIAS),
        r"x.transpose\(0, 2, 3, 1\)",
    ),
    "conv2d: whole numbers": (lambda: conv2d_forward(MAP.astype(int), KERNEL, BIAS), "x.astype"),
    "conv2d: mixed types": (lambda: conv2d_forward(MAP.astype(float), KERNEL, BIAS), "float64"),
    "conv2d: bias": (lambda: conv2d_forward(MAP, KERNEL, BIAS[:2]), "one bias for each"),
    "conv2d_backward": (
        backward((conv2d_forward, conv2d_backward), MAP, KERNEL, BIAS),
        r"\(5, 7\).*\(2, 6, 7, 4\)",
    ),
    "max_pool2d: one image": (lambda: max_pool2d_forward(MAP[0], 2, 2), r"\(N, H, W, C\)"),
    "max_pool2d_backward": (
        backward((max_pool2d_forward, max_pool2d_backward), MAP, 2, 2),
        r"\(5, 7\).*\(2, 4, 4, 3\)",
    ),
    "relu_backward": (backward((relu_forward, relu_backward), MAP), r"\(5, 7\).*\(2, 8, 9, 3\)"),
    "l2norm: scale": (lambda: l2norm_forward(MAP, BIAS), "one scale a channel"),
    "l2norm: whole numbers": (lambda: l2norm_forward(MAP.astype(int), BIAS[:3]), "float"),
    "l2norm_backward": (
        backward((l2norm_forward, l2norm_backward), MAP, BIAS[:3]),
        r"\(5, 7\).*\(2, 8, 9, 3\)",
    ),
    "softmax: a number": (lambda: softmax(np.float32(3)), r"\(\.\.\., K\)"),
    "log_softmax: text": (lambda: log_softmax_forward(TEXT), "numbers"),
    "log_softmax_backward": (
        backward((log_softmax_forward, log_softmax_backward), LOGITS),
        r"\(5, 7\).*\(2, 3, 6\)",
    ),
    "smooth_l1: shapes": (lambda: smooth_l1_forward(OFFSETS, BOX), r"\(2, 3, 4\).*\(1, 4\)"),
    "smooth_l1_backward": (
        backward((smooth_l1_forward, smooth_l1_backward), OFFSETS, OFFSETS),
        r"\(5, 7\).*\(2, 3, 4\)",
    ),
    "cross_entropy: label 6 of 6": (
        lambda: cross_entropy_forward(LOGITS, LABELS + 6),
        "labels are 0 .background. to classes - 1",
    ),
    "cross_entropy: real labels": (lambda: cross_entropy_forward(LOGITS, LABELS * 1.0), "whole"),
    "cross_entropy: one-hot": (lambda: cross_entropy_forward(LOGITS, LOGITS), r"\(2, 3, 6\)"),
    "mine_hard_negatives: shapes": (
        lambda: mine_hard_negatives(LOGITS[..., 0], FLAGS, FLAGS[:1]),
        r"\(2, 3\).*\(1, 3\)",
    ),
    "mine_hard_negatives: labels": (
        lambda: mine_hard_negatives(LOGITS[..., 0], LABELS, FLAGS),
        "bool",
    ),
    "multibox_loss: channels last but one": (
        lambda: multibox_loss(LOGITS.transpose(0, 2, 1), OFFSETS, LABELS, OFFSETS),
        r"expected \(N, T, K\)",
    ),
    "multibox_loss: label out of range": (
        lambda: multibox_loss(LOGITS, OFFSETS, LABELS + 6, OFFSETS),
        "labels",
    ),
    "multibox_loss: label -2": (
        lambda: multibox_loss(LOGITS, OFFSETS, LABELS - 2, OFFSETS),
        "-1 neutral",
    ),
    "SSD.forward: channels first": (
        lambda: MODEL.forward(IMAGES.transpose(0, 3, 1, 2)),
        r"images.transpose\(0, 2, 3, 1\)",
    ),
    "SSD.forward: bytes": (lambda: MODEL.forward(IMAGES.astype(np.uint8)), "preprocess"),
    "SSD.forward: other size": (lambda: MODEL.forward(IMAGES[:, :64]), r"expects \(N, 128, 128, 3"),
    "SSD.predict: one image": (lambda: MODEL.predict(IMAGES[0]), r"\(128, 128, 3\)"),
    "SSD.backward: shapes": (after_forward, r"\(2, 3, 6\).*\(1, 1344, 6\)"),
    "SSD.freeze: no such layer": (lambda: MODEL.freeze("conv9"), "layers: "),
    "preprocess: from 0 to 1": (lambda: preprocess(IMAGES[0], MODEL.config), r"image \* 255"),
    "Detector.detect: channels first": (
        lambda: Detector(MODEL).detect(np.zeros((3, 40, 50), np.uint8)),
        r"image.transpose\(1, 2, 0\)",
    ),
    "Detector: half a detection": (lambda: Detector(MODEL, top_k=2.5), "top_k.*whole number"),
    "Detector: a word for a score": (
        lambda: Detector(MODEL, score_threshold="a"),
        "score_threshold: expected a finite number",
    ),
    "Detector.detect_all: batches of none": (
        lambda: Detector(MODEL).detect_all([], batch_size=0),
        "batch_size is 0",
    ),
    "Detector: nobody wanted": (lambda: Detector(MODEL, top_k=-1), "top_k: expected at least 1"),
    "Detector.detect: floats": (lambda: Detector(MODEL).detect(IMAGES[0]), "expected uint8"),
    "Detector.detect: grey": (
        lambda: Detector(MODEL).detect(np.zeros((9, 8), np.uint8)),
        r"expected an image \(H, W, 3\)",
    ),
    "Truth: pixels": (lambda: Truth(PIXELS, [1]), FRACTIONS),
    "Truth: label 0": (lambda: Truth(BOX, [0]), "classes count from 1"),
    "Truth: names": (lambda: Truth(BOX, ["cat"]), "whole numbers"),
    "Truth: 3 columns": (lambda: Truth(np.ones((4, 3)), [1] * 4), r"\(4, 3\).*\(G, 4\)"),
    "Sample: channels first": (
        lambda: Sample(np.zeros((3, 9, 8), np.uint8), TRUTH, "7.jpg"),
        r"7.jpg: .*image.transpose\(1, 2, 0\)",
    ),
    "Sample: floats": (lambda: Sample(IMAGES[0], TRUTH, "7.jpg"), r"7.jpg: .* uint8"),
    "evaluate_voc: pixels": (lambda: evaluate_voc([found(PIXELS)], [TRUTH]), FRACTIONS),
    "evaluate_voc: label 3 of 2": (
        lambda: evaluate_voc([found(labels=[3])], [TRUTH]),
        "image 0.*labels count from 1 to the number of class names, 2",
    ),
    "evaluate_voc: lengths": (lambda: evaluate_voc([found()], []), "one item for each image"),
    "evaluate_coco: pixels": (lambda: evaluate_coco([found(PIXELS)], [TRUTH]), FRACTIONS),
    "evaluate_coco: shapes": (
        lambda: evaluate_coco([found(scores=[1, 2])], [TRUTH]),
        r"\(1, 4\), scores \(2,\)",
    ),
    "VOCDataset: no folder": (lambda: VOCDataset("/nowhere", "train"), "/nowhere"),
    "CocoDataset: no file": (lambda: CocoDataset("/nowhere", "/nowhere.json"), "/nowhere.json"),
    "load: no file": (lambda: load("nothing.npz"), "with the package come"),
    "load: one name for heads": (lambda: load("shapes", replace_heads="cat"), "a list of names"),
    "save: nowhere": (lambda: save("/dev/null/w.npz", MODEL), "can not be written"),
    "read_torch: no file": (lambda: read_torch("nothing.pth"), "no such file"),
    "load_torch: no file": (lambda: load_torch("nothing.pth"), "no such file"),
    "export_torchvision: another network": (
        lambda: export_torchvision("/dev/null/w.npz", MODEL),
        "SSD300|torchvision",
    ),
    "Trainer: unknown classes": (
        lambda: Trainer(SSD(MODEL.config), Named(), MODEL.config.training, "/dev/null/run"),
        "unknown to the model",
    ),
    "Trainer: label above the names": (
        lambda: Trainer(MODEL, Mislabelled(0, 4), MODEL.config.training, "x").match(
            Batches(Mislabelled(0, 4), MODEL.config, 4, 0).make(0)
        ),
        "shapes.*: an object has label . .its data has 1 class names",
    ),
    "Batches: nothing": (lambda: Batches(ShapesDataset(0, 0), MODEL.config, 4, 0), "no images"),
}


class Named(ShapesDataset):
    class_names = ("hexagon",)

    def __init__(self):
        super().__init__(0, 2)


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_caught_with_a_hint(name):
    call, message = MISTAKES[name]
    with pytest.raises(SsdError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("wrong", [None, 5, np.zeros((3, 4))], ids=repr)
def test_what_is_no_config_is_named(wrong):
    """Where the arrays beside it are right."""
    image, scores, boxes = np.zeros((8, 8, 3), np.uint8), np.zeros((3, 2)), np.zeros((3, 4))
    calls = [
        (lambda: normalise(image, wrong), "config is a"),
        (lambda: preprocess(image, wrong), "config is a"),
        (lambda: decode_outputs(scores, boxes, boxes, wrong, select()), "rule is a"),
        (lambda: outcome_of(wrong, wrong), "found is a"),
    ]
    for call, message in calls:
        with pytest.raises(SsdError, match=message):
            call()
