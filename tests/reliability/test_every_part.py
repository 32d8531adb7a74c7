"""Whatever a config, a model, a data set, a training or a picture is made of or asked, with wrong
types, shapes, dtypes and numbers: a result, or the library's own error.

CALLS has a sound call of each; each argument in turn is replaced by what does not belong there, of
those in OBJECTS the package's own, too.
"""

import dataclasses
import io

import numpy as np
import pytest
from training_runs import narrow_config
from wrong import ALWAYS, NUMBERS, OTHERS, TEXTS, leaks

from ssd_np.config import Config, config_from_json, config_to_json, load_config, sized
from ssd_np.data.batches import Batches
from ssd_np.data.coverage import coverage
from ssd_np.data.geometric import draw_patch
from ssd_np.data.labels import label_map
from ssd_np.data.pipeline import Chain, augment, distort
from ssd_np.data.shapes import ShapesDataset
from ssd_np.data.transform import undo_boxes
from ssd_np.dialects import in_dialect
from ssd_np.engine import select
from ssd_np.errors import SsdError
from ssd_np.evaluate.average_precision import evaluate_voc
from ssd_np.evaluate.run import detect_dataset
from ssd_np.fit.boxes import cluster, maps_of, shape_iou, worst_iou
from ssd_np.fit.config import fit
from ssd_np.fit.fingerprint import class_weights, fingerprint
from ssd_np.gradcheck import numeric_gradient, relative_error
from ssd_np.infer.detect import Detector
from ssd_np.infer.flips import FlipDetector
from ssd_np.kinds import BatchNormLayer, ConvLayer, DepthwiseLayer, MergeLayer, PoolLayer
from ssd_np.kinds.feature_map import FeatureMapConfig, ListedMapConfig, ScaledMapConfig
from ssd_np.model.class_heads import with_other_classes
from ssd_np.model.fold import fold_batchnorm, for_inference
from ssd_np.model.grey import grey_model
from ssd_np.model.heads import Head
from ssd_np.model.receptive_field import receptive_fields
from ssd_np.model.ssd import SSD
from ssd_np.model.statistics import measure_statistics
from ssd_np.model.trace import trace, trace_table
from ssd_np.model.weights import export, export_torchvision, load, load_torch, save
from ssd_np.nn.parameter import Parameter
from ssd_np.picture import draw_boxes
from ssd_np.train.match import match_batch
from ssd_np.train.parts import LossAndGradients
from ssd_np.train.pretrain import Classifier, classifier_config, pretrain
from ssd_np.train.schedule import learning_rate
from ssd_np.train.sgd import SGD, gradient_norm, learning, shortening
from ssd_np.train.trainer import Trainer
from ssd_np.viz.draw import gallery, save_picture
from ssd_np.viz.loss import loss_curve
from ssd_np.viz.recall import precision_recall

RNG, CONFIG, DATA = np.random.default_rng(0), narrow_config(steps=1), ShapesDataset(0, 3)
MODEL, SAMPLE, OPS = SSD(CONFIG), DATA[0], select()
IMAGES = RNG.normal(size=(1, 128, 128, 3)).astype(np.float32)
PHOTOGRAPHS = np.zeros((1, *load("blood_cells").config.input.shape, 3), np.float32)
LOGITS, OFFSETS = MODEL.forward(IMAGES)
SMALL = classifier_config(CONFIG, ("cat", "dog"))
CLASSIFIER = Classifier(SMALL)
BOXES, LABELS = SAMPLE.truth.boxes_corner, SAMPLE.truth.labels
PICTURE, PICTURES = SAMPLE.image, [SAMPLE.image] * 2
SHAPES, WEIGHTS = np.array([[60.0, 22.0], [30.0, 34.0], [40.0, 40.0]]), np.full(3, 1 / 3)
BATCH = Batches(DATA, CONFIG, 2, 0, threads=0).make(0)
LAYERS = narrow_config().layers
SECTIONS = [
    CONFIG, CONFIG.input, CONFIG.boxes, CONFIG.l2norm, CONFIG.matching, CONFIG.loss,
    CONFIG.decoding, CONFIG.augmentation, CONFIG.augmentation.brightness,
    CONFIG.augmentation.contrast, CONFIG.augmentation.saturation, CONFIG.augmentation.hue,
    CONFIG.augmentation.expand, CONFIG.augmentation.crop, CONFIG.training,
    ConvLayer("a", 4), PoolLayer("a"), DepthwiseLayer("a"), BatchNormLayer("a"),
    MergeLayer("a", "b"), FeatureMapConfig("a", 8, 16.0, 20.0, 40.0),
    ListedMapConfig("a", 8, 16.0, (8.0, (9.0, 10.0))), ScaledMapConfig("a", 8, 16.0, ((0.2, 1.0),)),
]  # fmt: skip


def trained(model, dataset, train_config, out_dir, validation, callbacks):
    """A whole training of one step."""
    Trainer(model, dataset, train_config, out_dir, validation, callbacks, force=True).fit()


