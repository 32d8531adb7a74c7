"""The best weights of a training, measured on images that it does not learn from."""

from __future__ import annotations

import dataclasses
import math
import os
from typing import TYPE_CHECKING

from ssd_np.config import Config, config_to_json
from ssd_np.data.items import Dataset
from ssd_np.evaluate.average_precision import VocResult, evaluate_voc
from ssd_np.evaluate.run import detect_dataset
from ssd_np.evaluate.threshold import best_threshold
from ssd_np.model.archive import write_archive
from ssd_np.model.weights import contents_of
from ssd_np.train.average import Averaged, averaged
from ssd_np.train.callbacks import Callback, Step
from ssd_np.train.origin import sign
from ssd_np.train.safety import check_before_writing

if TYPE_CHECKING:
    from ssd_np.train.trainer import Trainer

BEST = "best.npz"


class Best(Callback):
    """Keeps best.npz: the weights with the highest mAP at IoU 0.5 on `validation`, measured every
    `validate_every` steps and at the end, with the threshold for drawing that gives the best F1
    there; without a `validation`, those with the lowest running average of the loss.

    Where the optimiser keeps an average of the weights, these are measured and written: the last
    that are not worse than the best by more than chance does (the rule of one standard error of
    Breiman et al., Classification and Regression Trees, 1984, section 3.4.3, with two); without
    a `validation` the last."""

    def __init__(self, validation: Dataset | None = None) -> None:
        self.validation = validation

    def begin(self, trainer: Trainer) -> None:
        # it ended in this validation, or after the last step
        missed = self._due(trainer) and trainer.log.unmeasured
        if missed or (trainer.over and not os.path.exists(trainer.out_dir / BEST)):
            self._keep(trainer)

    def after_step(self, trainer: Trainer, step: Step) -> None:
        if self._due(trainer):
            self._keep(trainer)

    def _due(self, trainer: Trainer) -> bool:
        done, config = trainer.progress.step, trainer.config
        last_counts = self.validation is None and isinstance(trainer.optimiser, Averaged)
        every = 0 if last_counts else config.validate_every
        return done > 0 and (done == config.steps or bool(every and done % every == 0))

    def _keep(self, trainer: Trainer) -> None:
        progress, average = trainer.progress, trainer.progress.loss_average
        score, chance = -math.inf if average is None else -average, 0.0
        with averaged(trainer.optimiser):
            if self.validation is not None:
                result = evaluate_voc(*detect_dataset(trainer.model, self.validation))
                score = result.mean_ap
                if isinstance(trainer.optimiser, Averaged):
                    chance = 2 * _standard_error(result)
            best = progress.best_score
            better = best is None or score > best
            # on few images many are as good: the longest trained counts
            if best is None or score >= best - chance:
                check_before_writing(trainer)
                sign(trainer, None if self.validation is None else float(score))
                header, arrays = contents_of(trainer.model)
                if self.validation is not None:
                    header["config"] = config_to_json(_drawing(trainer.model.config, result))
                write_archive(trainer.out_dir / BEST, header, arrays, make_folder=False)
                if better:  # not where a write failed: it is made up for
                    progress.best_score = float(score)
            progress.stale = 0 if better else progress.stale + 1
            if self.validation is not None:
                trainer.log.measured(score)


def _standard_error(result: VocResult) -> float:
    """Of the mean AP, as if each AP were a share of the objects that are found."""
    variances = [c.ap * (1 - c.ap) / c.truths for c in result.classes if c.truths]
    return math.sqrt(sum(variances)) / max(1, len(variances))


def _drawing(config: Config, result: VocResult) -> Config:
    """The config with the threshold for drawing that is best by a result."""
    threshold = best_threshold(result, config.decoding.show_threshold)
    decoding = dataclasses.replace(config.decoding, show_threshold=threshold)
    return dataclasses.replace(config, decoding=decoding)
