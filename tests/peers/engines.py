"""The same network in ncnn, MNN, OpenVINO and OpenCV: each from the PyTorch twin's own file.

A function a peer: (network, images) -> a call that returns logits and offsets. `network` has the
folder with `net.onnx` and the TorchScript file `net.pt`. What is not installed raises ImportError.
"""

import subprocess
import sys
import sysconfig
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from ssd_np.bench.twin import onnx_file, torch_images, torch_module
from ssd_np.model.ssd import SSD

Run = Callable[[], tuple[np.ndarray, ...]]


@dataclass(frozen=True)
class Network:
    """A model's twin on the disk, and how many threads may run it."""

    folder: Path
    threads: int

    @property
    def onnx(self) -> Path:
        return self.folder / "net.onnx"


def written(model: SSD, images: np.ndarray, folder: Path, threads: int) -> Network:
    """Writes both files; images (N, H, W, 3)."""
    network = Network(folder, threads)
    network.onnx.write_bytes(onnx_file(torch, model, images))
    planes = torch_images(torch, images, channels_last=False)
    with torch.inference_mode():
        torch.jit.trace(torch_module(torch, model), planes).save(folder / "net.pt")
    return network


def openvino(network: Network, images: np.ndarray) -> Run:
    from openvino import Core

    core = Core()
    settings = {
        "INFERENCE_NUM_THREADS": network.threads,
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "f32",
    }
    compiled, x = (
        core.compile_model(core.read_model(network.onnx), "CPU", settings),
        _planes(images),
    )
    request = compiled.create_infer_request()

    def run() -> tuple[np.ndarray, ...]:
        out = request.infer({"images": x})
        return out["logits"], out["offsets"]

    return run


def opencv(network: Network, images: np.ndarray) -> Run:
    import cv2

    cv2.setNumThreads(network.threads)
    net, x = cv2.dnn.readNetFromONNX(str(network.onnx)), _planes(images)

    def run() -> tuple[np.ndarray, ...]:
        net.setInput(x, "images")
        return tuple(net.forward(["logits", "offsets"]))

    return run


def mnn(network: Network, images: np.ndarray) -> Run:
    import MNN

    path = network.folder / "net.mnn"
    convert = "import sys, _tools; _tools.mnnconvert(sys.argv)"  # `mnnconvert` itself installs
    arguments = "-f", "ONNX", "--modelFile", network.onnx, "--MNNModel", path, "--bizCode", "net"
    _call(sys.executable, "-c", convert, *arguments)  # packages and reports that it was used
    net = MNN.Interpreter(str(path))
    session = net.createSession({"numThread": network.threads, "precision": "high"})
    kind, x = MNN.Tensor_DimensionType_Caffe, _planes(images)
    source = net.getSessionInput(session)
    host = MNN.Tensor(x.shape, MNN.Halide_Type_Float, x, kind)
    names = "logits", "offsets"
    targets = [net.getSessionOutput(session, name) for name in names]

    def run() -> tuple[np.ndarray, ...]:
        source.copyFrom(host)
        net.runSession(session)
        out = []
        for target in targets:
            shape = target.getShape()
            copy = MNN.Tensor(shape, MNN.Halide_Type_Float, np.empty(shape, np.float32), kind)
            target.copyToHostTensor(copy)
            out.append(np.array(copy.getNumpyData()))
        return tuple(out)

    return run


def ncnn(network: Network, images: np.ndarray) -> Run:
    import ncnn as library

    x = _planes(images)
    shape = ",".join(map(str, x.shape))
    _call(
        Path(sysconfig.get_path("scripts")) / "pnnx",
        "net.pt",
        f"inputshape=[{shape}]",
        "fp16=0",
        folder=network.folder,
    )
    net = library.Net()
    net.opt.num_threads = network.threads
    for switch in (
        "use_fp16_packed",
        "use_fp16_storage",
        "use_fp16_arithmetic",
        "use_bf16_storage",
    ):
        setattr(net.opt, switch, False)
    net.load_param(str(network.folder / "net.ncnn.param"))
    net.load_model(str(network.folder / "net.ncnn.bin"))

    def run() -> tuple[np.ndarray, ...]:
        extractor = net.create_extractor()
        extractor.input("in0", library.Mat(x[0]))
        return tuple(np.array(extractor.extract(name)[1])[None] for name in ("out0", "out1"))

    return run


PEERS = {"ncnn": ncnn, "mnn": mnn, "openvino": openvino, "opencv": opencv}


def _planes(images: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(images.transpose(0, 3, 1, 2))


def _call(*command: object, folder: Path | None = None) -> None:
    """Runs a program silently."""
    subprocess.run(list(map(str, command)), cwd=folder, check=True, capture_output=True)
