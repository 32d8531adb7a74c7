"""The best weights of a training, measured on images that it does not learn from."""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING

from ssd_np.data.items import Dataset
from ssd_np.evaluate.average_precision import evaluate_voc
from ssd_np.evaluate.run import detect_dataset
from ssd_np.model.archive import write_archive
from ssd_np.model.weights import contents_of
from ssd_np.train.callbacks import Callback, Step
from ssd_np.train.safety import check_before_writing

if TYPE_CHECKING:
    from ssd_np.train.trainer import Trainer

BEST = "best.npz"


class Best(Callback):
    """Keeps best.npz: the weights with the highest mAP at IoU 0.5 on `validation`, measured every
    `validate_every` steps and at the end; without a `validation`, those with the lowest running
    average of the loss."""

    def __init__(self, validation: Dataset | None = None) -> None:
        self.validation = validation

    def begin(self, trainer: Trainer) -> None:
        done = trainer.progress.step == trainer.config.steps
        if done and not os.path.exists(trainer.out_dir / BEST):  # it ended in its last validation
            self._keep(trainer)

    def after_step(self, trainer: Trainer, step: Step) -> None:
        done, every = trainer.progress.step, trainer.config.validate_every
        if done == trainer.config.steps or (every and done % every == 0):
            self._keep(trainer)

    def _keep(self, trainer: Trainer) -> None:
        progress, average = trainer.progress, trainer.progress.loss_average
        score = -math.inf if average is None else -average
        if self.validation is not None:
            score = evaluate_voc(*detect_dataset(trainer.model, self.validation)).mean_ap
        if progress.best_score is None or score > progress.best_score:
            check_before_writing(trainer)
            progress.best_score = float(score)
            write_archive(trainer.out_dir / BEST, *contents_of(trainer.model), make_folder=False)
