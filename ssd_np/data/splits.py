"""Which images are learned from and which measure: lists that the data brings, or a draw.

Where data brings no split, a fifth of the images is `val` and the others are `train`. Which ones
depends on the seed and on each image's name alone, so that every command, today and tomorrow, finds
the same; an image that is added later moves few others. A training writes the names down.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from ssd_np.data.items import Item, Problem, Source
from ssd_np.errors import DataError, NoSuchSplit
from ssd_np.signatures import checked
from ssd_np.terminal import counted

ALL = "all"
TRAINVAL = "trainval"
VALIDATION = ("val", "valid", "validation")
DRAWN = ("train", "val")
SEED = 0  # of the draw: the same for every training, so that their results can be compared
SHARE = 5  # every fifth image validates
FEWEST, TENTH, LEAST = 40, 10, 8  # images of which a tenth is held back, but at least 8


@checked
def resolve(split: str, known: Sequence[str]) -> list[str]:
    """Which of the known splits a name stands for; none if there is no such.

    >>> resolve("val", ["train", "valid"]), resolve("trainval", ["train", "valid"])
    (['valid'], ['train', 'valid'])
    """
    if split in known:
        return [split]
    if split in VALIDATION:
        return [name for name in VALIDATION if name in known][:1]
    parts = [name for name in known if name == "train" or name in VALIDATION]
    if split == TRAINVAL:
        return parts
    if split == ALL:
        return [name for name in known if not (name == TRAINVAL and parts)]
    return []


@checked
def resolve_all(split: str, known: Sequence[str]) -> tuple[list[str], str]:
    """The known splits that `A+B` stands for, and the first of its parts that stands for none.

    >>> resolve_all("trainval+b", ["train", "valid"])
    (['train', 'valid'], 'b')
    """
    parts = [split] if split in known else split.split("+")
    found = {part: resolve(part, known) for part in parts}
    missing = next((part for part, names in found.items() if not names), "")
    return list(dict.fromkeys(name for names in found.values() for name in names)), missing


class JoinedSource(Source):
    """Several splits of one kind as one: their images one after the other.

    Ids of images that occur in several splits get the split's name before them.
    """

    def __init__(self, parts: Mapping[str, Source]) -> None:
        self._parts, first = dict(parts), next(iter(parts.values()))
        self.annotated_size = first.annotated_size
        self.class_names, self.category_ids = first.class_names, first.category_ids
        for part in parts.values():
            if part.class_names != self.class_names:
                what = f"has other classes than {first}: {part.class_names}"
                raise DataError(what, str(part), f"there they are {self.class_names}")

    def __str__(self) -> str:
        return "+".join(dict.fromkeys(map(str, self._parts.values())))

    def __len__(self) -> int:
        return sum(map(len, self._parts.values()))

    def items(self) -> Iterator[Item | Problem]:
        seen: set[int | str] = set()
        for name, part in self._parts.items():
            for item in part.items():
                if isinstance(item, Item) and item.id in seen:
                    item = replace(item, id=f"{name}/{item.id}")
                if isinstance(item, Item):
                    seen.add(item.id)
                yield item

    def item_of(self, image: Path) -> Item:
        *others, last = self._parts.values()
        for part in others:
            try:
                return part.item_of(image)
            except DataError:
                continue  # it may be in the next
        return last.item_of(image)


class DrawnSource(Source):
    """One of the two splits that are drawn of a source which brings none.

    drawn        the names of the images of both
    class_names  of all images, so that a class that only one split has is known to both
    """

    def __init__(self, source: Source, split: str) -> None:
        everything = list(source.items())
        items = [item for item in everything if isinstance(item, Item)]
        if len(items) < 2 and split != DRAWN[0]:
            hint = "--split all --eval-split none learns from what there is"
            raise DataError(f"{counted(len(items), 'image')} can not be split", str(source), hint)
        self.drawn = draw([item.name for item in items])
        self.annotated_size, self.category_ids = source.annotated_size, source.category_ids
        found = {labelled.name for item in items for labelled in item.objects}
        self.class_names = source.class_names or tuple(sorted(found))
        self._source, mine = source, set(self.drawn[split])
        told = split == DRAWN[0]  # what is wrong with the place is told once
        self._items = [i for i in everything if (i.name in mine if isinstance(i, Item) else told)]

    def __str__(self) -> str:
        return str(self._source)

    def __len__(self) -> int:
        return len(self._items)

    def items(self) -> Iterator[Item | Problem]:
        return iter(self._items)

    def item_of(self, image: Path) -> Item:
        return self._source.item_of(image)


def draw(names: Sequence[str]) -> dict[str, list[str]]:
    """The names of two splits: `val` has the fifth, at least one of two, with the first digests."""
    order = sorted(set(names), key=_by_seed(SEED))
    count = min(max(1, round(len(order) / SHARE)), len(order) - 1) if order else 0
    return dict(zip(DRAWN, (sorted(order[count:]), sorted(order[:count])), strict=True))


def hold_back(names: Sequence[str], seed: int) -> list[int]:
    """Which images of a training choose its weights instead of teaching: a tenth, at least 8; of
    fewer than 40 images none. The seed and their names choose. Copies of one picture, which
    Roboflow calls PICTURE.rf.NUMBER, stay together."""
    if len(names) < FEWEST:
        return []
    copies: dict[str, list[int]] = {}
    for i, name in enumerate(names):
        copies.setdefault(name.partition(".rf.")[0], []).append(i)
    wanted, chosen = max(LEAST, round(len(names) / TENTH)), list[int]()
    for picture in sorted(copies, key=_by_seed(seed)):
        if len(chosen) < wanted:
            chosen += copies[picture]
    return sorted(chosen)


def _by_seed(seed: int) -> Callable[[str], bytes]:
    """The key of an order that depends on the seed and on each name alone."""
    return lambda name: hashlib.sha256(f"{seed}/{name}".encode()).digest()


def open_split(whole: Source, split: str) -> Source:
    """A split of a source that brings none: all of it, or one of the two that are drawn."""
    if split in (ALL, TRAINVAL):
        return whole
    name = "val" if split in VALIDATION else split
    if name in DRAWN:
        return DrawnSource(whole, name)
    what = f"no such split: {split!r}; the data brings none"
    raise NoSuchSplit(what, str(whole), f"{' and '.join(DRAWN)} can be drawn, {ALL} is everything")
