"""Default boxes: the fixed grid of boxes that the network learns to correct.

Every cell of every feature map holds a few boxes of fixed shapes, centred on the cell. The network
predicts, for each of them, a class and four offsets (SSD paper, section 2.2, "Choosing scales and
aspect ratios for default boxes"). They are computed once from the config; nothing is learned.
"""

import numpy as np

from ssd_np.config import Config, FeatureMapConfig


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


def default_boxes_for_map(config: Config, index: int) -> np.ndarray:
    """(H, W, A, 8) float64: cx cy w h as fractions of the image, then the four variances.

    Cell (i, j) is centred on ((j + 0.5) step, (i + 0.5) step) pixels.
    """
    feature_map = config.feature_maps[index]
    shapes = box_shapes(feature_map, config.boxes.integer_sizes)
    centers = (np.arange(feature_map.size) + 0.5) * feature_map.step  # (H,), and the same for W
    boxes = np.empty((feature_map.size, feature_map.size, len(shapes), 8))
    boxes[..., 0] = centers[None, :, None]  # cx runs along W
    boxes[..., 1] = centers[:, None, None]  # cy runs along H
    boxes[..., 2:4] = shapes  # (A, 2) in every cell
    boxes[..., :4] /= config.input.size
    boxes[..., 4:] = config.boxes.variances
    if config.boxes.clip == "all":
        boxes[..., :4] = np.clip(boxes[..., :4], 0, 1)
    elif config.boxes.clip == "sizes":
        boxes[..., 2:4] = np.minimum(boxes[..., 2:4], 1)
    return boxes


def default_boxes(config: Config) -> np.ndarray:
    """(T, 8) float64: the boxes of all maps, one after the other, row by row, box by box.

    >>> from ssd_np.config import load_config
    >>> default_boxes(load_config("tiny")).shape
    (1344, 8)
    """
    maps = range(len(config.feature_maps))
    return np.concatenate([default_boxes_for_map(config, i).reshape(-1, 8) for i in maps])