def by_loss(total, dlogits, doffsets, parts):
    """A training whose loss says this."""
    trainer = Trainer(MODEL, DATA, CONFIG.training, "run", force=True)
    trainer.loss = lambda *_: LossAndGradients(total, dlogits, doffsets, parts)
    trainer.fit()


def stepped(rate, clip_norm):
    optimiser = SGD(CLASSIFIER.parameters)
    given_gradients(CLASSIFIER)
    return optimiser.step(rate, clip_norm)


def given_gradients(model):
    for parameter in model.parameters.values():
        parameter.grad = np.ones_like(parameter.value)
    return learning(model.parameters)


def taught(dlogits, doffsets):
    MODEL.forward(IMAGES, training=True)
    MODEL.backward(dlogits, doffsets)


def classified(dlogits):
    CLASSIFIER.forward(IMAGES, training=True)
    CLASSIFIER.backward(dlogits)


def a_batch(dataset, config, batch_size, seed, start_step, augment, threads, ahead):
    with Batches(dataset, config, batch_size, seed, start_step, augment, threads, ahead) as batches:
        return next(iter(batches))


def found(images, batch_size):
    return list(Detector(MODEL).detect_all(images, batch_size))


VOC = evaluate_voc([Detector(MODEL).detect(PICTURE)], [SAMPLE.truth])
COLUMNS = dict.fromkeys(("step", "total", "learning_rate"), WEIGHTS)
NAMES, OUT, TRIES = ("cat", "dog"), io.BytesIO(), np.ones((2, 3, 4), np.float32)
# what is called -> the function, and what makes a sound call's arguments
CALLS = {
    "config_from_json": (config_from_json, lambda: (config_to_json(CONFIG), "here", ())),
    "load_config": (load_config, lambda: ("tiny", ())),
    "sized": (sized, lambda: (CONFIG, (128, 160))),
    "with_classes": (CONFIG.with_classes, lambda: (["cat", "dog"],)),
    "in_dialect": (in_dialect, lambda: (load_config("ssd300_voc"), "torchvision")),
    "SSD": (SSD, lambda: (CONFIG, 0, "float32", OPS)),
    "SSD.freeze": (MODEL.freeze, lambda: (LAYERS[0].name,)),
    "SSD.forward": (MODEL.forward, lambda: (IMAGES,)),
    "SSD.predict": (MODEL.predict, lambda: (IMAGES,)),
    "SSD.outputs": (lambda images: dict(MODEL.outputs(images)), lambda: (IMAGES,)),
    "SSD.backward": (taught, lambda: (LOGITS, OFFSETS)),
    "Head": (Head, lambda: ("a", 8, 4, 3, 3, "caffe_xavier", RNG, "float32", OPS)),
    "Head.forward": (Head("a", 3, 2, 4).forward, lambda: (IMAGES,)),
    "Parameter": (Parameter, lambda: (TRIES,)),
    "Parameter.assign": (Parameter(TRIES).assign, lambda: (TRIES,)),
    "save": (save, lambda: ("saved.npz", MODEL)),
    "load": (load, lambda: ("shapes", ["star", "dog"], (), None)),
    "load: into": (load, lambda: (ALWAYS, None, (), MODEL)),
    "load_torch": (load_torch, lambda: (ALWAYS, CONFIG, ["cat"], (128, 128))),
    "export": (export, lambda: ("made.npz", MODEL, "linzaer")),
    "export_torchvision": (export_torchvision, lambda: ("made.npz", MODEL)),
    "with_other_classes": (with_other_classes, lambda: (MODEL, ["star", "dog"])),
    "grey_model": (grey_model, lambda: (MODEL,)),
    "fold_batchnorm": (fold_batchnorm, lambda: (MODEL,)),
    "for_inference": (for_inference, lambda: (MODEL,)),
    "measure_statistics": (measure_statistics, lambda: (load("blood_cells"), [PHOTOGRAPHS])),
    "trace": (trace, lambda: (CONFIG,)),
    "trace_table": (trace_table, lambda: (CONFIG,)),
    "receptive_fields": (receptive_fields, lambda: (CONFIG,)),
    "Batches": (a_batch, lambda: (DATA, CONFIG, 2, 0, 0, True, 1, 2)),
    "Chain": (Chain, lambda: (CONFIG, OPS)),
    "augment": (augment, lambda: (SAMPLE, CONFIG, RNG)),
    "distort": (distort, lambda: (PICTURE, CONFIG, RNG)),
    "draw_patch": (draw_patch, lambda: ((20, 30), BOXES, RNG, CONFIG.augmentation.crop)),
    "undo_boxes": (undo_boxes, lambda: (BOXES, augment(SAMPLE, CONFIG, RNG)[3])),
    "coverage": (coverage, lambda: (BOXES, CONFIG)),
    "label_map": (label_map, lambda: (["cat"], ["dog", "cat"])),
    "SGD": (SGD, lambda: (CLASSIFIER.parameters, 0.9, 0.1, 2.0, OPS, False, {})),
    "SGD.step": (stepped, lambda: (0.1, 10.0)),
    "SGD.load_state": (SGD(CLASSIFIER.parameters).load_state,
                       lambda: (SGD(CLASSIFIER.parameters).state(),)),
    "learning": (learning, lambda: ({"a": given_gradients(CLASSIFIER)["linear.bias"][0]},)),
    "gradient_norm": (gradient_norm, lambda: (given_gradients(CLASSIFIER),)),
    "shortening": (shortening, lambda: (3.0, 1.0)),
    "learning_rate": (learning_rate, lambda: (3, CONFIG.training)),
    "match_batch": (match_batch, lambda: (BATCH, MODEL, np.arange(6))),
    "Trainer": (trained, lambda: (SSD(CONFIG), DATA, CONFIG.training, "run", DATA, [])),
    "Trainer's loss": (by_loss, lambda: (1.0, LOGITS[[0, 0]], OFFSETS[[0, 0]], {"a": 1.0})),
    "Classifier": (Classifier, lambda: (SMALL, 0, "float32")),
    "Classifier.forward": (CLASSIFIER.forward, lambda: (IMAGES,)),
    "Classifier.backward": (classified, lambda: (np.ones((1, 2), np.float32),)),
    "classifier_config": (classifier_config, lambda: (CONFIG, NAMES)),
    "pretrain": (pretrain, lambda: (classifier_config(CONFIG, DATA.class_names), DATA,
                                    CONFIG.training)),
    "fingerprint": (fingerprint, lambda: (DATA,)),
    "fit": (fit, lambda: (fingerprint(DATA), "small", (160, 160), 9, 1.0, 0, 0, False)),
    "cluster": (cluster, lambda: (SHAPES, SHAPES[:2])),
    "maps_of": (maps_of, lambda: (SHAPES, WEIGHTS, [(8, 8), (16, 16)])),
    "shape_iou": (shape_iou, lambda: (SHAPES, SHAPES)),
    "worst_iou": (worst_iou, lambda: (SHAPES, (8, 8))),
    "class_weights": (class_weights, lambda: (LABELS,)),
    "detect_dataset": (detect_dataset, lambda: (MODEL, DATA, 0.5)),
    "Detector": (Detector, lambda: (MODEL, 0.5, 0.5, 5)),
    "FlipDetector": (FlipDetector, lambda: (MODEL, 0.5, 0.5, 5)),
    "Detector.detect": (Detector(MODEL).detect, lambda: (PICTURE,)),
    "FlipDetector.detect": (FlipDetector(MODEL).detect, lambda: (PICTURE,)),
    "Detector.detect_preprocessed": (Detector(MODEL).detect_preprocessed, lambda: (IMAGES,)),
    "Detector.detect_all": (found, lambda: (PICTURES, 2)),
    "Detector.decode": (Detector(MODEL).decode, lambda: (LOGITS[0], OFFSETS[0])),
    "numeric_gradient": (numeric_gradient, lambda: (np.sin, WEIGHTS, WEIGHTS, 1e-5)),
    "relative_error": (relative_error, lambda: (WEIGHTS, WEIGHTS)),
    "draw_boxes": (draw_boxes, lambda: (PICTURE, BOXES, LABELS, ["x"] * len(BOXES), 64)),
    "save_picture": (save_picture, lambda: (PICTURE, "p.png")),
    "gallery": (gallery, lambda: ([("a", PICTURE, PICTURE)], "g.png", "header", 1, 64)),
    "loss_curve": (loss_curve, lambda: (COLUMNS, OUT)),
    "precision_recall": (precision_recall, lambda: (VOC, OUT, 0.5)),
}  # fmt: skip
REFUSED = "load: into", "load_torch", "export", "export_torchvision"  # in a sound call, by name


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", CALLS)
def test_no_other_error(name, full, tmp_path, monkeypatch):
    slow = name in ("Trainer's loss", "loss_curve", "precision_recall")
    if slow and not full:
        pytest.skip("draws or trains for each argument: in the full run")
    monkeypatch.chdir(tmp_path)
    function, made = CALLS[name]
    if name in REFUSED:
        with pytest.raises(SsdError):
            function(*made())
    else:
        function(*made())
    found = list(leaks(function, made(), name, objects=True))
    assert not found, "\n".join([f"{len(found)} calls:", *found])


def test_a_loss_of_another_float_type_is_saved(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    by_loss(np.float32(1.5), LOGITS[[0, 0]], OFFSETS[[0, 0]], {"a": np.float16(1.0)})


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: type(section).__name__)
def test_every_key_of_a_config(section):
    """What is accepted can be written and read again."""
    for field in dataclasses.fields(section):
        for wrong in (*NUMBERS, *TEXTS, *OTHERS, np.ones(3), np.ones((2, 2)), {}, {"a": 1}):
            try:
                made = dataclasses.replace(section, **{field.name: wrong})
            except SsdError as error:
                assert error.what and (error.where or error.hint), field.name
                continue
            if isinstance(made, Config):
                assert config_from_json(config_to_json(made)) == made
