"""The trainer: batches in, gradient steps; what is written hangs on it as callbacks.

    for each batch:  match -> forward -> loss -> backward -> step

A step's batch and augmentation follow from the seed and the step's number alone. The output folder
gets `log.csv` (a line a step), `loss.png`, `last.npz` and `best.npz`. Ctrl-C and a batch system's
SIGTERM end the training after the step in hand, for in the middle of it half the weights are new.
"""

import contextlib
import functools
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ssd_np.checks import check_kind, check_list
from ssd_np.config import Config, TrainConfig
from ssd_np.data.batches import Batch, Batches
from ssd_np.data.items import Dataset
from ssd_np.engine import select
from ssd_np.errors import ConfigError, NotFinite
from ssd_np.files import as_path, remove_leftovers
from ssd_np.model.provenance import Origin
from ssd_np.model.ssd import SSD
from ssd_np.train import origin
from ssd_np.train.average import optimiser_of
from ssd_np.train.bar import Bar
from ssd_np.train.best import Best
from ssd_np.train.budget import Budget
from ssd_np.train.callbacks import Callback, Step
from ssd_np.train.checkpoint import LAST, Checkpoint, Progress, conditions_of, load_checkpoint
from ssd_np.train.log import Log, LossCurve
from ssd_np.train.match import match_batch
from ssd_np.train.parts import Loss, Optimiser, Schedule, checked_loss, checked_rate, ssd_loss
from ssd_np.train.postmortem import PostMortem
from ssd_np.train.ready import check_ready, claim_folder, mapping_of
from ssd_np.train.safety import check_before_writing, saving_first, untouched
from ssd_np.train.schedule import learning_rate
from ssd_np.train.stop import StopRequests

SMOOTHING = 0.98  # of the running average of the loss


@dataclass(frozen=True)
class TrainResult:
    """Steps, seconds, the last average loss, the share of time spent waiting for data, and the log:
    history["total"] and so on (`train.log.COLUMNS`) has a number for each step."""

    steps: int
    seconds: float
    loss: float
    waited: float
    history: dict[str, np.ndarray] = field(default_factory=dict, repr=False, compare=False)


