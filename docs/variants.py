"""Trains a network that is fitted to a data set, changed in one point, for the time of the
unchanged one: the table "What helps a small network" of docs/fitting.md.

    python docs/variants.py voc:raccoon --eval-split val --change context --seed 0

Steps are compared by CPU time, so SSD_NP_THREADS=1 is best. It learns from the split `train`, of
which nothing is held back. Printed is the mAP at IoU 0.5 of the last weights and of their average.
"""

import argparse
import dataclasses
import tempfile
import time
from collections.abc import Callable
from itertools import islice

from ssd_np.config import Config, Crop, Expand, load_config
from ssd_np.data.items import Dataset
from ssd_np.data.sources import open_source
from ssd_np.data.stored import StoredDataset
from ssd_np.evaluate.average_precision import evaluate_voc
from ssd_np.evaluate.run import detect_dataset
from ssd_np.fit import decide
from ssd_np.fit.config import fit
from ssd_np.fit.fingerprint import Fingerprint, fingerprint
from ssd_np.kinds import BatchNormLayer, ConvLayer, MergeLayer
from ssd_np.model.about import about
from ssd_np.model.ssd import SSD
from ssd_np.train.average import averaged
from ssd_np.train.callbacks import Step
from ssd_np.train.start import beginning, network, settle
from ssd_np.train.trainer import Trainer

TIMED = 6  # steps, of which the fastest counts
CONTEXT = "block11"  # the least deep layer that brings context
RELU6 = {"eps": 0.001, "activation": "relu6"}


def scaled(f: Fingerprint, factor: float) -> Config:
    """Fitted to an input of so many times the sides."""
    (height, width), _ = decide.input_shape(f)
    whole = decide.MULTIPLE
    shape = (whole * round(height * factor / whole), whole * round(width * factor / whole))
    return fit(f, shape=shape).config


def context(f: Fingerprint) -> Config:
    """The deepest layer merged into the finest map, and mixed by a 1x1 convolution."""
    config, layers = fit(f).config, load_config(decide.USUAL).layers
    names = [layer.name for layer in layers]
    finest, *others = config.feature_maps
    depth = max(names.index(CONTEXT), len(config.layers) - 1) + 1
    channels = layers[names.index(finest.name) - 1].channels
    mixed = (
        MergeLayer("context", lateral=finest.name),
        ConvLayer("mixed_conv", channels, kernel=1, pad=0, activation="none", bias=False),
        BatchNormLayer("mixed", **RELU6),
    )
    maps = (*others, dataclasses.replace(finest, name="mixed"))
    return dataclasses.replace(config, layers=(*layers[:depth], *mixed), feature_maps=maps)


def neutral(f: Fingerprint) -> Config:
    """Boxes with an IoU of 0.4 to 0.5 count for nothing."""
    config = fit(f).config
    matching = dataclasses.replace(config.matching, neutral_threshold=0.4)
    return dataclasses.replace(config, matching=matching)


def own_zoom(f: Fingerprint) -> Config:
    """Zoomed by what the objects of one class differ in size by, and no further."""
    config = fit(f).config
    factor, old = f.spread, config.augmentation
    zoomed = dataclasses.replace(
        old,
        crop=Crop(old.crop.probability, scale=(1 / factor, 1.0)),
        expand=Expand(old.expand.probability, factor),
    )
    return dataclasses.replace(config, augmentation=zoomed)


def stem(f: Fingerprint) -> Config:
    """A first convolution of 7 x 7."""
    config = from_random(f)
    first = dataclasses.replace(config.layers[0], kernel=7, pad=3)
    return dataclasses.replace(config, layers=(first, *config.layers[1:]))


def from_random(f: Fingerprint, preset: str | None = None) -> Config:
    """Fitted to random weights, in the usual network for them or another."""
    shape, _ = decide.input_shape(f, from_scratch=True)
    return fit(f, preset, shape, from_scratch=True).config


WITH_BASE: dict[str, Callable[[Fingerprint], Config]] = {
    "none": lambda f: fit(f).config,
    "smaller": lambda f: scaled(f, 0.75),
    "larger": lambda f: scaled(f, 1.25),
    "context": context,
    "neutral": neutral,
    "zoom": own_zoom,
}
FROM_RANDOM: dict[str, Callable[[Fingerprint], Config]] = {
    "random": from_random,
    "separable": lambda f: from_random(f, "small"),
    "stem": stem,
}


def seconds(config: Config, data: Dataset) -> float:
    """CPU time of a training step."""
    times = []
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(SSD(config), data, config.training, folder, force=True)
        with trainer.batches() as batches:
            for number, batch in enumerate(islice(batches, TIMED + 1)):
                start = time.process_time()
                trainer.learn(Step(number, batch, 0.0))
                times.append(time.process_time() - start)
    return min(times[1:])  # the first one compiles


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition(":")[0])
    parser.add_argument("data", help="as --data of train names it")
    parser.add_argument("--eval-split", required=True)
    parser.add_argument("--change", choices=[*WITH_BASE, *FROM_RANDOM], default="none")
    parser.add_argument("--steps", type=int, default=150, help="of the unchanged network")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    data = StoredDataset(open_source(arguments.data, "train"))
    unseen = StoredDataset(open_source(arguments.data, arguments.eval_split))
    f = fingerprint(data)
    random = arguments.change in FROM_RANDOM
    changes, unchanged = (FROM_RANDOM, "random") if random else (WITH_BASE, "none")
    config, usual = changes[arguments.change](f), changes[unchanged](f)
    share = seconds(usual, data) / seconds(config, data) if arguments.change != unchanged else 1.0
    training = dataclasses.replace(
        config.training, steps=round(share * arguments.steps), minutes=None, seed=arguments.seed
    )
    config = dataclasses.replace(config, training=training)
    origin = None if random else about("base")
    config, tensors, history = beginning(config, data.class_names, origin, fits=True)
    model, _ = network(config, arguments.seed, tensors, "base", None, history)
    if tensors:
        settle(model, data, training)
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(model, data, training, folder, force=True)
        trainer.fit()
        last = evaluate_voc(*detect_dataset(model, unseen)).mean_ap
        with averaged(trainer.optimiser):
            average = evaluate_voc(*detect_dataset(model, unseen)).mean_ap
    size = "{1} x {0}".format(*config.input.shape)
    told = f"{arguments.data} {arguments.change} seed {arguments.seed}: {training.steps} steps"
    print(f"{told} of {size}, last {last:.4f}, average {average:.4f}")


if __name__ == "__main__":
    main()
