"""Nothing that was learned is lost, and no good file gives way to a bad one.

Whatever ends a training, an error in a picture, in a callback, in a loss of one's own, last.npz has
the weights of the last whole step before the error is raised. Only in the middle of an update
nothing is saved: half the weights are new then.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from ssd_np.errors import NotFinite, OutputError, SsdError

if TYPE_CHECKING:
    from ssd_np.train.trainer import Trainer


def check_before_writing(trainer: Trainer) -> None:
    """A good file is only ever replaced by a good one, and in the folder where it was."""
    step = trainer.progress.step
    for name, parameter in trainer.model.parameters.items():
        if not np.isfinite(parameter.value).all():
            hint = "the files hold the last good weights; lower the learning rate"
            raise NotFinite(f"parameter {name} is not finite", f"after step {step}", hint)
    # made anew it would lack what --resume needs
    if step > 0 and not os.path.isdir(trainer.out_dir):
        what = f"the folder of this training has vanished after step {step}"
        hint = "go on from where it is now: ssd-np train --resume FOLDER"
        raise OutputError(what, str(trainer.out_dir), hint)


@contextlib.contextmanager
def saving_first(trainer: Trainer, errors: type[BaseException] = BaseException) -> Iterator[None]:
    """Whatever ends the training in here, what was learned is saved first, if it can be."""
    try:
        yield
    except errors:
        if trainer.saved != trainer.progress.step:
            with contextlib.suppress(SsdError):  # what ended the training counts, not this
                trainer.save()
        raise


@contextlib.contextmanager
def untouched(trainer: Trainer) -> Iterator[None]:
    """A step that fails in here leaves nothing of itself: what its forward moved is put back, and
    what was learned before is saved."""
    parameters = trainer.model.parameters.values()
    statistics = [(p, p.value.copy()) for p in parameters if p.statistic]
    with saving_first(trainer, Exception):
        try:
            yield
        except Exception:
            for parameter, value in statistics:
                parameter.assign(value)
            raise
