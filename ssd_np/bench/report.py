"""The whole benchmark, as one dictionary that is JSON."""

from __future__ import annotations

import dataclasses
import platform
from importlib.metadata import version
from typing import Any

from tqdm import tqdm

from ssd_np.bench.machine import (
    copy_rate,
    forward_memory,
    gemm_peak,
    processor_name,
    start_times,
)
from ssd_np.bench.networks import ALGORITHMS, time_forward, time_layers, time_step
from ssd_np.bench.rivals import installed
from ssd_np.bench.steps import time_steps
from ssd_np.config import load_config
from ssd_np.nn.parallel import thread_count

NETWORKS = ("tiny", "small", "ssd300_voc")
STEP_BATCH = {"tiny": 16}  # others: 8


def benchmark(networks: list[str], rounds: int, whole: bool = True) -> dict[str, Any]:
    """Measures `networks`, each time `rounds` times.

    whole=False leaves out what is not a network: the steps around it, start and memory.
    """
    report: dict[str, Any] = {"machine": _machine(), "networks": []}
    peak = report["machine"]["gemm_gflop_per_s"]
    total = len(networks) * (2 * rounds + len(ALGORITHMS) * (rounds + 1))
    with tqdm(total=total, desc="bench", unit="round", disable=None) as bar:
        for name in networks:
            config, batch = load_config(name), STEP_BATCH.get(name, 8)
            bar.set_postfix_str(name)
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
                "training_step": {"batch": batch, "times": step},
                "layers": [dataclasses.asdict(layer) for layer in layers],
            })  # fmt: skip
    if whole:
        report["steps_milliseconds"] = time_steps(10 * rounds)
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
        "threads": thread_count(),
        "gemm_gflop_per_s": gemm_peak(),
        "copy_gb_per_s": copy_rate(),
        "versions": versions,
    }
