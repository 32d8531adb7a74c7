"""Ctrl-C, and the SIGTERM of batch systems, as a wish that is granted between two steps.

In the middle of a step half of the weights are new: what was saved then could not be gone on with.
"""

import contextlib
import signal
import threading
from collections.abc import Iterator


@contextlib.contextmanager
def stop_requests() -> Iterator[threading.Event]:
    """Inside, the first SIGINT or SIGTERM sets the event; a second one raises KeyboardInterrupt."""
    asked = threading.Event()

    def ask(_number: int, _frame: object) -> None:
        if asked.is_set():
            raise KeyboardInterrupt("stopped in the middle of a step")
        asked.set()

    if threading.current_thread() is not threading.main_thread():
        yield asked  # Python sends signals to the main thread only
        return
    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
