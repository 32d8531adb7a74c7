"""The trainer: batches in, gradient steps; what is written hangs on it as callbacks.

    for each batch:  match -> forward -> loss -> backward -> step

A step's batch and augmentation follow from the seed and the step's number alone. The output folder
gets `log.csv` (a line a step), `loss.png`, `last.npz` and `best.npz`. Ctrl-C and a batch system's
SIGTERM end the training after the step in hand, for in the middle of it half the weights are new.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ssd_np.config import TrainConfig
from ssd_np.data.batches import Batch, Batches
from ssd_np.data.items import Dataset
from ssd_np.data.labels import label_map
from ssd_np.engine import select
from ssd_np.errors import DataError, NotFinite, OutputError, SsdError
from ssd_np.files import remove_leftovers
from ssd_np.model.own_layers import check_described
from ssd_np.model.ssd import SSD
from ssd_np.train.bar import Bar
from ssd_np.train.best import BEST, Best
from ssd_np.train.callbacks import Callback, Step
from ssd_np.train.checkpoint import LAST, Checkpoint, Progress, load_checkpoint
from ssd_np.train.log import Log, LossCurve
from ssd_np.train.postmortem import PostMortem
from ssd_np.train.schedule import learning_rate
from ssd_np.train.sgd import SGD
from ssd_np.train.stop import StopRequests

FILES = ("log.csv", "loss.png", LAST, BEST, "post_mortem.json")
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
    after the trainer's own (callbacks.py).

    progress   what is done so far
    optimiser  holds the velocities
    """

    def __init__(
        self,
        model: SSD,
        dataset: Dataset,
        train_config: TrainConfig,
        out_dir: str | Path,
        validation: Dataset | None = None,
        callbacks: Sequence[Callback] = (),
    ) -> None:
        self.model, self.dataset, self.config = model, dataset, train_config
        self.out_dir, self.ops, self.progress = Path(out_dir), select(), Progress()
        self.mapping = label_map(dataset.class_names, model.config.class_names)
        self.optimiser = SGD(
            model.parameters,
            train_config.momentum,
            train_config.weight_decay,
            train_config.bias_multiplier,
            self.ops,
            train_config.rate_in_momentum,
        )
        self.log = Log()
        self.callbacks: list[Callback] = [
            *(self.log, Bar(), Best(validation), Checkpoint(), LossCurve(self.log)),
            *(PostMortem(self.log), *callbacks, StopRequests()),
        ]
        self._saved: int | None = None  # the step that last.npz is of

    def resume(self) -> None:
        """Goes on from the folder's last.npz; the log's lines after it are taken back.

        Raises WeightsError if there is none, or one of another training; DataError if the log does
        not belong to it.
        """
        self.progress = load_checkpoint(self.out_dir / LAST, self.model, self.optimiser)
        self._tell("resume")

    def fit(self) -> TrainResult:
        """Trains to the last step. Ctrl-C saves last.npz after the step in hand, then raises
        KeyboardInterrupt; a second Ctrl-C raises at once and leaves the last checkpoint."""
        start = time.perf_counter()
        check_described(self.model, self.model.own_layers)  # before anything is learned
        remove_leftovers(self.out_dir)
        quiet = np.errstate(over="ignore", invalid="ignore")  # what overflows is told as NotFinite
        with quiet, self._attached(), self.batches() as batches:
            stream = itertools.islice(batches, self.config.steps - self.progress.step)
            while (batch := self._next(stream)) is not None:
                step = Step(self.progress.step, batch, self.rate(self.progress.step))
                try:
                    self.learn(step)
                except NotFinite as error:
                    self._tell("failed", step, error)
                    raise
                self._count(step)
        seconds = time.perf_counter() - start
        waited = batches.seconds_waited / seconds
        average, history = self.progress.loss_average, self.log.columns()
        return TrainResult(self.progress.step, seconds, average, waited, history)

    # --- a step ----------------------------------------------------------------------------------

    def learn(self, step: Step) -> None:
        """Match, forward, loss, backward, update. NotFinite, with no weight changed, for numbers
        that are none."""
        rule = self.model.config.loss
        labels, targets = self.match(step.batch)
        images = step.batch.images.astype(self.model.dtype, copy=False)
        step.logits, step.offsets = self.model.forward(images, training=True)
        step.loss = self.ops.multibox_loss(
            *(step.logits, step.offsets, labels, targets),
            *(rule.ratio, rule.alpha, rule.mining, rule.minimum_negatives),
            scores=self.model.config.decoding.scores,
            class_weights=rule.class_weights or None,
            gamma=rule.focal_gamma,
        )
        if not math.isfinite(step.loss.total):
            raise NotFinite(f"the loss is {step.loss.total}")
        self.model.backward(step.loss.dlogits, step.loss.doffsets)
        step.norm = self.optimiser.step(step.rate, self.config.clip_norm)

    def rate(self, number: int) -> float:
        """The learning rate of a step."""
        return learning_rate(number, self.config)

    def match(self, batch: Batch) -> tuple[np.ndarray, np.ndarray]:
        """Which default box stands for which object: labels (N, T), offsets (N, T, 4)."""
        rule, targets = self.model.config.matching, []
        for (boxes, labels), name in zip(batch.truths, batch.names, strict=True):
            if max(labels, default=0) >= len(self.mapping):
                raise DataError(
                    f"an object has label {max(labels)}",
                    where=name,
                    hint=f"its data has {len(self.mapping) - 1} class names; labels count from 1",
                )
            known = self.mapping[labels]
            settings = self.model.default_boxes, rule.threshold, rule.neutral_threshold
            targets.append(self.ops.make_targets(boxes, known, *settings))
        labels, offsets = zip(*targets, strict=True)
        return np.stack(labels), np.stack(offsets).astype(self.model.dtype)

    # --- around the steps ------------------------------------------------------------------------

    def batches(self) -> Batches:
        """The batches that are still to come."""
        settings = self.config.batch_size, self.config.seed, self.progress.step
        return Batches(self.dataset, self.model.config, *settings)

    def save(self) -> None:
        """Writes last.npz and what belongs to it."""
        self.check_before_writing()
        self._tell("save")
        self._saved = self.progress.step

    def check_before_writing(self) -> None:
        """A good file is only ever replaced by a good one, and in the folder where it was."""
        step = self.progress.step
        for name, parameter in self.model.parameters.items():
            if not np.isfinite(parameter.value).all():
                raise NotFinite(
                    f"parameter {name} is not finite",
                    where=f"after step {step}",
                    hint="the files hold the last good weights; lower the learning rate",
                )
        # made anew it would lack what --resume needs
        if step > 0 and not os.path.isdir(self.out_dir):
            raise OutputError(
                f"the folder of this training has vanished after step {step}",
                where=str(self.out_dir),
                hint="go on from where it is now: ssd-np train --resume FOLDER",
            )

    def _next(self, stream: Iterator[Batch]) -> Batch | None:
        with self._saving_first():
            return next(stream, None)

    def _count(self, step: Step) -> None:
        step.seconds = time.perf_counter() - step.begun
        progress, total = self.progress, step.loss.total
        average = progress.loss_average
        progress.loss_average = (
            total if average is None else SMOOTHING * average + (1 - SMOOTHING) * total
        )
        progress.step += 1
        with self._saving_first():
            self._tell("after_step", step)

    @contextlib.contextmanager
    def _attached(self) -> Iterator[None]:
        """The callbacks begin and, whatever happens, end."""
        with contextlib.ExitStack() as stack:
            for callback in self.callbacks:
                callback.begin(self)
                stack.callback(callback.end, self)
            yield

    @contextlib.contextmanager
    def _saving_first(self) -> Iterator[None]:
        """Whatever ends the training in here, what was learned is saved first, if it can be."""
        try:
            yield
        except BaseException:
            if self._saved != self.progress.step:
                with contextlib.suppress(SsdError):  # what ended the training counts, not this
                    self.save()
            raise

    def _tell(self, what: str, *arguments: object) -> None:
        for callback in self.callbacks:
            getattr(callback, what)(self, *arguments)
