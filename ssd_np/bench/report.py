"""The whole benchmark, as one dictionary that is JSON, and as tables."""

from __future__ import annotations

import dataclasses
import platform
from importlib.metadata import version
from typing import Any

from ssd_np.bench.layers import time_layers, time_parts
from ssd_np.bench.machine import (
    copy_rate,
    forward_memory,
    gemm_peak,
    processor_name,
    start_times,
)
from ssd_np.bench.networks import ALGORITHMS, time_forward, time_step
from ssd_np.bench.rivals import installed
from ssd_np.config import load_config
from ssd_np.engine import select
from ssd_np.engine.threads import thread_count
from ssd_np.progress import Progress

NETWORKS = ("tiny", "small", "ssd300_voc")
STEP_BATCH = {"tiny": 16}  # others: 8


def benchmark(networks: list[str], rounds: int, whole: bool = True) -> dict[str, Any]:
    """Measures `networks`, each time `rounds` times.

    whole=False leaves out what is not a network: start and memory.
    """
    report: dict[str, Any] = {"machine": _machine(), "networks": []}
    peak = report["machine"]["gemm_gflop_per_s"]
    total = len(networks) * (2 * rounds + len(ALGORITHMS) * (rounds + 1))
    with Progress(total, "bench", "round") as bar:
        for name in networks:
            config, batch = load_config(name), STEP_BATCH.get(name, 8)
            forward, step = (
                [dataclasses.asdict(row) for row in rows]
                for rows in (
                    time_forward(config, 1, rounds, bar),
                    time_step(config, batch, rounds, bar),
                )
            )
            layers = time_layers(config, 1, rounds, peak, bar)
            report["networks"].append({
                "network": name,
                "forward": {"batch": 1, "times": forward},
                "parts": time_parts(config),
                "training_step": {"batch": batch, "times": step},
                "layers": [dataclasses.asdict(layer) for layer in layers],
            })  # fmt: skip
    if whole:
        report["start_seconds"] = start_times()
        report["forward_memory_mib"] = {
            algorithm: forward_memory("ssd300_voc", algorithm) for algorithm in ALGORITHMS
        }
    return report


def _machine() -> dict[str, Any]:
    packages = ["numpy", "numba", *filter(installed, ("torch", "onnxruntime"))]
    versions = {"python": platform.python_version()}
    versions |= {package: version(package) for package in packages}
    return {
        "processor": processor_name(),
        "engine": select().name,
        "threads": thread_count(),
        "gemm_gflop_per_s": gemm_peak(),
        "copy_gb_per_s": copy_rate(),
        "versions": versions,
    }


# --- tables --------------------------------------------------------------------------------------


def text(report: dict[str, Any]) -> str:
    """The report as tables."""
    machine = report["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    lines = [
        f"{machine['processor']}, {machine['threads']} threads; {versions}",
        f"engine {machine['engine']}",
        f"at most {machine['gemm_gflop_per_s']:.0f} GFLOP/s (matrix products), "
        f"{machine['copy_gb_per_s']:.1f} GB/s (copying)",
    ]
    for network in report["networks"]:
        for key, what in (("forward", "forward"), ("training_step", "training step")):
            measured = network[key]
            lines += ["", f"{network['network']}, {what}, batch {measured['batch']}"]
            lines += [_contestant(row) for row in measured["times"]]
            if key == "forward":
                lines.append(_of_the_peak(network, machine["gemm_gflop_per_s"]))
                if parts := network["parts"]:
                    told = ", ".join(f"{what} {value:.2f} ms" for what, value in parts.items())
                    lines.append(f"  of one call: {told}")
        lines += _layers(network)
    for key, title, unit in (
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


def _of_the_peak(network: dict[str, Any], peak: float) -> str:
    """What our fastest forward does a second; Winograd counts as the products that it saves."""
    work = sum(layer["gigaflop"] for layer in network["layers"])
    ours = [row for row in network["forward"]["times"] if row["name"] in ALGORITHMS]
    best = min(ours, key=lambda row: row["milliseconds"])
    rate = work / best["milliseconds"] * 1e3
    return f"  {best['name']}: {rate:.0f} GFLOP/s, {rate / peak:.0%} of the matrix products' peak"


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
