"""How many steps a training has that is given minutes: its own first steps are timed.

The first step compiles, the next twenty are timed, or where a third of the minutes is over before,
fewer, but three. Then one image is detected as often as it takes to know how long that takes, and a
checkpoint is written. Of the minutes are left

    minutes - what went by so far - images to evaluate - pictures

and the steps that fit into that, with the images that so many steps are validated on, are the
training's length from here on. They stand in config.json;
`train --steps N` is the same training to the last bit, for nothing in the timed steps depends on
how many there will be (`warmup_cosine`, train/schedule.py; average.py).
"""

from __future__ import annotations

import bisect
import dataclasses
import functools
import time
from typing import TYPE_CHECKING

import numpy as np

from ssd_np.config import TIMED_STEPS, config_to_json
from ssd_np.data.items import sample_at
from ssd_np.files import write_atomically
from ssd_np.infer.detect import Detector
from ssd_np.terminal import counted
from ssd_np.train.callbacks import Callback, Step
from ssd_np.train.schedule import learning_rate
from ssd_np.train.start import looks, validate_every

if TYPE_CHECKING:
    from ssd_np.train.trainer import Trainer

LOOKED_AT = 8  # images that are detected for the clock
FEWEST, SHARE = 4, 1 / 3  # steps of which three are timed; of the minutes, where these are enough
PICTURES = 10.0  # seconds for the report of an evaluation, with what it draws


class Budget(Callback):
    """Fixes the number of steps of a training whose config has `minutes`.

    began      `time.perf_counter()` when the minutes began: now, or whenever it is set to
    evaluated  images that will be evaluated in the end
    """

    def __init__(self) -> None:
        self.began, self.evaluated = time.perf_counter(), 0
        self._ends: list[float] = []  # of steps

    def after_step(self, trainer: Trainer, step: Step) -> None:
        if trainer.config.minutes is None:
            return
        self._ends.append(time.perf_counter())
        timed = len(self._ends)
        late = self._ends[-1] - self.began > 60 * trainer.config.minutes * SHARE
        enough = timed == TIMED_STEPS or (late and timed >= FEWEST)
        # one that was stopped and goes on times others, but none behind the warm-up
        if enough or trainer.progress.step == trainer.config.warmup_steps:
            self._fix(trainer, trainer.config.minutes, step)

    def _fix(self, trainer: Trainer, minutes: float, step: Step) -> None:
        seconds = np.sort(np.diff(self._ends) if len(self._ends) > 1 else [step.seconds])
        # the slowest and the fastest tenth say more about the machine than about the steps
        few = len(seconds) // 10
        each = float(seconds[few : len(seconds) - few].mean())
        looking = _seconds_to_detect(trainer)
        start = time.perf_counter()
        trainer.save()
        each += (time.perf_counter() - start) / trainer.config.checkpoint_every
        images = 0 if trainer.validation is None else len(trainer.validation)
        last = self.evaluated * looking + (PICTURES if self.evaluated else 0)
        left = 60 * minutes - (time.perf_counter() - self.began) - last
        done, most = trainer.progress.step, trainer.config.steps

        def shown(steps: int) -> int:
            """Images that are looked at to choose by, in a training of so many steps."""
            return images * looks(dataclasses.replace(trainer.config, steps=steps), images)

        def seconds_for(steps: int) -> float:
            return (steps - done) * each + shown(steps) * looking

        longest = bisect.bisect_right(range(done, most + 1), left, key=seconds_for) - 1
        set_length(trainer, max(done, done + longest))
        steps, given = trainer.config.steps, counted(minutes, "minute")
        seen, over = shown(steps) + self.evaluated, left - seconds_for(steps)
        least, after = 60 * minutes - over, last + shown(steps) * looking
        if over < 0:
            why = f"{given} can not hold, for these alone take about {least:.0f} s"
        elif steps < most:
            why = f"{given} allow{'s' * (minutes == 1)} that"
        else:
            why = "more would be of no use"
        trainer.bar.say(
            f"{counted(steps, 'step')}: {why}, at {each:.2g} s a step and {after:.0f} s for "
            f"looking at {counted(seen, 'image')}; to repeat this training: --steps {steps}"
        )


def set_length(trainer: Trainer, steps: int) -> None:
    """The training has this many steps from now on; its folder says so."""
    images = 0 if trainer.validation is None else len(trainer.validation)
    config = dataclasses.replace(trainer.config, steps=steps, minutes=None)
    if images and not config.validate_every:
        config = dataclasses.replace(config, validate_every=validate_every(config, images))
    trainer.config = config
    trainer.bar.lengthen(steps)
    if getattr(trainer.schedule, "func", None) is learning_rate:  # and not one of your own
        trainer.schedule = functools.partial(learning_rate, config=config)
    trainer.model.config = dataclasses.replace(trainer.model.config, training=config)
    text = config_to_json(trainer.model.config)
    write_atomically(trainer.out_dir / "config.json", text, make_folder=False)
    trainer.save()


def _seconds_to_detect(trainer: Trainer) -> float:
    """For one image: to read it and to find what is in it."""
    data = trainer.dataset if trainer.validation is None else trainer.validation
    detector, count = Detector(trainer.model), min(LOOKED_AT, len(data))
    for _ in range(2):  # the first time compiles
        start = time.perf_counter()
        list(detector.detect_all(sample_at(data, i).image for i in range(count)))
    return (time.perf_counter() - start) / count
