"""How fast we are beside ncnn, MNN, OpenVINO, OpenCV, ONNX Runtime and PyTorch, where installed.

    pip install ncnn pnnx MNN openvino opencv-python-headless onnx onnxruntime torch
    python tests/peers/bench.py --network tiny --network ssd300_voc
    python tests/peers/bench.py --training --network tiny

Same weights, threads and float32; all take turns, and the median counts. Ratios are to the fastest
peer. A training step runs beside four modes of PyTorch; torch.compile needs a C++ compiler.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from engines import PEERS, written

from ssd_np.bench import networks
from ssd_np.bench.machine import processor_name
from ssd_np.bench.report import STEP_BATCH
from ssd_np.bench.rivals import torch_step
from ssd_np.config import Config, load_config
from ssd_np.engine.threads import thread_count
from ssd_np.model.fold import for_inference
from ssd_np.model.ssd import SSD
from ssd_np.progress import Progress

SMALL_0_1 = Path(__file__).parents[1] / "model" / "small_0_1.json"
NETWORKS = ("tiny", str(SMALL_0_1), "small", "slim", "mobilenet_coco", "ssd300_voc")


def forwards(config: Config, folder: Path) -> networks.Contestants:
    """Ours as the config has it first, then whoever is installed."""
    images = networks.images_of(config, batch=1)
    contestants = networks.forwards(config, images, (config.convolution,))
    network = written(for_inference(SSD(config)), images, folder, thread_count())
    for name, prepare in PEERS.items():
        try:
            contestants[name] = prepare(network, images)
        except ImportError as error:
            print(f"without {name}: {error}", file=sys.stderr)
        except subprocess.CalledProcessError as error:
            print(f"without {name}: {error.stderr.decode()[-300:]}", file=sys.stderr)
    return contestants


def steps(config: Config, batch: int) -> networks.Contestants:
    """Ours as the config has it first, then PyTorch's four modes."""
    images = networks.images_of(config, batch)
    given = images, networks.targets_of(config, batch)
    contestants = networks.steps(config, *given, (config.convolution,))
    for layout, channels_last in (("", False), (" channels-last", True)):
        call = torch_step(SSD(config), *given, channels_last, networks.RATE, compiled=True)
        contestants[f"torch.compile{layout}"] = call
    return contestants


def measure(name: str, rounds: int, training: bool, bar: Progress) -> dict:
    """What was measured of a network, as JSON."""
    config, batch = load_config(name), STEP_BATCH.get(name, 8) if training else 1
    with tempfile.TemporaryDirectory() as folder:
        contestants = steps(config, batch) if training else forwards(config, Path(folder))
        ours, *peers = networks.take_turns(contestants, rounds, bar)
    fastest = min(peer.milliseconds for peer in peers)
    times = {
        time.name: {
            "milliseconds": time.milliseconds,
            "of_the_fastest_peer": time.milliseconds / fastest,
            "least": time.least,
            "difference": time.difference,
        }
        for time in (ours, *peers)
    }
    return {"network": Path(name).stem, "batch": batch, "times": times}


def text(report: dict) -> str:
    lines = [f"{report['network']}, {report['what']}, batch {report['batch']}"]
    for name, row in report["times"].items():
        lines.append(
            f"  {name:22} {row['milliseconds']:9.2f} ms {row['of_the_fastest_peer']:8.2f} x fastest"
            f"   least {row['least']:.2f} ms, differs {row['difference']:.0e}"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--network", action="append", help="preset or .json, may be repeated")
    parser.add_argument("--rounds", type=int, default=12, help="default: %(default)s")
    parser.add_argument("--threads", type=int, help="default: one for each core")
    parser.add_argument("--training", action="store_true", help="steps of training")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    sys.stdout = os.fdopen(os.dup(1), "w")  # for results alone:
    os.dup2(2, 1)  # what libraries say goes to stderr
    if arguments.threads:
        os.environ["SSD_NP_THREADS"] = str(arguments.threads)
    torch.set_num_threads(thread_count())
    names = arguments.network or NETWORKS
    with Progress(len(names) * arguments.rounds, "peers", "round") as bar:
        reports = [measure(name, arguments.rounds, arguments.training, bar) for name in names]
    about = {"processor": processor_name(), "threads": thread_count()}
    about |= {"what": "training step" if arguments.training else "forward"}
    if arguments.json:
        print(json.dumps([about | report for report in reports], indent=2))
    else:
        print(about["processor"], about["threads"], "threads")
        print("\n\n".join(text(about | report) for report in reports))


if __name__ == "__main__":
    main()
