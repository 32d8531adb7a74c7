"""`ssd-np export`: weights for another program, and how to load them there."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from ssd_np.commands import options as kinds
from ssd_np.terminal import say

if TYPE_CHECKING:
    from ssd_np.config import Config

HELP = "write weights for another program, and say how to load them there"
EXAMPLE = "ssd-np export --to torchvision ssd300.npz for_torchvision.npz"
TORCHVISION_SCALES = (0.07, 0.15, 0.33, 0.51, 0.69, 0.87, 1.05)  # SSD300's on COCO


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--to", required=True, choices=tuple(LINES), help="whose names")
    parser.add_argument("weights", metavar="WEIGHTS", type=kinds.Input, help="file to read")
    parser.add_argument("out", metavar="OUT", type=kinds.output_file, help=".npz to write")
    kinds.add_force(parser)


def run(arguments: argparse.Namespace) -> int:
    """Writes the file and prints the Python lines that read it."""
    from ssd_np.model.weights import export, load

    model = load(arguments.weights)
    export(arguments.out, model, arguments.to)
    program, lines = LINES[arguments.to]
    say(f"weights: {arguments.out}\nuse in Python, with {program}:\n")
    say(lines(arguments.out, model.config))
    return 0


def torchvision_lines(path: str, config: Config) -> str:
    """Python lines that make torchvision's ssd300_vgg16 of the file; it takes images in [0, 1]."""
    from ssd_np.config import FeatureMapConfig

    mean, std = (", ".join(f"{v / 255:.10g}" for v in values)
                 for values in (config.input.mean, config.input.std))  # fmt: skip
    lines = [
        "import numpy, torch, torchvision",
        "model = torchvision.models.detection.ssd300_vgg16(weights=None, weights_backbone=None,",
        f"    num_classes={config.num_classes + 1},",
        f"    image_mean=[{mean}],",
        f"    image_std=[{std}])",
        f"arrays = numpy.load({str(path)!r})",
        "model.load_state_dict({name: torch.from_numpy(arrays[name]) for name in arrays.files})",
    ]
    maps = [m for m in config.feature_maps if isinstance(m, FeatureMapConfig)]  # as VGG's are
    sizes = [m.min_size for m in maps] + [maps[-1].max_size]
    scales = [round(size / config.input.shape[0], 6) for size in sizes]
    sizes_clipped = config.boxes.clip == "sizes"
    if scales != list(TORCHVISION_SCALES) or not sizes_clipped:  # what its model comes with
        lines += [
            "from torchvision.models.detection.anchor_utils import DefaultBoxGenerator",
            "model.anchor_generator = DefaultBoxGenerator(",
            f"    {[[int(r) if r == int(r) else r for r in m.aspect_ratios] for m in maps]},",
            f"    scales={scales}, steps={[int(m.steps[0]) for m in maps]},",
            f"    clip={sizes_clipped})",
        ]
    return "\n".join(lines)


def linzaer_lines(path: str, config: Config) -> str:
    """Python lines that load the file into the author's own network."""
    return "\n".join(
        [
            "import numpy, torch",
            "from vision.ssd.config.fd_config import define_img_size",
            f"define_img_size({config.input.shape[1]})",
            "from vision.ssd.mb_tiny_fd import create_mb_tiny_fd",
            f"model = create_mb_tiny_fd({config.num_classes + 1}, is_test=True, device='cpu')",
            f"arrays = numpy.load({str(path)!r})",
            "tensors = {name: torch.from_numpy(arrays[name]) for name in arrays.files}",
            "model.load_state_dict(tensors, strict=False)  # all but the counters of batches",
        ]
    )


def tensorflow_lines(path: str, config: Config) -> str:
    """Python lines that give the arrays: floats in the layouts of TensorFlow Lite."""
    return "\n".join(
        [
            "import numpy",
            f"arrays = numpy.load({str(path)!r})  # by the names of detect.tflite, as floats",
            "kernels = {name: arrays[name] for name in arrays.files if arrays[name].ndim == 4}",
        ]
    )


LINES = {  # to whom: with which programs, and the lines
    "torchvision": ("torch and torchvision", torchvision_lines),
    "linzaer": ("torch and the author's repository", linzaer_lines),
    "tensorflow": ("NumPy", tensorflow_lines),
}
