"""From every way to begin, the next step of training moves all that learns, as PyTorch's SGD does.

The upstream gradients are random. What is frozen rests. The network is SSD300 with a 32nd of the
channels, so that files of torchvision, amdegroot and VGG-16 are among the beginnings.
"""

import numpy as np
import pytest

from ssd_np.config import load_config
from ssd_np.model.pretrained import read_base, save_base, set_base
from ssd_np.model.ssd import SSD
from ssd_np.model.weights import export_torchvision, load, load_torch, save
from ssd_np.train.checkpoint import Progress, load_checkpoint, save_checkpoint
from ssd_np.train.sgd import SGD

pytest.importorskip("torch")  # its SGD is the oracle, its files are among the beginnings
from published_in_torch import amdegroot_name, narrow, random_torch_ssd, torch

CONFIG = narrow(load_config("ssd300_voc"), 32)
RATE, MOMENTUM, DECAY = 1e-3, 0.9, 5e-4


def optimiser(model):
    return SGD(model.parameters, MOMENTUM, DECAY)


def from_nothing(folder):
    return SSD(CONFIG, seed=3), None


def own_file(folder):
    save(folder / "own.npz", SSD(CONFIG, seed=3))
    return load(folder / "own.npz"), None


def torchvision_file(folder):
    torch.save(random_torch_ssd(classes=21, divisor=32).state_dict(), folder / "theirs.pth")
    return load_torch(folder / "theirs.pth", CONFIG), None


def amdegroot_file(folder):
    tensors = random_torch_ssd(classes=21, divisor=32).state_dict()
    torch.save({amdegroot_name(n): t for n, t in tensors.items()}, folder / "theirs.pth")
    return load_torch(folder / "theirs.pth", CONFIG), None


def from_base(path, freeze=None):
    config, arrays = read_base(path, CONFIG)
    model = SSD(config)
    assert set_base(model, arrays, str(path)) == []
    if freeze:
        model.freeze(freeze)
    return model, None


def vgg16_in_caffes_style(folder):
    tensors = random_torch_ssd(classes=21, divisor=32).state_dict()
    names = {n: amdegroot_name(n) for n in tensors if "head" not in n}
    base = {name.removeprefix("vgg."): tensors[n] for n, name in names.items() if "vgg." in name}
    torch.save(base, folder / "vgg16_reducedfc.pth")
    return from_base(folder / "vgg16_reducedfc.pth")


def base_of_a_detector(folder):
    save(folder / "own.npz", SSD(CONFIG, seed=3))
    return from_base(folder / "own.npz")


def base_file_with_frozen_layers(folder):
    model = SSD(CONFIG, seed=3)
    arrays = {name: p.value for name, p in model.parameters.items()}
    save_base(folder / "base.npz", CONFIG, arrays)
    return from_base(folder / "base.npz", freeze="conv3_3")


def fine_tuned(folder):
    save(folder / "own.npz", SSD(CONFIG, seed=3))
    return load(folder / "own.npz", replace_heads=["apple", "pear"]), None


def resumed(folder):
    before = SSD(CONFIG, seed=3)
    random_gradients(before, seed=8)
    first = optimiser(before)
    first.step(RATE)
    save_checkpoint(folder / "last.npz", before, first, Progress(1))
    model = SSD(CONFIG, seed=4)
    second = optimiser(model)
    load_checkpoint(folder / "last.npz", model, second)
    return model, second


def imported_again(folder):
    torch.save(random_torch_ssd(classes=21, divisor=32).state_dict(), folder / "theirs.pth")
    export_torchvision(folder / "out.npz", load_torch(folder / "theirs.pth", CONFIG))
    return load_torch(folder / "out.npz"), None


STARTS = [
    *(from_nothing, own_file, torchvision_file, amdegroot_file, vgg16_in_caffes_style),
    *(base_of_a_detector, base_file_with_frozen_layers, fine_tuned, resumed, imported_again),
]


def random_gradients(model, seed=0):
    """Those of an image and random gradients of both outputs."""
    rng = np.random.default_rng(seed)
    image = rng.normal(0, 50, (1, 300, 300, 3)).astype(model.dtype)
    outputs = model.forward(image, training=True)
    model.backward(*(rng.standard_normal(out.shape).astype(model.dtype) for out in outputs))


@pytest.mark.parametrize("start", STARTS)
def test_one_step_moves_everything_as_pytorch_does(start, tmp_path):
    model, own = start(tmp_path)
    own = own or optimiser(model)
    random_gradients(model)
    before = {name: p.value.copy() for name, p in model.parameters.items()}
    velocity = {name: v.copy() for name, v in own.velocity.items()}
    gradients = {name: p.grad for name, p in model.parameters.items() if p.trainable}
    expected = torch_step(before, gradients, velocity)
    own.step(RATE)
    assert len(gradients) == (71 if start is not base_file_with_frozen_layers else 57)
    for name, parameter in model.parameters.items():
        if not parameter.trainable:
            np.testing.assert_array_equal(parameter.value, before[name])
            continue
        moved = parameter.value - before[name]
        assert np.abs(moved).max() > 0, f"{name} rests"
        np.testing.assert_allclose(parameter.value, expected[name], rtol=1e-6, atol=1e-7)
        reached = expected[name] - before[name]  # where most of a tensor moves, most of ours does
        assert np.count_nonzero(moved) == pytest.approx(np.count_nonzero(reached), rel=0.01, abs=2)


def torch_step(values, gradients, velocity):
    """The same step by torch.optim.SGD, its momentum begun where ours stands."""
    tensors = {name: torch.tensor(values[name]).requires_grad_() for name in gradients}
    for name, tensor in tensors.items():
        tensor.grad = torch.tensor(np.ascontiguousarray(gradients[name]))
    groups = [
        {"params": [t for n, t in tensors.items() if n.endswith(".bias") == bias],
         "weight_decay": 0.0 if bias else DECAY}
        for bias in (True, False)
    ]  # fmt: skip
    theirs = torch.optim.SGD(groups, RATE, momentum=MOMENTUM)
    for name, tensor in tensors.items():
        theirs.state[tensor]["momentum_buffer"] = torch.tensor(velocity[name])
    theirs.step()
    return {name: tensor.detach().numpy() for name, tensor in tensors.items()}
