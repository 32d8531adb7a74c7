"""What an argument of the command line is: an input, an output, a number, a list of names.

Every argument says by its `type` what it is. From that alone `plan` knows what a command reads and
writes, and the rule of `files.check_outputs` holds for all of them before any work begins. Nothing
here imports more than the standard library, so that `--help` is quick.
"""

import argparse
import os
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from ssd_np.data.sources import FOLDER, SHAPES, STORED, check_spec
from ssd_np.errors import DataError
from ssd_np.files import Plan

DATA = f"{STORED}; {{split}} in it stands for the split"
PACKAGE = Path(__file__).parent.parent
USUAL_SPLITS = {"train", "trainval", "val", "valid", "test"}  # read where none is given
LARGEST = 2**31 - 1


class Input(str):
    """A file that is read, or the name of something that comes with the package."""

    def reads(self, splits: set[str]) -> list[Path]:
        """The files and folders behind it, for data that has splits with these."""
        shipped = (PACKAGE / "weights" / f"{self}.npz", PACKAGE / "configs" / f"{self}.json")
        return [Path(self), *shipped]


class Images(Input):
    """An image file, or a folder of them."""

    def reads(self, splits: set[str]) -> list[Path]:
        try:
            return list(Path(self).iterdir())
        except (OSError, ValueError):  # no folder
            return [Path(self)]


class Data(Input):
    """A data set: shapes, voc:..., coco:..., ...; or a file, where that will do."""

    def reads(self, splits: set[str]) -> list[Path]:
        kind, _, place = self.partition(":")
        place = place or str(self)
        names = {place, *re.split(r"[:+]", place)}
        if kind in ("yolo", "csv"):  # what such a file names lies in folders beside it
            beside = Path(place) if os.path.isdir(place) else Path(place).parent
            names |= {str(beside / name) for name in ("images", "labels", *USUAL_SPLITS)}
        return [Path(name.replace("{split}", split)) for name in names for split in splits]


class Split(str):
    """The name of a split, or of several: A+B."""


class OutputFile(str):
    """A file to write."""


class OutputFolder(str):
    """A folder to write to, and the names of the files that will be in it."""

    names: tuple[str, ...] = ()


def output_file(text: str) -> OutputFile:
    return OutputFile(_some(text))


def output_folder(*names: str) -> Callable[[str], OutputFolder]:
    """The type of an argument that names a folder for files of these names."""

    def convert(text: str) -> OutputFolder:
        folder = OutputFolder(_some(text))
        folder.names = names
        return folder

    return convert


def add_force(parser: argparse.ArgumentParser) -> None:
    """For every command that writes a file or a folder."""
    parser.add_argument("--force", action="store_true", help="overwrite what is there")


def add_json(parser: argparse.ArgumentParser, instead_of: str = "") -> None:
    """For commands that print what a program may want to read."""
    words = f"print JSON instead of {instead_of}".removesuffix(" of ")
    parser.add_argument("--json", action="store_true", help=words)


def add_data(parser: argparse.ArgumentParser, default: str | None = "shapes") -> None:
    """--data, for commands that read a data set."""
    words = f"shapes, or {DATA} (default: shapes)"
    parser.add_argument("--data", type=data, default=default, help=words)


def add_classes(parser: argparse.ArgumentParser) -> None:
    """--classes, for commands that read the objects of a data set."""
    words = "these alone are objects (default: all)"
    parser.add_argument("--classes", metavar="A,B,...", type=names, help=words)


def add_weights(parser: argparse.ArgumentParser) -> None:
    """--weights, for commands that detect."""
    words = "a file, or shapes or blood_cells (default: %(default)s)"
    parser.add_argument("--weights", type=Input, default="shapes", help=words)


def plan(arguments: argparse.Namespace) -> Plan:
    """What the command reads and writes, as its arguments tell."""
    values = list(_flat(vars(arguments).values()))
    splits = {part for v in values if isinstance(v, Split) for part in v.split("+")}
    inputs = (v.reads(splits | USUAL_SPLITS) for v in values if isinstance(v, Input))
    found = {path for paths in inputs for path in paths if os.path.exists(path)}
    folders = [v for v in values if isinstance(v, OutputFolder)]
    return Plan(
        reads=[path for path in found if not os.path.isdir(path)],
        trees=[path for path in found if os.path.isdir(path)],
        files=[Path(v) for v in values if isinstance(v, OutputFile)],
        folders=[(Path(v), v.names) for v in folders],
    )


def _flat(values: Iterable) -> Iterator[object]:
    for value in values:
        yield from value if isinstance(value, list) else [value]


# --- types ---------------------------------------------------------------------------------------


def name(text: str) -> str:
    """A word: an exercise, the folder of a run."""
    return _some(text)


def layer(text: str) -> str:
    """A layer's name; an empty one stands for the base's last."""
    return text


def split(text: str) -> Split:
    return Split(_some(text))


def names(text: str) -> list[str]:
    """A,B,..."""
    return [part.strip() for part in text.split(",")]


def data(text: str) -> Data:
    """shapes, or a stored data set."""
    return Data(text) if text == SHAPES else stored_data(text)


def data_or_folder(text: str) -> Data:
    """The same, or a folder of pictures for each class."""
    return Data(text) if text.startswith(FOLDER) and text != FOLDER else data(text)


def stored_data(text: str) -> Data:
    try:
        check_spec(text)
    except DataError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return Data(text)


def whole(text: str) -> int:
    """A whole number from 0 on."""
    return _integer(text, 0)


def positive(text: str) -> int:
    """A whole number from 1 on."""
    return _integer(text, 1)


def size(text: str) -> tuple[int, int]:
    """WIDTHxHEIGHT -> (height, width)."""
    sides = text.lower().split("x")
    if len(sides) != 2:
        raise argparse.ArgumentTypeError(f"must be WIDTHxHEIGHT, as 512x320, not {text!r}")
    width, height = map(positive, sides)
    return height, width


def share(text: str) -> float:
    """A number from 0 to 1."""
    return _number(text, lambda value: 0 <= value <= 1, "from 0 to 1")


def minutes(text: str) -> float:
    """A number above 0, up to a year."""
    return _number(text, lambda value: 0 < value <= 525_600, "of minutes, above 0")


def iou(text: str) -> float:
    """A number above 0, at most 1."""
    return _number(text, lambda value: 0 < value <= 1, "above 0 and at most 1")


def _integer(text: str, low: int) -> int:
    digits = text.strip()
    if not re.fullmatch(r"[0-9]{1,10}", digits) or not low <= int(digits) <= LARGEST:
        limits = f"from {low} to {LARGEST}"
        raise argparse.ArgumentTypeError(f"must be a whole number {limits}, not {text!r}")
    return int(digits)


def _number(text: str, holds: Callable[[float], bool], limits: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not holds(value):
        raise argparse.ArgumentTypeError(f"must be a number {limits}, not {text!r}")
    return value


def _some(text: str) -> str:
    if not text.strip() or "\0" in text:
        raise argparse.ArgumentTypeError("names nothing")
    return text
