"""Default boxes: the fixed grid of boxes that the network learns to correct.

Every cell of every feature map holds a few boxes of fixed shapes, centred on the cell. The network
predicts, for each of them, a class and four offsets (SSD paper, section 2.2, "Choosing scales and
aspect ratios for default boxes"). They are computed once from the config; nothing is learned.
"""

import itertools

import numpy as np

from ssd_np.boxes.checks import check_sizes, map_of
from ssd_np.config import Config, FeatureMapConfig
from ssd_np.errors import ConfigError, ShapeError


def derive_sizes(
    input_size: int, first: float, low: float, high: float, maps: int, whole_percent: bool = True
) -> list[float]:
    """Where a published detector's 30, 60, 111, ... come from: `maps` sizes s and the last s'.

    The shallowest map has the scale `first`, the m = maps - 1 others are spaced evenly:

        s_k = low + (high - low) (k - 1) / (m - 1),   k = 1 .. m

    (SSD paper, equation 4 and section 3.1), all in percent of the image's side; one step beyond the
    last comes the max_size of the deepest map. The published detectors differ from the formula: the
    authors' script (ssd_pascal.py) cuts the step to a whole percent, floor(70 / 4) = 17 for 17.5.

    >>> derive_sizes(300, 10, 20, 90, maps=6)
    [30.0, 60.0, 111.0, 162.0, 213.0, 264.0, 315.0]
    >>> derive_sizes(300, 10, 20, 90, maps=6, whole_percent=False)
    [30.0, 60.0, 112.5, 165.0, 217.5, 270.0, 322.5]

    SSD300 on COCO is (300, 7, 15, 90, 6); SSD512 is (512, 7, 15, 90, 7) on VOC and
    (512, 4, 10, 90, 7) on COCO. Raises ConfigError for fewer than three maps: m is then 1 or 0.
    """
    check_sizes(maps, input_size=input_size, first=first, low=low, high=high)
    if maps < 3:
        hint = "the formula spaces at least two maps after the first"
        raise ConfigError(f"sizes for {maps} maps", hint=hint)
    step = (high - low) / (maps - 2)
    step = int(step) if whole_percent else step
    percent = [first] + [low + step * k for k in range(maps)]
    return [input_size * p / 100 for p in percent]


def derive_scales(
    low: float = 0.2, high: float = 0.95, maps: int = 6
) -> list[list[tuple[float, float]]]:
    """The pairs (scale, ratio) of TensorFlow's SSDs (`create_ssd_anchors`), a list for each map.

    Scales are spaced evenly, the last next one is 1. After all ratios comes a square between the
    scale and the next; the first map has three boxes only, one of them half as large.

    >>> [[round(scale, 3) for scale, _ in pairs] for pairs in derive_scales()][:2]
    [[0.1, 0.2, 0.2], [0.35, 0.35, 0.35, 0.35, 0.35, 0.418]]
    """
    check_sizes(maps, low=low, high=high)
    scales = [*np.linspace(low, high, maps).round(6).tolist(), 1.0]
    rest = [
        [*((scale, ratio) for ratio in (1, 2, 1 / 2, 3, 1 / 3)), ((scale * following) ** 0.5, 1)]
        for scale, following in itertools.pairwise(scales[1:])
    ]
    return [[(low / 2, 1), (low, 2), (low, 1 / 2)], *rest]


def box_shapes(feature_map: FeatureMapConfig, integer_sizes: bool = False) -> np.ndarray:
    """(A, 2) widths and heights in pixels, in the order s, s', r, 1/r for each aspect ratio r.

    s = min_size, s' = sqrt(min_size * max_size). A ratio keeps the area: w = s sqrt(r),
    h = s / sqrt(r).
    """
    small, large = feature_map.min_size, feature_map.max_size
    if integer_sizes:
        small, large = float(int(small)), float(int(large))
    middle = np.sqrt(small * large)
    shapes = [(small, small), (middle, middle)]
    for ratio in feature_map.aspect_ratios:
        long, short = small * np.sqrt(ratio), small / np.sqrt(ratio)
        shapes += [(long, short), (short, long)]
    return np.array(shapes)


def cell_shapes(config: Config, index: int) -> np.ndarray:
    """(A, 2) widths and heights in pixels by the rule of the map: Caffe's, or one by one."""
    feature_map = map_of(config, index)
    if isinstance(feature_map, FeatureMapConfig):
        return box_shapes(feature_map, config.boxes.integer_sizes)
    sides, ratios = np.array(feature_map.listed(config.input.shape)).T
    return np.stack([sides * np.sqrt(ratios), sides / np.sqrt(ratios)], axis=1)


def default_boxes_for_map(config: Config, index: int) -> np.ndarray:
    """(H, W, A, 8) float64: cx cy w h as fractions of the image, then the four variances.

    Cell (i, j) is centred on ((j + 0.5) step, (i + 0.5) step) pixels, each axis with its own step.
    """
    feature_map = map_of(config, index)
    shapes = cell_shapes(config, index)
    (rows, columns), (down, across) = feature_map.shape, feature_map.steps
    height, width = config.input.shape
    boxes = np.empty((rows, columns, len(shapes), 8))
    boxes[..., 0] = (np.arange(columns)[None, :, None] + 0.5) * across  # cx runs along W
    boxes[..., 1] = (np.arange(rows)[:, None, None] + 0.5) * down  # cy runs along H
    boxes[..., 2:4] = shapes  # (A, 2) in every cell
    boxes[..., :4] /= (width, height, width, height)
    boxes[..., 4:] = config.boxes.variances
    if config.boxes.clip == "all":
        boxes[..., :4] = np.clip(boxes[..., :4], 0, 1)
    elif config.boxes.clip == "sizes":
        boxes[..., 2:4] = np.minimum(boxes[..., 2:4], 1)
    return boxes


class DefaultBoxes:
    """The layer that puts a map's default boxes beside its predictions (Caffe's PriorBox).

    Only the shape of the map counts, so nothing is learned and no gradient flows back.
    """

    def __init__(self, config: Config, index: int) -> None:
        self.name = f"boxes_{config.feature_maps[index].name}"
        self.grid = default_boxes_for_map(config, index)  # (H, W, A, 8)

    def forward(self, feature_map: np.ndarray) -> np.ndarray:
        """(N, H, W, C) -> (N, H*W*A, 8): cx cy w h, then the variances, row by row, box by box.

        A view that can not be written to: the boxes of all images are the same.
        """
        n, *cells, _ = feature_map.shape
        if tuple(cells) != self.grid.shape[:2]:
            what = f"{self.name}: the map has {cells} cells, its boxes {list(self.grid.shape[:2])}"
            hint = "expected (N, H, W, C), the output of the layer that the config names"
            raise ShapeError(what, hint=hint)
        rows = self.grid.reshape(-1, 8)
        return np.broadcast_to(rows, (n, *rows.shape))


def default_boxes(config: Config) -> np.ndarray:
    """(T, 8) float64: the boxes of all maps, one after the other, row by row, box by box.

    >>> from ssd_np.config import load_config
    >>> default_boxes(load_config("tiny")).shape
    (1344, 8)
    """
    maps = range(len(config.feature_maps))
    return np.concatenate([default_boxes_for_map(config, i).reshape(-1, 8) for i in maps])
