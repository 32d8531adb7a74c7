"""Every number of a detector in one place: frozen dataclasses, read from and written to JSON.

A `Config` is checked when it is made: unknown keys, wrong types and impossible values are refused
with the key's path and what was expected. The presets lie beside this file in `configs/`.
Sizes are pixels of the input image unless a comment says otherwise; a pair is [height, width].
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

from ssd_np.checks import check_kind, check_list, check_shape
from ssd_np.config_json import Section, differences, join, read, require, require_name, write
from ssd_np.errors import ConfigError, ShapeError
from ssd_np.files import as_path
from ssd_np.geometry import Size, borders, pair, shortest
from ssd_np.kinds.batchnorm import BatchNormLayer
from ssd_np.kinds.conv import ConvLayer
from ssd_np.kinds.depthwise import DepthwiseLayer
from ssd_np.kinds.feature_map import MAPS, FeatureMap
from ssd_np.kinds.feature_map import FeatureMapConfig as FeatureMapConfig
from ssd_np.kinds.kind import LayerKind
from ssd_np.kinds.merge import MergeLayer
from ssd_np.kinds.pool import PoolLayer
from ssd_np.kinds.walk import Placed, walk

# of layers that come with the package
KINDS = (ConvLayer, PoolLayer, DepthwiseLayer, BatchNormLayer, MergeLayer)
PRESETS = Path(__file__).parent / "configs"
# far above every published detector, and below what would fill the memory: a config may come with
# somebody's weights
MAX_SIDE, MAX_DEFAULT_BOXES = 8192, 1_000_000
MAX_LEVEL = 1_000_000  # of a mean, on the 0..255 scale; one by it is the least std


def _require_probability(value: float, key: str = "probability") -> None:
    require(0 <= value <= 1, key, "a probability in [0, 1]", value)


@dataclass(frozen=True)
class InputConfig(Section):
    """The image a network sees, RGB or grey, (value - mean) / std on the 0..255 scale.

    `mean` and `std` hold a number for each channel. For a grey image they may be those of the three
    colours, whose average is taken.
    """

    size: int | Size  # a side of a square, or height and width
    mean: tuple[float, ...] = (123.0, 117.0, 104.0)
    std: tuple[float, ...] = (1.0, 1.0, 1.0)
    # "antialias": Pillow's bilinear filter; "half_pixel": four neighbours only, as torchvision
    resize: Literal["antialias", "half_pixel"] = "antialias"
    channels: int = 3  # 1: grey

    def check(self) -> None:
        sides = f"1 to {MAX_SIDE} pixels"
        require(all(1 <= side <= MAX_SIDE for side in self.shape), "size", sides, self.size)
        require(self.channels in (1, 3), "channels", "1 (grey) or 3 (RGB)", self.channels)
        for key in ("mean", "std"):
            values = getattr(self, key)
            require(len(values) in (self.channels, 3), key, f"{self.channels} values", values)
            require(key == "mean" or min(values) > 0, key, "numbers above 0", values)
            if len(values) > self.channels:
                object.__setattr__(self, key, (sum(values) / len(values),))
        # so that pixels of 0..255 stay finite in float32
        levels = f"numbers from -{MAX_LEVEL} to {MAX_LEVEL}"
        require(max(map(abs, self.mean)) <= MAX_LEVEL, "mean", levels, self.mean)
        require(min(self.std) >= 1 / MAX_LEVEL, "std", f"numbers from {1 / MAX_LEVEL} on", self.std)

    @property
    def shape(self) -> Size:
        """Height and width."""
        return pair(self.size)


@dataclass(frozen=True)
class DefaultBoxConfig(Section):
    """What holds for the default boxes of all maps."""

    variances: tuple[float, float, float, float] = (0.1, 0.1, 0.2, 0.2)
    clip: Literal["none", "sizes", "all"] = "none"
    integer_sizes: bool = False  # truncate min_size and max_size, as Caffe does

    def check(self) -> None:
        require(min(self.variances) > 0, "variances", "four numbers above 0", self.variances)


@dataclass(frozen=True)
class L2NormConfig(Section):
    """How L2Norm keeps away from a division by zero."""

    eps: float = 1e-10
    # "inside": sqrt(sum + eps); "max": max(norm, eps); "outside": norm + eps
    form: Literal["inside", "max", "outside"] = "inside"

    def check(self) -> None:
        require(self.eps > 0, "eps", "a number above 0", self.eps)


@dataclass(frozen=True)
class MatchingConfig(Section):
    """Which default boxes stand for an object (SSD paper, section 2.2, "Matching strategy")."""

    threshold: float = 0.5
    neutral_threshold: float | None = None  # IoU in [neutral, threshold) counts for nothing

    def check(self) -> None:
        require(0 < self.threshold <= 1, "threshold", "an IoU in (0, 1]", self.threshold)
        if self.neutral_threshold is not None:
            require(
                0 < self.neutral_threshold <= self.threshold,
                "neutral_threshold",
                f"an IoU in (0, threshold = {self.threshold}] or null",
                self.neutral_threshold,
            )


@dataclass(frozen=True)
class LossConfig(Section):
    """The SSD loss (paper, section 2.2, equations 1 to 3, and "Hard negative mining")."""

    ratio: float = 3.0  # negatives for each positive
    minimum_negatives: int = 0  # even in an image without objects
    mining: Literal["image", "batch"] = "image"
    alpha: float = 1.0  # weight of the location loss
    # of the confidence loss, the background's first, for classes that are rare; none: all 1
    class_weights: tuple[float, ...] = ()
    # the focal loss of all boxes instead of mining (loss/focal.py); published with 2; null: mining
    focal_gamma: float | None = None

    def check(self) -> None:
        for key in ("ratio", "minimum_negatives", "alpha", "focal_gamma"):
            require((getattr(self, key) or 0) >= 0, key, "at least 0", getattr(self, key))
        for i, weight in enumerate(self.class_weights):
            require(weight >= 0, f"class_weights[{i}]", "at least 0", weight)


@dataclass(frozen=True)
class DecodingConfig(Section):
    """From logits and offsets to detections (paper, section 2.2, last paragraph of 3)."""

    # of logits, in the loss too: all classes share 1, or each class is a question of its own, and
    # column 0, the background, is not used
    scores: Literal["softmax", "sigmoid"] = "softmax"
    score_threshold: float = 0.01  # for evaluation: a precision-recall curve needs its tail
    show_threshold: float = 0.5  # for people
    iou_threshold: float = 0.45  # of non-maximum suppression
    top_k_class: int = 400  # candidates of a class that enter suppression
    top_k: int = 200  # detections kept in an image
    clip: Literal["output", "before_nms"] = "output"
    max_exponent: float | None = None  # limit on log-size in decode; torchvision ln(1000 / 16)

    def check(self) -> None:
        for key in ("score_threshold", "show_threshold", "iou_threshold"):
            require(0 <= getattr(self, key) <= 1, key, "a number in [0, 1]", getattr(self, key))
        for key in ("top_k_class", "top_k"):
            require(getattr(self, key) >= 1, key, "at least 1", getattr(self, key))


@dataclass(frozen=True)
class _Drawn(Section):
    """A change of light by a number that is drawn from [low, high], with a probability."""

    limits: ClassVar[tuple[float, float, str]]  # of the number, and what is usual

    probability: float = 0.5
    low: float = 0.5
    high: float = 1.5

    def check(self) -> None:
        _require_probability(self.probability)
        least, most, hint = self.limits
        if not least <= self.low <= self.high <= most:
            expected = f"{least:g} <= low <= high <= {most:g}"
            found = f"low {self.low:g}, high {self.high:g}"
            raise ConfigError(f"expected {expected}, got {found}", hint=hint)


@dataclass(frozen=True)
class Brightness(_Drawn):
    """Adds a number of grey levels, drawn from [low, high]."""

    low: float = -32.0
    high: float = 32.0
    limits = -255, 255, "training as published uses -32 to 32"


@dataclass(frozen=True)
class Contrast(_Drawn):
    """Multiplies all values by a factor drawn from [low, high]."""

    limits = 0, 10, "training as published uses 0.5 to 1.5"


@dataclass(frozen=True)
class Saturation(_Drawn):
    """Multiplies the saturation (of HSV) by a factor drawn from [low, high]."""

    limits = Contrast.limits


@dataclass(frozen=True)
class Hue(_Drawn):
    """Turns the hue by an angle in degrees drawn from [low, high]."""

    low: float = -18.0
    high: float = 18.0
    limits = -360, 360, "-36 to 36 is usual, or -18 to 18"


@dataclass(frozen=True)
class Expand(Section):
    """Places the image in a canvas 1 to max_ratio times its size, filled with the mean colour."""

    probability: float = 0.5
    max_ratio: float = 4.0

    def check(self) -> None:
        _require_probability(self.probability)
        require(self.max_ratio >= 1, "max_ratio", "at least 1", self.max_ratio)


@dataclass(frozen=True)
class Crop(Section):
    """Cuts out a patch that overlaps an object by at least a minimum IoU out of `min_ious`.

    In `min_ious`, 1 stands for the whole image and 0 for no minimum. `tries` patches are drawn for
    each minimum; see data/patches.py, also for `shape`: how `scale` and `ratio` make a patch.
    """

    probability: float = 1.0
    min_ious: tuple[float, ...] = (1.0, 0.1, 0.3, 0.5, 0.7, 0.9, 0.0)
    scale: tuple[float, float] = (0.3, 1.0)
    ratio: tuple[float, float] = (0.5, 2.0)
    shape: Literal["scale_and_ratio", "sides"] = "scale_and_ratio"
    tries: int = 50

    def check(self) -> None:
        _require_probability(self.probability)
        require(len(self.min_ious) > 0, "min_ious", "at least one IoU", self.min_ious)
        for i, iou in enumerate(self.min_ious):
            require(0 <= iou <= 1, f"min_ious[{i}]", "an IoU in [0, 1]", iou)
        low, high = self.scale
        require(0 < low <= high <= 1, "scale", "0 < low <= high <= 1", self.scale)
        low, high = self.ratio
        require(0 < low <= high, "ratio", "0 < low <= high", self.ratio)
        require(self.tries >= 1, "tries", "at least 1", self.tries)


@dataclass(frozen=True)
class AugmentationConfig(Section):
    """Photometric and geometric augmentation, in the order of the published training."""

    brightness: Brightness = field(default_factory=Brightness)
    contrast: Contrast = field(default_factory=Contrast)
    saturation: Saturation = field(default_factory=Saturation)
    hue: Hue = field(default_factory=Hue)
    lighting_noise: float = 0.5  # probability of another order of the colour channels
    expand: Expand = field(default_factory=Expand)
    crop: Crop = field(default_factory=Crop)
    horizontal_flip: float = 0.5  # probability
    vertical_flip: float = 0.0  # probability

    def check(self) -> None:
        for key in ("lighting_noise", "horizontal_flip", "vertical_flip"):
            _require_probability(getattr(self, key), key)


TIMED_STEPS = 21  # of a training by minutes: one that compiles, and twenty that are timed


@dataclass(frozen=True)
class TrainConfig(Section):
    """The training schedule. Milestones are shares of all steps: 80k, 100k of 120k as 2/3, 5/6."""

    steps: int = 500
    minutes: float | None = None  # until the first steps were timed: `steps` is the most of use
    batch_size: int = 8
    learning_rate: float = 1e-3
    momentum: float = 0.9
    weight_decay: float = 5e-4  # on weights, never on biases
    bias_multiplier: float = 1.0  # of the learning rate; Caffe trains biases at twice the rate
    base_multiplier: float = 1.0  # of the learning rate, for what the base holds; 0.5: half of it
    rate_in_momentum: bool = False  # Caffe's rule, see train/sgd.py
    warmup_steps: int = 50
    schedule: Literal["step", "cosine", "warmup_cosine"] = "step"  # see train/schedule.py
    milestones: tuple[float, ...] = (2 / 3, 5 / 6)
    gamma: float = 0.1  # the learning rate is multiplied by it at each milestone
    clip_norm: float | None = 10.0  # largest norm of all gradients together
    patience: int = 0  # validations without a better one that end the training; 0: none do
    average: float = 0.0  # share of the steps over which best.npz is averaged (train/average.py)
    validate_every: int = 0  # steps between two validations; 0: only at the end
    checkpoint_every: int = 250  # steps between two writes of last.npz
    seed: int = 0

    def check(self) -> None:
        for key in ("steps", "batch_size", "checkpoint_every"):
            require(getattr(self, key) >= 1, key, "at least 1", getattr(self, key))
        for key in ("learning_rate", "gamma", "bias_multiplier", "base_multiplier"):
            require(getattr(self, key) > 0, key, "a number above 0", getattr(self, key))
        for key in ("weight_decay", "warmup_steps", "validate_every", "patience", "seed"):
            require(getattr(self, key) >= 0, key, "at least 0", getattr(self, key))
        for key in ("momentum", "average"):
            require(0 <= getattr(self, key) < 1, key, "a number in [0, 1)", getattr(self, key))
        for i, share in enumerate(self.milestones):
            require(0 < share <= 1, f"milestones[{i}]", "a share of the steps in (0, 1]", share)
        for key in ("clip_norm", "minutes"):
            value = getattr(self, key)
            require(value is None or value > 0, key, "a number above 0 or null", value)
        if self.minutes is not None:  # the timed steps must not depend on how many there will be
            known = self.schedule == "warmup_cosine" and self.warmup_steps >= TIMED_STEPS
            expected = f"null, or schedule 'warmup_cosine' and {TIMED_STEPS} warmup_steps or more"
            require(known, "minutes", expected, self.minutes)


@dataclass(frozen=True, repr=False)
class Config(Section):
    """A whole detector: what it sees, its network, its boxes, its loss, its training.

    `class_names` leaves the background out; label k is `class_names[k - 1]`.
    `layers` run from the image to the deepest feature map; those up to `base_end` are the base.
    """

    name: str
    class_names: tuple[str, ...]
    input: InputConfig
    layers: tuple[LayerKind, ...]
    base_end: str
    feature_maps: tuple[FeatureMap, ...]
    head_kernel: int = 3
    # how the heads' kernels start: see nn/init.py
    head_init: Literal["caffe_xavier", "glorot_uniform", "small_normal"] = "caffe_xavier"
    # of the fast engine; the plain one is im2col always
    convolution: Literal["im2col", "winograd2", "winograd4"] = "im2col"
    boxes: DefaultBoxConfig = field(default_factory=DefaultBoxConfig)
    l2norm: L2NormConfig = field(default_factory=L2NormConfig)
    matching: MatchingConfig = field(default_factory=MatchingConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    decoding: DecodingConfig = field(default_factory=DecodingConfig)
    augmentation: AugmentationConfig = field(default_factory=AugmentationConfig)
    training: TrainConfig = field(default_factory=TrainConfig)

    def check(self) -> None:
        require_name(self.name, "name", file=True)
        self._check_class_names()
        weights, expected = self.loss.class_weights, f"{self.num_classes + 1} weights or none"
        fits = len(weights) in (0, self.num_classes + 1)
        require(fits, "loss.class_weights", f"{expected}, the background's first", weights)
        gamma, scores = self.loss.focal_gamma, self.decoding.scores
        expected = "null where decoding.scores is 'sigmoid'"
        require(gamma is None or scores == "softmax", "loss.focal_gamma", expected, gamma)
        sizes = self._layer_sizes()
        require(
            self.base_end in sizes, "base_end", f"one of the layers {list(sizes)}", self.base_end
        )
        self._check_maps(sizes)
        odd = self.head_kernel % 2 == 1 and self.head_kernel > 0
        require(odd, "head_kernel", "an odd number (a head keeps the map's size)", self.head_kernel)

    @staticmethod
    def upgrade(values: dict[str, Any]) -> dict[str, Any]:
        """A file that says `plain` where the engine is chosen outside the config now."""
        plain = values.get("convolution") == "plain"
        return values | {"convolution": "im2col"} if plain else values

    def __repr__(self) -> str:
        """What differs from the preset of this name; all of it where there is none."""
        if self.name not in preset_names():
            return f"Config {self.name!r}, no preset:\n{config_to_json(self)}"
        lines = [
            f"  {path}: {_shortened(mine)} (preset: {_shortened(theirs)})"
            for path, mine, theirs in differences(self, load_config(self.name))
        ]
        return "\n".join([f"Config {self.name!r}, as the preset" + ", but" * bool(lines), *lines])

    def _check_maps(self, sizes: dict[str, Size]) -> None:
        """`sizes`: cells of each layer's output. Fills in what a map leaves to its layer."""
        require(len(self.feature_maps) > 0, "feature_maps", "at least one map", [])
        order = {name: i for i, name in enumerate(sizes)}
        previous, placed = -1, []
        for i, feature_map in enumerate(self.feature_maps):
            key = f"feature_maps[{i}]"
            if feature_map.name not in sizes:  # said only here: there may be thousands of layers
                what = f"expected one of {list(sizes)}, got {feature_map.name!r}"
                raise ConfigError(what, f"{key}.name")
            later = order[feature_map.name] > previous
            require(later, f"{key}.name", "a later layer than the map before", feature_map.name)
            previous = order[feature_map.name]
            actual = sizes[feature_map.name]
            if feature_map.size is None:
                feature_map = dataclasses.replace(feature_map, size=shortest(*actual))
            if feature_map.step is None:
                steps = (side / n for side, n in zip(self.input.shape, actual, strict=True))
                feature_map = dataclasses.replace(feature_map, step=shortest(*steps))
            placed.append(feature_map)
            expected = f"{shortest(*actual)}, the output of layer {feature_map.name!r}"
            require(feature_map.shape == actual, f"{key}.size", expected, feature_map.size)
        object.__setattr__(self, "feature_maps", tuple(placed))
        few = self.num_boxes <= MAX_DEFAULT_BOXES
        most = f"at most {MAX_DEFAULT_BOXES:,} default boxes"
        require(few, "feature_maps", most, self.num_boxes)
        rest = list(sizes)[previous + 1 :]
        require(not rest, "layers", "no layer after the last feature map", rest)

    def _check_class_names(self) -> None:
        require(len(self.class_names) > 0, "class_names", "at least one name", self.class_names)
        seen: set[str] = set()
        for i, name in enumerate(self.class_names):
            require_name(name, f"class_names[{i}]")
            again = name in seen and name != "N/A"  # "N/A" fills COCO's gaps
            require(not again, f"class_names[{i}]", "each name once", name)
            seen.add(name)

    def _layer_sizes(self) -> dict[str, Size]:
        """Cells of each layer's output."""
        sizes: dict[str, Size] = {}
        try:
            for i, (layer, size, _, out, _) in enumerate(self.walk()):
                require_name(layer.name, f"layers[{i}].name", file=True)  # of an array in a file
                require(layer.name not in sizes, f"layers[{i}].name", "each name once", layer.name)
                pad = layer.window.pad
                with_border = (n + sum(b) for n, b in zip(size, borders(pad), strict=True))
                most = f"a border that leaves at most {2 * MAX_SIDE} cells a side"
                require(max(with_border) <= 2 * MAX_SIDE, f"layers[{i}].pad", most, pad)
                sizes[layer.name] = out
        except ShapeError as error:
            raise ConfigError(error.what, error.where, error.hint) from error
        return sizes

    def walk(self) -> Iterator[Placed]:
        """From the image up: each layer with what comes into it, and what comes out."""
        return walk(self.layers, self.input.shape, self.input.channels)

    def with_classes(self, names: Sequence[str]) -> Config:
        """The config for other classes. A class that stays keeps its weight in the loss."""
        check_list(names, str, "names")
        loss, names = self.loss, tuple(names)
        if loss.class_weights and names != self.class_names:
            background, *rest = loss.class_weights
            known = dict(zip(self.class_names, rest, strict=True))
            weights = (background, *(known.get(name, 1.0) for name in names))
            loss = dataclasses.replace(loss, class_weights=weights)
        return dataclasses.replace(self, class_names=names, loss=loss)

    @property
    def num_classes(self) -> int:
        """The classes, without the background: K = num_classes + 1 scores for each box."""
        return len(self.class_names)

    @property
    def num_boxes(self) -> int:
        """T: the default boxes of all feature maps."""
        return sum(feature_map.boxes for feature_map in self.feature_maps)


