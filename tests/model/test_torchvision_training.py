"""SSD300 trains as torchvision's own does: outputs, loss, all 71 gradients, three steps of SGD.

Full width, float64, two images; both begin from the same numbers, read from torchvision's file.
"""

import numpy as np
import pytest

from ssd_np.boxes.targets import make_targets
from ssd_np.gradcheck import relative_error
from ssd_np.loss.multibox import multibox_loss
from ssd_np.model.published import from_torch_layout, torchvision_names
from ssd_np.model.ssd import SSD
from ssd_np.model.weights import load_torch, set_parameters
from ssd_np.train.sgd import SGD

real = pytest.importorskip("real_torchvision")
torch = real.torch

pytestmark = pytest.mark.lesson15

# one object for each feature map: from 30 pixels to nearly the whole image
SIDES = (0.1, 0.25, 0.45, 0.6, 0.78, 0.96)
GT = np.array([[0.03, 0.02, 0.03 + side, 0.02 + side] for side in SIDES])
GT_LABELS = np.array([2, 5, 20, 1, 7, 2])
RATE, MOMENTUM, DECAY, STEPS = 1e-5, 0.9, 5e-4, 3


def their_training(net, images):
    """Losses of STEPS steps; outputs, gradients by name and image gradient of the first."""
    biases = [p for name, p in net.named_parameters() if name.endswith(".bias")]
    others = [p for name, p in net.named_parameters() if not name.endswith(".bias")]
    groups = [{"params": others, "weight_decay": DECAY}, {"params": biases, "weight_decay": 0.0}]
    optimiser = torch.optim.SGD(groups, RATE, momentum=MOMENTUM)
    inputs = [torch.tensor(image).permute(2, 0, 1).requires_grad_() for image in images]
    boxes = [GT, GT[:1]]
    targets = [
        {"boxes": torch.tensor(b * 300), "labels": torch.tensor(GT_LABELS[: len(b)])} for b in boxes
    ]
    outputs, losses, first = {}, [], None
    net.train()
    net.head.register_forward_hook(lambda module, given, out: outputs.update(out))
    for _ in range(STEPS):
        optimiser.zero_grad()
        loss = net(inputs, targets)
        sum(loss.values()).backward()
        losses.append((loss["classification"].item(), loss["bbox_regression"].item()))
        if first is None:
            gradients = {name: p.grad.numpy().copy() for name, p in net.named_parameters()}
            image = torch.stack([x.grad for x in inputs]).permute(0, 2, 3, 1).numpy()
            kept = outputs["cls_logits"].detach().numpy(), outputs["bbox_regression"]
            first = (*kept[:1], kept[1].detach().numpy(), gradients, image)
        optimiser.step()
    return losses, first


def our_training(model, images):
    """The same of ours."""
    optimiser = SGD(model.parameters, MOMENTUM, DECAY)
    pairs = [make_targets(b, GT_LABELS[: len(b)], model.default_boxes) for b in (GT, GT[:1])]
    labels, targets = (np.stack(column) for column in zip(*pairs, strict=True))
    mean = np.array(model.config.input.mean)
    losses, first = [], None
    for _ in range(STEPS):
        outputs = model.forward(images * 255 - mean, training=True)
        loss = multibox_loss(*outputs, labels, targets)
        dimages = model.backward(loss.dlogits, loss.doffsets, input_gradient=True)
        losses.append((loss.confidence, loss.location))
        if first is None:
            gradients = {name: p.grad.copy() for name, p in model.parameters.items()}
            first = (*outputs, gradients, dimages * 255)
        optimiser.step(RATE)
    return losses, first


@pytest.fixture(scope="module")
def in_float64():
    """What PyTorch makes of whole numbers: torchvision computes the centres of boxes in it."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


@pytest.fixture(scope="module")
def case(in_float64, tmp_path_factory):
    """(model, losses, first) of ours and of theirs."""
    net = real.ssd300(classes=91, dtype=torch.float64)
    path = tmp_path_factory.mktemp("torchvision") / "ssd300.pth"
    torch.save(net.state_dict(), path)
    config = load_torch(path).config
    model = SSD(config, dtype=np.float64)
    arrays = {name: tensor.numpy() for name, tensor in net.state_dict().items()}
    ours = {n: from_torch_layout(arrays[theirs]) for n, theirs in torchvision_names().items()}
    set_parameters(model, ours, "torchvision")
    images = np.random.default_rng(0).uniform(0, 1, (2, 300, 300, 3))
    return (model, *our_training(model, images)), (net, *their_training(net, images))


def test_scores_and_offsets_agree(case):
    for index in (0, 1):
        ours, theirs = case[0][2][index], case[1][2][index]
        assert ours.shape == theirs.shape == (2, 8732, ours.shape[2])
        assert relative_error(ours, theirs) <= 1e-10


def test_the_losses_of_three_steps_agree(case):
    assert case[0][1] == [pytest.approx(pair, rel=1e-9) for pair in case[1][1]]
    assert case[0][1][0] != pytest.approx(case[0][1][2], rel=1e-3)  # training moved them


@pytest.mark.parametrize("ours, theirs", torchvision_names().items())
def test_the_gradient_of_each_tensor_agrees(case, ours, theirs):
    gradient = case[1][2][2][theirs]
    assert np.abs(gradient).max() > 0
    assert relative_error(case[0][2][2][ours], from_torch_layout(gradient)) <= 1e-8


def test_the_gradient_of_the_image_agrees(case):
    assert relative_error(case[0][2][3], case[1][2][3]) <= 1e-8


def test_every_tensor_is_where_theirs_is_after_three_steps(case):
    model, net = case[0][0], case[1][0]
    theirs = dict(net.named_parameters())
    assert len(model.parameters) == len(torchvision_names()) == len(theirs) == 71
    start = dict(real.ssd300(classes=91, dtype=torch.float64).named_parameters())
    for ours, name in torchvision_names().items():
        value = from_torch_layout(theirs[name].detach().numpy())
        moved = value - from_torch_layout(start[name].detach().numpy())
        assert np.abs(moved).max() > 0, ours
        ours_moved = model.parameters[ours].value - (value - moved)
        assert relative_error(ours_moved, moved) <= 1e-7, ours
