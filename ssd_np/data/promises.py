"""What a data set promises, and whether it keeps it: looked at before a training, not in its midst.

Loader threads read items ahead, in no order. A data set that draws from a generator of its own
gives each run other pictures, and one that returns memory which it writes again gives torn ones.
"""

import hashlib
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from ssd_np.checks import check_whole
from ssd_np.data.items import Dataset, DrawingDataset, check_area, item_place, sample_at
from ssd_np.errors import DataError
from ssd_np.records import Sample

ITEMS = 8  # read of a data set; one that flips every second item is found but once in 65,536 times
DRAWS = "draw in a method item(index, rng), and from that generator alone"


def check_dataset(dataset: Dataset, count: int = ITEMS, seed: int = 0) -> None:
    """Reads `count` items, spread over the data set, and each once more from two threads.

    Raises DataError, naming the data set and the item, where a name is missing, where an item is
    no `Sample` that can be trained on, or where two reads of an item, with equal generators if
    the data set draws (`DrawingDataset`), are not the same.
    """
    check_whole(count, "count")
    check_class_names(dataset)
    if len(dataset) == 0:
        raise DataError("the data set has no images", _kind(dataset), "training needs one")
    places = np.linspace(0, len(dataset) - 1, count).round().astype(int).tolist()
    _check_reads(dataset, places, lambda index: sample_at(dataset, index))
    if isinstance(dataset, DrawingDataset):
        generator = np.random.default_rng
        _check_reads(dataset, places, lambda i: sample_at(dataset, i, generator([seed, 0, i])))


def check_class_names(dataset: Dataset) -> None:
    """DataError if what `class_names` says is no list of names, each another."""
    names = getattr(dataset, "class_names", None)
    if names is None:
        raise DataError("has no class_names", _kind(dataset), "a list; label 1 is its first name")
    if isinstance(names, str) or not all(isinstance(name, str) and name.strip() for name in names):
        raise DataError(f"class_names is {names!r}", _kind(dataset), "expected a list of names")
    if not len(names) or len(set(names)) < len(names):
        wrong = "names a class twice" if len(names) else "is empty"
        raise DataError(f"class_names {wrong}", _kind(dataset), "a name for each class")


def check_item(dataset: Dataset, index: int, sample: Sample, learned: bool = True) -> None:
    """DataError if an item is no sample that can be learned from, or at least be measured by."""
    if learned:
        check_area(sample)
    most, known = max(sample.truth.labels, default=0), len(dataset.class_names)
    if most > known:
        what = f"an object has label {most}"
        hint = f"its data has {known} class names; labels count from 1"
        raise DataError(what, f"{item_place(dataset, index)} ({sample.name})", hint)


def _check_reads(dataset: Dataset, places: list[int], read: Callable[[int], Sample]) -> None:
    """Each place read here, then by two threads at once from both ends, always the same."""
    expected: dict[int, dict[str, str]] = {}
    last = None
    for index in places:
        sample = read(index)
        check_item(dataset, index, sample)
        if last is not None:
            what = "changed when the next item was read", "return memory that is not used again"
            _compare(dataset, last[0], expected[last[0]], last[1], *what)
        expected.setdefault(index, _digests(sample))
        _compare(dataset, index, expected[index], sample, "changed from one read to the next")
        last = index, sample

    def again(order: Iterable[int]) -> None:
        for index in order:
            _compare(dataset, index, expected[index], read(index), "changed when two threads read")

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(again, (places, places[::-1])))


def _digests(sample: Sample) -> dict[str, str]:
    """What each part of a sample comes to; samples themselves would fill the memory."""
    truth = sample.truth
    arrays = {"image": sample.image, "boxes": truth.boxes_corner}
    arrays |= {"labels": truth.labels, "crowds": truth.crowd}
    parts = {"name": sample.name.encode()} | {name: a.tobytes() for name, a in arrays.items()}
    return {name: hashlib.sha256(part).hexdigest() for name, part in parts.items()}


def _compare(
    dataset: Dataset,
    index: int,
    expected: dict[str, str],
    sample: Sample,
    what: str,
    hint: str = DRAWS,
) -> None:
    found = _digests(sample)
    changed = [name for name, digest in expected.items() if found[name] != digest]
    if changed:
        where = f"{item_place(dataset, index)} ({sample.name})"
        raise DataError(f"its {' and '.join(changed)} {what}", where, hint)


def _kind(dataset: Dataset) -> str:
    return f"data set {type(dataset).__name__}"
