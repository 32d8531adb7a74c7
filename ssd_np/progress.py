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
BAR = "{desc}: {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} [{elapsed}<{remaining}{postfix}]"

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

    A terminal 80 columns wide shows the bar and a note of some 25 characters.
    """

    def __init__(self, total: int, what: str, unit: str, done: int = 0, leave: bool = True) -> None:
        self.total, self.what, self.unit, self.done, self.begun = total, what, unit, done, done
        self._started = self._told = time.monotonic()
        self._bar = None
        if in_notebook() or (sys.stderr is not None and sys.stderr.isatty()):
            settings = {"desc": what, "leave": leave, "bar_format": BAR, "dynamic_ncols": True}
            self._bar = _tqdm()(total=total, initial=done, **settings)

    def update(self, note: str = "") -> None:
        """One more is done; `note` says how it went."""
        self.done += 1
        if self._bar is not None:
            self._bar.set_postfix_str(note, refresh=False)
            self._bar.update()
        elif time.monotonic() - self._told >= EVERY:
            self._told = time.monotonic()
            self.say(self._line(note))

    def lengthen(self, total: int) -> None:
        """So many there are, as is known now."""
        self.total = total
        if self._bar is not None:
            self._bar.total = total

    def say(self, line: str) -> None:
        """A line of its own, above the bar if there is one."""
        if self._bar is not None:
            self._bar.write(line, file=sys.stderr)
        else:
            note(line)

    def _line(self, note: str) -> str:
        seconds = self._told - self._started
        left = seconds / (self.done - self.begun) * (self.total - self.done)
        line = f"{self.what}: {self.unit} {self.done} of {self.total}"
        line += f", {seconds:.0f} s, about {left:.0f} s to go"
        return f"{line}, {note}" if note else line

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
