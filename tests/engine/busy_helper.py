"""A thread of the engine that is held up elsewhere: nobody may wait for it."""

import contextlib
import threading

from ssd_np.engine.threads import together


@contextlib.contextmanager
def busy_helper():
    """Gives the event that will let the thread go on, which is not before the end."""
    go_on, began = threading.Event(), threading.Event()

    def hold(lane):
        if lane:
            began.set()
            go_on.wait(20)
        else:
            assert began.wait(20)

    together(hold, 2)
    try:
        yield go_on
    finally:
        go_on.set()
