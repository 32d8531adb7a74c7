"""What is said to people: the only place that prints.

Names come from files that somebody else made. A control character among them would move the
cursor, colour the screen or name its window, and a letter that the terminal's encoding does not
have would end the command; both are written as escapes, `\\x1b` and the like.

Work goes on where nobody listens any more. A result that could not be printed is an error at the
end, when all files are written.
"""

import contextlib
import os
import re
import sys
from collections.abc import Sequence
from typing import TextIO

from ssd_np.errors import OutputError

# control characters but for tab and new line, halves of a pair, what turns the direction of a line
UNSAFE = re.compile("[\0-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")

LONGEST_NAME = 200
LONGEST = 2000  # characters of anything else that files tell


def shown(text: str) -> str:
    r"""The text, safe to show.

    >>> shown("\x1b[2Jcat")
    '\\x1b[2Jcat'
    """
    return UNSAFE.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def counted(number: float, what: str, plural: str = "") -> str:
    """A number of things.

    >>> counted(1, "minute"), counted(1234, "image"), counted(0.5, "class", "classes")
    ('1 minute', '1,234 images', '0.5 classes')
    """
    shape = "," if isinstance(number, int) else "g"
    return f"{number:{shape}} {what if number == 1 else plural or what + 's'}"


def listed(names: Sequence[str], most: int = 8) -> str:
    """The first of the names, and how many more there are.

    >>> listed(["cat", "dog", "fox"]), listed(["cat", "dog", "fox"], most=2)
    ('cat, dog, fox', 'cat, dog and 1 more')
    """
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def last_names(text: str) -> str:
    """A path, or a text that holds some, without the folders above; safe to be shown.

    >>> last_names("voc:/home/me/BCCD+../VOC2007/")
    'voc:BCCD+VOC2007'
    """
    text = re.sub(r"[/\\]+(?=[:+,=]|$)", "", text)
    return shown(re.sub(r"[^:+,=]*[/\\]", "", text)).replace("\n", r"\n")[:LONGEST]


def fault_of_name(name: str) -> str:
    """Why nothing should be called this, or "": names are shown, drawn, and looked up by people."""
    if not name.strip():
        return "is empty"
    if len(name) > LONGEST_NAME:
        return f"has {len(name):,} characters, more than {LONGEST_NAME}"
    return "holds control characters" if UNSAFE.search(name) or "\n" in name else ""


_failed: list[OSError] = []  # to print results


def say(text: str) -> None:
    """A result, to stdout."""
    if sys.stdout is not None:  # None: closed, or a program without a console
        try:
            print(_encodable(text, sys.stdout), file=sys.stdout)
        except OSError as error:
            _failed.append(error)
            _leave(sys.stdout)


def note(text: str) -> None:
    """Something beside the results, to stderr."""
    if sys.stderr is not None:
        try:
            print(_encodable(text, sys.stderr), file=sys.stderr, flush=True)
        except OSError:
            _leave(sys.stderr)


def all_said() -> None:
    """Writes what is still in memory; Python itself would do it too late for an error.

    Raises BrokenPipeError where the reader of the results has left, OutputError where they could
    not be written.
    """
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError as error:
        _failed.append(error)
        _leave(sys.stdout)
    if _failed:
        first = _failed[0]
        _failed.clear()
        if isinstance(first, BrokenPipeError):
            raise first
        what = f"can not be written: {first.strerror}"
        raise OutputError(what, where="standard output") from first


def _encodable(text: str, stream: TextIO) -> str:
    encoding = getattr(stream, "encoding", None) or "utf-8"
    return shown(text).encode(encoding, "backslashreplace").decode(encoding)


def _leave(stream: TextIO) -> None:
    """What the stream still holds and all that follows goes nowhere; Python's end is quiet."""
    with contextlib.suppress(OSError, ValueError):  # no file of the system
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