class Trainer:
    """Trains `model` on `dataset` by `train_config` and writes to `out_dir`.

    `validation` is the data set to choose best.npz by (see best.py). `callbacks` are yours, called
    after the trainer's own (callbacks.py). So may be the loss, the schedule and the optimiser
    (parts.py); left out, they are what the configs say. The files of weights tell of `origin`. A
    folder that holds something is refused without `force`.

    progress  what is done so far
    """

    def __init__(
        self,
        model: SSD,
        dataset: Dataset,
        train_config: TrainConfig,
        out_dir: str | Path,
        validation: Dataset | None = None,
        callbacks: Sequence[Callback] = (),
        *,
        loss: Loss | None = None,
        schedule: Schedule | None = None,
        optimiser: Optimiser | None = None,
        origin: Origin | None = None,
        force: bool = False,
    ) -> None:
        if not isinstance(train_config, TrainConfig):
            kind = type(train_config).__name__
            raise ConfigError(f"is a {kind}", "train_config", "a TrainConfig: config.training")
        check_kind(getattr(model, "config", None), Config, "the model's config")
        check_list(callbacks, object, "callbacks")
        self.model, self.config = model, train_config
        self.dataset, self.validation, self.origin = dataset, validation, origin or Origin()
        self.out_dir, self.ops, self.progress = as_path(out_dir), select(), Progress()
        self.mapping = mapping_of("training", dataset, model)
        # an object of yours may be false, such as a list of losses that has a length
        self.loss = ssd_loss(model.config, self.ops) if loss is None else loss
        as_told = functools.partial(learning_rate, config=train_config)
        self.schedule = as_told if schedule is None else schedule
        self.optimiser = optimiser_of(train_config, model, self.ops, optimiser)
        self.log, self.bar, self.budget = Log(), Bar(), Budget()
        self.callbacks: list[Callback] = [
            *(self.log, self.bar, self.budget, Best(validation), Checkpoint()),
            *(LossCurve(self.log), PostMortem(self.log), *callbacks, StopRequests()),
        ]
        self.conditions: dict[str, Any] = {}
        self.saved: int | None = None  # the step that last.npz is of
        self._force = force

    def resume(self) -> None:
        """Goes on from the folder's last.npz; the log's lines after it are taken back.

        Raises WeightsError if there is none, or one of another training, with what differs;
        DataError if the log does not belong to it. With `force` it goes on with other data, too.
        """
        path, conditions = self.out_dir / LAST, conditions_of(self)
        own = self.config, conditions, self._force
        self.progress = load_checkpoint(path, self.model, self.optimiser, *own)
        self.conditions = conditions
        self._tell("resume")

    def fit(self) -> TrainResult:
        """Trains to the last step. Ctrl-C saves last.npz after the step in hand, then raises
        KeyboardInterrupt; a second Ctrl-C raises at once and leaves the last checkpoint."""
        start = time.perf_counter()
        check_ready(self)
        if not self.conditions:  # it neither goes on nor is called again
            claim_folder(self, self._force)
            origin.begin(self)
            self.conditions = conditions_of(self)
        remove_leftovers(self.out_dir)
        quiet = np.errstate(over="ignore", invalid="ignore")  # what overflows is told as NotFinite
        with quiet, self._attached(), self.batches() as batches:
            stream = iter(batches)
            while not self.over:
                step = self._next(stream)
                try:
                    self.learn(step)
                except NotFinite as error:
                    self._tell("failed", step, error)
                    raise
                self._count(step)
        seconds = time.perf_counter() - start
        waited, history = batches.seconds_waited / seconds, self.log.columns()
        average = self.progress.loss_average
        average = math.nan if average is None else average
        return TrainResult(self.progress.step, seconds, average, waited, history)

    # --- a step ----------------------------------------------------------------------------------

    def learn(self, step: Step) -> None:
        """Match, forward, loss, backward, update. NotFinite, with no weight changed, for numbers
        that are none."""
        with untouched(self):
            step.labels, step.targets = self.match(step.batch)
            images = step.batch.images.astype(self.model.dtype, copy=False)
            step.logits, step.offsets = self.model.forward(images, training=True)
            outputs = step.logits, step.offsets
            step.loss = checked_loss(self.loss(*outputs, step.labels, step.targets))
            if not math.isfinite(step.loss.total):
                raise NotFinite(f"the loss is {step.loss.total}")
            step.parts = {name: float(part) for name, part in step.loss.parts.items()}
            self.log.expect(step.parts)
            gradients = step.loss.dlogits, step.loss.doffsets  # a loss of yours may be float64
            dlogits, doffsets = (g.astype(self.model.dtype, copy=False) for g in gradients)
            self.model.backward(dlogits, doffsets)
        step.norm = self.optimiser.step(step.rate, self.config.clip_norm)

    @property
    def over(self) -> bool:
        """Whether all steps are done, or the patience is at its end."""
        patience, progress = self.config.patience, self.progress
        return progress.step >= self.config.steps or 0 < patience <= progress.stale

    def rate(self, number: int) -> float:
        """The learning rate of a step."""
        return checked_rate(self.schedule(number), number)

    def match(self, batch: Batch) -> tuple[np.ndarray, np.ndarray]:
        """Which default box stands for which object: labels (N, T), offsets (N, T, 4)."""
        return match_batch(batch, self.model, self.mapping)

    # --- around the steps ------------------------------------------------------------------------

    def batches(self) -> Batches:
        """The batches that are still to come."""
        settings = self.config.batch_size, self.config.seed, self.progress.step
        return Batches(self.dataset, self.model.config, *settings)

    def save(self) -> None:
        """Writes last.npz and what belongs to it."""
        check_before_writing(self)
        self._tell("save")
        self.saved = self.progress.step

    def _next(self, stream: Iterator[Batch]) -> Step:
        number = self.progress.step
        with saving_first(self):
            return Step(number, next(stream), self.rate(number))

    def _count(self, step: Step) -> None:
        step.seconds = time.perf_counter() - step.begun
        progress, total = self.progress, float(step.loss.total)
        average = progress.loss_average
        progress.loss_average = (
            total if average is None else SMOOTHING * average + (1 - SMOOTHING) * total
        )
        self.log.add(step)
        progress.step += 1
        with saving_first(self):
            self._tell("after_step", step)

    @contextlib.contextmanager
    def _attached(self) -> Iterator[None]:
        """The callbacks begin and, whatever happens, end."""
        with contextlib.ExitStack() as stack:
            for callback in self.callbacks:
                callback.begin(self)
                stack.callback(callback.end, self)
            yield

    def _tell(self, what: str, *arguments: object) -> None:
        for callback in self.callbacks:
            getattr(callback, what)(self, *arguments)
