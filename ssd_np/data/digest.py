"""A data set in one number: another one after its names or truths changed, whatever the reason."""

import hashlib
from collections.abc import Iterator

import numpy as np

from ssd_np.data.items import AnnotatedDataset, Dataset
from ssd_np.data.shapes import ShapesDataset
from ssd_np.data.stored import StoredDataset
from ssd_np.records import Truth

SPREAD = 1000  # truths of a data set of somebody's own that are asked for


def digest(dataset: Dataset) -> str:
    """SHA-256 of the number of images, and of their names and truths in their order; not of pixels,
    of what classes are called, or of the folder it lies in.

    Of a data set of your own that has `truth(index)` up to 1,000 truths are asked for, evenly
    spread; of any other its first and last item are read.
    """
    found = hashlib.sha256(str(len(dataset)).encode())
    for name, truth in _shown(dataset):
        found.update(f"{name}\n{len(truth)}".encode("utf-8", "surrogateescape"))
        for column in (truth.boxes_corner, truth.labels, truth.difficult, truth.crowd):
            found.update(column.tobytes())
    return found.hexdigest()


def _shown(dataset: Dataset) -> Iterator[tuple[str, Truth]]:
    count = len(dataset)
    if isinstance(dataset, StoredDataset):
        yield from zip(dataset.names, map(dataset.truth, range(count)), strict=True)
    elif isinstance(dataset, ShapesDataset):
        yield f"drawn from {dataset.seed}", dataset.truth(0)  # all else follows from the seed
    elif isinstance(dataset, AnnotatedDataset):
        spread = np.linspace(0, count - 1, min(count, SPREAD)).astype(np.int64)
        yield from (("", dataset.truth(i)) for i in spread.tolist())
    else:
        samples = (dataset[i] for i in (0, count - 1))
        yield from ((sample.name, sample.truth) for sample in samples)
