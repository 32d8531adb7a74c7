"""The same network in PyTorch and ONNX Runtime, where they are installed, to measure against.

Neither is ever needed: they are looked up by name, and what is not there is not measured. Weights
are copied from our model, and all run with the same number of threads.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from types import ModuleType

import numpy as np

from ssd_np.bench.twin import onnx_file, torch_images, torch_network
from ssd_np.engine.threads import thread_count
from ssd_np.model.ssd import SSD

Targets = tuple[np.ndarray, np.ndarray]  # labels (N, T), offsets (N, T, 4)


def installed(name: str) -> ModuleType | None:
    """The module, or None if it is not there."""
    return importlib.import_module(name) if importlib.util.find_spec(name) else None


def torch_forward(model: SSD, images: np.ndarray, channels_last: bool) -> Callable | None:
    """A call that returns logits and offsets as arrays."""
    if (torch := installed("torch")) is None:
        return None
    torch.set_num_threads(thread_count())
    _, forward = torch_network(torch, model, channels_last)
    x = torch_images(torch, images, channels_last)

    def run() -> tuple[np.ndarray, ...]:
        with torch.inference_mode():
            return tuple(out.numpy() for out in forward(x))

    return run


def torch_step(
    model: SSD,
    images: np.ndarray,
    targets: Targets,
    channels_last: bool,
    rate: float,
    compiled: bool = False,
) -> Callable | None:
    """A call that trains one step, forward, loss, backward and SGD, and returns the loss.

    compiled: by torch.compile, which needs a C++ compiler."""
    if (torch := installed("torch")) is None:
        return None
    torch.set_num_threads(thread_count())
    weights, forward = torch_network(torch, model, channels_last)
    forward = torch.compile(forward) if compiled else forward
    learn = {n: w for n, w in weights.items() if w.requires_grad}
    decay = {n for n in learn if model.parameters[n].decays and not n.endswith(".bias")}
    groups = [
        {"params": [learn[n] for n in decay], "weight_decay": model.config.training.weight_decay},
        {"params": [w for n, w in learn.items() if n not in decay], "weight_decay": 0.0},
    ]
    optimiser = torch.optim.SGD(groups, rate, momentum=model.config.training.momentum)
    x = torch_images(torch, images, channels_last)
    labels, offsets = (torch.from_numpy(target) for target in targets)

    def run() -> float:
        optimiser.zero_grad()
        logits, boxes = forward(x, training=True)
        loss = _torch_loss(torch, logits, boxes, labels, offsets, model.config.loss.ratio)
        loss.backward()
        optimiser.step()
        return loss.item()

    return run


def _torch_loss(torch, logits, offsets, labels, target_offsets, ratio: float):
    """The SSD loss with mining per image, as it is usually written in PyTorch: two sorts."""
    functional, positive = torch.nn.functional, labels > 0
    cost = functional.cross_entropy(
        logits.flatten(0, 1), labels.clamp(min=0).flatten(), reduction="none"
    ).view(labels.shape)
    with torch.no_grad():
        order = cost.masked_fill(labels != 0, -1.0).argsort(1, descending=True)
        mined = (order.argsort(1) < ratio * positive.sum(1, keepdim=True)) & (labels == 0)
    location = functional.smooth_l1_loss(
        offsets[positive], target_offsets[positive], reduction="sum"
    )
    return ((cost * (positive | mined)).sum() + location) / positive.sum().clamp(min=1)


def onnx_forward(model: SSD, images: np.ndarray) -> Callable | None:
    """A call that returns logits and offsets as arrays. PyTorch and onnx write the network."""
    torch, runtime, onnx = (installed(name) for name in ("torch", "onnxruntime", "onnx"))
    if torch is None or runtime is None or onnx is None:
        return None
    options = runtime.SessionOptions()
    options.intra_op_num_threads = thread_count()
    options.log_severity_level = 3  # errors only
    file = onnx_file(torch, model, images)
    session = runtime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    x = np.ascontiguousarray(images.transpose(0, 3, 1, 2))
    return lambda: tuple(session.run(None, {"images": x}))