def _shortened(value: Any) -> str:
    """A value in a line: of a list of sections only how many there are."""
    if isinstance(value, tuple) and value and not isinstance(value[0], int | float | str | tuple):
        return f"{len(value)} of them"
    return repr(value)


# --- reading and writing --------------------------------------------------------------------------


def load_config(name_or_path: str | Path, kinds: Iterable[type[LayerKind]] = ()) -> Config:
    """A preset by name ("tiny", "small", ...) or a JSON file by path.

    `kinds` are layers of your own that the file names, see `kinds/kind.py`.

    >>> load_config("tiny").input.size
    128
    """
    path = as_path(name_or_path)
    if str(name_or_path).lower().startswith("ssd500"):
        raise ConfigError(
            f"no config {str(name_or_path)!r}: SSD500 was in the paper's first version only",
            hint="the published one is SSD512, with a seventh feature map and other box sizes: "
            "ssd512_voc or ssd512_coco",
        )
    preset = PRESETS / f"{name_or_path}.json"
    if os.path.isfile(preset):
        path = preset
    elif path.suffix != ".json" or not os.path.isfile(path):
        hint = f"presets: {', '.join(preset_names())}; or the path of a .json file"
        raise ConfigError(f"no such config: {str(name_or_path)!r}", hint=hint)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"can not be read: {error}", where=str(path)) from error
    return config_from_json(text, where=str(path), kinds=kinds)


