"""SSD512, which torchvision does not have, agrees with one built in PyTorch: outputs, gradients."""

import numpy as np
import pytest

from ssd_np.config import load_config
from ssd_np.gradcheck import relative_error
from ssd_np.model.ssd import SSD

pytest.importorskip("torch")  # the network's oracle is built from it
from published_in_torch import narrow, random_torch_ssd, torch

pytestmark = pytest.mark.lesson15


def to_torch(images):
    return torch.tensor(images).permute(0, 3, 1, 2).contiguous()


def noise(side, dtype=np.float64, count=1):
    return np.random.default_rng(0).normal(0, 50, (count, side, side, 3)).astype(dtype)


def test_ssd512_agrees():
    net = random_torch_ssd(classes=21, divisor=16, side=512).double()
    model = SSD(narrow(load_config("ssd512_voc"), 16), dtype=np.float64)
    for name, tensor in zip(in_order(model), in_order_of_torch(net), strict=True):
        value = tensor.detach().numpy()
        value = value.transpose(2, 3, 1, 0) if value.ndim == 4 else value
        assert model.parameters[name].value.shape == value.shape
        model.parameters[name].assign(value)
    images = noise(512)
    outputs = model.forward(images, training=True)
    expected = net(to_torch(images))
    for ours, theirs in zip(outputs, expected, strict=True):
        assert ours.shape == (1, 24564, ours.shape[2])
        assert relative_error(ours, theirs.detach().numpy()) <= 1e-10
    rng = np.random.default_rng(1)
    upstream = [rng.standard_normal(out.shape) for out in outputs]
    model.backward(*upstream)
    torch.autograd.backward(expected, [torch.tensor(d) for d in upstream])
    for name, tensor in zip(in_order(model), in_order_of_torch(net), strict=True):
        gradient = tensor.grad.numpy()
        gradient = gradient.transpose(2, 3, 1, 0) if gradient.ndim == 4 else gradient
        assert relative_error(model.parameters[name].grad, gradient) <= 1e-8, name


def in_order(model):
    """Names of the trunk's parameters, of the norm's, then all class heads, then all box heads."""
    names = list(model.parameters)
    trunk = [n for n in names if not n.startswith(("conf_", "loc_")) and "norm" not in n]
    heads = [n for kind in ("conf_", "loc_") for n in names if n.startswith(kind)]
    return [*trunk, "conv4_3_norm.scale", *heads]


def in_order_of_torch(net):
    named = dict(net.named_parameters())
    scale = named.pop("backbone.scale_weight")
    trunk = [p for n, p in named.items() if n.startswith("backbone")]
    return [*trunk, scale, *(p for n, p in named.items() if n.startswith("head"))]
