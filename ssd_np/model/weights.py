"""Weights in and out: an `.npz` file that carries the config and the class names with the tensors.

The file alone is enough to detect: it says how images are resized and normalised, how the network
is built, what its boxes are and what its classes are called.

Published PyTorch files carry none of that. `load_torch` knows from the names of their tensors who
made them, and gives the config that implementation's choices (`ssd_np/dialects.py`).
"""

import dataclasses
import json
import math
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ssd_np.checks import check_kind
from ssd_np.config import Config, InputConfig, config_from_json, config_to_json, load_config, sized
from ssd_np.config_json import differences
from ssd_np.dialects import in_dialect
from ssd_np.errors import ConfigError, SsdError, WeightsError
from ssd_np.files import as_path
from ssd_np.kinds.kind import LayerKind
from ssd_np.model.archive import read_archive, read_arrays_and_comment, write_archive, write_npz
from ssd_np.model.budget import check_budget
from ssd_np.model.class_heads import with_other_classes
from ssd_np.model.fold import fold_batchnorm, folded_config, unfolded
from ssd_np.model.grey import grey_model
from ssd_np.model.own_layers import check_described, kinds_of
from ssd_np.model.provenance import imported, provenance_in, written
from ssd_np.model.published import (
    MAKERS,
    Maker,
    check_no_branches,
    few,
    from_published,
    maker_of,
    to_published,
)
from ssd_np.model.ssd import SSD
from ssd_np.model.torch_file import read_torch
from ssd_np.model.trace import tensors
from ssd_np.model.weights_file import Arrays
from ssd_np.nn.init import Zeros
from ssd_np.signatures import checked

MOST_COMMENT = 65_535  # bytes of a zip archive's comment
MAX_GROWTH = 2  # numbers a file's config may ask for / numbers that the file has for it
SHIPPED = Path(__file__).parent.parent / "weights"
BASE = SHIPPED / "base.npz"  # of the preset `small`, see docs/base.py


def save(path: str | Path, model: SSD) -> None:
    """Writes the model's config and parameters to an `.npz` file, all or nothing.

    Raises ConfigError for layers that the file could not tell of (`check_described`).
    """
    write_archive(path, *contents_of(model))


def contents_of(model: SSD) -> tuple[dict[str, Any], Arrays]:
    """The header of a model's file, and its arrays."""
    check_kind(model, SSD, "model")
    check_described(model, model.own_layers)
    header: dict[str, Any] = {"config": config_to_json(model.config)}
    if own := model.undescribed():
        header["own_layers"] = own
    if model.provenance:
        header["provenance"] = written(model.provenance)
    return header, {name: parameter.value for name, parameter in model.parameters.items()}


def load(
    path: str | Path,
    replace_heads: Sequence[str] | None = None,
    kinds: Iterable[type[LayerKind]] = (),
    into: SSD | None = None,
) -> SSD:
    """A model from a file that `save` wrote, or from the name of one that comes with the package.

    `replace_heads`: names of other classes, to fine-tune for; of those that it knows by name
    already everything is kept (`class_heads.py`).
    `kinds`: layers of your own that the file's config names, see `kinds/kind.py`.
    `into`: a model that you built, with layers of your own; it gets the weights and is returned.

    >>> load("shapes").config.class_names
    ('circle', 'square', 'triangle', 'star', 'cross')
    """
    if isinstance(replace_heads, str):
        raise ConfigError(f"replace_heads is {replace_heads!r}", hint="expected a list of names")
    path = locate(path)
    header, arrays = read_archive(path)
    # a training's checkpoint is a weights file with the optimiser's arrays beside
    surplus = set(optimiser_arrays(header, arrays, str(path)))
    arrays = {name: array for name, array in arrays.items() if name not in surplus}
    if header.get("base"):
        hint = "train from it: ssd-np train --base-weights FILE"
        raise WeightsError("holds a pretrained base, not a detector", str(path), hint)
    if into is not None and replace_heads is not None:
        raise ConfigError("replace_heads makes a model, into= fills one", hint="leave one out")
    config = config_of(header, str(path), (*kinds, *kinds_of(into.config)) if into else kinds)
    check_own_layers(header, into, str(path))
    if into is None:
        _check_size(config, arrays, str(path))
        check_budget(config, str(path))
    model = into or SSD(config, Zeros())
    check_same_network(config, model, str(path))
    provenance = provenance_in(header, str(path))
    set_parameters(model, arrays, str(path))
    model.provenance = provenance
    return model if replace_heads is None else with_other_classes(model, replace_heads)


@checked
def check_same_network(config: Config, model: SSD, where: str) -> None:
    """WeightsError unless a file's tensors mean in the model what they meant where it was saved."""
    for key, theirs, ours in differences(config, model.config):
        if not key.startswith(("name", "training", "augmentation", "decoding")):
            raise WeightsError(f"has {key} {theirs!r}, the model {ours!r}", where)


