"""The published files: what their tensors are called, and how their numbers lie.

torchvision (`ssd300_vgg16`) and amdegroot (`ssd.pytorch`) built the same SSD300 with other names:

    here                 torchvision                             amdegroot
    conv1_1              backbone.features.0                     vgg.0
    fc6                  backbone.extra.0.7.1                    vgg.31
    conv8_2              backbone.extra.1.2                      extras.1
    conv4_3_norm.scale   backbone.scale_weight                   L2Norm.weight
    conf_fc7             head.classification_head.module_list.1  conf.1
    loc_fc7              head.regression_head.module_list.1      loc.1

A number is the place in a Sequential, which counts ReLU and pooling too. The base alone has two
files more: vgg16_reducedfc.pth ("0", ... "31", "33") and torchvision's vgg16 ("features.0", ...).
PyTorch's kernels are (Co, C, kh, kw), of depthwise layers (C, 1, kh, kw); TensorFlow's lie as
(Co, kh, kw, C) and (1, kh, kw, C); here they are (kh, kw, C, Co) and (kh, kw, C). Head channels run
the same way in all: channel a * K + k belongs to box a of the cell and class k.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from ssd_np.checks import as_array
from ssd_np.errors import WeightsError
from ssd_np.model.ssd import SSD
from ssd_np.model.weights_file import Arrays
from ssd_np.signatures import checked

# places of VGG-16's convolutions in torchvision's `features` and in amdegroot's `vgg`
VGG = {
    "conv1_1": 0, "conv1_2": 2, "conv2_1": 5, "conv2_2": 7, "conv3_1": 10, "conv3_2": 12,
    "conv3_3": 14, "conv4_1": 17, "conv4_2": 19, "conv4_3": 21, "conv5_1": 24, "conv5_2": 26,
    "conv5_3": 28, "fc6": 31, "fc7": 33,
}  # fmt: skip
MAPS = ("conv4_3", "fc7", "conv8_2", "conv9_2", "conv10_2", "conv11_2")
EXTRA_BLOCKS = (8, 9, 10, 11)  # conv8_1, conv8_2, conv9_1, ...


def torchvision_names() -> dict[str, str]:
    """Our name -> torchvision's, for the 71 tensors of `ssd300_vgg16`."""
    layers = {layer: f"backbone.features.{i}" for layer, i in VGG.items() if i <= 21}
    layers |= {f"conv5_{i}": f"backbone.extra.0.{2 * i - 1}" for i in (1, 2, 3)}
    layers |= {"fc6": "backbone.extra.0.7.1", "fc7": "backbone.extra.0.7.3"}
    for block in EXTRA_BLOCKS:
        layers[f"conv{block}_1"] = f"backbone.extra.{block - 7}.0"
        layers[f"conv{block}_2"] = f"backbone.extra.{block - 7}.2"
    for i, name in enumerate(MAPS):
        layers[f"conf_{name}"] = f"head.classification_head.module_list.{i}"
        layers[f"loc_{name}"] = f"head.regression_head.module_list.{i}"
    return _tensors(layers) | {"conv4_3_norm.scale": "backbone.scale_weight"}


def amdegroot_names() -> dict[str, str]:
    """Our name -> amdegroot's, for the 71 tensors of `build_ssd`."""
    layers = {layer: f"vgg.{i}" for layer, i in VGG.items()}
    for block in EXTRA_BLOCKS:
        layers[f"conv{block}_1"] = f"extras.{2 * block - 16}"
        layers[f"conv{block}_2"] = f"extras.{2 * block - 15}"
    for i, name in enumerate(MAPS):
        layers[f"conf_{name}"], layers[f"loc_{name}"] = f"conf.{i}", f"loc.{i}"
    return _tensors(layers) | {"conv4_3_norm.scale": "L2Norm.weight"}


def reducedfc_names() -> dict[str, str]:
    """Our name -> that of `vgg16_reducedfc.pth`, amdegroot's base."""
    return _tensors({layer: str(i) for layer, i in VGG.items()})


def vgg16_names() -> dict[str, str]:
    """Our name -> torchvision's `vgg16`, where fc6 and fc7 are fully connected."""
    layers = {layer: f"features.{i}" for layer, i in VGG.items() if i <= 28}
    return _tensors(layers | {"fc6": "classifier.0", "fc7": "classifier.3"})


def linzaer_names() -> dict[str, str]:
    """Our name -> that of Linzaer's slim face detector, for all tensors but the counters."""
    names = {"block0_conv.weight": "base_net.0.0.weight"} | _norm("block0", "base_net.0.1")
    for i in range(1, 13):
        names |= {f"block{i}_dw.weight": f"base_net.{i}.0.weight"}
        names |= _norm(f"block{i}_dw_bn", f"base_net.{i}.1")
        names |= {f"block{i}_pw.weight": f"base_net.{i}.3.weight"}
        names |= _norm(f"block{i}", f"base_net.{i}.4")
    layers = {"extra0_reduce": "extras.0.0", "extra0_dw": "extras.0.2.0", "extra0": "extras.0.2.2"}
    for kind, heads in (("conf", "classification_headers"), ("loc", "regression_headers")):
        for i, name in enumerate(("block7", "block10", "block12")):
            layers[f"{kind}_{name}_dw"] = f"{heads}.{i}.0"
            layers[f"{kind}_{name}"] = f"{heads}.{i}.2"
        layers[f"{kind}_extra0"] = f"{heads}.3"
    return names | _tensors(layers)


