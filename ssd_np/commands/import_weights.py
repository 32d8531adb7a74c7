"""`ssd-np import`: a published PyTorch file becomes a weights file of this package."""

from __future__ import annotations

import argparse

from ssd_np.commands import options as kinds
from ssd_np.terminal import say

HELP = "make a weights file of a published PyTorch file, without PyTorch"
EXAMPLE = "ssd-np import ssd300_vgg16_coco.pth ssd300.npz"


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "file", metavar="FILE", type=kinds.Input, help=".pth of torchvision or amdegroot, or export"
    )
    parser.add_argument("out", metavar="OUT", type=kinds.output_file, help=".npz to write")
    parser.add_argument(
        "--config",
        type=kinds.Input,
        help="preset or .json file (default: ssd300_coco for torchvision's names, ssd300_voc "
        "for amdegroot's)",
    )
    kinds.add_force(parser)


def run(arguments: argparse.Namespace) -> int:
    """Reads the file without PyTorch."""
    from ssd_np.config import load_config
    from ssd_np.model.weights import load_torch, save

    config = load_config(arguments.config) if arguments.config else None
    model = load_torch(arguments.file, config)
    save(arguments.out, model)
    names = model.config.class_names
    count = sum(parameter.value.size for parameter in model.parameters.values())
    say(f"{model.config.name}: {count:,} parameters, {len(names)} classes: "
          f"{', '.join(names[:5])}{', ...' if len(names) > 5 else ''}")  # fmt: skip
    say(f"weights: {arguments.out}\nuse: ssd-np detect --weights {arguments.out} photo.jpg")
    return 0
