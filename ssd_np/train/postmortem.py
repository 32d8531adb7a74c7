"""When a loss or a gradient is no longer a number: find the first tensor that broke, write it down.

The order of the search is the order of the computation: weights, images, the layers' outputs from
the image on, the network's outputs, then the gradients from the outputs back. The first that is not
finite is the cause; all later ones only carry it on.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ssd_np.data.batches import Batch
from ssd_np.model.ssd import SSD
from ssd_np.nn.layers import FreshMemory


def first_broken(
    model: SSD, images: np.ndarray, outputs: dict[str, np.ndarray]
) -> tuple[str, dict] | None:
    """Name of the first tensor that is not finite, and what is known of it; None if all are.

    `outputs` are the network's results and their gradients by name, in order of computation.
    """
    for name, array in _in_order(model, images, outputs):
        bad = ~np.isfinite(array)
        if bad.any():
            known = {
                "shape": list(array.shape),
                "not_finite": int(np.count_nonzero(bad)),
                "first_at": [int(i) for i in np.argwhere(bad)[0]],
                "largest_finite": float(np.abs(array[~bad]).max(initial=0)),
            }
            return name, known
    return None


def _in_order(
    model: SSD, images: np.ndarray, outputs: dict[str, np.ndarray]
) -> Iterator[tuple[str, np.ndarray]]:
    for name, parameter in model.parameters.items():
        yield f"parameter {name}", parameter.value
    yield "images", images
    x = images
    for stage in model.stages:  # the layers' outputs, computed once more
        for layer in stage:
            x = layer.forward(x, training=False, workspace=FreshMemory())
            yield f"output of layer {layer.name}", x
    for name, array in outputs.items():
        yield name, array
    for name, parameter in reversed(model.parameters.items()):
        if parameter.grad is not None:
            yield f"gradient of {name}", parameter.grad


def report(
    model: SSD,
    batch: Batch,
    outputs: dict[str, np.ndarray],
    step: int,
    learning_rate: float,
    last_losses: list[float],
) -> dict:
    """What a reader needs to find out why, as JSON-able values."""
    broken = first_broken(model, batch.images, outputs)
    name, known = broken if broken else ("none found", {})
    return {
        "step": step,
        "learning_rate": learning_rate,
        "first_broken_tensor": name,
        **known,
        "last_losses": last_losses,
        "batch": [
            {"file": file, "boxes_corner": boxes.tolist(), "labels": labels.tolist()}
            for file, (boxes, labels) in zip(batch.names, batch.truths, strict=True)
        ],
    }
