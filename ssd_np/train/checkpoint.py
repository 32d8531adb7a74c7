"""A checkpoint: everything a training needs to go on as if it had never stopped.

Weights, the optimiser's velocities and the trainer's counters, in one `.npz` file. A checkpoint is
also a weights file: `model.weights.load` reads it. The order of the data and the augmentation are
not in it, because they follow from the seed and the number of the step.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

from ssd_np.config import config_to_json
from ssd_np.errors import WeightsError
from ssd_np.model.archive import read_archive, write_archive
from ssd_np.model.ssd import SSD
from ssd_np.model.weights import OPTIMISER, set_parameters
from ssd_np.train.sgd import SGD


@dataclass
class Progress:
    """Where a training stands: steps done, the best score and what it measures."""

    step: int = 0
    best_score: float | None = None
    loss_average: float | None = None


def save_checkpoint(path: str | Path, model: SSD, optimiser: SGD, progress: Progress) -> None:
    """Writes all of it atomically."""
    arrays = {name: parameter.value for name, parameter in model.parameters.items()}
    arrays |= {OPTIMISER + name: v for name, v in optimiser.velocity.items()}
    header = {"config": config_to_json(model.config), "progress": dataclasses.asdict(progress)}
    write_archive(path, header, arrays)


def load_checkpoint(path: str | Path, model: SSD, optimiser: SGD) -> Progress:
    """Sets the model's parameters and the optimiser's velocities; returns the progress."""
    header, arrays = read_archive(path)
    if header.get("config") != config_to_json(model.config):
        raise WeightsError("was made with another config", where=str(path))
    if "progress" not in header:
        raise WeightsError("is no checkpoint but a weights file", where=str(path))
    weights = {n: a for n, a in arrays.items() if not n.startswith(OPTIMISER)}
    velocity = {n.removeprefix(OPTIMISER): arrays[n] for n in arrays.keys() - weights.keys()}
    if velocity.keys() != optimiser.velocity.keys():
        raise WeightsError("was made with other layers frozen", where=str(path))
    set_parameters(model, weights, str(path))
    for name, array in velocity.items():
        optimiser.velocity[name][...] = array
    return Progress(**header["progress"])
