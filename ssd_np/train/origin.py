"""What the files of a training say of where they come from (model/provenance.py)."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from ssd_np.data.digest import digest
from ssd_np.model.provenance import Measured, Origin, Used

if TYPE_CHECKING:
    from ssd_np.train.trainer import Trainer


def begin(trainer: Trainer) -> None:
    """A new line above those of the weights that it begins with: what the trainer was told, and
    what its data come to. The licence of those holds for what is made of them."""
    sets = [data for data in (trainer.dataset, trainer.validation) if data is not None]
    unnamed = (Used(type(data).__name__) for data in sets[len(trainer.origin.data) :])
    named = zip((*trainer.origin.data, *unnamed), sets, strict=True)
    data = tuple(
        dataclasses.replace(used, images=len(found), digest=digest(found)) for used, found in named
    )
    before = trainer.model.provenance
    licence = trainer.origin.licence or (before[0].licence if before else "")
    line = dataclasses.replace(trainer.origin, data=data, training=trainer.config, licence=licence)
    trainer.model.provenance = (line, *before)


def sign(trainer: Trainer, mean_ap: float | None = None) -> None:
    """Before a file is written: what its weights were measured to be, on what they are chosen by,
    or else on what they learn from. Where an earlier version began there is no line to add to."""
    first, *before = trainer.model.provenance or (Origin(),)
    if not first.data:
        return
    names = [f"{u.name}, split {u.split}" if u.split else u.name for u in first.data]
    metric, average = None, trainer.progress.loss_average
    if mean_ap is not None and mean_ap >= 0:  # nan where there is no object to find
        metric = Measured("mAP at IoU 0.5", mean_ap, names[-1])
    elif average is not None:
        metric = Measured("average loss", average, names[0])
    now = dataclasses.replace(first, training=trainer.config, metric=metric)
    trainer.model.provenance = (now, *before)
