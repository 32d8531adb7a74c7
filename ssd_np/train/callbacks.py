"""What may be attached to a training: an object with the methods of `Callback`.

Log, loss curve, checkpoints, best weights, post-mortem, requests to stop and the progress bar all
have this shape (log.py, checkpoint.py, best.py, postmortem.py, stop.py, bar.py). One of your own
derives from `Callback` and defines what it needs:

    class Note(Callback):
        def after_step(self, trainer: Trainer, step):
            if step.number % 100 == 0:
                print(step.number, step.loss.total)

    Trainer(model, data, config, "run", callbacks=[Note()]).fit()

Whatever a callback raises ends the training, but what was learned is saved first.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import numpy as np

from ssd_np.data.batches import Batch
from ssd_np.train.parts import LossValue

if TYPE_CHECKING:
    from ssd_np.errors import NotFinite
    from ssd_np.train.trainer import Trainer


@dataclass
class Step:
    """One step, filled in from above to below while it is done; before that there is no attribute.

    number          from 0
    rate            the learning rate
    labels, targets what it should have said: (N, T), (N, T, 4), see boxes/targets.py
    logits, offsets what the network said: (N, T, K), (N, T, 4)
    loss, parts     what the loss said, and the parts of its total by name
    norm            of all gradients together, before they were shortened
    begun, seconds  the clock when the batch was there, and how long it took from there
    """

    number: int
    batch: Batch
    rate: float
    labels: np.ndarray = field(init=False)
    targets: np.ndarray = field(init=False)
    logits: np.ndarray = field(init=False)
    offsets: np.ndarray = field(init=False)
    loss: LossValue = field(init=False)
    parts: dict[str, float] = field(default_factory=dict)
    norm: float = 0.0
    begun: float = field(default_factory=time.perf_counter)
    seconds: float = 0.0

    @property
    def positives(self) -> int:
        """How many default boxes stand for an object."""
        return int(np.count_nonzero(self.labels > 0))


METHODS = ("resume", "begin", "after_step", "save", "failed", "end")


class Callback(Protocol):
    """Each method is called with the trainer; by default none does anything (and says so by a
    `return`: a body of a docstring alone would be abstract to a type checker)."""

    def resume(self, trainer: Trainer) -> None:
        """The run in `trainer.out_dir` goes on from its last.npz, which has been read."""
        return None

    def begin(self, trainer: Trainer) -> None:
        """Before the first step; `trainer.progress.step` are done already."""
        return None

    def after_step(self, trainer: Trainer, step: Step) -> None:
        """The weights are new, and `trainer.progress` counts the step."""
        return None

    def save(self, trainer: Trainer) -> None:
        """A checkpoint is written: so must be what belongs to it."""
        return None

    def failed(self, trainer: Trainer, step: Step, error: NotFinite) -> None:
        """The step has met a number that is none; no weight was changed."""
        return None

    def end(self, trainer: Trainer) -> None:
        """After the last step, and when something else ends the training."""
        return None
