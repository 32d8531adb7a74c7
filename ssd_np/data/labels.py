"""From a data set's class numbers to a model's, by name.

A data set counts its classes in its own order, a weights file in another; names are common.
"""

import dataclasses
import difflib
import re
from collections.abc import Iterable, Sequence

import numpy as np

from ssd_np.checks import check_axes, check_list
from ssd_np.data.items import Problem
from ssd_np.errors import DataError, ShapeError
from ssd_np.records import Truth
from ssd_np.signatures import checked


def labels_of(names: Sequence[str]) -> dict[str, int]:
    """The label of each name, from 1; of a name that stands there twice the first."""
    labels: dict[str, int] = {}
    for label, name in enumerate(names, 1):
        labels.setdefault(name, label)
    return labels


def label_map(data_names: Sequence[str], model_names: Sequence[str]) -> np.ndarray:
    """(len(data_names) + 1,): the model's label for each label of the data; background stays 0.

    >>> label_map(["cat", "dog"], ["bird", "dog", "cat"]).tolist()
    [0, 3, 2]
    """
    check_list(data_names, str, "data_names")
    check_list(model_names, str, "model_names")
    labels = labels_of(model_names)
    unknown = [name for name in data_names if name not in labels]
    if unknown:
        near = difflib.get_close_matches(unknown[0], model_names, 1)
        meant = f"is {near[0]!r} meant? " if near else ""
        hint = f"{meant}it knows {list(model_names)}; train with this data set, or leave them out "
        hint += "(--classes names those to keep)"
        raise DataError(f"classes {unknown} are unknown to the model", hint=hint)
    return np.array([0, *(labels[name] for name in data_names)])


def relabel(truth: Truth, mapping: np.ndarray) -> Truth:
    """The same objects with the model's labels."""
    check_axes(mapping, "mapping", None)
    if truth.labels.max(initial=0) >= len(mapping):
        what = f"mapping is of {len(mapping)} labels, the truth has {truth.labels.max()}"
        raise ShapeError(what, hint="one for the background and for each class")
    return dataclasses.replace(truth, labels=mapping[truth.labels])


@checked
def similar_names(names: Iterable[str], where: str) -> list[Problem]:
    """Names that look like one class written in two ways: "Apple" and "apple", "bus stop" and
    "bus_stop". Both are kept, as two classes."""
    first: dict[str, str] = {}
    problems = []
    for name in sorted(names):
        plain = re.sub(r"[\s_-]+", " ", name.strip()).casefold()
        if plain in first:
            what = f"classes {first[plain]!r} and {name!r} look like one, written in two ways"
            problems.append(Problem("class", "kept", where, what))
        first.setdefault(plain, name)
    return problems
