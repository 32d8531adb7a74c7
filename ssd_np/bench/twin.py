"""The PyTorch twin of a config: the same network from the same weights, for bench and for tests.

Written with torch.nn.functional, kind of layer by kind of layer. PyTorch is passed in as a module,
so that nothing here needs it.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np

from ssd_np.errors import ConfigError
from ssd_np.geometry import Pad
from ssd_np.kinds.merge import MergeLayer
from ssd_np.model.published import to_torch_layout
from ssd_np.model.ssd import SSD


def _torch_conv(functional: ModuleType, x, layer, weights: dict, training: bool):
    weight, bias = weights[f"{layer.name}.weight"], weights.get(f"{layer.name}.bias")
    x, pad = _torch_border(functional, x, layer.pad, 0.0)
    groups = x.shape[1] if layer.kind == "depthwise" else 1
    x = functional.conv2d(x, weight, bias, layer.stride, pad, layer.dilation, groups)
    return _torch_activation(functional, x, layer.activation)


def _torch_pool(functional: ModuleType, x, layer, weights: dict, training: bool):
    x, pad = _torch_border(functional, x, layer.pad, -np.inf)
    return functional.max_pool2d(x, layer.size, layer.stride, pad, ceil_mode=layer.ceil)


def _torch_batchnorm(functional: ModuleType, x, layer, weights: dict, training: bool):
    order = ("mean", "variance", "scale", "shift")
    arguments = [weights[f"{layer.name}.{part}"] for part in order]
    training = training and any(tensor.requires_grad for tensor in arguments)  # frozen: .eval()
    x = functional.batch_norm(x, *arguments, training, layer.momentum, layer.eps)
    return _torch_activation(functional, x, layer.activation)


def _torch_border(functional: ModuleType, x, pad: Pad, value: float) -> tuple:
    """What a layer reads, and the border that is left to it: only even ones can be its own."""
    if isinstance(pad, int):
        return x, pad
    (top, bottom), (left, right) = pad
    return functional.pad(x, (left, right, top, bottom), value=value), 0


def _torch_activation(functional: ModuleType, x, activation: str):
    kinds = {"none": lambda x, inplace: x, "relu": functional.relu, "relu6": functional.relu6}
    return kinds[activation](x, inplace=True)


# a layer of a kind in PyTorch
TORCH = {
    "conv": _torch_conv,
    "depthwise": _torch_conv,
    "pool": _torch_pool,
    "batchnorm": _torch_batchnorm,
}


def _of_kind(layer: Any) -> Callable:
    if layer.kind not in TORCH:
        raise ConfigError(
            f"a layer of kind {layer.kind!r} is not measured against others",
            hint=f"only {', '.join(TORCH)}",
        )
    return TORCH[layer.kind]


def torch_network(torch: ModuleType, model: SSD, channels_last: bool) -> tuple[dict, Callable]:
    """Tensors by our names, and forward: (N, 3, H, W) -> logits (N, T, K), offsets (N, T, 4).

    Running statistics are among the tensors; `forward(x, training=True)` moves them.
    """
    functional, config = torch.nn.functional, model.config
    layout = torch.channels_last if channels_last else torch.contiguous_format
    weights = {}
    for name, parameter in model.parameters.items():
        value = torch.from_numpy(to_torch_layout(parameter.value).copy())
        if parameter.value.ndim == 4:
            value = value.contiguous(memory_format=layout)
        weights[name] = value.requires_grad_(parameter.trainable)
    norms = {m.name for m in config.feature_maps if m.l2norm_scale is not None}
    maps = {m.name: m for m in config.feature_maps}

    def heads(x, name: str) -> list:
        if name in norms:
            scale = weights[f"{name}_norm.scale"].view(1, -1, 1, 1)
            x = x / torch.sqrt((x * x).sum(1, keepdim=True) + config.l2norm.eps) * scale
        rows = []
        for kind, width in (("conf", config.num_classes + 1), ("loc", 4)):
            out = x
            for layer in maps[name].head_layers(kind, width, config.head_kernel):
                out = _torch_conv(functional, out, layer, weights, False)
            rows.append(out.permute(0, 2, 3, 1).reshape(x.shape[0], -1, width))
        return rows

    def forward(x, training: bool = False):
        rows = []
        passed: dict[str, Any] = {}
        for layer in config.layers:
            if isinstance(layer, MergeLayer):
                lateral = passed[layer.lateral]
                x = functional.interpolate(x, lateral.shape[2:], mode="nearest")
                x = torch.cat((x, lateral), 1)
            else:
                x = _of_kind(layer)(functional, x, layer, weights, training)
            passed[layer.name] = x
            if layer.name in maps:
                rows.append(heads(x, layer.name))
        logits, offsets = zip(*rows, strict=True)
        return torch.cat(logits, 1), torch.cat(offsets, 1)

    return weights, forward


def torch_module(torch: Any, model: SSD) -> Any:
    """The twin as a torch.nn.Module for inference, which can be traced and written."""
    weights, forward = torch_network(torch, model, channels_last=False)
    for weight in weights.values():
        weight.requires_grad_(False)

    class Twin(torch.nn.Module):
        def forward(self, x):
            return forward(x)

    return Twin().eval()


def onnx_file(torch: Any, model: SSD, images: np.ndarray) -> bytes:
    """The twin as an ONNX file, for images of this shape (N, H, W, 3)."""
    file, x = io.BytesIO(), torch_images(torch, images, channels_last=False)
    with warnings.catch_warnings():  # that there is a newer way of writing
        warnings.simplefilter("ignore")
        torch.onnx.export(
            torch_module(torch, model), (x,), file, dynamo=False, opset_version=17,
            input_names=["images"], output_names=["logits", "offsets"],
        )  # fmt: skip
    return file.getvalue()


def torch_images(torch: ModuleType, images: np.ndarray, channels_last: bool):
    """(N, H, W, 3) -> the same in PyTorch's order of axes, in the layout of memory asked for."""
    layout = torch.channels_last if channels_last else torch.contiguous_format
    return torch.from_numpy(images).permute(0, 3, 1, 2).contiguous(memory_format=layout)
