"""Reader of a table of boxes: a CSV file with a header, a line for each object.

    filename,xmin,ymin,xmax,ymax,class
    a.jpg,12,30,80,95,dog
    b.jpg,,,,,                      an image without objects

The header says which column is which, in any order and by several names (`COLUMNS`); others are
passed over. Columns are separated by a comma, a semicolon or a tab. Corners are pixels counted from
0, or fractions of the image where no number of the file is above 2; those above 1 are clipped.
Images are found from the table's folder, or from another that is named.
"""

import csv
import math
import os
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ssd_np.data.items import Item, Labelled, Problem, Source
from ssd_np.data.reading import LISTING, below, read_text
from ssd_np.errors import DataError
from ssd_np.signatures import checked

COLUMNS = {  # spelled without blanks, "_" and "-"
    "filename": ("filename", "file", "image", "imagename", "imagepath", "path", "img"),
    "xmin": ("xmin", "x1", "left"),
    "ymin": ("ymin", "y1", "top"),
    "xmax": ("xmax", "x2", "right"),
    "ymax": ("ymax", "y2", "bottom"),
    "class": ("class", "classname", "label", "name", "category"),
}
MOST_FRACTION = 2
SIDES = ("xmin", "ymin", "xmax", "ymax")
HEADER = "filename,xmin,ymin,xmax,ymax,class"


class CsvSource(Source):
    """The items of one table; images in the order in which they first stand there."""

    def __init__(self, table: str | Path, images: str | Path | None = None) -> None:
        self._path = Path(table)
        self._folder = self._path.parent if images is None else Path(images)
        self._rows: dict[str, list[Labelled]] = {}
        self._faults: list[Problem] = []
        for number, row in read_table(self._path):
            self._take(number, row)
        numbers = [v for row in self._rows.values() for item in row for v in item.numbers]
        self._fractions = max(numbers, default=math.inf) <= MOST_FRACTION

    def __str__(self) -> str:
        return str(self._path)

    def __len__(self) -> int:
        return len(self._rows)

    def items(self) -> Iterator[Item | Problem]:
        yield from self._faults
        for name, objects in self._rows.items():
            where = f"{self._path}: line {objects[0].object_index}" if objects else str(self._path)
            image = below(self._folder, name, where)
            if not os.path.isfile(image):
                yield Problem("no image", "left out", where, f"no such image file: {image}")
                continue
            boxes = np.reshape([item.numbers for item in objects], (-1, 4)).astype(float)
            yield Item(name, name, image, str(self._path), None, boxes, objects, self._fractions)

    def _take(self, number: int, row: dict[str, str]) -> None:
        """Keeps the object of a line, or what is wrong with it."""
        name = row["filename"].replace("\\", "/")
        if name and not any(row[key] for key in (*SIDES, "class")):
            self._rows.setdefault(name, [])
            return
        try:
            sides = tuple(float(row[key]) for key in SIDES)
        except ValueError:
            sides = (math.nan,) * 4
        if name and row["class"] and all(map(math.isfinite, sides)):
            self._rows.setdefault(name, []).append(Labelled(number, row["class"], sides))
            return
        what = f"its line is no file, four numbers and a class: {','.join(row.values())}"
        problem = Problem("annotation", "left out", str(self._path), what, number, row["class"])
        self._faults.append(problem)


def read_table(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Each line with its number: the texts of our columns, by our names for them."""
    lines = read_text(path, "table of boxes", LISTING).splitlines()
    if not lines:
        raise DataError("the table is empty", str(path), f"its first line is {HEADER}")
    rows = csv.reader(lines, delimiter=max(",;\t", key=lines[0].count))
    try:
        places = columns(next(rows), path)
        for row in rows:
            if row:
                row += [""] * (max(places.values()) + 1 - len(row))
                yield rows.line_num, {key: row[place].strip() for key, place in places.items()}
    except csv.Error as error:
        raise DataError(f"can not be read: {error}", f"{path}: line {rows.line_num}") from error


@checked
def columns(header: list[str], path: Path) -> dict[str, int]:
    """The place of each column that we need; DataError if one is not in the header."""
    spelled = [re.sub(r"[\s_-]", "", name).casefold() for name in header]
    if sum(bool(re.fullmatch(r"-?[\d.]+", name)) for name in spelled) >= 4:
        hint = f"write as its first line {HEADER}"
        raise DataError("the table has no header", f"{path}: line 1", hint)
    found = {}
    for key, names in COLUMNS.items():
        places = [spelled.index(name) for name in names if name in spelled]
        if not places:
            hint = f"it may be called {' or '.join(names)}; there are {', '.join(header)}"
            raise DataError(f"the header has no column {key}", f"{path}: line 1", hint)
        found[key] = places[0]
    return found
