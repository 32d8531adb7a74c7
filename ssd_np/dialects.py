"""What the implementations of SSD do differently, and which key of a config says so.

The paper leaves small things open, and every implementation settled them in its own way. A file of
trained weights is only as good as the detector around it is like the one it was trained in: other
default boxes or another mean cost accuracy and raise no error. So each choice of the table below is
a key of the config, and the table says who made which. `ssd-np config --dialects` prints it, and
`in_dialect` turns a config into the one an implementation would have used.

Caffe is the authors' own implementation (weiliu89/caffe, branch ssd) and what the presets follow.
The others: torchvision (ssd300_vgg16), amdegroot/ssd.pytorch, Socret360's
object-detection-in-keras, pierluigiferrari/ssd_keras, lufficc/SSD, qfgaohao/pytorch-ssd,
sgrvinod's tutorial, d2l.ai's TinySSD, NVIDIA's DeepLearningExamples, Linzaer's slim face detector
and TensorFlow's SSD MobileNet v1. Who is not named at a choice does something else again, or was
not looked up.

Some choices are no single key but written in the layers and feature maps of a preset, and some are
gone when a file is read: `TRAITS` lists them.

No keys, and not as Caffe: hue turns on through red, where 8-bit hues stop at 0; a crop must show
the centre of an object, and where there are no objects it may still crop; images are enlarged by
one interpolation, not by one of five; values are rounded once, not after every change of light.
"""

import dataclasses
import functools
import json
import math
import operator
from dataclasses import dataclass
from typing import Any

from ssd_np.checks import check_kind
from ssd_np.config import Config, Hue, load_config, preset_names
from ssd_np.errors import ConfigError


@dataclass(frozen=True)
class Choice:
    """A key such as "boxes.clip", what it decides, and (value, who uses it) pairs."""

    key: str
    about: str
    values: tuple[tuple[Any, str], ...]

    def of(self, implementation: str) -> tuple[Any, ...]:
        """The value that an implementation uses; () if the table does not know it."""
        return tuple(value for value, names in self.values if implementation in names.split())


IMAGENET_MEAN, IMAGENET_STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)  # RGB

