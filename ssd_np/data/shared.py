"""How many images two data sets have in common: what is learnt from can not measure the learning.

Image by image, whatever the data sets, splits and files are called. A copy of a file is the same
image, so files of one length are compared by their bytes.
"""

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

from ssd_np.data.items import IdentifiedDataset


def shared_images(dataset: object, other: object) -> int:
    """How many images of `other` are images of `dataset`, too; those of a data set that has no
    `identities`, as your own may not have, count as different."""
    if not (isinstance(dataset, IdentifiedDataset) and isinstance(other, IdentifiedDataset)):
        return 0
    mine, theirs = set(dataset.identities()), other.identities()
    lengths = _lengths(mine - set(theirs)), _lengths(set(theirs) - mine)
    suspects = set(lengths[0].values()) & set(lengths[1].values())  # only these need reading
    ours, others = ([file for file in found if found[file] in suspects] for found in lengths)
    copied, digests = set(map(_digest, ours)) - {None}, {file: _digest(file) for file in others}
    return sum(one in mine or digests.get(one) in copied for one in theirs)


def _lengths(identities: Iterable[str]) -> dict[str, int]:
    """The length in bytes of each identity that is a file; generated images are none."""
    return {one: os.path.getsize(one) for one in identities if os.path.isfile(one)}


def _digest(file: str) -> str | None:
    """What its bytes come to; None for a file that can not be read, which is no copy."""
    try:
        return hashlib.sha256(Path(file).read_bytes()).hexdigest()
    except OSError:
        return None
