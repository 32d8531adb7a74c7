"""`ssd-np bench`: how fast it is on this machine, and beside PyTorch and ONNX Runtime."""

import argparse
import os

from ssd_np.commands import options as kinds
from ssd_np.files import json_text
from ssd_np.terminal import say

HELP = "measure speed and memory, beside PyTorch and ONNX Runtime where they are installed"
EXAMPLE = "ssd-np bench --network tiny --network small"


def options(parser: argparse.ArgumentParser) -> None:
    # fmt: off
    add = parser.add_argument
    add("what", nargs="?", choices=("networks", "data"), default="networks",
        help="data: the augmentation of a photograph, step by step (default: %(default)s)")
    add("--network", action="append", metavar="CONFIG", type=kinds.Input,
        help="preset or .json file, may be repeated (default: tiny, small and ssd300_voc)")
    add("--rounds", type=kinds.positive, default=9, help="calls whose median counts (default: 9)")
    add("--quick", action="store_true", help="only networks, and of them tiny unless --network")
    add("--threads", type=kinds.positive, help="of all contestants (default: one for each core)")
    kinds.add_json(parser, "tables")


def run(arguments: argparse.Namespace) -> int:
    """Prints tables, or JSON."""
    from ssd_np.bench import report as bench

    if arguments.threads:
        os.environ["SSD_NP_THREADS"] = str(arguments.threads)  # fresh processes see it too
    if arguments.what == "data":
        return _run_data(arguments)
    networks = arguments.network or (["tiny"] if arguments.quick else list(bench.NETWORKS))
    report = bench.benchmark(networks, arguments.rounds, whole=not arguments.quick)
    say(json_text(report) if arguments.json else bench.text(report))
    return 0


def _run_data(arguments: argparse.Namespace) -> int:
    """The augmentation chain of a config, by default the published one."""
    from ssd_np.bench.augmentation import time_chain
    from ssd_np.config import load_config

    for name in arguments.network or ["ssd300_voc"]:
        times = time_chain(load_config(name))
        if arguments.json:
            say(json_text(times.as_dict()))
        else:
            say("\n".join(times.lines()))
    return 0