def preset_names() -> list[str]:
    """The names of the configs that come with the package."""
    return sorted(path.stem for path in PRESETS.glob("*.json"))


def config_from_json(
    text: str, where: str = "config", kinds: Iterable[type[LayerKind]] = ()
) -> Config:
    """Reads a config from JSON text; `where` names its origin in messages.

    `kinds` are layers beside those of the package. One of them may take the name of one of these.
    """
    if not isinstance(kinds, Iterable):
        raise ConfigError(f"kinds is {kinds!r}", hint="a list of classes: kinds=[ItsClass]")
    kinds = tuple(kinds)
    for kind in kinds:
        described = isinstance(kind, type) and issubclass(kind, LayerKind)
        if not described or "kind" not in {field.name for field in dataclasses.fields(kind)}:
            raise ConfigError(
                f"kinds holds {kind!r}",
                hint="kinds are frozen dataclasses made from LayerKind, with a field "
                'kind: Literal["mine"] = "mine"',
            )
    try:
        values = json.loads(text)
    except (TypeError, ValueError, RecursionError) as error:  # numbers of 5,000 digits, too
        raise ConfigError(f"not valid JSON: {error}", where=where) from error
    try:
        return read(Config, values, "", {LayerKind: (*KINDS, *kinds), FeatureMap: MAPS})
    except RecursionError as error:
        raise ConfigError("nested too deeply", where=where) from error
    except ConfigError as error:
        raise ConfigError(error.what, join(where, error.where, ": "), error.hint) from error


