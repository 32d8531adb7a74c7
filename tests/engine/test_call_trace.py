"""Stepping into a concept meets the concept: few functions, none of them in another thread.

Checks of arguments (files called checks.py) are left out: they raise or return at once.
"""

import numpy as np
import pytest
from tracing import entered

from ssd_np.boxes.coords import center_to_corner
from ssd_np.config import load_config
from ssd_np.engine import TABLE, select
from ssd_np.infer.detect import Detector
from ssd_np.model.ssd import SSD

# im2col's loops: whether a compiled function is seen depends on the versions of Numba and Python
COMPILED = ("nn/im2col.py: _lay_out", "nn/im2col.py: _add_back")
GT, GT_LABELS = np.array([[0.1, 0.1, 0.4, 0.5], [0.5, 0.5, 0.9, 0.8]]), np.array([1, 2])


@pytest.fixture(scope="module")
def model():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSD_NP_ENGINE", "plain")
        yield SSD(load_config("tiny"))


@pytest.fixture(scope="module")
def ops():
    plain = select("plain")
    for name in TABLE:
        getattr(plain, name)  # looked up once: the table is no part of what is traced
    return plain


def steps(call):
    found = entered(call)
    assert set().union(*found.values()) == {"MainThread"}
    return [place for place in found if "checks.py" not in place and place not in COMPILED]


MATCHING = [
    "boxes/matching.py: match",
    "boxes/iou.py: iou_matrix",
    "boxes/coords.py: area",
    "boxes/matching.py: match_iou",
]


def test_matching(model, ops):
    corner = center_to_corner(model.default_boxes[:, :4])
    assert steps(lambda: ops.match(GT, corner)) == MATCHING


def test_targets(model, ops):
    assert steps(lambda: ops.make_targets(GT, GT_LABELS, model.default_boxes)) == [
        "boxes/targets.py: make_targets",
        "boxes/coords.py: center_to_corner",
        *MATCHING,
        "boxes/targets.py: targets_of_matches",
        "boxes/coords.py: corner_to_center",
        "boxes/codec.py: encode",
        "boxes/codec.py: _columns",
    ]


def test_suppression(rng, ops):
    boxes, scores = np.sort(rng.random((50, 2, 2)), axis=1).reshape(50, 4), rng.random(50)
    assert steps(lambda: ops.nms(boxes, scores)) == [
        "boxes/nms.py: nms",
        "boxes/nms.py: best_first",
        "boxes/iou.py: iou_matrix",
        "boxes/coords.py: area",
    ]


def test_convolution(rng, ops):
    """What lesson 05 steps into: with the loop of im2col five functions; the formula of the output
    size is the one of the config's layers."""
    x, w = rng.standard_normal((1, 5, 6, 2)), rng.standard_normal((3, 3, 2, 4))
    ops.conv2d_backward(*ops.conv2d_forward(x, w, np.zeros(4), 1, 1))  # compiles its loops
    assert steps(lambda: ops.conv2d_forward(x, w, np.zeros(4), 1, 1)) == CONVOLUTION
    out, cache = ops.conv2d_forward(x, w, np.zeros(4), 1, 1)
    assert steps(lambda: ops.conv2d_backward(out, cache)) == [
        "nn/conv.py: conv2d_backward",
        "nn/im2col.py: im2col",
        "geometry.py: output_size",
        "nn/im2col.py: col2im",
    ]


CONVOLUTION = [
    "nn/conv.py: conv2d_forward",
    "nn/conv.py: check_convolution",
    "nn/im2col.py: im2col",
    "geometry.py: output_size",
]


def test_a_layer_of_the_network(rng, model):
    layer = model.stages[0].layers[0]
    x = rng.standard_normal((1, 16, 16, 3), np.float32)
    layer.forward(x)  # looks its functions up
    found = steps(lambda: layer.forward(x, training=True))
    assert [place for place in found if "parameter.py" not in place] == [
        "nn/layers.py: Conv.forward",
        "nn/layers.py: Convolution.block",
        "nn/blocks.py: conv_block_forward",
        *CONVOLUTION,
        "nn/relu.py: activation_forward",
        "nn/relu.py: check_activation",
        "nn/relu.py: relu_forward",
    ]


