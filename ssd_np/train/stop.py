"""Ctrl-C, SIGTERM of batch systems and SIGHUP of a terminal that is closed: a wish that is granted
between two steps.

In the middle of a step half of the weights are new: what was saved then could not be gone on with.
"""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING

from ssd_np.train.callbacks import Callback, Step

if TYPE_CHECKING:
    from ssd_np.train.trainer import Trainer


class Stopped(KeyboardInterrupt):
    """`number` is the signal that asked for it."""

    number = int(signal.SIGINT)


class StopRequests(Callback):
    """After the first signal the step in hand is finished and saved, then KeyboardInterrupt ends
    the training; a second one raises it at once. What SIGHUP was told before counts: under nohup,
    or where somebody handles it, it stops nothing."""

    def begin(self, trainer: Trainer) -> None:
        self._asked, self._before = 0, {}
        if threading.current_thread() is threading.main_thread():  # no other may set handlers
            numbers = [signal.SIGINT, signal.SIGTERM]
            hangup = getattr(signal, "SIGHUP", None)  # Windows has none
            if hangup is not None and signal.getsignal(hangup) is signal.SIG_DFL:
                numbers.append(hangup)
            self._before = {number: signal.signal(number, self._ask) for number in numbers}

    def _ask(self, number: int, _frame: object) -> None:
        if self._asked:
            raise self._stopped("stopped in the middle of a step")
        self._asked = number

    def _stopped(self, how: str) -> Stopped:
        stop = Stopped(how)
        stop.number = self._asked
        return stop

    def after_step(self, trainer: Trainer, step: Step) -> None:
        if self._asked:
            trainer.save()
            raise self._stopped(f"saved after step {trainer.progress.step}")

    def end(self, trainer: Trainer) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
