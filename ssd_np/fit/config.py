"""A config for a data set: the decisions, put into a network whose maps get boxes of their own.

    fingerprint(data) -> fit(fingerprint) -> config and reasons

The network is a preset's, or that of the weights that the training begins with; how boxes are
matched, lost and decoded is as in `small`. Of its maps those stay that some object belongs to;
layers that only the others need are left out.
"""

import contextlib
import dataclasses
from typing import NamedTuple

import numpy as np

from ssd_np.boxes.default_boxes import derive_sizes
from ssd_np.checks import check_shape, check_whole, generator
from ssd_np.config import AugmentationConfig, Config, TrainConfig, load_config
from ssd_np.data.coverage import coverage
from ssd_np.errors import ShapeError
from ssd_np.fit import decide
from ssd_np.fit.boxes import fit_boxes
from ssd_np.fit.fingerprint import Fingerprint, class_weights
from ssd_np.geometry import Size
from ssd_np.kinds.batchnorm import BatchNormLayer
from ssd_np.kinds.feature_map import ListedMapConfig
from ssd_np.kinds.walk import walk
from ssd_np.signatures import checked

MINUTES = 6.0
OBJECTS = 4000  # that boxes are fitted to: each as often as it takes, or a part of them
SIZES, SIDES = 0.3, 0.1  # a stranger's objects: logs of the factors by which they differ


class Fitted(NamedTuple):
    """A config, and why it is as it is, a sentence for each decision."""

    config: Config
    reasons: list[str]


class Map(NamedTuple):
    """A layer that may carry default boxes: its cells, and the pixels from one to the next."""

    layer: str
    cells: Size
    step: tuple[float, float]


@checked
def fit(
    f: Fingerprint,
    network: Config | str | None = None,
    shape: Size | None = None,
    affordable: int | None = None,
    minutes: float = MINUTES,
    seed: int = 0,
    held_back: int = 0,
    from_scratch: bool = False,
) -> Fitted:
    """The config for data that looks like this; a network (a preset, or a config with its
    layers) and the input (height, width) may be given. `held_back` images are not learned from;
    `from_scratch`: with random weights.

    The training takes `affordable` steps or, if it is not known yet how many these are, `minutes`.
    """
    for what, number in (("affordable", affordable or 1), ("seed", seed), ("held_back", held_back)):
        check_whole(number, what, 0)
    if shape is not None:
        check_shape(shape, "(height, width)", 2, 2)
    usual = load_config(decide.USUAL)
    given = load_config(network) if isinstance(network, str) else network
    name, why_network = decide.network(given.name if given else None, from_scratch)
    network = given or load_config(name)
    chosen, why_shape = decide.input_shape(f, from_scratch)
    if shape:
        chosen, why_shape = shape, f"input {shape[1]} x {shape[0]}, as given"
    augmentation, why_augmentation = decide.augmentation(f, chosen)
    images = len(f.shapes) - held_back
    base = 1.0 if from_scratch else decide.KNOWN
    training, why_training = training_for(images, network, affordable, minutes, seed, base=base)
    config = dataclasses.replace(
        network,
        name="fitted",
        class_names=f.class_names,
        boxes=usual.boxes,
        matching=usual.matching,
        loss=usual.loss,
        decoding=dataclasses.replace(usual.decoding, score_threshold=decide.LEAST_SCORE),
        augmentation=augmentation,
        training=training,
    )
    config = with_boxes(config, f, chosen, seed)
    why_shapes = [why_shape, *decide.too_small(f, chosen)]
    reasons = [why_network, *why_shapes, boxes_in_words(config, f)]
    return Fitted(config, [*reasons, *why_augmentation, *why_training])


@checked
def tuned(
    f: Fingerprint, detector: Config, minutes: float = MINUTES, seed: int = 0, held_back: int = 0
) -> Fitted:
    """The config of a detector that goes on with data that looks like this: its own network and
    boxes, which its weights belong to, and augmentation and training for the data. What it knows
    moves at half the rate."""
    augmentation, why = decide.augmentation(f, detector.input.shape)
    images = len(f.shapes) - held_back
    training, why_training = training_for(images, detector, None, minutes, seed, decide.TUNED)
    config = dataclasses.replace(detector, augmentation=augmentation, training=training)
    warnings = decide.too_small(f, detector.input.shape)
    missed = coverage(f.boxes, config).uncovered
    if missed > 1 - decide.FEW_MATCHED:
        warnings.append(
            f"warning: {missed:.0%} of the objects fit no default box of this detector: "
            "--base-weights instead of --fine-tune makes boxes for them"
        )
    return Fitted(config, [*warnings, boxes_in_words(config, f), *why, *why_training])


