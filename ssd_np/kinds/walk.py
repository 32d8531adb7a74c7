"""From the image up through the layers of a config: what comes into each, and what comes out."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from ssd_np.errors import ConfigError, ShapeError
from ssd_np.geometry import Size
from ssd_np.kinds.kind import LayerKind
from ssd_np.kinds.merge import MergeLayer


class Placed(NamedTuple):
    """A layer, rows and columns and channels that come in, and those that come out."""

    layer: LayerKind
    size_in: Size
    channels_in: int
    size: Size
    channels: int

    def tensors(self) -> dict[str, tuple[int, ...]]:
        """The shapes of the layer's tensors by their names in a file."""
        parts = self.layer.tensors(self.channels_in)
        return {f"{self.layer.name}.{part}": shape for part, shape in parts.items()}


def walk(layers: Iterable[LayerKind], size: Size, channels: int) -> Iterator[Placed]:
    """The places of `layers` above an image of that size and those channels.

    Raises ShapeError where nothing is left for a layer, or where a merge would have to shrink what
    it enlarges; ConfigError for a lateral that is no earlier layer.
    """
    passed: dict[str, Placed] = {}
    for i, layer in enumerate(layers):
        if isinstance(layer, MergeLayer):
            size, channels = _joined(layer, passed, size, channels, f"layers[{i}].lateral")
        try:
            out = layer.output_shape(size)
        except ShapeError as error:
            raise ShapeError(error.what, f"layers[{i}]", error.hint) from error
        place = Placed(layer, size, channels, out, layer.output_channels(channels))
        passed[layer.name] = place
        yield place
        size, channels = place.size, place.channels


def _joined(
    layer: MergeLayer, passed: dict[str, Placed], size: Size, channels: int, where: str
) -> tuple[Size, int]:
    """What comes into a merge: the lateral's cells, and the channels of both."""
    if layer.lateral not in passed:
        known = ", ".join(passed) or "none"
        what = f"{layer.lateral!r} is no layer before {layer.name!r}"
        raise ConfigError(what, where, f"a merge reads an earlier layer: {known}")
    fine = passed[layer.lateral]
    if size[0] > fine.size[0] or size[1] > fine.size[1]:
        cells, lateral = (f"{h} x {w} cells" for h, w in (size, fine.size))
        what = f"{layer.lateral!r} has {lateral}, fewer than the {cells} of the layer before"
        hint = "a merge enlarges the map of the layer before: name a finer layer"
        raise ShapeError(what, where, hint)
    return fine.size, channels + fine.channels