@checked
def check_own_layers(header: dict, model: SSD | None, where: str) -> None:
    """WeightsError unless the model has the layers of which the file's config does not tell."""
    own, has = header.get("own_layers", {}), model.undescribed() if model else {}
    if own != has:
        what = f"was saved with layers that its config does not describe: {own}; this model has "
        what += str(has or "none")
        raise WeightsError(what, where, "build that model and load(path, into=model)")


def _check_size(
    config: Config, arrays: Arrays, where: str, names: dict[str, str] | None = None
) -> None:
    """Refuses a file's own config before a network of absurd size is built. Only numbers that the
    config names count; `names` says what they are called in the file."""
    shapes = tensors(config)
    called = [name if names is None else names.get(name, "") for name in shapes]
    found = [arrays[name] for name in called if name in arrays]
    there = sum(array.size for array in found if array.dtype.kind == "f")
    needed = sum(math.prod(shape) for shape in shapes.values())
    if needed > MAX_GROWTH * there:
        hint = "the file does not belong to this config"
        raise WeightsError(f"holds {there:,} numbers, its config needs {needed:,}", where, hint)


@checked
def config_of(header: dict, where: str, kinds: Iterable[type[LayerKind]] = ()) -> Config:
    """The config in the header of a file."""
    text = header.get("config")
    if not isinstance(text, str):
        raise WeightsError("carries no config", where=where)
    try:
        return config_from_json(text, kinds=kinds)
    except SsdError as error:
        raise WeightsError(f"its config is refused: {error}", where=where) from error


@checked
def optimiser_arrays(header: dict, arrays: Iterable[str], where: str) -> list[str]:
    """The names of the arrays that belong to training only."""
    if "progress" in header and "optimiser" not in header:  # version 0.1 knew one optimiser
        return [name for name in arrays if name.startswith("velocity/")]
    names = header.get("optimiser", [])
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise WeightsError(f"its optimiser is {names!r}", where, "expected names of arrays")
    return names


@checked
def set_parameters(model: SSD, arrays: Arrays, where: str) -> None:
    """Copies `arrays` into the model; every tensor must be there, fit, and have a place."""
    check_parameters(model, arrays, where)
    for name, parameter in model.parameters.items():
        parameter.assign(arrays[name])


@checked
def check_parameters(model: SSD, arrays: Arrays, where: str) -> None:
    """WeightsError unless every tensor of the model is there, fits, and has a place."""
    parameters = model.parameters
    missing, surplus = parameters.keys() - arrays.keys(), arrays.keys() - parameters.keys()
    if missing or surplus:
        hint = "the file does not belong to this config"
        raise WeightsError(f"missing tensors: {few(missing)}; surplus: {few(surplus)}", where, hint)
    for name, parameter in parameters.items():
        array = arrays[name]
        own = parameter.value
        if array.shape != own.shape or array.dtype.kind != "f":
            what = f"shape {array.shape} {array.dtype}, the network has {own.shape} {own.dtype}"
            raise WeightsError(what, f"{where}: {name}")
        with np.errstate(over="ignore"):  # also what float32 can not hold
            finite = np.isfinite(array.astype(own.dtype, copy=False)).all()
        if not finite:
            hint = "take the weights of an earlier step"
            raise WeightsError("holds numbers that are not finite", f"{where}: {name}", hint)


# --- published files -----------------------------------------------------------------------------


