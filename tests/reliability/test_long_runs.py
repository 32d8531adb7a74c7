"""Memory stays where it is: thousands of steps and detections after the first hundred."""

import subprocess
import sys
from pathlib import Path

import pytest
from training_runs import ENVIRONMENT

HERE = Path(__file__).parent
ALLOWED = 20  # MB

MEASURE = """
import os, sys
import numpy as np
from training_runs import make_trainer, narrow_config
from ssd_np.data.shapes import ShapesDataset
from ssd_np.infer.detect import Detector
from ssd_np.model.ssd import SSD
from ssd_np.train.callbacks import Callback

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6

count, folder = int(sys.argv[2]), sys.argv[3]
seen = []

def train():
    # saves, and so draws its curve, at the usual interval, and once within the first hundred
    class Note(Callback):
        def after_step(self, trainer, step):
            seen.append(resident())
    learner = make_trainer(folder, steps=100 + count, checkpoint_every=50)
    learner.callbacks.append(Note())
    learner.fit()

def detect():
    data = ShapesDataset(0, 50)
    images = [data[i].image for i in range(50)]
    detector = Detector(SSD(narrow_config()), score_threshold=0.1)
    for i in range(100 + count):
        side = 40 + i % 80  # of another size every time
        detector.detect(np.ascontiguousarray(images[i % 50][:side]))
        seen.append(resident())

globals()[sys.argv[1]]()
print(max(seen[:100]), max(seen[100:]), seen[-1])
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read from /proc")
@pytest.mark.parametrize("what", ["train", "detect"])
def test_memory_does_not_grow(what, tmp_path, full, tell):
    count = 2000 if full else 150
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, what, str(count), str(tmp_path)],
        env=ENVIRONMENT | {"PYTHONPATH": str(HERE)},
        capture_output=True,
        text=True,
        timeout=1800,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    first, most, last = map(float, done.stdout.split())
    assert most - first < ALLOWED
    tell(
        f"{count} after the first hundred: {first:.0f} MB then, {most:.0f} MB at most, "
        f"{last:.0f} MB at the end"
    )
