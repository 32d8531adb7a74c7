"""What ssd_np/engine/algorithms.py was decided by: each way through layers of many shapes.

    python tests/engine/measure_algorithms.py

One image, milliseconds; * is what the table takes. A way that is more than a tenth faster than that
is marked with a !.
"""

import itertools
import time

import numpy as np

from ssd_np.engine import algorithms, plan, select
from ssd_np.engine.threads import thread_count
from ssd_np.nn.blocks import Block

WAYS = {0: "straight", 2: "F(2x2)", 4: "F(4x4)"}
CELLS = (4, 5, 6, 7, 8, 9, 10, 11, 12, 16, 19, 32, 64)
CHANNELS = ((3, 32), (8, 8), (12, 16), (16, 16), (24, 32), (64, 64), (128, 16), (256, 256))
SECONDS = 0.03  # for a way


def milliseconds(side: int, cells: int, c: int, c_out: int, dilation: int) -> float:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((1, cells, cells, c)).astype(np.float32)
    w = rng.standard_normal((3, 3, c, c_out)).astype(np.float32)
    steps = [(0, Block(w, np.zeros(c_out, np.float32), 1, dilation, dilation))]
    for array in steps[0][1][:2]:
        array.setflags(write=False)
    plan.plan.cache_clear()
    decided, algorithms.TABLE = algorithms.TABLE, {"winograd4": (side, 0, 0)}
    try:
        ops, times, end = select("fast").for_model("winograd4"), [], time.perf_counter() + SECONDS
        while len(times) < 5 or time.perf_counter() < end:
            start = time.perf_counter()
            ops.network_forward(x, steps)
            times.append(time.perf_counter() - start)
    finally:
        algorithms.TABLE = decided
    return 1e3 * min(times)


def main() -> None:
    print(f"{thread_count()} threads")
    shapes = [(*shape, 1) for shape in itertools.product(CELLS, CHANNELS)]
    for cells, (c, c_out), dilation in [*shapes, (19, (512, 1024), 6), (10, (64, 64), 2)]:
        times = {side: milliseconds(side, cells, c, c_out, dilation) for side in WAYS}
        mine = algorithms.tile_side("winograd4", (cells, cells), (3, 3, c, c_out), 1, dilation)
        row = [
            f"{name} {times[side]:8.3f}{'*' if side == mine else ' '}"
            f"{'!' if times[side] < times[mine] / 1.1 else ' '}"
            for side, name in WAYS.items()
        ]
        print(f"{cells:3} x {cells:<3} {c:4} to {c_out:<4} dilation {dilation}: ", *row, flush=True)


if __name__ == "__main__":
    main()
