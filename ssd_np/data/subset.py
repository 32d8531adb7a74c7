"""Some classes of a source: objects of others are passed over, their images stay.

An image without an object of these classes teaches what the background looks like.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from ssd_np.data.items import Item, Problem, Source
from ssd_np.errors import DataError
from ssd_np.signatures import checked


class SubsetSource(Source):
    """The items of a source, with objects of some of its classes; labels in the order given."""

    def __init__(self, source: Source, classes: Sequence[str]) -> None:
        check_classes(classes, source.class_names, str(source))
        self._source = source
        self.class_names: tuple[str, ...] = tuple(classes)
        self.annotated_size, self.drawn = source.annotated_size, getattr(source, "drawn", None)
        ids = dict(zip(source.class_names or (), source.category_ids or (), strict=False))
        self.category_ids = [ids[name] for name in classes] if ids else None

    def __str__(self) -> str:
        return str(self._source)

    def __len__(self) -> int:
        return len(self._source)

    def items(self) -> Iterator[Item | Problem]:
        for item in self._source.items():
            yield self._some(item) if isinstance(item, Item) else item

    def item_of(self, image: Path) -> Item:
        return self._some(self._source.item_of(image))

    def _some(self, item: Item) -> Item:
        kept = [i for i, o in enumerate(item.objects) if o.name in self.class_names]
        objects = [item.objects[i] for i in kept]
        return replace(item, objects=objects, boxes_pixel=item.boxes_pixel[kept])


@checked
def check_classes(classes: Sequence[str], known: Sequence[str] | None, where: str) -> None:
    """DataError for a name that stands there twice, is empty, or is not among those known."""
    for i, name in enumerate(classes):
        if not name or name in classes[:i]:
            raise DataError(f"names {name!r} twice or nothing", "--classes", "as in person,car")
        if known is not None and name not in known:
            raise DataError(f"no class {name!r}", where, f"known: {', '.join(known)}")
