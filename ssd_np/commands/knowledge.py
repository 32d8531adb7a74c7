"""What a detector knows, to be said beside what it finds: it has a name for nothing else."""

from ssd_np.model.ssd import SSD
from ssd_np.terminal import listed

SHIPPED = {
    "shapes": "learned from generated pictures of shapes",
    "blood_cells": "learned from microscope pictures of blood smears",
}


def knowledge(weights: str, model: SSD) -> str:
    """A line: where the weights come from, if they ship with the package, and their classes."""
    origin = f"{SHIPPED[weights]}; " if weights in SHIPPED else ""
    warning = "; in other pictures it is wrong, however sure" if weights in SHIPPED else ""
    return f"weights {weights}: {origin}it knows {listed(model.config.class_names)}{warning}"
