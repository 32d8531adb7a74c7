"""A detector for other classes: what it knows of those that stay, by name, is kept.

The trunk and the box heads know what an object's edge looks like, and are taken whole. The last
kernel of a class head has a channel a * K + k for box a of a cell and class k. That of a class that
both know goes from its old k to its new one, as does the background's; a new class starts with
random numbers. So before the first step the logits of a class that is kept are what they were.
"""

from collections.abc import Sequence

import numpy as np

from ssd_np.checks import check_kind
from ssd_np.model.ssd import SSD


def with_other_classes(model: SSD, names: Sequence[str]) -> SSD:
    """A model like this one that knows `names`, in their order."""
    check_kind(model, SSD, "model")
    tuned = SSD(model.config.with_classes(names), dtype=model.dtype, ops=model.ops)
    before, after = (["", *m.config.class_names] for m in (model, tuned))  # "": the background
    kept = [name for name in after if name in before]
    old, new = ([column.index(name) for name in kept] for column in (before, after))
    heads = tuple(f"conf_{m.name}." for m in model.config.feature_maps)
    for name, parameter in tuned.parameters.items():
        value = model.parameters[name].value
        if name.startswith(heads):
            known = _by_class(value, len(before))
            value = _by_class(parameter.value.copy(), len(after))
            value[..., new] = known[..., old]
        parameter.assign(value.reshape(parameter.value.shape))
    tuned.provenance = model.provenance
    return tuned


def _by_class(array: np.ndarray, classes: int) -> np.ndarray:
    """(..., A*K) -> (..., A, K)"""
    return array.reshape(*array.shape[:-1], -1, classes)