# fmt: off
CHOICES = (
    Choice("input.mean", "taken from the pixels, RGB on the scale 0..255", (
        ((123.0, 117.0, 104.0), "caffe amdegroot pierluigiferrari lufficc qfgaohao"),
        ((0.48235 * 255, 0.45882 * 255, 0.40784 * 255), "torchvision"),
        ((123.68, 116.779, 103.939), "socret360"),
        ((127.0, 127.0, 127.0), "linzaer"),
        ((128.0, 128.0, 128.0), "tensorflow"),
        (IMAGENET_MEAN, "sgrvinod nvidia"),
    )),
    Choice("input.std", "what the pixels are then divided by", (
        ((1.0, 1.0, 1.0), "caffe torchvision amdegroot socret360 pierluigiferrari lufficc"),
        (IMAGENET_STD, "sgrvinod nvidia"),
        ((128.0, 128.0, 128.0), "linzaer tensorflow"),
    )),
    Choice("input.resize",
           "bilinear: from the four nearest pixels, or from all that a new pixel covers", (
        ("half_pixel", "caffe torchvision amdegroot socret360 lufficc linzaer"),
        ("antialias", "sgrvinod"),
    )),
    Choice("boxes.integer_sizes",
           "min_size and max_size cut to whole pixels; changes SSD512 only", (
        (True, "caffe"),
        (False, "torchvision amdegroot socret360 pierluigiferrari lufficc qfgaohao sgrvinod "
         "d2l nvidia"),
    )),
    Choice("boxes.clip",
           "default boxes that leave the image: kept, their sizes limited to 1, or all four "
           "numbers", (
        ("none", "caffe pierluigiferrari d2l tensorflow"),
        ("sizes", "torchvision"),
        ("all", "amdegroot lufficc qfgaohao sgrvinod nvidia linzaer"),
    )),
    Choice("l2norm.form",
           "what keeps L2Norm from dividing by 0: eps in the root, a least norm, eps beside "
           "the root", (
        ("inside", "caffe"),
        ("max", "torchvision socret360 pierluigiferrari"),
        ("outside", "amdegroot lufficc"),
    )),
    Choice("l2norm.eps", "and how large it is", (
        (1e-10, "caffe amdegroot lufficc"),
        (1e-12, "torchvision"),
        (1e-6, "socret360 pierluigiferrari"),
    )),
    Choice("head_kernel",
           "side of a head's kernels; MobileNet's heads look at one cell, its last layers "
           "have seen what is around", (
        (3, "caffe torchvision amdegroot socret360 pierluigiferrari lufficc qfgaohao "
         "sgrvinod d2l nvidia linzaer"),
        (1, "tensorflow"),
    )),
    Choice("decoding.scores",
           "of logits: all classes and the background share 1, or each class is a question "
           "of its own and the background needs no column", (
        ("softmax", "caffe torchvision amdegroot socret360 pierluigiferrari lufficc qfgaohao "
         "sgrvinod d2l nvidia linzaer"),
        ("sigmoid", "tensorflow"),
    )),
    Choice("matching.threshold",
           "IoU from which a default box stands for an object; squares of few sizes meet "
           "small faces worse", (
        (0.5, "caffe torchvision amdegroot socret360 pierluigiferrari lufficc qfgaohao "
         "sgrvinod d2l nvidia tensorflow"),
        (0.35, "linzaer"),
    )),
    Choice("matching.neutral_threshold",
           "from this IoU up to the threshold a default box counts for nothing; null: no "
           "such zone", (
        (None, "caffe torchvision amdegroot lufficc qfgaohao sgrvinod d2l nvidia linzaer"),
        (0.3, "socret360"),
    )),
    Choice("loss.mining",
           "three negatives for each positive: in every image, or in the batch as a whole", (
        ("image", "caffe torchvision amdegroot lufficc qfgaohao sgrvinod nvidia linzaer"),
        ("batch", "socret360 pierluigiferrari"),
    )),
    Choice("decoding.max_exponent",
           "limit on the logarithm of a size's change before exp; null: none", (
        (None, "caffe amdegroot socret360 pierluigiferrari lufficc qfgaohao sgrvinod d2l "
         "nvidia linzaer tensorflow"),
        (math.log(1000 / 16), "torchvision"),
    )),
    Choice("decoding.clip",
           "boxes are clipped to the image at the very end, or before suppression", (
        ("output", "caffe"), ("before_nms", "torchvision"),
    )),
    Choice("decoding.iou_threshold",
           "overlap from which the weaker of two detections of a class is dropped; faces "
           "seldom cover each other", (
        (0.45, "caffe torchvision amdegroot pierluigiferrari lufficc qfgaohao sgrvinod"),
        (0.3, "linzaer"),
        (0.6, "tensorflow"),
    )),
    Choice("decoding.show_threshold", "score from which a detection is shown to people", (
        (0.5, "caffe torchvision"), (0.7, "linzaer"),
    )),
    Choice("decoding.top_k_class", "candidates of a class that enter suppression", (
        (400, "caffe torchvision socret360 pierluigiferrari"),
        (200, "amdegroot qfgaohao nvidia linzaer"),
    )),
    Choice("decoding.top_k", "detections kept in an image", (
        (200, "caffe torchvision pierluigiferrari sgrvinod nvidia"),
        (100, "lufficc tensorflow"),
        (10, "socret360"),
    )),
    Choice("augmentation.hue",
           "turned by up to so many degrees; 18 of OpenCV's 8-bit hues are 36 degrees", (
        (Hue(low=-36.0, high=36.0), "caffe pierluigiferrari"),
        (Hue(low=-18.0, high=18.0), "torchvision amdegroot lufficc qfgaohao"),
        (Hue(low=-25.4, high=25.4), "sgrvinod"),
    )),
    Choice("augmentation.lighting_noise",
           "probability of another order of the colour channels; some draw the present order "
           "too, which makes 1/2 of drawing 5/12 of changing", (
        (0.0, "caffe socret360 pierluigiferrari sgrvinod nvidia"),
        (5 / 12, "torchvision amdegroot lufficc qfgaohao"),
    )),
    Choice("augmentation.expand.probability", "how often the image is put on a larger canvas", (
        (0.5, "caffe torchvision amdegroot pierluigiferrari lufficc qfgaohao sgrvinod"),
        (1.0, "socret360"),
        (0.0, "d2l nvidia"),
    )),
    Choice("augmentation.crop.min_ious",
           "minimum IoU of a crop with an object; 1: the whole image, 0: no minimum", (
        ((1.0, 0.1, 0.3, 0.5, 0.7, 0.9, 0.0), "caffe torchvision pierluigiferrari sgrvinod"),
        ((1.0, 0.1, 0.3, 0.7, 0.9, 0.0), "amdegroot socret360 lufficc"),
    )),
    Choice("augmentation.crop.shape",
           "a crop's sides: from a scale and a ratio, or each drawn by itself", (
        ("scale_and_ratio", "caffe"),
        ("sides", "torchvision amdegroot socret360 lufficc qfgaohao sgrvinod"),
    )),
    Choice("training.rate_in_momentum",
           "the velocity is one of steps, the rate in it, or of gradients; differs when the "
           "rate does", (
        (True, "caffe socret360 pierluigiferrari"),
        (False, "torchvision amdegroot lufficc qfgaohao sgrvinod nvidia linzaer"),
    )),
    Choice("head_init",
           "how the heads' kernels start: uniform, by what comes in alone, or by what goes "
           "out too", (
        ("caffe_xavier", "caffe"),
        ("glorot_uniform", "torchvision amdegroot lufficc qfgaohao sgrvinod nvidia linzaer"),
    )),
    Choice("training.bias_multiplier", "learning rate of biases over that of weights", (
        (2.0, "caffe sgrvinod"), (1.0, "torchvision amdegroot lufficc qfgaohao nvidia linzaer"),
    )),
)
# fmt: on


@dataclass(frozen=True)
class Trait:
    """What differs and is no key: its name, the reason, and (what is done, who does it) pairs."""

    name: str
    why: str
    values: tuple[tuple[str, str], ...]


