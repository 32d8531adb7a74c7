"""A checkpoint: everything a training needs to go on as if it had never stopped.

Weights, the optimiser's velocities and the trainer's counters, in one `.npz` file. A checkpoint is
also a weights file: `model.weights.load` reads it. The order of the data and the augmentation are
not in it, because they follow from the seed and the number of the step.
"""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ssd_np.errors import WeightsError
from ssd_np.model.archive import read_archive, write_archive
from ssd_np.model.own_layers import kinds_of
from ssd_np.model.ssd import SSD
from ssd_np.model.weights import (
    OPTIMISER,
    check_same_network,
    config_of,
    contents_of,
    set_parameters,
)
from ssd_np.train.callbacks import Callback, Step
from ssd_np.train.sgd import SGD

LAST = "last.npz"


@dataclass
class Progress:
    """Where a training stands: steps done, the best score and what it measures."""

    step: int = 0
    best_score: float | None = None
    loss_average: float | None = None


def save_checkpoint(path: str | Path, model: SSD, optimiser: SGD, progress: Progress) -> None:
    """Writes all of it atomically."""
    header, arrays = contents_of(model)
    arrays |= {OPTIMISER + name: v for name, v in optimiser.velocity.items()}
    write_archive(path, header | {"progress": dataclasses.asdict(progress)}, arrays)


def load_checkpoint(path: str | Path, model: SSD, optimiser: SGD) -> Progress:
    """Sets the model's parameters and the optimiser's velocities; returns the progress."""
    if not os.path.exists(path):
        raise WeightsError(
            "no such checkpoint: the training was stopped before its first step",
            where=str(path),
            hint="start it again, with --force",
        )
    header, arrays = read_archive(path)
    config = config_of(header, str(path), kinds_of(model.config))
    check_same_network(config, header, model, str(path))
    if config != model.config:
        raise WeightsError("was made with another config", where=str(path))
    if "progress" not in header:
        raise WeightsError("is no checkpoint but a weights file", where=str(path))
    progress = _read_progress(header["progress"], str(path))
    weights = {n: a for n, a in arrays.items() if not n.startswith(OPTIMISER)}
    velocity = {n.removeprefix(OPTIMISER): arrays[n] for n in arrays.keys() - weights.keys()}
    if velocity.keys() != optimiser.velocity.keys():
        raise WeightsError("was made with other layers frozen", where=str(path))
    for name, array in velocity.items():
        own = optimiser.velocity[name]
        if (array.shape, array.dtype) != (own.shape, own.dtype):
            raise WeightsError(
                f"is {array.shape} {array.dtype}, the training needs {own.shape} {own.dtype}",
                where=f"{path}: {OPTIMISER}{name}",
            )
    set_parameters(model, weights, str(path))
    for name, array in velocity.items():
        optimiser.velocity[name][...] = array
    return progress


def _read_progress(values: Any, where: str) -> Progress:
    """The counters from the header, whoever wrote it."""
    fields = dataclasses.asdict(Progress())
    sound = isinstance(values, dict) and values.keys() == fields.keys()
    sound = sound and type(values["step"]) is int and values["step"] >= 0
    scores = [values[name] for name in fields if name != "step"] if sound else []
    if not sound or not all(score is None or isinstance(score, float) for score in scores):
        raise WeightsError(f"its progress is {values!r}", where=where, hint=f"expected {fields}")
    return Progress(**values)


class Checkpoint(Callback):
    """Keeps last.npz: written before the first step, so that a stop before the next write is no
    loss, then every `checkpoint_every` steps and at the end."""

    def begin(self, trainer) -> None:
        if trainer.progress.step == 0:
            trainer.save()

    def after_step(self, trainer, step: Step) -> None:
        done = trainer.progress.step
        if done % trainer.config.checkpoint_every == 0 or done == trainer.config.steps:
            trainer.save()

    def save(self, trainer) -> None:
        save_checkpoint(trainer.out_dir / LAST, trainer.model, trainer.optimiser, trainer.progress)