def sized(config: Config, shape: tuple[int, int]) -> Config:
    """The config for another input (height, width), with maps and default boxes that follow.

    Default boxes grow and shrink with the input's shorter side: an object that fills half of it is
    met by the same box as before. Those that are given in pixels of any input stay. A step that was
    the input divided by the map's cells still is; another one (SSD300's 8 for 38 cells) is the
    stride of the network, which stays.
    """
    check_kind(config, Config, "config")
    check_shape(shape, "(height, width)", 2, 2)
    height, width = config.input.shape
    scale = min(shape) / min(height, width)
    given = dataclasses.replace(config.input, size=shape)
    cells: dict[str, Size] = {}
    maps = []
    try:
        for place in walk(config.layers, shape, given.channels):
            cells[place.layer.name] = place.size
    except ShapeError as error:
        name = config.layers[len(cells)].name
        what = f"{shape[1]}x{shape[0]} leaves nothing for layer {name}: {error.what}"
        raise ConfigError(what, error.where, "a larger --size") from error
    for old in config.feature_maps:
        new = cells[old.name]
        follows = [math.isclose(s * n, side) for s, n, side in
                   zip(old.steps, old.shape, (height, width), strict=True)]  # fmt: skip
        down, across = (
            side / n if follow else step
            for side, n, step, follow in zip(shape, new, old.steps, follows, strict=True)
        )
        maps.append(dataclasses.replace(old, size=new, step=(down, across), **old.grown(scale)))
    return dataclasses.replace(config, input=given, feature_maps=tuple(maps))


def config_to_json(config: Config) -> str:
    """All values, the defaults too, one section, layer or feature map a line."""
    return write(config)
