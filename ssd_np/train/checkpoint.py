"""A checkpoint: everything a training needs to go on as if it had never stopped.

Weights, the optimiser's state, the trainer's counters, which layers are frozen, and the conditions
that the training was begun under, in one `.npz` file. A checkpoint is also a weights file:
`model.weights.load` reads it. The order of the data and the augmentation are not in it, because
they follow from the seed and the number of the step.
"""

from __future__ import annotations

import dataclasses
import os
import re
import reprlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ssd_np.checks import check_kind
from ssd_np.config import Config, TrainConfig
from ssd_np.config_json import differences, read
from ssd_np.data.digest import digest
from ssd_np.errors import ConfigError, WeightsError
from ssd_np.files import as_path
from ssd_np.model.archive import read_archive, write_archive
from ssd_np.model.own_layers import kinds_of
from ssd_np.model.provenance import provenance_in
from ssd_np.model.ssd import SSD
from ssd_np.model.weights import (
    check_own_layers,
    check_parameters,
    config_of,
    contents_of,
    optimiser_arrays,
    set_parameters,
)
from ssd_np.train.callbacks import Callback, Step
from ssd_np.train.origin import sign
from ssd_np.train.parts import Optimiser, name_of, require_methods

if TYPE_CHECKING:
    from ssd_np.train.trainer import Trainer

LAST = "last.npz"
# keys of a config that say nothing about the steps to come
HARMLESS = re.compile(
    r"name|head_init|decoding\.(?!scores).*|training\.(validate|checkpoint)_every"
)
DATA = ("images", "names and truths")  # the conditions that are the data's
SHOWN = 3  # differences in one message


@dataclass
class Progress:
    """Where a training stands: steps done, the best score, and how many came after it."""

    step: int = 0
    best_score: float | None = None
    loss_average: float | None = None
    stale: int = 0


def frozen(model: SSD) -> list[str]:
    """The names of the parameters that do not learn, though they could."""
    check_kind(model, SSD, "model")
    parameters = model.parameters.items()
    return sorted(name for name, p in parameters if not (p.trainable or p.statistic))


def conditions_of(trainer: Trainer) -> dict[str, Any]:
    """What must be as it is now when the training goes on, beside the config."""
    parts = {part: name_of(getattr(trainer, part)) for part in ("loss", "schedule", "optimiser")}
    model = {"dtype": str(trainer.model.dtype), "frozen": frozen(trainer.model)}
    images, truths = DATA
    data = {images: len(trainer.dataset), truths: digest(trainer.dataset)}
    return {**parts, **model, "labels": trainer.mapping.tolist(), **data}


def save_checkpoint(
    path: str | Path,
    model: SSD,
    optimiser: Optimiser,
    progress: Progress,
    training: TrainConfig | None = None,
    conditions: Mapping[str, Any] | None = None,
    make_folder: bool = True,
) -> None:
    """Writes all of it atomically. `training` is what the model is trained by, left out that of its
    config; `conditions` are other things, JSON-able, that must be the same when it goes on."""
    header, weights = contents_of(model)
    require_methods("optimiser", optimiser, ("state", "load_state"), "SGD has them")
    check_kind(progress, Progress, "progress")
    check_kind({} if conditions is None else conditions, Mapping, "conditions")
    training = model.config.training if training is None else training
    check_kind(training, TrainConfig, "training")
    state = dict(optimiser.state())
    both = weights.keys() & state.keys()
    if both:
        hint = "state() calls them otherwise than the parameters, such as m/conv1_1.weight"
        raise ConfigError(f"keeps {sorted(both)[0]!r}, a parameter's name", "the optimiser", hint)
    header |= {"training": dataclasses.asdict(training), "progress": dataclasses.asdict(progress)}
    header |= {"optimiser": sorted(state), "frozen": frozen(model)}
    header["conditions"] = dict(conditions or {})
    write_archive(path, header, weights | state, make_folder)


