"""`ssd-np config`: a config as JSON, its network as a table, or the list of presets."""

from __future__ import annotations

import argparse

from ssd_np.commands.options import Input
from ssd_np.errors import ConfigError
from ssd_np.terminal import say

HELP = "print a config, to read or to start one's own from"
EXAMPLE = "ssd-np config small > mine.json"


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "config", metavar="CONFIG", nargs="?", type=Input,
        help="preset or .json file; without one, the presets",
    )  # fmt: skip
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--trace",
        action="store_true",
        help="print each layer's output, parameters, multiply-adds and receptive field instead",
    )
    what.add_argument(
        "--dialects",
        action="store_true",
        help="print what the published implementations disagree about, and the keys that say so",
    )


def run(arguments: argparse.Namespace) -> int:
    """Prints to stdout."""
    from ssd_np.config import config_to_json, load_config, preset_names
    from ssd_np.dialects import dialect_table
    from ssd_np.model.trace import trace_table

    if arguments.dialects:
        say(dialect_table())
        return 0
    if arguments.config is None:
        if arguments.trace:
            raise ConfigError("which config?", hint="example: ssd-np config ssd300_voc --trace")
        for name in preset_names():
            config = load_config(name)
            height, width = config.input.shape
            say(f"{name:12} {width} x {height} px, {len(config.feature_maps)} feature maps, "
                  f"{config.num_boxes} default boxes, {config.num_classes} classes")  # fmt: skip
        return 0
    config = load_config(arguments.config)
    say(trace_table(config) if arguments.trace else config_to_json(config).rstrip("\n"))
    return 0
