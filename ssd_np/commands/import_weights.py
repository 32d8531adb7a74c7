"""`ssd-np import`: a file that somebody else published becomes a weights file of this package."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from ssd_np.commands import options as kinds
from ssd_np.errors import WeightsError
from ssd_np.terminal import counted, say

if TYPE_CHECKING:
    from ssd_np.model.ssd import SSD

HELP = "make a weights file of a published one, without PyTorch or TensorFlow"
EXAMPLE = "ssd-np import version-slim-320.pth faces.npz --classes face --size 320x240"


def options(parser: argparse.ArgumentParser) -> None:
    # fmt: off
    add = parser.add_argument
    add("file", metavar="FILE", type=kinds.Input,
        help=".pth of torchvision, amdegroot or Linzaer, detect.tflite, or export")
    add("out", metavar="OUT", type=kinds.output_file, help=".npz to write")
    add("--config", type=kinds.Input,
        help="preset or .json file (default: the preset of the file's maker)")
    add("--classes", metavar="A,B,...", type=kinds.names,
        help="what the file's classes are called (default: as in the preset)")
    add("--size", metavar="WIDTHxHEIGHT", type=kinds.size,
        help="of the input that Linzaer's network was trained for: its files do not tell")
    add("--labels", metavar="FILE", type=kinds.Input,
        help="list of class names that came with a .tflite file")
    kinds.add_force(parser)


def run(arguments: argparse.Namespace) -> int:
    """Reads the file without running anything of it."""
    from ssd_np.model.provenance import with_command
    from ssd_np.model.weights import save

    model = read(arguments)
    model.provenance = with_command(model.provenance, arguments.line(arguments))
    save(arguments.out, model)
    names = model.config.class_names
    count = sum(p.value.size for p in model.parameters.values() if p.trainable)
    first = ", ".join(names[:5]) + ", ..." * (len(names) > 5)
    classes = counted(len(names), "class", "classes")
    say(f"{model.config.name}: {count:,} parameters, {classes}: {first}")
    say(f"weights: {arguments.out}\nuse: ssd-np detect --weights {arguments.out} photo.jpg")
    return 0


def read(arguments: argparse.Namespace) -> SSD:
    """The model in the file; the options must be those that such a file needs."""
    from ssd_np.config import load_config
    from ssd_np.model.tflite_detector import load_tflite
    from ssd_np.model.tflite_file import is_tflite
    from ssd_np.model.weights import load_torch

    file, config = arguments.file, None
    if arguments.config:
        config = load_config(arguments.config)
    if not is_tflite(file):
        if arguments.labels:
            hint = "names are in the preset, or --classes gives them"
            raise WeightsError("--labels is for .tflite files", file, hint)
        return load_torch(file, config, arguments.classes, arguments.size)
    if arguments.classes or arguments.size:
        raise WeightsError("takes neither --classes nor --size", file, "--labels FILE says more")
    if not arguments.labels:
        hint = "--labels labelmap.txt, the list that came with it"
        raise WeightsError("does not tell what its classes are called", file, hint)
    return load_tflite(file, arguments.labels, config)