def load_checkpoint(
    path: str | Path,
    model: SSD,
    optimiser: Optimiser,
    training: TrainConfig | None = None,
    conditions: Mapping[str, Any] | None = None,
    other_data: bool = False,
) -> Progress:
    """Sets the model's parameters, which of them are frozen, and the optimiser's state; returns the
    progress. WeightsError, with nothing changed, where the training would go on otherwise than it
    began; `other_data` allows it to go on with data that changed."""
    path = as_path(path)
    where = str(path)
    if not os.path.exists(path):
        hint = "is it this folder? a training that was stopped before its first step begins again, "
        hint += "with --force"
        raise WeightsError("no such checkpoint", where, hint)
    header, arrays = read_archive(path)
    if "progress" not in header:
        raise WeightsError("is no checkpoint but a weights file", where=where)
    before = _config_of(header, where, model)
    now = dataclasses.replace(model.config, training=training or model.config.training)
    progress = _read_progress(header["progress"], where)
    changes = list(_changes(before, now, header.get("conditions"), conditions or {}))
    _refuse([change for change in changes if not (other_data and change[0] in DATA)], where)
    check_own_layers(header, model, where)  # the layers that no config describes
    names = optimiser_arrays(header, arrays, where)
    state = {name: arrays.pop(name) for name in names if name in arrays}
    at_rest = header.get("frozen")
    if len(state) < len(names) or not isinstance(at_rest, list):
        hint = "an earlier version may have made it"
        raise WeightsError("is not a whole checkpoint", where, hint)
    check_parameters(model, arrays, where)
    provenance = provenance_in(header, where)
    try:
        optimiser.load_state(state)
    except WeightsError as error:
        raise WeightsError(error.what, f"{where}: {error.where}", error.hint) from error
    set_parameters(model, arrays, where)
    model.provenance = provenance
    for name, parameter in model.parameters.items():
        parameter.trainable = name not in at_rest
    return progress


def _config_of(header: dict[str, Any], where: str, model: SSD) -> Config:
    """The config in a checkpoint, with the training that was used."""
    config = config_of(header, where, kinds_of(model.config))
    try:
        training = read(TrainConfig, header.get("training"), "training", {})
    except ConfigError as error:
        raise WeightsError(f"its training is refused: {error}", where=where) from error
    return dataclasses.replace(config, training=training)


def _changes(
    before: Config, now: Config, conditions: Any, own: Mapping[str, Any]
) -> Iterator[tuple[str, Any, Any]]:
    """Key, old and new value of whatever makes another training. Of one whose length was still to
    be timed nothing depended on it."""
    if before.training.minutes is not None:
        length = {key: getattr(now.training, key) for key in ("minutes", "steps", "validate_every")}
        training = dataclasses.replace(before.training, **length)
        before = dataclasses.replace(before, training=training)
    for key, old, new in differences(before, now):
        harmless = HARMLESS.fullmatch(key) or (key == "class_names" and _renamed(old, new))
        if not harmless:
            yield key, old, new
    conditions = conditions if isinstance(conditions, dict) else {}
    pairs = ((key, conditions.get(key), new) for key, new in own.items())
    yield from ((key, old, new) for key, old, new in pairs if old != new)


def _renamed(old: tuple[str, ...], new: tuple[str, ...]) -> bool:
    """Whether names changed but none stands for another label now."""
    moved = map(lambda a, b: a != b and b in old, old, new)
    return len(old) == len(new) and not any(moved)


def _refuse(changes: Sequence[tuple[str, Any, Any]], where: str) -> None:
    if not changes:
        return
    told = [f"{key} was {_short(old)}, is {_short(new)}" for key, old, new in changes]
    more = f"; and {len(told) - SHOWN} more" if len(told) > SHOWN else ""
    what, hint = "another config", "to train on otherwise, begin anew with its weights"
    if all(key in DATA for key, _, _ in changes):
        what, hint = "other data", "bring them back, or go on with them as they are: --force"
    raise WeightsError(f"was made with {what}: {'; '.join(told[:SHOWN])}{more}", where, hint)


def _short(value: Any) -> str:
    return reprlib.repr(list(value) if isinstance(value, tuple) else value)


def _read_progress(values: Any, where: str) -> Progress:
    """The counters from the header, whoever wrote it."""
    fields = dataclasses.asdict(Progress())
    sound = isinstance(values, dict) and values.keys() == fields.keys()
    for name, value in values.items() if sound else ():
        count = type(value) is int and value >= 0
        score = value is None or isinstance(value, float)
        sound = sound and (count if name in ("step", "stale") else score)
    if not sound:
        raise WeightsError(f"its progress is {values!r}", where=where, hint=f"expected {fields}")
    return Progress(**values)


class Checkpoint(Callback):
    """Keeps last.npz: written before the first step, so that a stop before the next write is no
    loss, then every `checkpoint_every` steps and at the end."""

    def begin(self, trainer: Trainer) -> None:
        if trainer.progress.step == 0:
            trainer.save()

    def after_step(self, trainer: Trainer, step: Step) -> None:
        done = trainer.progress.step
        if done % trainer.config.checkpoint_every == 0 or trainer.over:
            trainer.save()

    def save(self, trainer: Trainer) -> None:
        sign(trainer)
        own = trainer.config, trainer.conditions
        path = trainer.out_dir / LAST
        save_checkpoint(path, trainer.model, trainer.optimiser, trainer.progress, *own, False)
