"""How far something is: a bar on a terminal, elsewhere a line now and then.

A notebook has a bar, too. A bar redraws its line, which a file or a batch system's log can not
show: there a line is written every 30 seconds, none if all is over before. All go to stderr.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from ssd_np.terminal import note

EVERY = 30.0  # seconds between two lines
BAR = "{desc}: {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} [{elapsed}<LEFT{postfix}]"

Item = TypeVar("Item")


def in_notebook() -> bool:
    """Whether Jupyter's kernel takes what is printed, to show it in a cell."""
    return type(sys.stderr).__module__.startswith("ipykernel.")


def _tqdm() -> type:
    """tqdm's bar for where we are; `tqdm.auto` is slow to import, and in a terminal no other."""
    if in_notebook():
        from tqdm.auto import tqdm
    else:
        from tqdm import tqdm
    return tqdm


class Progress:
    """Counts what is done, for whoever watches. Use as a context manager, or `close`.

    A terminal 80 columns wide shows the bar and a note of some 25 characters. How long the rest
    takes follows from the second item on, for the first may have compiled, and once two of these
    are done; not while the total is only a `limit`, until `lengthen` says it.
    """

    def __init__(
        self,
        total: int,
        what: str,
        unit: str,
        done: int = 0,
        leave: bool = True,
        limit: bool = False,
    ) -> None:
        self.total, self.what, self.unit, self.done, self.begun = total, what, unit, done, done
        self._limit, self._started = limit, time.monotonic()
        self._first = self._told = self._started
        self._bar = None
        if in_notebook() or (sys.stderr is not None and sys.stderr.isatty()):
            shape = {"bar_format": BAR.replace("LEFT", "?"), "dynamic_ncols": True}
            self._bar = _tqdm()(total=total, initial=done, desc=what, leave=leave, **shape)

    def update(self, note: str = "") -> None:
        """One more is done; `note` says how it went."""
        self.done += 1
        if self.done == self.begun + 1:
            self._first = time.monotonic()
        if self._bar is not None:
            left = self._left()
            words = "?" if left is None else self._bar.format_interval(left)
            self._bar.bar_format = BAR.replace("LEFT", "timing" if self._limit else words)
            self._bar.set_postfix_str(note, refresh=False)
            self._bar.update()
        elif time.monotonic() - self._told >= EVERY:
            self._told = time.monotonic()
            self.say(self._line(note))

    def lengthen(self, total: int) -> None:
        """So many there are, as is known now."""
        self.total, self._limit = total, False
        if self._bar is not None:
            self._bar.total = total

    def say(self, line: str) -> None:
        """A line of its own, above the bar if there is one."""
        if self._bar is not None:
            self._bar.write(line, file=sys.stderr)
        else:
            note(line)

    def _line(self, note: str) -> str:
        left = self._left()
        of = "" if self._limit else f" of {self.total}"
        line = f"{self.what}: {self.unit} {self.done}{of}, {self._told - self._started:.0f} s"
        line += f", about {left:.0f} s to go" if left is not None else ""
        line += f", timing the first {self.unit}s" if self._limit else ""
        return f"{line}, {note}" if note else line

    def _left(self) -> float | None:
        """Seconds until all is done, if that can be told."""
        timed = self.done - self.begun - 1
        if self._limit or timed < 2:
            return None
        return (time.monotonic() - self._first) / timed * (self.total - self.done)

    def close(self) -> None:
        """Leaves the bar as it stands."""
        if self._bar is not None:
            self._bar.close()

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def progress(items: Iterable[Item], total: int, what: str, unit: str) -> Iterator[Item]:
    """The items, one by one, while the bar that goes away at the end counts them."""
    with Progress(total, what, unit, leave=False) as bar:
        for item in items:
            yield item
            bar.update()