OLDER = "caffe torchvision amdegroot"  # the three whose SSD300 is one network
# fmt: off
TRAITS = (
    Trait("activation", "ReLU6 stops at 6, so that 8 bits can hold every map", (
        ("relu", f"{OLDER} linzaer"), ("relu6", "tensorflow"),
    )),
    Trait("padding of a stride of 2",
          "TensorFlow's SAME asks for ceil(n / 2) cells and puts an odd border behind, "
          '"pad": [[0, 1], [0, 1]] where n is even; one pixel off and nothing fits', (
        ("the same on all sides", f"{OLDER} linzaer"), ("below and right", "tensorflow"),
    )),
    Trait("default boxes",
          "two squares and a pair for each ratio; squares by their pixels, since faces are "
          "square; scales in parts of the image with the ratio 1 among the others", (
        ("caffe", OLDER), ("listed", "linzaer"), ("scales", "tensorflow"),
    )),
    Trait("heads", "a depthwise and a pointwise convolution cost a quarter of a full one", (
        ("full", f"{OLDER} tensorflow"), ("separable", "linzaer"),
    )),
    Trait("batch normalisation",
          "to train on, a convolution that has it folded in gets one that changes nothing", (
        ("none", OLDER), ("in the file", "linzaer"), ("folded", "tensorflow"),
    )),
    Trait("order of the offsets", "turned into dx, dy, dw, dh when a file is read", (
        ("dx, dy, dw, dh", f"{OLDER} linzaer"), ("dy, dx, dh, dw", "tensorflow"),
    )),
    Trait("columns of scores",
          "COCO gave its 80 classes numbers up to 90; columns of other numbers are left out, "
          "and the first, the background, counts for nothing", (
        ("one for each class and the background", f"{OLDER} linzaer"), ("91", "tensorflow"),
    )),
    Trait("numbers",
          "scale * (stored - zero point) makes floats of 8 bits when a file is read", (
        ("float32", f"{OLDER} linzaer"), ("8 bits", "tensorflow"),
    )),
)
# fmt: on


def in_dialect(config: Config, implementation: str) -> Config:
    """The config with every choice of the table as `implementation` makes it.

    What the table does not say of it stays as it is.

    >>> from ssd_np.config import load_config
    >>> in_dialect(load_config("ssd300_voc"), "amdegroot").boxes.clip
    'all'
    """
    check_kind(config, Config, "config")
    if implementation not in implementations():
        known = ", ".join(implementations())
        raise ConfigError(f"no dialect {implementation!r}", hint=f"known: {known}")
    for choice in CHOICES:
        for value in choice.of(implementation):
            config = with_value(config, choice.key, value)
    return config


def implementations() -> list[str]:
    """All names of the table."""
    return sorted({who for c in CHOICES for _, names in c.values for who in names.split()})


def with_value(config: Any, key: str, value: Any) -> Any:
    """The config with another value for a key such as "boxes.clip"."""
    section, _, rest = key.partition(".")
    inner = with_value(getattr(config, section), rest, value) if rest else value
    return dataclasses.replace(config, **{section: inner})


def value_at(config: Config, key: str) -> Any:
    """What a config has for a key such as "boxes.clip"."""
    return operator.attrgetter(key)(config)


@functools.cache
def _presets() -> dict[str, Config]:
    """Those of this package by name, each read once for all choices."""
    return {name: load_config(name) for name in preset_names()}


def users(choice: Choice) -> list[tuple[Any, list[str], list[str]]]:
    """Each value of a choice, the implementations that use it, and the presets here that do."""
    presets: dict[Any, list[str]] = {value: [] for value, _ in choice.values}
    for name, config in _presets().items():
        value = value_at(config, choice.key)
        near = (v for v in presets if shown(v) == shown(value))
        presets.setdefault(next(near, value), []).append(name)
    names = dict(choice.values)
    return [(value, names.get(value, "").split(), ours) for value, ours in presets.items()]


def dialect_table() -> str:
    """The table as text: a paragraph for each key, a line for each value."""
    paragraphs = ["Who makes which choice; presets of this package in brackets."]
    for choice in CHOICES:
        lines = [f"{choice.key}: {choice.about}"]
        for value, names, presets in users(choice):
            ours = [f"[{', '.join(presets)}]"] if presets else []
            lines.append(f"    {shown(value):30}  {', '.join(names + ours)}")
        paragraphs.append("\n".join(lines))
    for trait in TRAITS:
        lines = [f"{trait.name} (no key): {trait.why}"]
        lines += [f"    {value:30}  {', '.join(names.split())}" for value, names in trait.values]
        paragraphs.append("\n".join(lines))
    return "\n\n".join(paragraphs)


def shown(value: Any) -> str:
    """A value as JSON, numbers shortened."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        pairs = dataclasses.asdict(value).items()
        return ", ".join(f"{key} {shown(number)}" for key, number in pairs)
    if isinstance(value, tuple):
        return "[" + ", ".join(f"{v:.7g}" for v in value) + "]"
    return f"{value:.7g}" if isinstance(value, float) else json.dumps(value)
