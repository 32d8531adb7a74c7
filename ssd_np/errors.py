"""The errors of ssd_np: each says what is wrong, where, and what to do about it.

Everything the package raises on purpose is an `SsdError`, so a caller needs one `except`.
The command line prints the message as one line; a traceback means a bug in the package.
"""


class SsdError(Exception):
    """Base of all: `what` happened, `where` (file, object, key or layer), a `hint` what to do.

    >>> str(SsdError("unknown key", where="config.json: training.lr", hint="known: steps"))
    'config.json: training.lr: unknown key (known: steps)'
    """

    def __init__(self, what: str, where: str = "", hint: str = "") -> None:
        self.what, self.where, self.hint = what, where, hint
        super().__init__(what, where, hint)

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        advice = f" ({self.hint})" if self.hint else ""
        return f"{place}{self.what}{advice}"


class ConfigError(SsdError):
    """A config has an unknown key, a wrong type or an impossible value; `where` is the key."""


class DataError(SsdError):
    """A data set, an image or an annotation can not be used; `where` names file and object."""


class NoSuchSplit(DataError):
    """A data set has no list of images of this name; `hint` says which there are."""


class DegenerateBox(DataError):
    """A box has no area, so it has no IoU, no logarithm of its size and no place in training."""


class WeightsError(SsdError):
    """A weights file is damaged, foreign, or does not fit the network; `where` names the tensor."""


class ShapeError(SsdError, ValueError):
    """An array has the wrong shape, type or layout for the function it was given to."""


class NotFinite(SsdError, ArithmeticError):
    """A loss or a gradient became NaN or infinite."""


class OutputError(SsdError):
    """A result can not be written, or would overwrite another."""
