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

from ssd_np.bench.twin import of_kind, torch_images, torch_network
from ssd_np.engine.threads import thread_count
from ssd_np.geometry import borders
from ssd_np.kinds.kind import Window
from ssd_np.model.published import to_torch_layout
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
    model: SSD, images: np.ndarray, targets: Targets, channels_last: bool, rate: float
) -> Callable | None:
    """A call that trains one step, forward, loss, backward and SGD, and returns the loss."""
    if (torch := installed("torch")) is None:
        return None
    torch.set_num_threads(thread_count())
    weights, forward = torch_network(torch, model, channels_last)
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
    """A call that returns logits and offsets as arrays. Needs onnx too, to write the network."""
    runtime, onnx = installed("onnxruntime"), installed("onnx")
    if runtime is None or onnx is None:
        return None
    options = runtime.SessionOptions()
    options.intra_op_num_threads = thread_count()
    options.log_severity_level = 3  # errors only
    text = _onnx_network(onnx, model, len(images)).SerializeToString()
    session = runtime.InferenceSession(text, options, providers=["CPUExecutionProvider"])
    x = np.ascontiguousarray(images.transpose(0, 3, 1, 2))
    return lambda: tuple(session.run(None, {"images": x}))


def _onnx_borders(window: Window) -> list[int]:
    (top, bottom), (left, right) = borders(window.pad)
    return [top, left, bottom, right]


def _onnx_network(onnx: ModuleType, model: SSD, batch: int):
    """The network as an ONNX graph."""
    helper, config = onnx.helper, model.config
    nodes: list = []
    constants: dict[str, np.ndarray] = {}
    logits: list[str] = []
    offsets: list[str] = []
    for name, parameter in model.parameters.items():
        value = to_torch_layout(parameter.value)
        if name.endswith("_norm.scale"):  # of L2Norm, which is made of single operations
            value = value.reshape(1, -1, 1, 1)
        constants[name] = np.ascontiguousarray(value)
    constants |= {"eps": np.array(config.l2norm.eps, np.float32), "channels": np.array([1])}

    def node(kind: str, inputs: list[str], out: str, **attributes) -> str:
        nodes.append(helper.make_node(kind, inputs, [out], **attributes))
        return out

    def convolution(x: str, name: str, window: Window, out: str, group: int = 1) -> str:
        geometry = {"strides": [window.stride] * 2, "dilations": [window.dilation] * 2}
        inputs = [x, *(n for n in (f"{name}.weight", f"{name}.bias") if n in constants)]
        return node("Conv", inputs, out, pads=_onnx_borders(window), group=group, **geometry)

    def activation(z: str, layer) -> str:
        if layer.activation == "relu6":
            constants.update(zero=np.zeros((), np.float32), six=np.full((), 6, np.float32))
            return node("Clip", [z, "zero", "six"], layer.name)
        return node("Relu" if layer.activation == "relu" else "Identity", [z], layer.name)

    def conv(x: str, layer) -> str:
        group = len(constants[f"{layer.name}.weight"]) if layer.kind == "depthwise" else 1
        z = convolution(x, layer.name, layer.window, f"{layer.name}_z", group)
        return activation(z, layer)

    def batchnorm(x: str, layer) -> str:
        inputs = [f"{layer.name}.{part}" for part in ("scale", "shift", "mean", "variance")]
        z = node("BatchNormalization", [x, *inputs], f"{layer.name}_z", epsilon=layer.eps)
        return activation(z, layer)

    def pool(x: str, layer) -> str:
        rule = {"kernel_shape": [layer.size] * 2, "strides": [layer.stride] * 2}
        pads = _onnx_borders(layer.window)
        return node("MaxPool", [x], layer.name, pads=pads, ceil_mode=int(layer.ceil), **rule)

    def merge(x: str, layer) -> str:
        up = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric"}
        constants[f"{layer.name}_size"] = np.array(
            [batch, places[x].channels, *places[layer.lateral].size]
        )
        inputs = [x, "", "", f"{layer.name}_size"]
        enlarged = node("Resize", inputs, f"{layer.name}_up", nearest_mode="floor", **up)
        return node("Concat", [enlarged, layer.lateral], layer.name, axis=1)

    places = {place.layer.name: place for place in config.walk()}
    kinds = {
        "conv": conv,
        "depthwise": conv,
        "pool": pool,
        "batchnorm": batchnorm,
        "merge": merge,
    }
    x = "images"
    for layer in config.layers:
        x = of_kind(kinds, layer)(x, layer)
        feature_map = next((m for m in config.feature_maps if m.name == x), None)
        if feature_map is None:
            continue
        source = x
        if feature_map.l2norm_scale is not None:
            square = node("ReduceSumSquare", [x, "channels"], f"{x}_square", keepdims=1)
            square = node("Add", [square, "eps"], f"{x}_square_eps")
            unit = node("Div", [x, node("Sqrt", [square], f"{x}_norm")], f"{x}_unit")
            source = node("Mul", [unit, f"{x}_norm.scale"], f"{x}_scaled")
        for kind, width, rows in (("conf", config.num_classes + 1, logits), ("loc", 4, offsets)):
            name, out = f"{kind}_{x}", source
            for part in feature_map.head_layers(kind, width, config.head_kernel):
                out = conv(out, part)
            out = node("Transpose", [out], f"{name}_nhwc", perm=[0, 2, 3, 1])
            constants[f"{name}_shape"] = np.array([batch, -1, width])
            rows.append(node("Reshape", [out, f"{name}_shape"], f"{name}_rows"))
    for out, rows in (("logits", logits), ("offsets", offsets)):
        node("Concat", rows, out, axis=1)
    number, (height, width) = onnx.TensorProto.FLOAT, config.input.shape
    graph = helper.make_graph(
        nodes, config.name,
        [helper.make_tensor_value_info("images", number, [batch, 3, height, width])],
        [helper.make_tensor_value_info(out, number, None) for out in ("logits", "offsets")],
        [onnx.numpy_helper.from_array(v, name) for name, v in constants.items()],
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