def load_torch(
    path: str | Path,
    config: Config | None = None,
    class_names: Sequence[str] | None = None,
    size: tuple[int, int] | None = None,
) -> SSD:
    """A model from a file of torchvision, amdegroot or Linzaer, read without PyTorch.

    `config` says what the network is; its choices are replaced by those of whoever made the file:
    mean, clip rules, and so on (`ssd_np.dialects`). Left out, it is the maker's preset. A file of
    `export` carries its own config, which a given one replaces as it is. `class_names`: of the
    file's classes, where they are not the preset's. `size`: (height, width) of the input, which
    Linzaer's files do not tell. Raises WeightsError naming missing, surplus and misshapen tensors
    by the file's own names. For a `config` of one channel its first kernel is summed over the
    colours (model/grey.py).
    """
    where = str(path)
    header, arrays = read_export(path) if where.endswith(".npz") else ({}, read_torch(path))
    own, told = config_of(header, where) if header else None, provenance_in(header, where)
    maker = maker_of(arrays)
    if maker is None:
        raise WeightsError(
            f"its tensors {list(arrays)[:3]} ... are named neither as torchvision's ssd300_vgg16 "
            "nor as amdegroot's SSD300 nor as Linzaer's slim face detector",
            where=where,
            hint="a classification network is a base: ssd-np train --base-weights FILE",
        )
    check_no_branches(arrays, where)
    if config and config.input.channels == 1:
        colour = own.input if own else InputConfig(config.input.size)
        config = dataclasses.replace(config, input=colour)
        return grey_model(load_torch(path, config, class_names, size))
    if own is None:
        if maker.sizes and config is None and size is None:
            what = "does not tell for which input size it was trained: its names and shapes are "
            hint = "say it: --size 320x240 for version-slim-320.pth, --size 640x480 for -640.pth"
            raise WeightsError(f"{what}the same for every size", where, hint)
        config = in_dialect(config or load_config(maker.preset), maker.name)
        if class_names is not None:
            config = config.with_classes(class_names)
    elif config is None:
        folded = folded_config(own) if maker.folded else own
        _check_size(folded, arrays, where, maker.names())
        check_budget(own, where)
        config = own
    if size is not None:
        known = maker.sizes or (config.input.shape,)
        if size not in known:
            sizes = ", ".join(f"{width}x{height}" for height, width in known)
            what = f"can not be for an input of {size[1]}x{size[0]} pixels"
            hint = "width first; of a network that was trained at another size, give a --config"
            theirs = f"{maker.name}'s {maker.network} is for {sizes}"
            raise WeightsError(f"{what}: {theirs}", where, hint)
        config = sized(config, size)
    model = from_maker(arrays, maker, config, where)
    model.provenance = told or (imported(path, maker.name, maker.licence),)
    return model


@checked
def from_maker(arrays: Arrays, maker: Maker, config: Config, where: str) -> SSD:
    """The model of `config` with a file's tensors; what the file has folded is unfolded."""
    model = SSD(folded_config(config) if maker.folded else config)
    set_parameters(model, from_published(arrays, maker, model, where), where)
    return unfolded(model, config) if maker.folded else model


def export_torchvision(path: str | Path, model: SSD) -> None:
    """Writes the weights under the names and in the layout of torchvision's `ssd300_vgg16`."""
    export(path, model, "torchvision")


def export(path: str | Path, model: SSD, to: str) -> None:
    """Writes the weights under the names and in the layout of a maker's files.

    An `.npz` file that `numpy.load` reads; the config travels in the zip archive's comment. Raises
    WeightsError for a network that the maker does not have.
    """
    check_described(model)
    maker = next((maker for maker in MAKERS if maker.name == to), None)
    if maker is None:
        names = ", ".join(maker.name for maker in MAKERS)
        raise ConfigError(f"to is {to!r}"[:80], hint=f"a maker of files: {names}")
    other = [kind.__name__ for kind in kinds_of(model.config)]
    arrays = to_published(maker, fold_batchnorm(model) if maker.folded else model)
    if other:
        what = f"config {model.config.name!r} has layers of kinds that {to} does not know"
        raise WeightsError(f"{what}: {', '.join(other)}")
    if model.config.input.channels != 3:
        raise WeightsError(f"config {model.config.name!r} sees grey images, {to} colours")
    sees = load_config(maker.preset).input.shape
    if not maker.sizes and model.config.input.shape != sees:
        (height, width), (rows, columns) = model.config.input.shape, sees
        what = f"config {model.config.name!r} sees images of {width} x {height} pixels"
        theirs = f"{to}'s {maker.network} sees {columns} x {rows}"
        raise WeightsError(what, hint=f"{theirs} and would scale them without a word")
    write_npz(path, arrays, _comment_of(model))


def _comment_of(model: SSD) -> bytes:
    """The config and, behind a zero, as much of the provenance as a zip's comment has room for."""
    config, origins = config_to_json(model.config).encode(), written(model.provenance)
    while origins and len(config) + len(json.dumps(origins)) >= MOST_COMMENT:
        origins.pop()
    return config + b"\0" + json.dumps(origins).encode() if origins else config


def read_export(path: str | Path) -> tuple[dict[str, Any], Arrays]:
    """What the comment tells, as a header; empty without one. And the arrays."""
    arrays, comment = read_arrays_and_comment(path)
    config, _, origins = comment.decode("utf-8", "replace").partition("\0")
    try:
        header = {"config": config, "provenance": json.loads(origins or "[]")}
    except (ValueError, RecursionError) as error:
        raise WeightsError(f"has a damaged comment ({error})", where=str(path)) from error
    return header if comment else {}, arrays


def locate(name_or_path: str | Path) -> Path:
    """The file of shipped weights for a name such as "blood_cells", else the path itself."""
    name_or_path = as_path(name_or_path)
    shipped = SHIPPED / f"{name_or_path}.npz"
    path = shipped if os.path.isfile(shipped) else name_or_path
    if not os.path.isfile(path):
        names = ", ".join(sorted(p.stem for p in SHIPPED.glob("*.npz"))) or "none"
        raise WeightsError("no such weights file", str(path), f"with the package come: {names}")
    return path