def tensorflow_names() -> dict[str, str]:
    """Our name -> that of Google's SSD MobileNet v1 (`detect.tflite`), for its 94 tensors."""
    trunk = "FeatureExtractor/MobilenetV1/"
    layers = {"block0_conv": f"{trunk}MobilenetV1/Conv2d_0/Conv2D_Fold"}
    for i in range(1, 14):
        layers[f"block{i}_dw"] = f"{trunk}MobilenetV1/Conv2d_{i}_depthwise/depthwise_Fold"
        layers[f"block{i}_pw"] = f"{trunk}MobilenetV1/Conv2d_{i}_pointwise/Conv2D_Fold"
    for i, (narrow, wide) in enumerate(((192, 384), (96, 192), (96, 192), (48, 96)), 2):
        extra = f"{trunk}Conv2d_13_pointwise"
        layers[f"extra{i}_1x1"] = f"{extra}_1_Conv2d_{i}_1x1_{narrow}/Conv2D_Fold"
        layers[f"extra{i}_3x3"] = f"{extra}_2_Conv2d_{i}_3x3_s2_{wide}/Conv2D_Fold"
    maps = ("block11_pw", "block13_pw", *(f"extra{i}_3x3" for i in (2, 3, 4, 5)))
    for i, name in enumerate(maps):
        layers[f"conf_{name}"] = f"BoxPredictor_{i}/ClassPredictor/Conv2D"
        layers[f"loc_{name}"] = f"BoxPredictor_{i}/BoxEncodingPredictor/Conv2D"
    names = {}
    for ours, theirs in layers.items():
        layer = theirs.rpartition("/")[0]
        names[f"{ours}.weight"] = f"{layer}/weights_quant/FakeQuantWithMinMaxVars"
        names[f"{ours}.bias"] = f"{theirs}_bias"
    return names


def _norm(ours: str, theirs: str) -> dict[str, str]:
    """The four tensors of a batch normalisation of PyTorch's."""
    parts = {"scale": "weight", "shift": "bias", "mean": "running_mean", "variance": "running_var"}
    return {f"{ours}.{mine}": f"{theirs}.{part}" for mine, part in parts.items()}


def _tensors(layers: dict[str, str]) -> dict[str, str]:
    return {f"{ours}.{part}": f"{theirs}.{part}"
            for ours, theirs in layers.items() for part in ("weight", "bias")}  # fmt: skip


def from_torch_layout(array: np.ndarray) -> np.ndarray:
    """(Co, C, kh, kw) -> (kh, kw, C, Co), (C, 1, kh, kw) -> (kh, kw, C); a vector stays."""
    array = as_array(array, "array")
    if array.ndim != 4:
        return array
    depthwise = array.shape[1] == 1
    return array[:, 0].transpose(1, 2, 0) if depthwise else array.transpose(2, 3, 1, 0)


def to_torch_layout(array: np.ndarray) -> np.ndarray:
    """The inverse of `from_torch_layout`."""
    array = as_array(array, "array")
    if array.ndim == 3:
        return array.transpose(2, 0, 1)[:, None]
    return array.transpose(3, 2, 0, 1) if array.ndim == 4 else array


def from_tensorflow_layout(array: np.ndarray) -> np.ndarray:
    """(Co, kh, kw, C) -> (kh, kw, C, Co), (1, kh, kw, C) -> (kh, kw, C); a vector stays."""
    array = as_array(array, "array")
    if array.ndim != 4:
        return array
    return array[0] if len(array) == 1 else array.transpose(1, 2, 3, 0)


def to_tensorflow_layout(array: np.ndarray) -> np.ndarray:
    """The inverse of `from_tensorflow_layout`."""
    array = as_array(array, "array")
    if array.ndim == 3:
        return array[None]
    return array.transpose(3, 0, 1, 2) if array.ndim == 4 else array


@dataclass(frozen=True)
class Maker:
    """Who published files of one kind, and what holds for them.

    name       of the dialect
    network    what they call it
    mark       a tensor by which such a file is known
    preset     the network, where no config is given
    names      our names -> theirs
    offsets    where our dx, dy, dw, dh stand among their four offsets
    folded     whether convolutions hold their batch normalisation already
    sizes      (height, width) of inputs that its files may be for; they do not tell, if any
    licence    of what they published, where one is known to hold for the weights
    """

    name: str
    network: str
    mark: str
    preset: str
    names: Callable[[], dict[str, str]]
    from_layout: Callable[[np.ndarray], np.ndarray] = from_torch_layout
    to_layout: Callable[[np.ndarray], np.ndarray] = to_torch_layout
    offsets: tuple[int, ...] = (0, 1, 2, 3)
    folded: bool = False
    sizes: tuple[tuple[int, int], ...] = ()
    licence: str = ""


