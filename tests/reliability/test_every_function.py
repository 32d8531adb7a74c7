"""Every public function with wrong types, shapes, dtypes and numbers: a result, or the library's
own error with what is wrong.

EXAMPLES has a sound call of each function that takes arrays, numbers or paths; each argument in
turn is replaced by what does not belong there. Arguments that are objects of the package (a config,
a model, what a forward function handed to its backward) stay as they are.
"""

import importlib
import inspect

import numpy as np
import pytest
from training_runs import narrow_config
from wrong import ALWAYS, leaks

from ssd_np.data.shapes import ShapesDataset
from ssd_np.engine import select
from ssd_np.engine.table import TABLE
from ssd_np.evaluate.average_precision import evaluate_voc
from ssd_np.model.ssd import SSD
from ssd_np.nn.blocks import Block, Pool
from ssd_np.records import Detections, Truth

RNG = np.random.default_rng(0)
CONFIG = narrow_config()
MODEL = SSD(CONFIG)
BOXES = np.array([[0.1, 0.1, 0.5, 0.6], [0.2, 0.3, 0.9, 0.8], [0.4, 0.1, 0.6, 0.2]])
CENTER = np.array([[0.3, 0.4, 0.4, 0.5]] * 3)
LABELS, SCORES = np.array([1, 2, 1]), np.array([0.9, 0.5, 0.7])
DEFAULTS = np.concatenate([CENTER, [[0.1, 0.1, 0.2, 0.2]] * 3], axis=1)
X, KERNEL, BIAS = RNG.random((2, 8, 9, 3)), RNG.random((3, 3, 3, 4)), RNG.random(4)
THREE, LOGITS = RNG.random(3) + 0.5, RNG.random((2, 3, 4))
OFFSETS, MATCHED = RNG.random((2, 3, 4)), np.array([[0, 1, 2], [-1, 0, 0]])
STEPS = [(0, Block(KERNEL, BIAS, pad=1)), (1, Pool(2, 2))]
IMAGE = RNG.integers(0, 256, (12, 10, 3)).astype(np.uint8)
FLOATS = IMAGE.astype(np.float32)
WINDOW = np.array([0.1, 0.1, 0.9, 0.9])
TRUTH = Truth(BOXES, LABELS, size=(20, 30))
DATA = ShapesDataset(0, 2)
SAMPLE = DATA[0]
FOUND = Detections(BOXES, LABELS, SCORES, ("cat", "dog"))
VOC = evaluate_voc([FOUND], [TRUTH])


class Forward:
    """The arguments of a backward function: what the forward of the same engine hands to it."""

    def __init__(self, name, *given):
        self.name, self.given = name, given

    def __call__(self, ops):
        room, function = self.name.split(".")
        home = ops if function in TABLE else importlib.import_module(f"ssd_np.{room}")
        out, cache = getattr(home, function)(*self.given)
        return np.ones_like(out), cache


