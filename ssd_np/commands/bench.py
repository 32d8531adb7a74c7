"""`ssd-np bench`: how fast it is on this machine, and beside PyTorch and ONNX Runtime."""

from __future__ import annotations

import argparse
import json
from typing import Any

from ssd_np.bench.networks import ALGORITHMS
from ssd_np.bench.report import NETWORKS, benchmark
from ssd_np.config import load_config
from ssd_np.data.timing import time_chain


def run(arguments: argparse.Namespace) -> int:
    """Prints tables, or JSON."""
    if arguments.what == "data":
        return _run_data(arguments)
    networks = arguments.network or (["tiny"] if arguments.quick else list(NETWORKS))
    report = benchmark(networks, arguments.rounds, whole=not arguments.quick)
    print(json.dumps(report, indent=2) if arguments.json else text(report))
    return 0


def _run_data(arguments: argparse.Namespace) -> int:
    """The augmentation chain of a config, by default the published one."""
    for name in arguments.network or ["ssd300_voc"]:
        times = time_chain(load_config(name))
        if arguments.json:
            print(json.dumps(times.as_dict(), indent=2))
        else:
            print("\n".join(times.lines()))
    return 0


def text(report: dict[str, Any]) -> str:
    """The report as tables."""
    machine = report["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    lines = [
        f"{machine['processor']}, {machine['threads']} threads; {versions}",
        f"at most {machine['gemm_gflop_per_s']:.0f} GFLOP/s (matrix products), "
        f"{machine['copy_gb_per_s']:.1f} GB/s (copying)",
    ]
    for network in report["networks"]:
        for key, what in (("forward", "forward"), ("training_step", "training step")):
            measured = network[key]
            lines += ["", f"{network['network']}, {what}, batch {measured['batch']}"]
            lines += [_contestant(row) for row in measured["times"]]
        lines += _layers(network)
    for key, title, unit in (
        ("steps_milliseconds", "8,732 boxes, 21 classes", "ms"),
        ("start_seconds", "a fresh process", "s"),
        ("forward_memory_mib", "memory of a forward of ssd300_voc above the model", "MiB"),
    ):
        if key in report:
            lines += ["", title]
            lines += [f"  {name:50} {_number(value)} {unit}" for name, value in report[key].items()]
    return "\n".join(lines)


def _contestant(row: dict[str, Any]) -> str:
    ratio = "" if row["ratio"] is None else f"{row['ratio']:8.2f} x pytorch"
    return (
        f"  {row['name']:22} {row['milliseconds']:9.1f} ms{ratio}   differs {row['difference']:.0e}"
    )


def _layers(network: dict[str, Any]) -> list[str]:
    head = f"  {'layer, ms of the forward':24} {'GFLOP':>7}"
    lines = ["", head + "".join(f"{name:>11}" for name in ALGORITHMS) + "   im2col's share of peak"]
    for row in network["layers"]:
        times = "".join(f"{row['milliseconds'][name]:11.2f}" for name in ALGORITHMS)
        share = "" if row["share"] is None else f"{row['share']:10.0%}"
        lines.append(f"  {row['name']:24} {row['gigaflop']:7.3f}{times}{share}")
    return lines


def _number(value: float | None) -> str:
    return "   unknown" if value is None else f"{value:10.2f}"
