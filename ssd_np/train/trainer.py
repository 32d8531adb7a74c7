"""The trainer: batches in, gradient steps, a log, pictures and checkpoints out.

    for each batch:  forward -> loss -> backward -> SGD

A step's batch and augmentation follow from the seed and the step's number alone. The output folder
gets `log.csv` (a line a step), `loss.png`, `last.npz` and `best.npz`. Ctrl-C and a batch system's
SIGTERM end the training after the step in hand, for in the middle of it half the weights are new.
"""

from __future__ import annotations

import csv
import io
import json
import math
import os
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from ssd_np.config import TrainConfig
from ssd_np.data.batches import Batch, Batches
from ssd_np.data.labels import label_map
from ssd_np.engine import select
from ssd_np.errors import DataError, NotFinite, OutputError
from ssd_np.evaluate.average_precision import evaluate_voc
from ssd_np.evaluate.run import detect_dataset
from ssd_np.files import remove_leftovers, write_atomically
from ssd_np.loss.multibox import MultiboxLoss
from ssd_np.model.ssd import SSD
from ssd_np.model.weights import save
from ssd_np.train.checkpoint import Progress, load_checkpoint, save_checkpoint
from ssd_np.train.log import COLUMNS, read_log
from ssd_np.train.postmortem import report
from ssd_np.train.schedule import learning_rate
from ssd_np.train.sgd import SGD
from ssd_np.train.stop import stop_requests
from ssd_np.viz.figures import loss_curve

FILES = ("log.csv", "loss.png", "last.npz", "best.npz", "post_mortem.json")
SMOOTHING = 0.98  # of the running average of the loss


@dataclass(frozen=True)
class TrainResult:
    """Steps, seconds, the last average loss, and the share of time spent waiting for data."""

    steps: int
    seconds: float
    loss: float
    waited: float


