"""How a training begins: its config, fitted to the data, and the weights it begins with."""

import dataclasses
import itertools
import math
from collections.abc import Sequence

from ssd_np.checks import check_whole
from ssd_np.config import Config, TrainConfig
from ssd_np.data.batches import Batches
from ssd_np.data.items import Dataset, check_indexed
from ssd_np.data.promises import check_class_names
from ssd_np.errors import ConfigError
from ssd_np.model.about import About
from ssd_np.model.pretrained import read_base, set_base
from ssd_np.model.provenance import Provenance, imported
from ssd_np.model.ssd import SSD
from ssd_np.model.statistics import measure_statistics
from ssd_np.model.weights import load, locate
from ssd_np.model.weights_file import Arrays
from ssd_np.signatures import checked

MOST_INHERITED = 200  # epochs of a schedule that was made for other data
SETTLING = 8  # batches that a base is shown before the first step
# in a training whose config does not say how many: ten, or of many images fewer, but two
VALIDATIONS, FEWEST_VALIDATIONS, LOOKED_AT = 10, 2, 1000


def beginning(
    config: Config, names: Sequence[str], origin: About | str | None, fits: bool = False
) -> tuple[Config, Arrays, Provenance]:
    """The config and the tensors that the origin brings along, and where they come from.

    None brings nothing, a base (as `about` reads it) the mean and scale that it expects, the file
    of a detector its config. Where the config `fits` the base, all layers but the heads come along.
    """
    if origin is None:
        return config, {}, ()
    if isinstance(origin, About):
        return *read_base(origin, config, whole=fits), origin.history
    model = load(origin, replace_heads=names)
    tensors = {name: p.value for name, p in model.parameters.items()}
    return model.config, tensors, model.provenance or (imported(locate(origin)),)


@checked
def fitted(
    config: Config,
    dataset: Dataset,
    seed: int,
    steps: int | None = None,
    epochs: int | None = None,
    inherited_from: str | None = None,
    validated: int = 0,
    minutes: float | None = None,
    patience: int | None = None,
) -> Config:
    """The config with the data's classes, the seed, and the length that is wished for; `validated`
    images choose the best weights.

    Raises ConfigError where neither is given and a schedule inherited with weights would show each
    image more than 200 times: it was made for more images than these.
    """
    check_indexed(dataset)
    check_class_names(dataset)
    check_whole(len(dataset), "the number of images")
    training = config.training
    wished = steps or (epochs and math.ceil(epochs * len(dataset) / training.batch_size))
    passes = training.steps * training.batch_size / len(dataset)
    if inherited_from and not (wished or minutes) and passes > MOST_INHERITED:
        what = (
            f"its schedule of {training.steps:,} steps of {training.batch_size} is "
            f"{passes:,.0f} epochs of these {len(dataset):,} images, more than {MOST_INHERITED}"
        )
        raise ConfigError(what, inherited_from, "say how long: --steps or --epochs")
    if minutes and training.schedule != "warmup_cosine":
        what = f"the first steps of the schedule {training.schedule!r} depend on how many there are"
        hint = "give --steps, or leave --config out: a config that is fitted can be timed"
        raise ConfigError(what, "--minutes", hint)
    training = dataclasses.replace(
        training,
        steps=wished or training.steps,
        minutes=None if wished else minutes or training.minutes,
        seed=seed,
        patience=training.patience if patience is None else patience,
    )
    if validated and not training.validate_every and training.minutes is None:
        every = validate_every(training, validated)
        training = dataclasses.replace(training, validate_every=every)
    return dataclasses.replace(config.with_classes(dataset.class_names), training=training)


@checked
def validations(images: int) -> int:
    """How often a training looks at so many images to choose the best weights by."""
    check_whole(images, "images")
    return min(VALIDATIONS, max(FEWEST_VALIDATIONS, LOOKED_AT // images))


@checked
def looks(training: TrainConfig, images: int) -> int:
    """How often a training of `steps` steps looks at so many images: also at its end."""
    if not images:
        return 0
    every = training.validate_every or validate_every(training, images)
    return math.ceil(training.steps / every)


@checked
def validate_every(training: TrainConfig, images: int) -> int:
    """After how many steps; not before the end of a warm-up that others are as long as."""
    least = training.warmup_steps if training.schedule == "warmup_cosine" else 1
    return max(least, math.ceil(training.steps / validations(images)))


@checked
def network(
    config: Config,
    seed: int,
    tensors: Arrays,
    where: str,
    frozen: str | None,
    history: Provenance = (),
) -> tuple[SSD, list[str]]:
    """The model to train, beginning with `tensors` from the file `where`, which tells its
    `history`; and what that file lacks.

    `frozen` is the last layer that does not train; "" freezes the base, None nothing.
    """
    model = SSD(config, seed)
    model.provenance = history
    new = set_base(model, tensors, where) if tensors else []
    if frozen is not None:
        model.freeze(frozen or config.base_end)
    return model, new


@checked
def settle(model: SSD, dataset: Dataset, training: TrainConfig) -> None:
    """Lets a base see the first batches: its batch normalisations take over their statistics, and
    the network computes in training what it did (`model/statistics.py`)."""
    with Batches(dataset, model.config, training.batch_size, training.seed) as batches:
        measure_statistics(model, (batch.images for batch in itertools.islice(batches, SETTLING)))
