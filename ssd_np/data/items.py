"""What every format of annotations comes down to: items, and what is wrong with them.

A *source* reads one format (`voc.py`, `coco.py`; another one is a file of its own) and yields,
image by image, an `Item`, or a `Problem` where there should have been one. `stored.py` makes the
data set of it and `lint.py` the report, so both say the same. A problem's effect on training:

    "stops"     the data set can not be opened, or fails when the image is read
    "left out"  the object, or the image with all its objects, is not trained on
    "kept"      training goes on with it; a person should look
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple, Protocol, runtime_checkable

import numpy as np

from ssd_np.errors import DataError, DegenerateBox, SsdError
from ssd_np.records import Sample, Truth

Effect = Literal["stops", "left out", "kept"]


@dataclass(frozen=True)
class Problem:
    """What is wrong, its kind in one or two words, its effect (see above), and where it is."""

    kind: str
    effect: Effect
    file: str
    what: str
    object_index: int | None = None  # as its file counts; None: the file as a whole
    name: str = ""  # class of the object

    @property
    def place(self) -> str:
        """The file and, where it is one's, the object."""
        if self.object_index is None:
            return self.file
        return f"{self.file}: object {self.object_index}" + (f" ({self.name})" if self.name else "")

    @property
    def left_out(self) -> bool:
        return self.effect == "left out"

    def __str__(self) -> str:
        image = "the image is " if self.object_index is None else ""
        return f"{self.place}: {self.what}" + (f"; {image}left out" if self.left_out else "")


class Labelled(NamedTuple):
    """One object: its number in the file, its class, and the four numbers as they stand there."""

    object_index: int
    name: str
    numbers: Sequence[float]
    difficult: bool = False
    crowd: bool = False
    area: float | None = None  # square pixels, where the annotation has its own


@dataclass(frozen=True)
class Item:
    """One image with its objects, as annotated.

    id           what a results file calls the image: a number, or its name
    size         (height, width) that the annotation claims, None where it claims none
    boxes_pixel  (G, 4) corners in pixels counted from 0, one for each of `objects`
    where        the annotation, for messages
    fractions    whether the corners are fractions of the image instead
    """

    id: int | str
    name: str
    image: Path
    where: str
    size: tuple[int, int] | None
    boxes_pixel: np.ndarray
    objects: Sequence[Labelled]
    fractions: bool = False


class Source(Protocol):
    """A place with images and annotations of one format; one of its own derives from this.

    class_names     those that the format declares, in the order of the labels; None: those found
    category_ids    the ids of declared classes in its files, label by label; None: 1, 2, 3, ...
    annotated_size  whether boxes are pixels of the size that the annotation claims, or of the image
    len(source)     images it names, readable or not
    str(source)     its place, for messages
    """

    class_names: tuple[str, ...] | None = None
    category_ids: list[int] | None = None
    annotated_size: bool = False

    def __len__(self) -> int: ...

    def items(self) -> Iterator[Item | Problem]:
        """Every image, in order, and whatever stands in the place of one."""

    def item_of(self, image: Path) -> Item:
        """The item of an image file, wherever that lies, by its name; DataError without one."""
        return item_by_name(self, image)


def item_by_name(source: Source, image: Path) -> Item:
    """The item of an image file by its name, which may stand below any folder."""
    for item in source.items():
        if isinstance(item, Item) and item.image.name == image.name:
            return item
    raise DataError("names no such image", where=str(source), hint=image.name)


class Dataset(Protocol):
    """What training and evaluation need of a data set, one of your own included.

    It keeps two promises, which `check_dataset` tests: whoever reads item i, whenever and from
    whatever thread, gets the same sample; and a sample is not written to afterwards.
    """

    @property
    def class_names(self) -> Sequence[str]: ...

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Sample: ...


@runtime_checkable
class AnnotatedDataset(Dataset, Protocol):
    """A data set that tells what an image shows without decoding it."""

    def truth(self, index: int) -> Truth: ...


@runtime_checkable
class IdentifiedDataset(Dataset, Protocol):
    """A data set that tells its images from those of all others, by files or by names."""

    def identities(self) -> list[str]: ...


@runtime_checkable
class DrawingDataset(Dataset, Protocol):
    """A data set that draws: an augmentation of its own, objects pasted at random.

    Training asks for `item(index, rng)`, with a generator that depends on (seed, epoch, index)
    alone; what is drawn is drawn from it. The augmentation of the config goes on with the same
    generator. Evaluation asks for data[index], in which nothing is drawn.
    """

    def item(self, index: int, rng: np.random.Generator) -> Sample: ...


def sample_at(dataset: Dataset, index: int, rng: np.random.Generator | None = None) -> Sample:
    """An item of a data set; with a generator, as training sees it. Of an error that names no
    place, it says which item it was."""
    try:
        if rng is not None and isinstance(dataset, DrawingDataset):
            sample = dataset.item(index, rng)
        else:
            sample = dataset[index]
    except SsdError as error:
        if error.where:
            raise
        raise type(error)(error.what, item_place(dataset, index), error.hint) from error
    if not isinstance(sample, Sample):
        what = f"is a {type(sample).__name__}, expected a Sample"
        raise DataError(what, item_place(dataset, index), "Sample(image, truth, name)")
    return sample


def check_indexed(dataset: object) -> None:
    """DataError for what is no data set: it has no length, or no items by number."""
    missing = [name for name in ("__len__", "__getitem__") if not hasattr(dataset, name)]
    if missing:
        where = f"data set {type(dataset).__name__}"
        raise DataError(f"has no {' and no '.join(missing)}", where, "a data set has both")


def item_place(dataset: Dataset, index: int) -> str:
    """For messages: which item of which data set."""
    return f"item {index} of the data set {type(dataset).__name__}"


def check_area(sample: Sample) -> None:
    """DegenerateBox for an object to be learned that has no area."""
    low, high = np.split(sample.truth.boxes_corner, 2, axis=1)
    flat = np.flatnonzero((low == high).any(axis=1) & ~sample.truth.crowd)
    if len(flat):
        raise DegenerateBox("has no area", f"{sample.name}: object {flat[0]}", "leave it out")
