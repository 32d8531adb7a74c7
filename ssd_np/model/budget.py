"""What a config asks of a machine, counted before anything is built: a file may come from anybody.

A few bytes can describe a network that fills the memory or runs for minutes: a million default
boxes by a thousand classes, a border of a million cells, suppression among all boxes. So the bytes
of a forward with batch 1, and of decoding, are estimated from the config alone, rather high than
low, and a file that asks for more than `MOST_BYTES`, `MOST_STEPS` or `MOST_PAIRS` is refused. The
tensors are no part of this: the file must hold each of them, in its full size.
"""

import math
from collections.abc import Iterator

from ssd_np.config import Config
from ssd_np.errors import WeightsError
from ssd_np.geometry import borders
from ssd_np.kinds.walk import Placed
from ssd_np.model.trace import heads
from ssd_np.signatures import checked

MOST_BYTES = 700 << 20  # SSD512 needs five sixths of it
MOST_STEPS = 5_000  # layers, and two heads a map; planning them takes seconds; SSD512 has 44
MOST_PAIRS = 5_000_000_000  # of boxes in one suppression, some seconds; SSD512 has 13 million
FLOAT = 4
TRUSTED = "if you trust the file, build its network yourself: load(path, into=SSD(config))"


@checked
def check_budget(config: Config, where: str) -> None:
    """WeightsError for a file's own config that would fill the memory or run for minutes."""
    steps = len(config.layers) + 2 * len(config.feature_maps)
    if steps > MOST_STEPS:
        what = f"its network has {steps:,} layers and heads, more than {MOST_STEPS:,}"
        raise WeightsError(what, where, TRUSTED)
    needed = forward_bytes(config)
    if needed > MOST_BYTES:
        what = f"its network needs about {needed >> 20:,} MiB for one image"
        raise WeightsError(f"{what}, more than {MOST_BYTES >> 20:,}", where, TRUSTED)
    pairs = config.num_classes * min(config.decoding.top_k_class, config.num_boxes) ** 2
    if pairs > MOST_PAIRS:
        what = f"its decoding compares up to {pairs:,} pairs of boxes in an image"
        hint, where = "usual are 400 candidates of a class", f"{where}: decoding.top_k_class"
        raise WeightsError(f"{what}, more than {MOST_PAIRS:,}", where, hint)


@checked
def forward_bytes(config: Config) -> int:
    """Of a forward of one image and its decoding, without the parameters; or, where that is more,
    of the largest matrix of windows (nn/im2col.py), which the plain engine lays out besides."""
    (height, width), channels = config.input.shape, config.input.channels
    total, unfolded = height * width * channels * (2 * FLOAT + 1), 0
    for layer, size_in, channels_in, size, channels in _places(config):
        pad = layer.window.pad
        down, across = (cells + sum(b) for cells, b in zip(size_in, borders(pad), strict=True))
        total += down * across * channels_in * FLOAT if pad else 0  # with its border
        total += math.prod(size) * channels * FLOAT
        windows = math.prod(size) * layer.window.kernel**2 * channels_in * FLOAT
        unfolded = max(unfolded, windows)
    boxes, classes = config.num_boxes, config.num_classes + 1
    numbers = boxes * (classes + 4)
    # logits, scores, scores by class and what softmax takes; boxes are float64
    total += 5 * numbers * FLOAT + 3 * boxes * 8 * 8
    total += 3 * 8 * classes * min(config.decoding.top_k_class, boxes)
    return max(total, unfolded)


def _places(config: Config) -> Iterator[Placed]:
    """All layers in their places, those of the heads too."""
    maps = {feature_map.name for feature_map in config.feature_maps}
    for place in config.walk():
        yield place
        if place.layer.name in maps:
            yield from heads(config, place)
