"""The progress bar of a training."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ssd_np.progress import Progress
from ssd_np.train.callbacks import Callback, Step

if TYPE_CHECKING:
    from ssd_np.train.trainer import Trainer


class Bar(Callback):
    """Shows the loss and the images a second; a line now and then where there is no terminal."""

    def begin(self, trainer: Trainer) -> None:
        timing, done = trainer.config.minutes is not None, trainer.progress.step
        self._bar = Progress(trainer.config.steps, "train", "step", done, limit=timing)

    def after_step(self, trainer: Trainer, step: Step) -> None:
        speed = len(step.batch.images) / step.seconds
        self._bar.update(f"loss {step.loss.total:.3f}, {speed:.0f} img/s")

    def lengthen(self, steps: int) -> None:
        """So many steps there are, as is known now."""
        self._bar.lengthen(steps)

    def say(self, line: str) -> None:
        """A line of its own."""
        self._bar.say(line)

    def end(self, trainer: Trainer) -> None:
        self._bar.close()
