"""A base that was trained before: SSD starts from a classification network (paper, section 3).

VGG-16 ends in fully connected layers: fc6 is a 7x7 kernel over 512 channels with 4,096 outputs, fc7
a 1x1 kernel from 4,096 to 4,096. SSD makes convolutions of them, thinned out ("subsample parameters
from fc6 and fc7"): every fourth output, and every third tap of the kernel, which fc6's dilation
then spreads over the old window again:

    fc6  (4096, 512, 7, 7) -> (1024, 512, 3, 3)      fc7  (4096, 4096, 1, 1) -> (1024, 1024, 1, 1)

A base expects images normalised as those it was trained on, so reading one gives a config too.
"""

import dataclasses
from pathlib import Path

import numpy as np

from ssd_np.checks import as_array, check_shape
from ssd_np.config import Config, config_to_json, load_config
from ssd_np.dialects import IMAGENET_MEAN, IMAGENET_STD
from ssd_np.errors import ShapeError, WeightsError
from ssd_np.kinds.conv import ConvLayer
from ssd_np.model.about import BASE, About, about
from ssd_np.model.archive import write_archive
from ssd_np.model.grey import sum_colours
from ssd_np.model.own_layers import kinds_of
from ssd_np.model.provenance import Provenance, written
from ssd_np.model.published import (
    LINZAER,
    amdegroot_names,
    few,
    from_torch_layout,
    reducedfc_names,
    torchvision_names,
    vgg16_names,
)
from ssd_np.model.ssd import SSD
from ssd_np.model.tflite_detector import load_tflite
from ssd_np.model.tflite_file import is_tflite
from ssd_np.model.trace import tensors
from ssd_np.model.weights import load_torch, set_parameters
from ssd_np.model.weights_file import Arrays
from ssd_np.signatures import checked


@checked
def read_base(
    file: About | str | Path, config: Config, whole: bool = False
) -> tuple[Config, Arrays]:
    """The tensors of a base by our names, and `config` with the mean and scale they expect. The
    file may have been read already (`about`).

    Understands what `save_base` and `model.weights.save` wrote (of a whole detector, its base is
    taken; with `whole` the layers behind it, too), `vgg16_reducedfc.pth`, torchvision's `vgg16`,
    and the SSD300 files of torchvision and amdegroot; of Linzaer's and Google's detectors the extra
    layers come along. torchvision also offers a `vgg16` whose features alone mean something; fc6
    and fc7 are then left out. For a `config` of one channel the colours' kernels are summed.
    """
    found = file if isinstance(file, About) else about(file, kinds_of(config))
    arrays, mean, std = _read(found, config, whole)
    given = dataclasses.replace(config.input, mean=mean, std=std)
    config = dataclasses.replace(config, input=given)
    if len(mean) > given.channels:
        colour = dataclasses.replace(given, mean=mean, std=std, channels=3)
        arrays = sum_colours(arrays, config, colour)
    return config, arrays


def network_of(file: About | str | Path) -> Config:
    """A config with the layers that a base has: its own, or a preset's."""
    found = file if isinstance(file, About) else about(file)
    if found.config is not None:
        return found.config
    preset = LINZAER.preset if found.maker is LINZAER else "ssd300_voc"
    config = load_config("small" if is_tflite(found.file) else preset)  # small grew out of it
    read_base(found, config)  # a file of something else is refused before anything is made for it
    return config


def _read(
    found: About, config: Config, whole: bool
) -> tuple[Arrays, tuple[float, ...], tuple[float, ...]]:
    """The tensors of a base by our names, and the mean and scale they expect."""
    where, arrays = found.file, found.arrays
    if found.config is not None and found.maker is None:
        # a file of a base alone may go on beyond it, as the published detectors do
        wanted = trunk_names(config, whole or found.kind == BASE)
        theirs = found.config.input
        return {n: arrays[n] for n in wanted if n in arrays}, theirs.mean, theirs.std
    if is_tflite(where):
        return _trunk(load_tflite(where), config, where)
    if found.maker is LINZAER:  # the weights are the same for every size
        return _trunk(load_torch(where, size=LINZAER.sizes[0]), config, where)
    mean: tuple[float, ...] = (123.0, 117.0, 104.0)  # of every VGG that grew up in Caffe
    std: tuple[float, ...] = (1.0, 1.0, 1.0)
    if "classifier.0.weight" in arrays or "features.0.weight" in arrays:
        arrays, names = _thin_out(arrays, config, where), vgg16_names()
        if names["fc6.weight"] in arrays:
            mean, std = IMAGENET_MEAN, IMAGENET_STD
    elif "backbone.features.0.weight" in arrays:
        names = torchvision_names()
    elif "vgg.0.weight" in arrays:
        names = amdegroot_names()
    elif "0.weight" in arrays:
        names = reducedfc_names()
    else:
        hint = "expected torchvision's vgg16, vgg16_reducedfc.pth, or an .npz of ssd-np pretrain"
        raise WeightsError(f"no base known to have tensors {list(arrays)[:3]} ...", where, hint)
    wanted = [name for name in base_names(config) if name in names]
    base = {n: from_torch_layout(arrays[names[n]]) for n in wanted if names[n] in arrays}
    return base, mean, std


