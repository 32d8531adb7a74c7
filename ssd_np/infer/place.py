"""Where a default box comes from: its map, its cell, and which of the cell's boxes it is."""

import numpy as np

from ssd_np.boxes.coords import center_to_corner
from ssd_np.config import FeatureMapConfig
from ssd_np.errors import ShapeError
from ssd_np.geometry import Size
from ssd_np.infer.reports import Box, Place
from ssd_np.kinds.feature_map import FeatureMap
from ssd_np.model.ssd import SSD


def place_of(model: SSD, index: int) -> Place:
    """Which map, cell and shape the default box of that index is."""
    count = len(model.default_boxes)
    if not isinstance(index, int | np.integer) or not -count <= index < count:
        raise ShapeError(f"index is {index!r}", hint=f"the network has {count} default boxes")
    index, first = int(index) % count, 0  # -1 is the last
    for feature_map in model.config.feature_maps:
        if index < first + feature_map.boxes:
            break
        first += feature_map.boxes
    cell, shape = divmod(index - first, feature_map.boxes_per_cell)
    name, meaning = shapes(feature_map, model.config.input.shape)[shape]
    center, (row, column) = model.default_boxes[index, :4], divmod(cell, feature_map.shape[1])
    boxes = numbers(center), numbers(center_to_corner(center))
    return Place(index, feature_map.name, row, column, name, meaning, *boxes)


def shapes(feature_map: FeatureMap, size: Size) -> list[tuple[str, str]]:
    """Names of a cell's boxes, in their order, and what they mean, in pixels of the input."""
    if not isinstance(feature_map, FeatureMapConfig):
        return [_listed(*pair) for pair in feature_map.listed(size)]
    small, large = feature_map.min_size, feature_map.max_size
    middle = f"sqrt({small:g} * {large:g}) = {(small * large) ** 0.5:.1f}"
    found = [
        ("s", f"a square of side min_size = {small:g}"),
        ("s'", f"a square of side sqrt(min_size * max_size) = {middle}"),
    ]
    for ratio in feature_map.aspect_ratios:
        found += [
            (f"{ratio:g}", f"{ratio:g} times as wide as high, area min_size^2 = {small:g}^2"),
            (f"1/{ratio:g}", f"{ratio:g} times as high as wide, area min_size^2 = {small:g}^2"),
        ]
    return found


def _listed(side: float, ratio: float) -> tuple[str, str]:
    """Of a box that is given by the root of its area and its width over its height."""
    if ratio == 1:
        return f"{side:.4g}", f"a square of side {side:.4g}"
    times, shape = (ratio, "wide as high") if ratio > 1 else (1 / ratio, "high as wide")
    name = f"{times:.3g}:1" if ratio > 1 else f"1:{times:.3g}"
    return f"{side:.4g} {name}", f"{times:.3g} times as {shape}, area {side:.4g}^2"


def numbers(values: np.ndarray) -> Box:
    """Plain numbers, for reports."""
    first, second, third, fourth = map(float, values)
    return first, second, third, fourth
