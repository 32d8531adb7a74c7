"""Pretraining: the base learns to tell objects apart before it learns to find them.

SSD starts from VGG-16 trained on ImageNet (paper, section 3). The same in small: the base, with a
global average pool and one linear layer on top, classifies crops that show a single object,

    crop -> base -> mean over the map (C,) -> W, b -> logits -> cross-entropy

and the head is thrown away afterwards. Edges, corners and textures that tell classes apart are what
a detector's first layers need, too; the boxes it must learn itself.
"""

import dataclasses
import itertools
import threading

import numpy as np
from numpy.typing import DTypeLike

from ssd_np.checks import check_kind, float_type, generator
from ssd_np.config import Config, Crop, FeatureMapConfig, TrainConfig
from ssd_np.data.batches import Batch, Batches
from ssd_np.data.items import AnnotatedDataset, sample_at
from ssd_np.data.promises import check_class_names
from ssd_np.engine import select
from ssd_np.errors import DataError, NotFinite
from ssd_np.geometry import shortest
from ssd_np.loss.cross_entropy import cross_entropy_backward, cross_entropy_forward
from ssd_np.model.base import build_stages
from ssd_np.nn.checks import check_outputs, check_turn
from ssd_np.nn.init import glorot_uniform
from ssd_np.nn.parameter import Parameter
from ssd_np.progress import Progress
from ssd_np.records import Sample, Truth
from ssd_np.signatures import checked
from ssd_np.train.schedule import learning_rate
from ssd_np.train.sgd import SGD

PRETRAINING = TrainConfig(
    steps=2000, batch_size=16, learning_rate=0.01, schedule="cosine", warmup_steps=50
)
CONTEXT = 1.25  # side of a crop over that of the object's box
SMOOTHING = 0.98  # of the running averages shown


class Crops:
    """Every object of a data set as an image of its own: a square around its box.

    The truth of a crop is one box, the crop itself, with the object's label. Crowds are left out.
    """

    def __init__(self, dataset: AnnotatedDataset) -> None:
        check_class_names(dataset)
        check_kind(dataset, AnnotatedDataset, "dataset")
        self.dataset, self.class_names = dataset, tuple(dataset.class_names)
        rows = (np.flatnonzero(~dataset.truth(i).crowd) for i in range(len(dataset)))
        self.places = [(image, row) for image, found in enumerate(rows) for row in found]

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: int) -> Sample:
        image, row = self.places[index]
        sample = sample_at(self.dataset, image)
        height, width = sample.image.shape[:2]
        box = sample.truth.boxes_corner[row] * (width, height, width, height)  # pixels
        (cx, cy), side = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]).max() * CONTEXT
        x0, y0 = max(0, int(cx - side / 2)), max(0, int(cy - side / 2))
        x1, y1 = (int(np.ceil(c + side / 2)) for c in (cx, cy))  # beyond the border NumPy stops
        truth = Truth([[0.0, 0.0, 1.0, 1.0]], [sample.truth.labels[row]])
        return Sample(sample.image[y0:y1, x0:x1], truth, f"{sample.name}, object {row}")


class Classifier:
    """The base of a config with a linear layer over its averaged map, for images of any size."""

    def __init__(self, config: Config, seed: int = 0, dtype: DTypeLike = np.float32) -> None:
        """`config` is one that `classifier_config` made."""
        check_kind(config, Config, "config")
        self.ops = select().for_model(config.convolution)
        rng, dtype = generator(seed), float_type(dtype)
        (self.base,), (channels,) = build_stages(config, rng, dtype, self.ops)
        weight = glorot_uniform(rng, (channels, len(config.class_names)), dtype)
        self.weight, self.bias = Parameter(weight), Parameter(np.zeros(weight.shape[1], dtype))
        linear = {"linear.weight": self.weight, "linear.bias": self.bias}
        self.parameters = self.base.parameters | linear
        self._cache: tuple | None = None  # of a training's forward
        self._learner: int | None = None  # the thread whose backward may follow

    def forward(self, images: np.ndarray, training: bool = False) -> np.ndarray:
        """(N, H, W, 3) -> logits (N, classes)"""
        with self.ops.turn, self.ops.at_work():
            self.base.forget()
            self._cache, self._learner = None, threading.get_ident()
            features = self.base.forward(images, training)  # (N, h, w, C)
            mean = features.mean(axis=(1, 2))  # (N, C)
            self._cache = (features.shape, mean) if training else None
            return mean @ self.weight.value + self.bias.value

    def backward(self, dlogits: np.ndarray) -> None:
        """dlogits (N, classes) -> `Parameter.grad` of everything"""
        with self.ops.turn, self.ops.at_work():
            check_turn(self._cache is not None, self._learner)
            (n, h, w, c), mean = self._cache or ()
            check_outputs([(n, len(self.bias.value))], dlogits=dlogits)
            self.weight.grad, self.bias.grad = mean.T @ dlogits, dlogits.sum(axis=0)
            dmean = dlogits @ self.weight.value.T  # (N, C)
            dfeatures = np.broadcast_to(dmean[:, None, None] / (h * w), (n, h, w, c))
            self.base.backward(np.ascontiguousarray(dfeatures), False)


