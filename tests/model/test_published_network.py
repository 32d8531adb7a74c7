"""SSD300 and SSD512 agree with PyTorch: outputs, loss, and the gradient of every tensor."""

import math

import numpy as np
import pytest

from ssd_np.boxes.targets import make_targets
from ssd_np.config import load_config
from ssd_np.gradcheck import relative_error
from ssd_np.loss.multibox import multibox_loss
from ssd_np.model.published import torchvision_names
from ssd_np.model.ssd import SSD

pytest.importorskip("torch")  # the network's oracle is built from it
from published_in_torch import functional, narrow, numpy_twin, random_torch_ssd, torch

pytestmark = pytest.mark.lesson15

# one object for each feature map: from 12 pixels to nearly the whole image
SIDES = (0.1, 0.25, 0.45, 0.6, 0.78, 0.96)
GT = np.array([[0.03, 0.02, 0.03 + side, 0.02 + side] for side in SIDES])
GT_LABELS = np.array([2, 5, 20, 1, 7, 2])


def to_torch(images):
    return torch.tensor(images).permute(0, 3, 1, 2).contiguous()


def noise(side, dtype=np.float64, count=1):
    return np.random.default_rng(0).normal(0, 50, (count, side, side, 3)).astype(dtype)


def test_the_full_ssd300_agrees_in_float32():
    net = random_torch_ssd(classes=21)
    model = numpy_twin(net, load_config("ssd300_voc"), np.float32)
    images = noise(300, np.float32)
    with torch.no_grad():
        expected = net(to_torch(images))
    for ours, theirs in zip(model.forward(images), expected, strict=True):
        assert ours.shape == theirs.shape == (1, 8732, ours.shape[2])
        assert relative_error(ours, theirs.numpy()) <= 1e-4


# --- a copy with a sixteenth of the channels, in float64 -----------------------------------------


def torch_loss(logits, offsets, labels, targets):
    """torchvision's: cross-entropy of positives and 3 hardest negatives each, smooth L1, / N."""
    positive = labels > 0
    n = max(1, int(positive.sum()))
    location = functional.smooth_l1_loss(offsets[positive], targets[positive], reduction="sum")
    each = functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none")
    each = each.view(labels.shape)
    negative = each.detach().clone()
    negative[positive] = -math.inf
    rank = negative.sort(1, descending=True)[1].sort(1)[1]
    hard = rank < 3 * positive.sum(1, keepdim=True)
    return (each[positive].sum() + each[hard].sum()) / n, location / n


@pytest.fixture(scope="module")
def case():
    """Both networks after one backward pass: (model, loss, dimages), (net, losses, images.grad)."""
    config = narrow(load_config("ssd300_voc"), 16)
    net = random_torch_ssd(classes=21, divisor=16).double()
    model = numpy_twin(net, config)
    images = noise(300, count=2)
    labels, targets = make_targets(GT, GT_LABELS, model.default_boxes)
    empty = make_targets(GT[:1], GT_LABELS[:1], model.default_boxes)
    labels, targets = np.stack([labels, empty[0]]), np.stack([targets, empty[1]])
    outputs = model.forward(images, training=True)
    loss = multibox_loss(*outputs, labels, targets)
    dimages = model.backward(loss.dlogits, loss.doffsets, input_gradient=True)

    theirs = to_torch(images).requires_grad_()
    expected = net(theirs)
    losses = torch_loss(*expected, torch.tensor(labels), torch.tensor(targets))
    sum(losses).backward()
    return (model, outputs, loss, dimages), (net, expected, losses, theirs.grad)


def test_scores_and_offsets_agree(case):
    for ours, theirs in zip(case[0][1], case[1][1], strict=True):
        assert relative_error(ours, theirs.detach().numpy()) <= 1e-10


def test_the_loss_agrees(case):
    loss, (confidence, location) = case[0][2], case[1][2]
    assert loss.confidence == pytest.approx(confidence.item(), rel=1e-10)
    assert loss.location == pytest.approx(location.item(), rel=1e-10)
    assert loss.num_positive > 10


@pytest.mark.parametrize("ours, theirs", torchvision_names().items())
def test_the_gradient_of_each_tensor_agrees(case, ours, theirs):
    gradient = dict(case[1][0].named_parameters())[theirs].grad
    gradient = gradient.permute(2, 3, 1, 0) if gradient.ndim == 4 else gradient
    assert gradient.abs().max() > 0
    assert relative_error(case[0][0].parameters[ours].grad, gradient.numpy()) <= 1e-8


def test_there_are_71_tensors(case):
    assert len(case[0][0].parameters) == len(torchvision_names()) == 71


def test_the_gradient_of_the_image_agrees(case):
    assert relative_error(case[0][3], case[1][3].permute(0, 2, 3, 1).numpy()) <= 1e-8


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