def _trunk(
    model: SSD, config: Config, where: str
) -> tuple[Arrays, tuple[float, ...], tuple[float, ...]]:
    """What `config` has of a published detector's layers, base and extra ones."""
    trunk = {layer.name for layer in config.layers}
    names = [name for name in model.parameters if name.rpartition(".")[0] in trunk]
    arrays, shapes = {name: model.parameters[name].value for name in names}, tensors(config)
    if not arrays or any(array.shape != shapes.get(name) for name, array in arrays.items()):
        what = "has other layers of the names" if arrays else "has no layer"
        hint = f"train with --config {model.config.name}"
        raise WeightsError(f"{what} that config {config.name!r} has", where, hint)
    return arrays, model.config.input.mean, model.config.input.std


@checked
def set_base(model: SSD, base: Arrays, where: str) -> list[str]:
    """Copies a base into the model; returns the layers that the file lacks, from the last on.

    The layers of a base are learned one on the other, so that only its end may be missing (VGG-16
    without a classifier has no fc6 and fc7). Raises WeightsError for a gap or a wrong shape.
    """
    names = base_names(model.config)
    missing = [name for name in names if name not in base]
    if names[0] in missing or missing != names[len(names) - len(missing) :]:
        hint = f"the base of config {model.config.name!r} is {names[0]} ... {names[-1]}"
        raise WeightsError(f"missing tensors of the base: {few(missing)}", where, hint)
    kept = {name: p.value for name, p in model.parameters.items() if name not in base}
    set_parameters(model, base | kept, where)
    return [name.removesuffix(".weight") for name in missing if name.endswith(".weight")]


@checked
def save_base(
    path: str | Path,
    config: Config,
    arrays: Arrays,
    eight_bits: bool = False,
    provenance: Provenance = (),
) -> None:
    """Writes the tensors of a base, and of layers behind it; `eight_bits`: a quarter as large."""
    header = {"config": config_to_json(config), "base": True, "provenance": written(provenance)}
    write_archive(path, header, arrays, eight_bits=eight_bits)


@checked
def base_names(config: Config) -> list[str]:
    """Names of the base's tensors, from the image on."""
    return trunk_names(config, whole=False)


@checked
def trunk_names(config: Config, whole: bool = True) -> list[str]:
    """Names of the tensors of all layers but the heads, or of those of the base."""
    names: list[str] = []
    for place in config.walk():
        names += place.tensors()
        if place.layer.name == config.base_end and not whole:
            break
    return names


def decimate(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Every m-th entry along each axis, m = ceil(size before / size after).

    >>> decimate(np.arange(49).reshape(7, 7), (3, 3)).tolist()
    [[0, 3, 6], [21, 24, 27], [42, 45, 48]]
    """
    array = as_array(array, "array")
    check_shape(shape, "the sizes after")
    if len(shape) != array.ndim or 0 in array.shape:
        raise ShapeError(f"array has shape {array.shape}, shape is {shape}", hint="as many axes")
    steps = (-(-before // after) for before, after in zip(array.shape, shape, strict=True))
    return array[tuple(slice(None, None, step) for step in steps)]


def _thin_out(arrays: Arrays, config: Config, where: str) -> Arrays:
    """torchvision's vgg16 with its classifier made into convolutions, or without it."""
    features = {n: a for n, a in arrays.items() if n.startswith("features.")}
    layers = {layer.name: layer for layer in config.layers if isinstance(layer, ConvLayer)}
    classifier = {n: a for n, a in arrays.items() if n.startswith(("classifier.0", "classifier.3"))}
    if not classifier or not all(np.isfinite(a).all() for a in classifier.values()):
        return features  # torchvision fills the classifier it does not have with NaN
    if len(classifier) != 4 or not {"conv5_3", "fc6", "fc7"} <= layers.keys():
        raise WeightsError("its classifier does not fit a base with fc6 and fc7", where=where)
    channels = layers["conv5_3"].channels
    six, seven, rows = layers["fc6"], layers["fc7"], classifier["classifier.3.weight"].shape[:1]
    parts = {  # the classifier sees the 7x7 map channel by channel
        "classifier.0.weight": ((-1, channels, 7, 7), (channels, six.kernel, six.kernel), six),
        "classifier.0.bias": ((-1,), (), six),
        "classifier.3.weight": ((*rows, -1, 1, 1), (six.channels, 1, 1), seven),
        "classifier.3.bias": ((-1,), (), seven),
    }
    for name, (before, after, layer) in parts.items():
        array = classifier[name]
        try:
            if array.ndim != min(2, len(before)):
                raise ValueError(f"expected {min(2, len(before))} axes")
            features[name] = decimate(array.reshape(before), (layer.channels, *after))
        except ValueError as error:
            raise WeightsError(
                f"shape {array.shape} is no 7x7 map of {channels} channels, nor of a layer above "
                f"one: {error}",
                where=f"{where}: {name}",
            ) from error
    return features