@checked
def training_for(
    images: int,
    network: Config,
    affordable: int | None,
    minutes: float,
    seed: int,
    slower: float = 1.0,
    base: float = 1.0,
) -> tuple[TrainConfig, list[str]]:
    """How a network is trained on so many images, and why so."""
    normalised = any(isinstance(layer, BatchNormLayer) for layer in network.layers)
    rate, why_rate = decide.learning_rate(normalised, slower=slower, base=base)
    steps, why_steps = decide.steps(images, affordable, minutes)
    training = dataclasses.replace(
        load_config(decide.USUAL).training,
        learning_rate=rate,
        base_multiplier=base,
        steps=steps,
        minutes=minutes if affordable is None else None,
        batch_size=decide.BATCH,
        schedule="warmup_cosine",
        warmup_steps=decide.WARM_UP,
        average=decide.AVERAGE,
        seed=seed,
    )
    return training, [why_rate, why_steps]


@checked
def with_boxes(config: Config, f: Fingerprint, shape: Size, seed: int) -> Config:
    """The config for another input, with boxes that fit the objects as training will see them."""
    rng = generator(seed)
    maps = available_maps(config, shape)
    objects, labels = seen(f, config.augmentation, shape, rng)
    steps, first = [m.step for m in maps], first_guess(f, shape, maps)
    boxes = fit_boxes(objects, class_weights(labels), steps, first, rng)
    used = [(m, found) for m, found in zip(maps, boxes, strict=True) if len(found)]
    old = {m.name: m for m in config.feature_maps}
    names = [layer.name for layer in config.layers]
    depth = names.index(used[-1][0].layer) + 1
    feature_maps = [
        ListedMapConfig(
            m.layer, m.cells, m.step, tuple(map(tuple, found.round(1).tolist())),
            l2norm_scale=old[m.layer].l2norm_scale if m.layer in old else None,
            head=config.feature_maps[0].head,
        )
        for m, found in used
    ]  # fmt: skip
    return dataclasses.replace(
        config,
        input=dataclasses.replace(config.input, size=shape),
        layers=config.layers[:depth],
        base_end=config.base_end if config.base_end in names[:depth] else names[depth - 1],
        feature_maps=tuple(feature_maps),
    )


@checked
def available_maps(config: Config, shape: Size) -> list[Map]:
    """The maps of a network that this input reaches, and a finer one where the first is coarse."""
    own = {m.name for m in config.feature_maps}
    maps, finer = [], []
    with contextlib.suppress(ShapeError):  # where nothing is left for the deeper layers
        for layer, _, _, cells, _ in walk(config.layers, shape, config.input.channels):
            step = (shape[0] / cells[0], shape[1] / cells[1])
            if layer.name in own:
                maps.append(Map(layer.name, cells, step))
            elif not maps and min(decide.FINEST) <= min(step):
                finer.append(Map(layer.name, cells, step))
    finer = [m for m in finer if m.cells != maps[0].cells]
    return [*finer[-1:], *maps]


@checked
def first_guess(f: Fingerprint, shape: Size, maps: list[Map]) -> list[float]:
    """A side for each map, spaced as the published ones are, from small objects to large ones."""
    sides = np.sqrt(f.objects.prod(axis=1))
    small, large = (100 * float(np.quantile(sides, q)) for q in (0.05, 0.95))
    low = min(2 * small, large)
    return derive_sizes(min(shape), small, low, large, len(maps), whole_percent=False)[:-1]


@checked
def seen(
    f: Fingerprint, rule: AugmentationConfig, shape: Size, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Heights and widths (n, 2) in pixels of the input, and labels (n,), of objects as training
    will see them: zoomed, and a little other than these, as a stranger's are."""
    count = len(f.labels)
    drawn = np.resize(rng.permutation(count), OBJECTS)
    # a zoom is drawn between none and the whole of it
    out = rng.uniform(1, rule.expand.max_ratio, (len(drawn), 1))
    out[rng.random(len(drawn)) >= rule.expand.probability] = 1
    into = rng.uniform(rule.crop.scale[0], 1, (len(drawn), 1))
    into[rng.random(len(drawn)) >= rule.crop.probability] = 1
    larger = rng.uniform(-SIZES, SIZES, (len(drawn), 1))
    longer = rng.uniform(-SIDES, SIDES, (len(drawn), 2))
    objects = f.objects[drawn] * shape * np.exp(larger + longer) / (out * into)
    return np.clip(objects, 1, shape), f.labels[drawn]


@checked
def boxes_in_words(config: Config, f: Fingerprint) -> str:
    """How many boxes there are, and how well they cover the objects."""
    cells = ", ".join(f"{m.boxes_per_cell} at {m.steps[0]:.3g} px" for m in config.feature_maps)
    share = 1 - coverage(f.boxes, config).uncovered
    return f"{config.num_boxes:,} default boxes ({cells}) cover {share:.1%} of the objects"
