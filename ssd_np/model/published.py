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
PyTorch's kernels are (Co, C, kh, kw); here they are (kh, kw, C, Co). Head channels run the same
way in all three: channel a * K + k belongs to box a of the cell and class k.
"""

from __future__ import annotations

import numpy as np

from ssd_np.errors import WeightsError
from ssd_np.model.ssd import SSD

# places of VGG-16's convolutions in torchvision's `features` and in amdegroot's `vgg`
VGG = {
    "conv1_1": 0,
    "conv1_2": 2,
    "conv2_1": 5,
    "conv2_2": 7,
    "conv3_1": 10,
    "conv3_2": 12,
    "conv3_3": 14,
    "conv4_1": 17,
    "conv4_2": 19,
    "conv4_3": 21,
    "conv5_1": 24,
    "conv5_2": 26,
    "conv5_3": 28,
    "fc6": 31,
    "fc7": 33,
}
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


def _tensors(layers: dict[str, str]) -> dict[str, str]:
    return {f"{ours}.{part}": f"{theirs}.{part}"
            for ours, theirs in layers.items() for part in ("weight", "bias")}  # fmt: skip


def from_torch_layout(array: np.ndarray) -> np.ndarray:
    """(Co, C, kh, kw) -> (kh, kw, C, Co); a vector stays as it is."""
    return array.transpose(2, 3, 1, 0) if array.ndim == 4 else array


def to_torch_layout(array: np.ndarray) -> np.ndarray:
    """(kh, kw, C, Co) -> (Co, C, kh, kw); a vector stays as it is."""
    return array.transpose(3, 2, 0, 1) if array.ndim == 4 else array


def from_published(
    arrays: dict[str, np.ndarray], names: dict[str, str], model: SSD, where: str
) -> dict[str, np.ndarray]:
    """The model's tensors out of a file's, or WeightsError by the file's own names."""
    _check_layers(names, model)
    missing, surplus = set(names.values()) - arrays.keys(), arrays.keys() - set(names.values())
    if missing or surplus:
        raise WeightsError(
            f"missing tensors: {sorted(missing) or 'none'}; surplus: {sorted(surplus) or 'none'}",
            where=where,
        )
    for ours, theirs in names.items():
        found = arrays[theirs].shape
        expected = to_torch_layout(model.parameters[ours].value).shape
        if found != expected:
            raise WeightsError(
                f"shape {found}, config {model.config.name!r} has {expected}",
                where=f"{where}: {theirs}",
                hint=_why(ours, found, expected, model),
            )
    return {ours: from_torch_layout(arrays[theirs]) for ours, theirs in names.items()}


def to_published(names: dict[str, str], model: SSD) -> dict[str, np.ndarray]:
    """The model's tensors under published names, in PyTorch's layout."""
    _check_layers(names, model)
    parameters = model.parameters
    return {theirs: np.ascontiguousarray(to_torch_layout(parameters[ours].value))
            for ours, theirs in names.items()}  # fmt: skip


def _check_layers(names: dict[str, str], model: SSD) -> None:
    heads = ("conf_", "loc_")  # named last: they differ where the maps before them do
    different = sorted(
        names.keys() ^ model.parameters.keys(), key=lambda name: (name.startswith(heads), name)
    )
    if different:
        first = ", ".join(different[:3]) + (", ..." if len(different) > 3 else "")
        raise WeightsError(
            f"config {model.config.name!r} is not the published SSD300: they differ in "
            f"{len(different)} tensors: {first}",
            hint="only ssd300_voc, ssd300_coco and configs with their layers have published names",
        )


def _why(ours: str, found: tuple[int, ...], expected: tuple[int, ...], model: SSD) -> str:
    """What a wrong shape means: mostly another number of classes."""
    if ours.startswith("conf_") and len(found) == len(expected) and found[1:] == expected[1:]:
        classes = model.config.num_classes + 1
        theirs = found[0] * classes / expected[0]
        return f"the file has {theirs:g} classes with the background, the config {classes}"
    return "the file does not belong to this config"
