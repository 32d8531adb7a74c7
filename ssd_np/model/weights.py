"""Weights in and out: an `.npz` file that carries the config and the class names with the tensors.

The file alone is enough to detect: it says how images are resized and normalised, how the network
is built, what its boxes are and what its classes are called.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ssd_np.config import config_from_json, config_to_json
from ssd_np.errors import SsdError, WeightsError
from ssd_np.model.archive import read_archive, write_archive
from ssd_np.model.ssd import SSD

OPTIMISER = "velocity/"  # prefix of arrays that belong to training only
SHIPPED = Path(__file__).parent.parent / "weights"


def save(path: str | Path, model: SSD) -> None:
    """Writes the model's config and parameters to an `.npz` file, all or nothing."""
    arrays = {name: parameter.value for name, parameter in model.parameters.items()}
    write_archive(path, {"config": config_to_json(model.config)}, arrays)


def load(path: str | Path) -> SSD:
    """A model from a file that `save` wrote, or from the name of one that comes with the package.

    >>> load("shapes").config.class_names
    ('circle', 'square', 'triangle', 'star', 'cross')
    """
    path = locate(path)
    header, arrays = read_archive(path)
    # a training's checkpoint is a weights file with the optimiser's arrays beside
    arrays = {name: a for name, a in arrays.items() if not name.startswith(OPTIMISER)}
    where, text = str(path), header.get("config")
    if not isinstance(text, str):
        raise WeightsError("carries no config", where=where)
    try:
        model = SSD(config_from_json(text))
    except SsdError as error:
        raise WeightsError(f"its config is refused: {error}", where=where) from error
    set_parameters(model, arrays, where)
    return model


def set_parameters(model: SSD, arrays: dict[str, np.ndarray], where: str) -> None:
    """Copies `arrays` into the model; every tensor must be there, fit, and have a place."""
    parameters = model.parameters
    missing, surplus = parameters.keys() - arrays.keys(), arrays.keys() - parameters.keys()
    if missing or surplus:
        raise WeightsError(
            f"missing tensors: {sorted(missing) or 'none'}; surplus: {sorted(surplus) or 'none'}",
            where=where,
            hint="the file does not belong to this config",
        )
    for name, parameter in parameters.items():
        array = arrays[name]
        if array.shape != parameter.value.shape or array.dtype.kind != "f":
            raise WeightsError(
                f"shape {array.shape} {array.dtype}, the network has {parameter.value.shape} "
                f"{parameter.value.dtype}",
                where=f"{where}: {name}",
            )
    for name, parameter in parameters.items():
        parameter.value = arrays[name].astype(model.dtype)


def locate(name_or_path: str | Path) -> Path:
    """The file of shipped weights for a name such as "blood_cells", else the path itself."""
    shipped = SHIPPED / f"{name_or_path}.npz"
    path = shipped if shipped.is_file() else Path(name_or_path)
    if not path.is_file():
        names = ", ".join(sorted(p.stem for p in SHIPPED.glob("*.npz"))) or "none"
        raise WeightsError(
            "no such weights file", where=str(path), hint=f"with the package come: {names}"
        )
    return path