def classifier_config(config: Config, class_names: tuple[str, ...]) -> Config:
    """The config of a base alone, for crops a quarter of the detector's input on each axis.

    Crops are shifted and zoomed by the detector's own augmentation; nothing is expanded.
    """
    check_kind(config, Config, "config")
    height, width = (side // 4 for side in config.input.shape)
    names = [layer.name for layer in config.layers]
    layers, change = config.layers[: names.index(config.base_end) + 1], dataclasses.replace
    expand = change(config.augmentation.expand, probability=0.0)
    crop = Crop(probability=0.5, min_ious=(0.5,), scale=(0.7, 1.0))
    return change(
        config.with_classes(class_names),
        name=f"{config.name}-base",
        input=change(config.input, size=shortest(height, width)),
        layers=layers,
        feature_maps=(FeatureMapConfig(config.base_end, None, None, height, height),),
        augmentation=change(config.augmentation, expand=expand, crop=crop),
    )


def pretrain(
    config: Config, dataset: AnnotatedDataset, training: TrainConfig
) -> tuple[Classifier, float]:
    """Trains a classifier on the objects of `dataset`; returns it and its average loss at the end.

    `config` is one that `classifier_config` made.
    """
    check_kind(training, TrainConfig, "training")
    crops = Crops(dataset)
    if len(crops) == 0:
        raise DataError("the data set shows no object", hint="pretraining needs objects")
    model = Classifier(config, training.seed)
    rule = training.momentum, training.weight_decay, training.bias_multiplier
    optimiser, average = SGD(model.parameters, *rule), 0.0
    bar = Progress(training.steps, "pretrain", "step")
    with Batches(crops, config, training.batch_size, training.seed) as batches, bar:
        for step, batch in enumerate(itertools.islice(batches, training.steps)):
            loss = _gradients(model, batch.images, _labels(batch))
            if not np.isfinite(loss):
                what = f"the loss is {loss}"
                raise NotFinite(what, f"step {step}", "lower the learning rate")
            optimiser.step(learning_rate(step, training), training.clip_norm)
            average = loss if step == 0 else SMOOTHING * average + (1 - SMOOTHING) * loss
            bar.update(f"loss {average:.3f}")
    return model, average


def _labels(batch: Batch) -> np.ndarray:
    """(N,): the class of each crop from 0, for there is no background."""
    return np.array([labels[0] - 1 for _, labels in batch.truths])


# a number that overflows is told as NotFinite, with its step, not as NumPy's warning
@np.errstate(over="ignore", invalid="ignore")
def _gradients(model: Classifier, images: np.ndarray, labels: np.ndarray) -> float:
    """Forward, loss, backward: the mean cross-entropy of a batch, its gradients in the model."""
    rows, cache = cross_entropy_forward(model.forward(images, training=True), labels)
    model.backward(cross_entropy_backward(np.full_like(rows, 1 / len(rows)), cache))
    return float(rows.mean())


@checked
def accuracy(
    model: Classifier, config: Config, dataset: AnnotatedDataset, count: int = 512
) -> float:
    """The share of `count` objects that the classifier names rightly."""
    crops, right = Crops(dataset), 0
    size = min(64, len(crops))
    with Batches(crops, config, size, seed=0, augment=False) as batches:
        steps = max(1, min(count, len(crops)) // size)
        for batch in itertools.islice(batches, steps):
            said = model.forward(batch.images).argmax(axis=1)
            right += int(np.count_nonzero(said == _labels(batch)))
    return right / (steps * size)