# room.function -> a sound call's arguments
EXAMPLES = {
    "nn.activation_backward": Forward("nn.activation_forward", X, "relu6"),
    "nn.activation_forward": lambda: (X, "relu"),
    "nn.batchnorm_backward": Forward("nn.batchnorm_forward", X, THREE, THREE),
    "nn.batchnorm_block_backward": Forward("nn.batchnorm_block_forward", X, THREE, THREE),
    "nn.batchnorm_block_forward": lambda: (X, THREE, THREE, 1e-5, "relu"),
    "nn.batchnorm_forward": lambda: (X, THREE, THREE, 1e-5),
    "nn.batchnorm_inference_backward": Forward(
        "nn.batchnorm_inference_forward", X, THREE, THREE, THREE, THREE),
    "nn.batchnorm_inference_forward": lambda: (X, THREE, THREE, THREE, THREE, 1e-5),
    "nn.caffe_xavier": lambda: (RNG, (3, 3, 2, 4)),
    "nn.glorot_uniform": lambda: (RNG, (3, 3, 2, 4)),
    "nn.he_normal": lambda: (RNG, (3, 3, 2, 4)),
    "nn.small_normal": lambda: (RNG, (3, 3, 2, 4)),
    "nn.check_activation": lambda: ("relu",),
    "nn.check_batchnorm": lambda: (X, THREE, THREE),
    "nn.check_convolution": lambda: (X, KERNEL, BIAS),
    "nn.check_depthwise": lambda: (X, KERNEL[..., 0], THREE),
    "nn.col2im": lambda: (np.ones((84, 27)), (2, 8, 9, 3), 3, 1, 0, 1),
    "nn.conv2d_backward": Forward("nn.conv2d_forward", X, KERNEL, BIAS),
    "nn.conv2d_forward": lambda: (X, KERNEL, BIAS, 1, 1, 1),
    "nn.conv_block_backward": Forward("nn.conv_block_forward", X, KERNEL, BIAS),
    "nn.conv_block_forward": lambda: (X, KERNEL, BIAS, 1, 1, 1, "relu"),
    "nn.depthwise_backward": Forward("nn.depthwise_forward", X, KERNEL[..., 0], THREE),
    "nn.depthwise_forward": lambda: (X, KERNEL[..., 0], THREE, 1, 1, 1),
    "nn.depthwise_block_backward": Forward(
        "nn.depthwise_block_forward", X, KERNEL[..., 0], THREE),
    "nn.depthwise_block_forward": lambda: (X, KERNEL[..., 0], THREE, 1, 1, 1, "relu"),
    "nn.l2norm_backward": Forward("nn.l2norm_forward", X, THREE),
    "nn.l2norm_forward": lambda: (X, THREE, 1e-10, "inside"),
    "nn.log_softmax_backward": Forward("nn.log_softmax_forward", LOGITS),
    "nn.log_softmax_forward": lambda: (LOGITS,),
    "nn.max_pool2d_backward": Forward("nn.max_pool2d_forward", X, 2, 2),
    "nn.max_pool2d_forward": lambda: (X, 2, 2, 0, False),
    "nn.check_steps": lambda: (STEPS,),
    "nn.merge_backward": Forward("nn.merge_forward", X[:, :4, :3], X),
    "nn.merge_forward": lambda: (X[:, :4, :3], X),
    "nn.nearest": lambda: (3, 5),
    "nn.network_forward": lambda: (X, STEPS),
    "nn.pool_output_size": lambda: (9, 2, 2, 0, False),
    "nn.relu6_backward": Forward("nn.relu6_forward", X),
    "nn.relu6_forward": lambda: (X,),
    "nn.relu_backward": Forward("nn.relu_forward", X),
    "nn.relu_forward": lambda: (X,),
    "nn.running_statistics": lambda: (
        THREE, THREE, Forward("nn.batchnorm_forward", X, THREE, THREE)(select("plain"))[1], 0.1),
    "nn.scale_saturation": lambda: (FLOATS, 1.2),
    "nn.turn_hue": lambda: (FLOATS, 10.0),
    "nn.sgd_update": lambda: (THREE, THREE * 0, THREE, 0.1, 0.9, 0.0, 1.0),
    "nn.softmax": lambda: (LOGITS,),
    "nn.softplus": lambda: (LOGITS,),
    "nn.square_sum": lambda: (THREE,),
    "boxes.area": lambda: (BOXES,),
    "boxes.best_first": lambda: (SCORES, 2),
    "boxes.center_to_corner": lambda: (CENTER,),
    "boxes.clip": lambda: (BOXES,),
    "boxes.corner_to_center": lambda: (BOXES,),
    "boxes.decode": lambda: (OFFSETS, DEFAULTS, 4.0),
    "boxes.decode_backward": lambda: (OFFSETS, OFFSETS, DEFAULTS, 4.0),
    "boxes.default_boxes_for_map": lambda: (CONFIG, 0),
    "boxes.cell_shapes": lambda: (CONFIG, 0),
    "boxes.derive_scales": lambda: (0.2, 0.9, 6),
    "boxes.derive_sizes": lambda: (300, 30.0, 0.2, 0.9, 6, True),
    "boxes.encode": lambda: (CENTER, DEFAULTS),
    "boxes.iou_matrix": lambda: (BOXES, BOXES),
    "boxes.make_targets": lambda: (BOXES, LABELS, DEFAULTS, 0.5, 0.4),
    "boxes.match": lambda: (BOXES, BOXES, 0.5, 0.4),
    "boxes.match_iou": lambda: (np.eye(3), 0.5, 0.4),
    "boxes.nms": lambda: (BOXES, SCORES, 0.45, 5),
    "boxes.nms_each_class": lambda: (BOXES, SCORES[:, None], 0.1, 0.45, 5),
    "boxes.targets_of_matches": lambda: (np.array([0, 1, -1]), BOXES, LABELS, DEFAULTS),
    "loss.background_loss": lambda: (LOGITS, "softmax"),
    "loss.binary_cross_entropy_backward": Forward(
        "loss.binary_cross_entropy_forward", LOGITS, MATCHED + 1),
    "loss.binary_cross_entropy_forward": lambda: (LOGITS, MATCHED + 1),
    "loss.cross_entropy_backward": Forward(
        "loss.cross_entropy_forward", LOGITS, MATCHED + 1),
    "loss.cross_entropy_forward": lambda: (LOGITS, MATCHED + 1),
    "loss.focal_factor": lambda: (SCORES, 2.0),
    "loss.focal_loss_backward": Forward("loss.focal_loss_forward", LOGITS, MATCHED + 1),
    "loss.focal_loss_forward": lambda: (LOGITS, MATCHED + 1, 2.0),
    "loss.mine_hard_negatives": lambda: (
        LOGITS[..., 0], MATCHED > 0, MATCHED <= 0, 3.0, 0, "image"),
    "loss.multibox_loss": lambda: (LOGITS, OFFSETS, MATCHED, OFFSETS, 3.0, 1.0, "image", 0,
                                   "softmax", np.ones(4), 2.0),
    "loss.multibox_loss:mined": lambda: (LOGITS, OFFSETS, MATCHED, OFFSETS, 3.0, 1.0, "batch", 0,
                                         "sigmoid"),
    "loss.smooth_l1_backward": Forward("loss.smooth_l1_forward", OFFSETS, OFFSETS),
    "loss.smooth_l1_forward": lambda: (OFFSETS, OFFSETS, 1.0),
    "engine.select": lambda: ("fast",),
    "model.grid_to_rows": lambda: (RNG.random((2, 4, 4, 18)), 2),
    "model.rows_to_grid": lambda: (np.ones((2, 32, 5)), np.ones((2, 32, 4)), (2, 4, 4, 18)),
    "model.decimate": lambda: (KERNEL, (2, 2, 3, 4)),
    "model.to_torch_layout": lambda: (KERNEL,),
    "model.from_torch_layout": lambda: (KERNEL,),
    "model.to_tensorflow_layout": lambda: (KERNEL,),
    "model.from_tensorflow_layout": lambda: (KERNEL,),
    "model.load": lambda: (ALWAYS,),
    "model.load_torch": lambda: (ALWAYS,),
    "model.load_tflite": lambda: (ALWAYS,),
    "model.read_torch": lambda: (ALWAYS,),
    "model.read_tflite": lambda: (ALWAYS,),
    "model.read_archive": lambda: (ALWAYS,),
    "model.read_arrays": lambda: (ALWAYS,),
    "model.read_arrays_and_comment": lambda: (ALWAYS,),
    "model.read_labels": lambda: (ALWAYS, 4),
    "model.is_tflite": lambda: (ALWAYS,),
    "infer.check_finite": lambda: (LOGITS, OFFSETS),
    "infer.decode_outputs": lambda: (LOGITS[0], OFFSETS[0], DEFAULTS, CONFIG.decoding, select()),
    "infer.place_of": lambda: (MODEL, 3),
    "evaluate.all_point_ap": lambda: (SCORES, SCORES),
    "evaluate.eleven_point_ap": lambda: (SCORES, SCORES),
    "evaluate.coco_iou": lambda: (BOXES, BOXES, np.zeros(3, bool)),
    "evaluate.evaluate_voc": lambda: ([FOUND], [TRUTH], 0.5, "all-point"),
    "evaluate.evaluate_coco": lambda: ([FOUND], [TRUTH]),
    "evaluate.to_pixels": lambda: (BOXES, (20, 30)),
    "evaluate.read_results": lambda: (ALWAYS,),
    "data.mirror_x": lambda: (BOXES,),
    "data.mirror_y": lambda: (BOXES,),
    "data.into_window": lambda: (BOXES, WINDOW),
    "data.out_of_window": lambda: (BOXES, WINDOW),
    "data.keep_centred": lambda: (BOXES, LABELS, WINDOW),
    "data.brightness": lambda: (FLOATS, 3.0),
    "data.contrast": lambda: (FLOATS, 1.5),
    "data.lighting_noise": lambda: (FLOATS, [2, 1, 0]),
    "data.turn_boxes": lambda: (BOXES, 6),
    "data.resize": lambda: (IMAGE, 9, 8, "antialias"),
    "data.resize:half_pixel": lambda: (FLOATS, 9, 8, "half_pixel", (1.0, 1.0, 8.0, 9.0)),
    "data.normalise": lambda: (IMAGE, CONFIG.input),
    "data.preprocess": lambda: (IMAGE, CONFIG),
    "data.to_grey": lambda: (IMAGE,),
    "data.as_array": lambda: (IMAGE,),
    "data.augment": lambda: (SAMPLE, CONFIG, RNG),
    "data.read_image": lambda: (ALWAYS,),
    "data.read_header": lambda: (ALWAYS,),
    "data.check_dataset": lambda: (DATA, 2, 0),
    "data.open_source": lambda: (ALWAYS, "all"),
    "data.ShapesDataset": lambda: (0, 4),
    "data.VOCDataset": lambda: (ALWAYS, "all"),
    "data.CocoDataset": lambda: (ALWAYS, ALWAYS),
    "infer.Detector": lambda: (MODEL, 0.5, 0.45, 5),
    "infer.mirrored": lambda: (FOUND,),
    "evaluate.best_threshold": lambda: (VOC, 0.5),
    "evaluate.outcome_of": lambda: (FOUND, TRUTH, 0.5),
    "evaluate.detect_dataset": lambda: (MODEL, DATA, 0.5),
    "evaluate.to_coco_results": lambda: ([FOUND], [1], [(20, 30)], [1, 2]),
    "evaluate.to_coco_instances": lambda: ([TRUTH], [1], [1, 2], ["cat", "dog"]),
    "evaluate.from_coco_results": lambda: (
        [{"image_id": 1, "category_id": 1, "bbox": [1, 1, 5, 5], "score": 0.5}], [1], [(20, 30)],
        [1, 2], ["cat", "dog"]),
    "records.Truth": lambda: (BOXES, LABELS, LABELS > 1, LABELS > 1, SCORES, (20, 30)),
    "records.Sample": lambda: (IMAGE, TRUTH, "x"),
    "records.Detections": lambda: (BOXES, LABELS, SCORES, ("cat", "dog")),
    "config.load_config": lambda: (ALWAYS,),
    "model.save": lambda: (ALWAYS, MODEL),
    "viz.draw_truth": lambda: (IMAGE, TRUTH, ["cat", "dog"], 384),
    "viz.draw_detections": lambda: (IMAGE, FOUND, 0.5, 384),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", EXAMPLES)
def test_no_other_error(name):
    room, function = name.split(":")[0].split(".")
    for engine in ("plain", "fast") if function in TABLE else ("plain",):
        ops = select(engine)
        home = ops if function in TABLE else importlib.import_module(f"ssd_np.{room}")
        call, made = getattr(home, function), EXAMPLES[name]
        given = made(ops) if isinstance(made, Forward) else made()
        if ALWAYS not in map(str, given):
            call(*given)
        found = list(leaks(call, given, f"{engine} {name}"))
        assert not found, "\n".join([f"{len(found)} calls:", *found])


def test_every_function_with_such_an_argument_is_called():
    """Of the rooms that compute; in the others a function takes a config, a model or a path."""
    for room in ("nn", "boxes", "loss"):
        package = importlib.import_module(f"ssd_np.{room}")
        names = {f"{room}.{name}" for name in dir(package)
                 if inspect.isfunction(getattr(package, name))}  # fmt: skip
        assert names - EXAMPLES.keys() <= {"nn.compiled", "nn.described", "boxes.box_shapes"}
