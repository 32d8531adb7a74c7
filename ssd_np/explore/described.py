"""The network of a page as plain values: what its scripts read instead of a config.

Sizes and steps are [down, across], borders [[top, bottom], [left, right]], always, so that the
scripts need no second form; the shapes of a map's default boxes are pixels, with the names that
`explain` uses.
"""

import dataclasses

from ssd_np.boxes.codec import LARGEST_EXPONENT
from ssd_np.boxes.default_boxes import cell_shapes
from ssd_np.config import Config
from ssd_np.geometry import borders
from ssd_np.infer.place import shapes
from ssd_np.kinds.kind import LayerKind
from ssd_np.model.receptive_field import receptive_fields
from ssd_np.model.trace import trace


def described(config: Config) -> dict:
    """Input, layers, feature maps and the rules of matching, loss and decoding of a config."""
    return {
        "name": config.name,
        "class_names": list(config.class_names),
        "input": dataclasses.asdict(config.input) | {"size": list(config.input.shape)},
        "layers": [_layer(layer) for layer in config.layers],
        "feature_maps": [_feature_map(config, i) for i in range(len(config.feature_maps))],
        "head_kernel": config.head_kernel,
        "boxes": dataclasses.asdict(config.boxes),
        "l2norm": dataclasses.asdict(config.l2norm),
        "matching": dataclasses.asdict(config.matching),
        "loss": dataclasses.asdict(config.loss),
        "decoding": _decoding(config),
    }


def rows(config: Config) -> list[dict]:
    """A row for each layer, norm and head: name, kind, output, parameters, products."""
    return [dataclasses.asdict(row) for row in trace(config)]


def fields(config: Config) -> dict:
    """The receptive field of each layer, {size, stride, center [y, x]} in pixels."""
    return {name: dataclasses.asdict(field) for name, field in receptive_fields(config).items()}


def _decoding(config: Config) -> dict:
    rule = config.decoding
    limit = LARGEST_EXPONENT if rule.max_exponent is None else rule.max_exponent
    return dataclasses.asdict(rule) | {"max_exponent": limit}


def _layer(layer: LayerKind) -> dict:
    values = dataclasses.asdict(layer)
    return values | {"pad": [list(sides) for sides in borders(layer.window.pad)]}


def _feature_map(config: Config, index: int) -> dict:
    feature_map = config.feature_maps[index]
    named = shapes(feature_map, config.input.shape)
    return {
        "name": feature_map.name,
        "size": list(feature_map.shape),
        "step": list(feature_map.steps),
        "shapes": cell_shapes(config, index).tolist(),
        "names": [name for name, _ in named],
        "meanings": [meaning for _, meaning in named],
        "l2norm_scale": feature_map.l2norm_scale,
    }
