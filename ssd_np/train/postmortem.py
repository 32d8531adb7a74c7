"""When a loss or a gradient is no longer a number: find the first tensor that broke, write it down.

The order of the search is the order of the computation: weights, images, the layers' outputs from
the image on, the network's outputs, then the gradients from the outputs back. The first that is not
finite is the cause; all later ones only carry it on.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from ssd_np.errors import NotFinite
from ssd_np.files import json_text, write_atomically
from ssd_np.model.ssd import SSD
from ssd_np.model.weights_file import Arrays
from ssd_np.train.callbacks import Callback, Step
from ssd_np.train.log import Log

if TYPE_CHECKING:
    from ssd_np.train.trainer import Trainer

LOSSES = 20  # the last so many are told


def first_broken(model: SSD, images: np.ndarray, outputs: Arrays) -> tuple[str, dict] | None:
    """Name of the first tensor that is not finite, and what is known of it; None if all are.

    `outputs` are the network's results and their gradients by name, in order of computation.
    """
    for name, array in _in_order(model, images, outputs):
        bad = ~np.isfinite(array)
        if bad.any():
            count, first = int(np.count_nonzero(bad)), np.argwhere(bad)[0].tolist()
            known = {"shape": list(array.shape), "not_finite": count, "first_at": first}
            return name, known | {"largest_finite": float(np.abs(array[~bad]).max(initial=0))}
    return None


def _in_order(model: SSD, images: np.ndarray, outputs: Arrays) -> Iterator[tuple[str, np.ndarray]]:
    for name, parameter in model.parameters.items():
        yield f"parameter {name}", parameter.value
    yield "images", images
    for layer, x in model.outputs(images):  # computed once more
        yield f"output of layer {layer}", x
    for name, array in outputs.items():
        yield name, array
    for name, parameter in reversed(model.parameters.items()):
        if parameter.grad is not None:
            yield f"gradient of {name}", parameter.grad


def report(model: SSD, step: Step, last_losses: list[float]) -> dict:
    """What a reader needs to find out why, as JSON-able values."""
    batch, done = step.batch, vars(step)
    outputs: Arrays = {n: done[n] for n in ("logits", "offsets") if n in done}
    if "loss" in done:
        outputs["gradient of the logits"] = step.loss.dlogits
        outputs["gradient of the offsets"] = step.loss.doffsets
    name, known = first_broken(model, batch.images, outputs) or ("none found", {})
    when = {"step": step.number, "learning_rate": step.rate, "first_broken_tensor": name}
    pairs = zip(batch.names, batch.truths, strict=True)
    images = [{"file": file, "boxes_corner": boxes.tolist(), "labels": labels.tolist()}
              for file, (boxes, labels) in pairs]  # fmt: skip
    return when | known | {"last_losses": last_losses, "batch": images}


class PostMortem(Callback):
    """Writes post_mortem.json and keeps the last good weights, those before the step."""

    def __init__(self, log: Log) -> None:
        self.log = log

    def failed(self, trainer: Trainer, step: Step, error: NotFinite) -> None:
        path = trainer.out_dir / "post_mortem.json"
        losses = self.log.columns()["total"][-LOSSES:].tolist()
        found = report(trainer.model, step, losses)
        write_atomically(path, json_text(found) + "\n", make_folder=False)
        if not found["first_broken_tensor"].startswith("parameter"):
            trainer.save()
        what = f"{error.what}; first broken: {found['first_broken_tensor']}"
        hint = f"lower the learning rate or warm up longer; more in {path}"
        raise NotFinite(what, f"step {step.number}, images {step.batch.names}", hint) from error
