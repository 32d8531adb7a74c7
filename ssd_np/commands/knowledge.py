"""What a detector knows, to be said beside what it finds: it has a name for nothing else."""

from ssd_np.model.ssd import SSD

SHIPPED = {
    "shapes": "learned from generated pictures of shapes",
    "blood_cells": "learned from microscope pictures of blood smears",
}
MOST = 8  # classes named


def knowledge(weights: str, model: SSD) -> str:
    """A line: where the weights come from, if they ship with the package, and their classes."""
    names = model.config.class_names
    listed = ", ".join(names[:MOST]) + (f" and {len(names) - MOST} more" * (len(names) > MOST))
    origin = f"{SHIPPED[weights]}; " if weights in SHIPPED else ""
    warning = "; in other pictures it is wrong, however sure" if weights in SHIPPED else ""
    return f"weights {weights}: {origin}it knows {listed}{warning}"
