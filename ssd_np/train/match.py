"""What the network should have said of a batch: its truths matched, one by one."""

import numpy as np

from ssd_np.checks import as_array, check_kind
from ssd_np.config import Config
from ssd_np.data.batches import Batch
from ssd_np.errors import DataError, ShapeError
from ssd_np.model.ssd import SSD


def match_batch(
    batch: Batch, model: SSD, mapping: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Which default box stands for which object: labels (N, T), offsets (N, T, 4).

    `mapping` has the model's label for each of the data's (`data.labels.label_map`); left out, both
    have the same class names in the same order.
    """
    check_kind(batch, Batch, "batch")
    check_kind(getattr(model, "config", None), Config, "the model's config")
    names = len(model.config.class_names)
    mapping = np.arange(names + 1) if mapping is None else as_array(mapping, "mapping")
    if mapping.ndim != 1 or mapping.dtype.kind != "i":
        hint = "a label for each of the data's: data.labels.label_map"
        raise ShapeError(f"mapping is {mapping.shape} {mapping.dtype}", hint=hint)
    rule, targets = model.config.matching, []
    for (boxes, labels), name in zip(batch.truths, batch.names, strict=True):
        if max(labels, default=0) >= len(mapping):
            hint = f"its data has {len(mapping) - 1} class names; labels count from 1"
            raise DataError(f"an object has label {max(labels)}", name, hint)
        settings = model.default_boxes, rule.threshold, rule.neutral_threshold
        targets.append(model.ops.make_targets(boxes, mapping[labels], *settings))
    classes, offsets = zip(*targets, strict=True)
    return np.stack(classes), np.stack(offsets).astype(model.dtype)