def test_other_layers(rng, ops):
    x, w = rng.standard_normal((2, 5, 6, 2)), rng.standard_normal((3, 3, 2))
    assert len(steps(lambda: ops.depthwise_forward(x, w, np.zeros(2)))) == 4
    assert len(steps(lambda: ops.max_pool2d_forward(x, 2, 2))) <= 5
    assert steps(lambda: ops.batchnorm_forward(x, np.ones(2), np.zeros(2))) == [
        "nn/batchnorm.py: batchnorm_forward",
        "nn/batchnorm.py: check_batchnorm",
    ]


def test_the_loss(rng, model, ops):
    labels, target = ops.make_targets(GT, GT_LABELS, model.default_boxes)
    logits, offsets = rng.standard_normal((1, 1344, 6)), rng.standard_normal((1, 1344, 4))
    assert steps(lambda: ops.multibox_loss(logits, offsets, labels[None], target[None])) == [
        "loss/multibox.py: multibox_loss",
        "loss/multibox.py: background_loss",  # by softmax or by sigmoid
        "nn/softmax.py: log_softmax_forward",
        "loss/mining.py: mine_hard_negatives",
        "loss/cross_entropy.py: cross_entropy_forward",
        "loss/cross_entropy.py: cross_entropy_backward",
        "loss/smooth_l1.py: smooth_l1_forward",
        "loss/smooth_l1.py: smooth_l1_backward",
    ]


def test_decoding(rng, model, monkeypatch):
    monkeypatch.setenv("SSD_NP_ENGINE", "plain")
    detector = Detector(model)
    logits, offsets = rng.standard_normal((1344, 6)), rng.standard_normal((1344, 4))
    detector.decode(logits, offsets)  # looks its functions up
    assert steps(lambda: detector.decode(logits, offsets)) == [
        "infer/detect.py: Detector.decode",
        "infer/detect.py: Detector.decode_with_reasons",
        "infer/decode.py: decode_outputs",
        "infer/decode.py: check_finite",
        "nn/softmax.py: softmax",
        "boxes/codec.py: decode",
        "boxes/codec.py: _columns",
        "boxes/coords.py: center_to_corner",
        "boxes/nms.py: nms_each_class",
        "boxes/nms.py: nms",
        "boxes/nms.py: best_first",
        "boxes/iou.py: iou_matrix",
        "boxes/coords.py: area",
        "infer/decode.py: Decoded.detections",
        "boxes/coords.py: clip",
        "records.py: Detections.__post_init__",
    ]


def test_detecting(model, monkeypatch):
    """The whole way of an image: concepts only, of the engine but the table."""
    monkeypatch.setenv("SSD_NP_ENGINE", "plain")
    detector, image = Detector(model), np.zeros((40, 50, 3), np.uint8)
    detector.detect(image)  # looks its functions up
    found = steps(lambda: detector.detect(image))
    assert [place for place in found if place.startswith("engine/")] == [
        "engine/table.py: Engine.at_work"
    ]
    assert len(found) <= 48


def test_many_images_stay_in_one_thread(model, monkeypatch):
    monkeypatch.setenv("SSD_NP_ENGINE", "plain")
    images = [np.zeros((40, 50, 3), np.uint8)] * 3
    found = entered(lambda: list(Detector(model).detect_all(images, batch_size=2)))
    assert set().union(*found.values()) == {"MainThread"}
    monkeypatch.setenv("SSD_NP_ENGINE", "fast")
    found = entered(lambda: list(Detector(model).detect_all(images, batch_size=2)))
    assert found["data/image.py: preprocess"] != {"MainThread"}  # the test sees other threads
