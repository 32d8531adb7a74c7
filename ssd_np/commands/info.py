"""`ssd-np info`: what a file of weights says of itself, and where it comes from."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from ssd_np.commands import options as kinds
from ssd_np.files import json_text
from ssd_np.terminal import say

if TYPE_CHECKING:
    from ssd_np.model.about import About

HELP = "say what a file of weights knows, and where it comes from"
EXAMPLE = "ssd-np info blood_cells"
SHOWN = 20  # class names


def options(parser: argparse.ArgumentParser) -> None:
    file = ".npz, published .pth or .tflite, or shapes or blood_cells"
    parser.add_argument("weights", metavar="WEIGHTS", type=kinds.Input, help=file)
    kinds.add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Prints what is known, newest training first."""
    from ssd_np.model.about import about

    found = about(arguments.weights)
    if arguments.json:
        say(json_text({"file": arguments.weights, **found.as_dict()}))
        return 0
    say(f"{arguments.weights}: {found.kind}")
    for name, text in _lines(found).items():
        say(f"{name:11} {text}")
    for origin in found.provenance:
        say("\n".join(origin.lines()))
    if not found.provenance:
        say("provenance  none: the file does not tell how it was made")
    return 0


def _lines(found: About) -> dict[str, str]:
    """What to call it, and what the file says, in the order to print."""
    told, lines = found.as_dict(), {}
    size, names = told["input"], told["class_names"] or []
    config = told["config"] or "none in the file"
    if layers := told["layers"]:
        lines["layers"] = f"{len(layers)} of the network {config}, {layers[0]} to {layers[-1]}"
    else:
        lines["config"] = config + (f", {size['width']} x {size['height']} pixels" if size else "")
        if told["boxes"]:
            lines["boxes"] = f"{told['boxes']:,} default boxes"
        count = "not told" if told["classes"] is None else f"{told['classes']:,}"
        more = ", ..." if len(names) > SHOWN else ""
        lines["classes"] = count + (f": {', '.join(names[:SHOWN])}{more}" if names else "")
    lines["parameters"] = f"{told['parameters']:,} in {len(found.arrays)} arrays"
    if told["show_threshold"] is not None:
        show, evaluate = told["show_threshold"], told["score_threshold"]
        lines["thresholds"] = (
            f"shows scores of at least {show:g}, evaluates those above {evaluate:g}"
        )
    if not found.provenance and told["licence"]:
        lines["licence"] = told["licence"]
    return lines
