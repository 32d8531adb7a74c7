"""What a file of weights says of itself, whoever made it. No network is built."""

import dataclasses
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ssd_np.config import Config, load_config
from ssd_np.errors import WeightsError
from ssd_np.kinds.kind import LayerKind
from ssd_np.model.archive import HEADER, read_archive
from ssd_np.model.provenance import Provenance, imported, provenance_in
from ssd_np.model.published import Maker, maker_of
from ssd_np.model.tflite_detector import ANCHORS
from ssd_np.model.tflite_file import is_tflite, read_tflite
from ssd_np.model.torch_file import is_torch, read_torch
from ssd_np.model.weights import config_of, locate, optimiser_arrays, read_export
from ssd_np.model.weights_file import Arrays, opened

# what batch normalisation has measured, here and in PyTorch; it was not learned
STATISTICS = (".mean", ".variance", ".running_mean", ".running_var", ".num_batches_tracked")
BASE = "a base"


@dataclass(frozen=True)
class About:
    """kind: what it is. A published file has a maker and no config, but for those of `export`.
    Of a base the config tells the layers; its boxes, classes and thresholds are another's."""

    file: str
    kind: str
    arrays: Arrays
    config: Config | None
    maker: Maker | None
    provenance: Provenance

    @property
    def layers(self) -> list[str]:
        """The names of a base's layers, from the image on; of a detector its config has them."""
        return list(dict.fromkeys(n.rpartition(".")[0] for n in self.arrays)) * (self.kind == BASE)

    @property
    def parameters(self) -> int:
        """How many numbers were learned."""
        learned = (a for name, a in self.arrays.items() if not name.endswith(STATISTICS))
        return sum(array.size for array in learned)

    @property
    def history(self) -> Provenance:
        """The provenance of what is made of this file."""
        return self.provenance or (imported(self.file, *self._made()),)

    def _made(self) -> tuple[str, str]:
        return (self.maker.name, self.maker.licence) if self.maker else ("", "")

    def as_dict(self) -> dict[str, Any]:
        """For JSON; None is what the file does not tell."""
        config, preset, classes = self.config, None, None
        if config is None and self.maker is not None:
            preset, names = load_config(self.maker.preset), self.maker.names()
            ends = (name for name in names if re.fullmatch(r"conf_.*(?<!_dw)\.bias", name))
            scores = self.arrays.get(names[next(ends)], np.zeros(0)).size  # of the first map
            classes = scores // preset.feature_maps[0].boxes_per_cell - 1 if scores else None
        layers, detector = self.layers, None if self.kind == BASE else config
        known = detector or (preset if self.maker and not self.maker.sizes else None)
        shape, rule = known and known.input.shape, detector and detector.decoding
        maker, licence = self._made()
        return {
            "kind": self.kind,
            "maker": maker or None,
            "licence": licence or (self.provenance[0].licence if self.provenance else "") or None,
            "config": config and config.name,
            "layers": layers or None,
            "class_names": detector and list(detector.class_names),
            "classes": detector.num_classes if detector else classes,
            "input": shape and {"width": shape[1], "height": shape[0]},
            "boxes": known and known.num_boxes,
            "parameters": self.parameters,
            "score_threshold": rule and rule.score_threshold,
            "show_threshold": rule and rule.show_threshold,
            "provenance": [dataclasses.asdict(origin) for origin in self.provenance],
        }


def about(path: str | Path, kinds: Iterable[type[LayerKind]] = ()) -> About:
    """What the file says; WeightsError for one that is none of weights, or damaged. `kinds`: layers
    of your own that its config names."""
    path = locate(path)
    where = str(path)
    with opened(path) as (file, _):
        start = file.read(512)
    if HEADER.encode() in start[:100]:  # the name of the first array
        header, arrays = read_archive(path)
        rest = set(optimiser_arrays(header, arrays, where))
        arrays = {name: array for name, array in arrays.items() if name not in rest}
        kind = BASE if header.get("base") else "a detector"
        kind = "a detector in training, with all that goes on" if "progress" in header else kind
        own, provenance = config_of(header, where, kinds), provenance_in(header, where)
        return About(where, kind, arrays, own, None, provenance)
    if where.endswith(".npz"):
        header, arrays = read_export(path)
    elif is_tflite(path):
        header, arrays = {}, dict(read_tflite(path).arrays)
        arrays.pop(ANCHORS, None)
    elif where.endswith((".pth", ".pt")) or is_torch(start):
        header, arrays = {}, read_torch(path)
    else:
        hint = "read are .npz of ssd-np, .pth and .pt of PyTorch, .tflite of TensorFlow Lite"
        raise WeightsError("is no file of weights", where, hint)
    maker = maker_of(arrays)
    kind = f"{maker.name}'s {maker.network}" if maker else "tensors of a network that is not known"
    kind += ", the RFB variant" if any(".branch0." in name for name in arrays) else ""
    config = config_of(header, where) if header else None
    return About(where, kind, arrays, config, maker, provenance_in(header, where))