TENSORFLOW = Maker(
    "tensorflow", "SSD MobileNet v1", next(iter(tensorflow_names().values())), "mobilenet_coco",
    tensorflow_names,
    from_tensorflow_layout, to_tensorflow_layout, offsets=(1, 0, 3, 2), folded=True,
    licence="Apache 2.0",
)  # fmt: skip
LINZAER = Maker(
    "linzaer", "slim face detector", "base_net.0.0.weight", "slim", linzaer_names,
    sizes=((96, 128), (120, 160), (240, 320), (360, 480), (480, 640), (960, 1280)),
    licence="MIT",
)  # fmt: skip
MAKERS = (
    Maker("torchvision", "SSD300", "backbone.features.0.weight", "ssd300_coco", torchvision_names),
    Maker("amdegroot", "SSD300", "vgg.0.weight", "ssd300_voc", amdegroot_names),
    LINZAER,
    TENSORFLOW,
)


@checked
def maker_of(tensors: Iterable[str]) -> Maker | None:
    """Who made a file with tensors of these names."""
    return next((maker for maker in MAKERS if maker.mark in tensors), None)


@checked
def check_no_branches(names: Iterable[str], where: str) -> None:
    """WeightsError for the RFB variant of Linzaer's network, whatever else is asked of it."""
    branch = next((name for name in names if ".branch0." in name), None)
    if branch:
        what = f"is the RFB variant: {branch} is one of several branches that are joined again, "
        what += "and a config here is a chain of layers"
        raise WeightsError(what, where, "the slim variant of the same author is read")


@checked
def from_published(arrays: Arrays, maker: Maker, model: SSD, where: str) -> Arrays:
    """The model's tensors out of a file's, or WeightsError by the file's own names."""
    names = maker.names()
    _check_layers(names, model, maker)
    # how many batches PyTorch's running statistics have seen decides nothing
    there = {name for name in arrays if not name.endswith(".num_batches_tracked")}
    missing, surplus = set(names.values()) - there, there - set(names.values())
    if missing or surplus:
        hint = f"expected the {maker.network} as {maker.name} published it"
        raise WeightsError(f"missing tensors: {few(missing)}; surplus: {few(surplus)}", where, hint)
    for ours, theirs in names.items():
        found = arrays[theirs].shape
        expected = maker.to_layout(model.parameters[ours].value).shape
        if found != expected:
            what = f"shape {found}, config {model.config.name!r} has {expected}"
            raise WeightsError(what, f"{where}: {theirs}", _why(ours, found, expected, model))
    tensors = {ours: maker.from_layout(arrays[theirs]) for ours, theirs in names.items()}
    return _reordered(tensors, maker)


@checked
def to_published(maker: Maker, model: SSD) -> Arrays:
    """The model's tensors under published names, in the maker's layout."""
    names = maker.names()
    _check_layers(names, model, maker)
    tensors = _reordered({ours: model.parameters[ours].value for ours in names}, maker)
    laid = {ours: maker.to_layout(tensor) for ours, tensor in tensors.items()}
    return {theirs: np.ascontiguousarray(laid[ours]) for ours, theirs in names.items()}


def _reordered(tensors: Arrays, maker: Maker) -> Arrays:
    """The offsets of each box in the other's order: an order that is its own inverse."""

    def other(array: np.ndarray) -> np.ndarray:
        return array.reshape(*array.shape[:-1], -1, 4)[..., maker.offsets].reshape(array.shape)

    return {name: other(array) if name.startswith("loc_") else array
            for name, array in tensors.items()}  # fmt: skip


@checked
def few(names: Iterable[str]) -> str:
    """The first of the names, and how many there are."""
    first = sorted(names)
    more = f" and {len(first) - 2} more" if len(first) > 2 else ""
    return f"{first[:2]}{more}" if first else "none"


def _check_layers(names: dict[str, str], model: SSD, maker: Maker) -> None:
    heads = ("conf_", "loc_")  # named last: they differ where the maps before them do
    different = sorted(names.keys() ^ model.parameters.keys())
    different.sort(key=lambda name: name.startswith(heads))
    if different:
        first = ", ".join(different[:3]) + (", ..." if len(different) > 3 else "")
        what = f"config {model.config.name!r} is not the published {maker.network}: they differ in "
        hint = f"only configs with the layers of {maker.preset} have these names"
        raise WeightsError(f"{what}{len(different)} tensors: {first}", hint=hint)


def _why(ours: str, found: tuple[int, ...], expected: tuple[int, ...], model: SSD) -> str:
    """What a wrong shape means: mostly another number of classes."""
    if ours.startswith("conf_") and len(found) == len(expected) and found[1:] == expected[1:]:
        classes = model.config.num_classes + 1
        theirs = found[0] * classes / expected[0]
        return f"the file has {theirs:g} classes with the background, the config {classes}"
    return "the file does not belong to this config"