class Trainer:
    """Trains `model` on `dataset` by `train_config` and writes to `out_dir`.

    With a `validation` data set, best.npz holds the weights with the highest mAP at IoU 0.5 on it,
    measured every `train_config.validate_every` steps and at the end; without one, those with the
    lowest running average of the loss.
    """

    def __init__(
        self,
        model: SSD,
        dataset,
        train_config: TrainConfig,
        out_dir: str | Path,
        validation=None,
    ) -> None:
        self.model, self.dataset, self.config = model, dataset, train_config
        self.ops = select()
        self.out_dir, self.validation = Path(out_dir), validation
        self.mapping = label_map(dataset.class_names, model.config.class_names)
        self.optimiser = SGD(
            model.parameters,
            train_config.momentum,
            train_config.weight_decay,
            train_config.bias_multiplier,
        )
        self.progress = Progress()
        self.rows: list[tuple] = []  # of the log

    def resume(self) -> None:
        """Goes on from the folder's last.npz; the log's lines after it are taken back.

        Raises WeightsError if there is none, or one of another training; DataError if the log does
        not belong to it.
        """
        self.progress = load_checkpoint(self.out_dir / "last.npz", self.model, self.optimiser)
        self.rows = read_log(self.out_dir / "log.csv", self.progress.step)

    def fit(self) -> TrainResult:
        """Trains to the last step. Ctrl-C saves last.npz after the step in hand, then raises
        KeyboardInterrupt; a second Ctrl-C raises at once and leaves the last checkpoint."""
        config, start = self.config, time.perf_counter()
        remove_leftovers(self.out_dir)
        if self.progress.step == 0:
            self.save()  # the weights it begins with: a stop before the next save is no loss
        batches = Batches(
            self.dataset,
            self.model.config,
            config.batch_size,
            config.seed,
            start_step=self.progress.step,
            prepare=self.targets,
        )
        with (
            stop_requests() as stop,
            batches,
            tqdm(
                total=config.steps,
                initial=self.progress.step,
                desc="train",
                unit="step",
                disable=None,
            ) as bar,
        ):
            stream = iter(batches)
            while self.progress.step < config.steps:
                self._step(next(stream), bar)
                self._after_step()
                if stop.is_set():
                    self.save()
                    raise KeyboardInterrupt(f"saved after step {self.progress.step}")
        self.save()
        seconds = time.perf_counter() - start
        return TrainResult(
            self.progress.step,
            seconds,
            self.progress.loss_average,
            batches.seconds_waited / seconds,
        )

    def targets(self, batch: Batch) -> tuple[np.ndarray, np.ndarray]:
        """Labels (N, T) and offsets (N, T, 4) of a batch; runs in the loader's threads."""
        rule = self.model.config.matching
        for (_, labels), name in zip(batch.truths, batch.names, strict=True):
            if max(labels, default=0) >= len(self.mapping):
                raise DataError(
                    f"an object has label {max(labels)}",
                    where=name,
                    hint=f"its data has {len(self.mapping) - 1} class names; labels count from 1",
                )
        pairs = [
            self.ops.make_targets(
                boxes,
                self.mapping[labels],
                self.model.default_boxes,
                rule.threshold,
                rule.neutral_threshold,
            )
            for boxes, labels in batch.truths
        ]
        labels, offsets = zip(*pairs, strict=True)
        return np.stack(labels), np.stack(offsets).astype(self.model.dtype)

    def _step(self, batch: Batch, bar: tqdm) -> None:
        started = time.perf_counter()
        rate = learning_rate(self.progress.step, self.config)
        loss, norm = self._learn(batch, rate)
        average = self.progress.loss_average
        self.progress.loss_average = (
            loss.total if average is None else SMOOTHING * average + (1 - SMOOTHING) * loss.total
        )
        speed = len(batch.images) / (time.perf_counter() - started)
        values = (loss.total, loss.location, loss.confidence)
        numbers = (*values, loss.num_positive, rate, norm, speed)
        self.rows.append((self.progress.step, *(f"{number:.6g}" for number in numbers)))
        self.progress.step += 1
        bar.update()
        bar.set_postfix_str(
            f"loss {loss.total:.3f} = {loss.confidence:.3f} class + {loss.location:.3f} box, "
            f"{speed:.0f} images/s",
            refresh=False,
        )

    def _learn(self, batch: Batch, rate: float) -> tuple[MultiboxLoss, float]:
        """Forward, loss, backward, update; the loss and the norm of the gradients."""
        rule = self.model.config.loss
        labels, target = batch.prepared
        logits, offsets = self.model.forward(
            batch.images.astype(self.model.dtype, copy=False), training=True
        )
        loss = self.ops.multibox_loss(
            logits,
            offsets,
            labels,
            target,
            rule.ratio,
            rule.alpha,
            rule.mining,
            rule.minimum_negatives,
        )
        try:
            if not math.isfinite(loss.total):
                raise NotFinite(f"the loss is {loss.total}")
            self.model.backward(loss.dlogits, loss.doffsets)
            return loss, self.optimiser.step(rate, self.config.clip_norm)
        except NotFinite as error:
            outputs = {
                "logits": logits,
                "offsets": offsets,
                "gradient of the logits": loss.dlogits,
                "gradient of the offsets": loss.doffsets,
            }
            raise self._post_mortem(error, batch, outputs, rate) from error

    def _post_mortem(
        self, error: NotFinite, batch: Batch, outputs: dict[str, np.ndarray], rate: float
    ) -> NotFinite:
        """Writes what broke; the last good weights, those before this step, are kept."""
        step, path = self.progress.step, self.out_dir / "post_mortem.json"
        losses = [float(row[1]) for row in self.rows[-20:]]
        found = report(self.model, batch, outputs, step, rate, losses)
        write_atomically(path, json.dumps(found, indent=2) + "\n")
        if not found["first_broken_tensor"].startswith("parameter"):
            self.save()
        return NotFinite(
            f"{error.what}; first broken: {found['first_broken_tensor']}",
            where=f"step {step}, images {batch.names}",
            hint=f"lower the learning rate or warm up longer; more in {path}",
        )

    def _after_step(self) -> None:
        step, every = self.progress.step, self.config.validate_every
        if step == self.config.steps or (every and step % every == 0):
            self._keep_best()
        if step % self.config.checkpoint_every == 0:
            self.save()

    def _keep_best(self) -> None:
        score = -self.progress.loss_average
        if self.validation is not None:
            detections, truths = detect_dataset(self.model, self.validation)
            score = evaluate_voc(detections, truths).mean_ap
        if self.progress.best_score is None or score > self.progress.best_score:
            self._check_before_writing()
            self.progress.best_score = float(score)
            save(self.out_dir / "best.npz", self.model)

    def save(self) -> None:
        """Writes last.npz, log.csv and loss.png."""
        self._check_before_writing()
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([COLUMNS, *self.rows])
        write_atomically(self.out_dir / "log.csv", text.getvalue())
        save_checkpoint(self.out_dir / "last.npz", self.model, self.optimiser, self.progress)
        if self.rows:
            columns = zip(COLUMNS, np.array(self.rows, np.float64).T, strict=True)
            loss_curve(dict(columns), self.out_dir / "loss.png")

    def _check_before_writing(self) -> None:
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
