"""Where the time of our forward goes: layer by layer, and what of a call are kernels."""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Callable
from typing import Any
from unittest import mock

import numpy as np

from ssd_np.bench.networks import ALGORITHMS, images_of
from ssd_np.config import Config
from ssd_np.engine import select
from ssd_np.engine.threads import thread_count, together
from ssd_np.model.fold import for_inference
from ssd_np.model.heads import Head
from ssd_np.model.separable_head import SeparableHead
from ssd_np.model.ssd import SSD
from ssd_np.nn.layers import Layer, Merge
from ssd_np.progress import Progress


def time_parts(config: Config, calls: int = 50) -> dict[str, float] | None:
    """Milliseconds of a forward of one image by what they go into; None with layers one by one.

    kernels: what one thread takes alone, over the number of threads; waiting: what all together
    take longer, for each other or for being woken; Python: all around the compiled call.
    """
    if select().name == "plain":
        return None
    from ssd_np.engine import steps as at_work

    images, model = images_of(config, 1), for_inference(SSD(config))

    def medians(threads: int) -> np.ndarray | None:
        """Of a whole call and of its compiled part."""
        whole, inside = [], []

        def note(work: Callable[[int], None], lanes: int) -> None:
            start = time.perf_counter()
            together(work, lanes)
            inside.append(time.perf_counter() - start)

        with (
            mock.patch.dict(os.environ, SSD_NP_THREADS=str(threads)),
            mock.patch.object(at_work, "together", note),
        ):
            for _ in range(calls):
                start = time.perf_counter()
                model.forward(images)
                whole.append(time.perf_counter() - start)
        return 1e3 * np.median([whole, inside], axis=1) if len(inside) == calls else None

    threads = thread_count()
    alone, all_of_them = medians(1), medians(threads)
    if alone is None or all_of_them is None:
        return None
    whole, inside = all_of_them
    kernels = alone[1] / threads
    return {"kernels": kernels, "waiting": max(0.0, inside - kernels), "Python": whole - inside}


@dataclasses.dataclass(frozen=True)
class LayerTime:
    """A layer's forward: its multiply-adds count as two; milliseconds by algorithm.

    share: of the machine's measured GEMM peak that im2col reaches; None for what is no convolution.
    """

    name: str
    gigaflop: float
    milliseconds: dict[str, float]
    share: float | None


def time_layers(
    config: Config, batch: int, rounds: int, peak: float, bar: Progress
) -> list[LayerTime]:
    """The layers of the forward one by one; `peak` is in GFLOP/s."""
    images, table, flops = images_of(config, batch), {}, {}
    for algorithm in ALGORITHMS:
        model = for_inference(SSD(dataclasses.replace(config, convolution=algorithm)))
        seconds: dict[str, list[float]] = {layer.name: [] for layer in model.layers}
        for layer in model.layers:
            flops[layer.name] = 0.0
            _clock(layer, seconds[layer.name], flops)
        for _ in range(rounds + 1):
            model.forward(images)
            bar.update()
        table[algorithm] = {n: 1e3 * float(np.median(v[1:])) for n, v in seconds.items()}
    rows = []
    for name, gigaflop in flops.items():
        times: dict[str, float] = {algorithm: table[algorithm][name] for algorithm in ALGORITHMS}
        share = gigaflop / (times["im2col"] / 1e3) / peak if gigaflop else None
        rows.append(LayerTime(name, gigaflop, times, share))
    return rows


def _clock(
    layer: Layer | Merge | Head | SeparableHead, seconds: list[float], flops: dict[str, float]
) -> None:
    """Makes `layer.forward` note how long it took and what it computed, apart from neighbours."""
    forward: Callable = layer.forward
    kernels = [p.value for p in layer.parameters.values() if p.value.ndim >= 3]

    def timed(x: np.ndarray, *arguments: bool) -> Any:
        start = time.perf_counter()
        out = forward(x, *arguments)
        seconds.append(time.perf_counter() - start)
        pixels = (out if isinstance(out, np.ndarray) else x)[..., 0].size  # a head keeps the size
        flops[layer.name] = 2e-9 * pixels * sum(kernel.size for kernel in kernels)
        return out

    vars(layer)["forward"] = timed
