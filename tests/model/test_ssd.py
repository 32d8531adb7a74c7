"""The whole network: shapes, gradients against numeric ones and PyTorch, freezing, predict."""

import dataclasses
import itertools

import numpy as np
import pytest

from ssd_np.bench.twin import torch_network
from ssd_np.boxes.targets import make_targets
from ssd_np.config import load_config
from ssd_np.engine import select
from ssd_np.errors import ConfigError, ShapeError
from ssd_np.gradcheck import relative_error
from ssd_np.loss.cross_entropy import cross_entropy_forward
from ssd_np.loss.multibox import multibox_loss
from ssd_np.loss.smooth_l1 import smooth_l1_forward
from ssd_np.model.published import from_torch_layout
from ssd_np.model.ssd import SSD
from ssd_np.model.trace import trace
from ssd_np.nn.layers import Conv
from ssd_np.nn.softmax import softmax

pytestmark = [pytest.mark.lesson07, pytest.mark.lesson08]

GT = np.array([[0.1, 0.15, 0.35, 0.4], [0.5, 0.4, 0.95, 0.9]])
GT_LABELS = np.array([2, 5])


def with_l2norm(config):
    """The config with the published network's L2Norm before the first map's head."""
    first, *rest = config.feature_maps
    first = dataclasses.replace(first, l2norm_scale=20.0)
    return dataclasses.replace(config, feature_maps=(first, *rest))


CONFIG = with_l2norm(load_config("tiny"))


@pytest.fixture(scope="module")
def case():
    """A float64 `tiny`, one image, its targets, the loss and all gradients of one step."""
    model = SSD(CONFIG, seed=3, dtype=np.float64)
    rng = np.random.default_rng(0)
    for parameter in model.parameters.values():  # biases too must matter
        if parameter.value.ndim == 1:
            parameter.assign(parameter.value + rng.normal(0, 0.1, parameter.value.shape))
    images = rng.standard_normal((1, 128, 128, 3))
    labels, offsets = make_targets(GT, GT_LABELS, model.default_boxes)
    labels, offsets = labels[None], offsets[None]
    loss = multibox_loss(*model.forward(images, training=True), labels, offsets)
    dimages = model.backward(loss.dlogits, loss.doffsets, input_gradient=True)
    return model, images, labels, offsets, loss, dimages


def fixed_loss(case, images: np.ndarray) -> float:
    """The loss as a function of the network alone: what was matched and mined stays as it was."""
    model, _, labels, target, loss, _ = case
    logits, offsets = model.forward(images, training=True)
    positive = labels > 0
    chosen = positive | loss.mined
    confidence = cross_entropy_forward(logits[chosen], labels[chosen])[0].sum()
    location = smooth_l1_forward(offsets[positive], target[positive])[0].sum()
    return (confidence + location) / loss.num_positive


def active_pieces(model: SSD) -> np.ndarray:
    """Which side of 0 every ReLU is on and which tap every max-pool took, after a forward."""
    trunk = [layer for stage in model.stages for layer in stage]
    sides = [
        layer.cache[1][0] > 0 if isinstance(layer, Conv) else layer.cache[4] for layer in trunk
    ]
    return np.concatenate([side.reshape(-1) for side in sides])


def directional_derivative(case, move) -> float:
    """Central difference along `move(h) -> images`, with both ends on one smooth piece.

    Across a kink of ReLU or max-pooling a difference quotient means nothing, and among half a
    million of them one is always near. h shrinks until none lies between the two ends.
    """
    for h in (1e-6, 3e-7, 1e-7, 3e-8, 1e-8, 3e-9):
        above = fixed_loss(case, move(h))
        pieces = active_pieces(case[0])
        below = fixed_loss(case, move(-h))
        if np.array_equal(pieces, active_pieces(case[0])):
            return (above - below) / (2 * h)
    raise AssertionError("no step is small enough to stay between two kinks")


TENSORS = list(SSD(CONFIG).parameters)


@pytest.mark.parametrize("name", TENSORS)
def test_the_gradient_of_every_tensor_is_the_numeric_one(case, name):
    """20 random entries and 5 random directions of each tensor, through network and loss."""
    model, images = case[:2]
    parameter = model.parameters[name]
    rng = np.random.default_rng(len(name))
    kept, gradient = parameter.value.copy(), parameter.grad
    directions = []
    for flat in rng.choice(kept.size, min(20, kept.size), replace=False):
        direction = np.zeros(kept.size)
        direction[flat] = 1
        directions.append(direction.reshape(kept.shape))
    for _ in range(5):
        direction = rng.standard_normal(kept.shape)
        directions.append(direction / np.linalg.norm(direction))
    numeric, exact = [], []
    try:
        for direction in directions:

            def move(h, direction=direction):
                parameter.assign(kept + h * direction)
                return images

            numeric.append(directional_derivative(case, move))
            exact.append(np.sum(gradient * direction))
    finally:
        parameter.assign(kept)
    assert np.abs(exact).max() > 1e-6  # the tensor matters at all
    assert relative_error(numeric[:-5], exact[:-5]) <= 1e-5
    assert relative_error(numeric[-5:], exact[-5:]) <= 1e-5


def test_the_gradient_of_the_image_is_the_numeric_one(case):
    images, dimages = case[1], case[5]
    rng, numeric, exact = np.random.default_rng(1), [], []
    for _ in range(5):
        direction = rng.standard_normal(images.shape)
        direction /= np.linalg.norm(direction)
        move = lambda h, direction=direction: images + h * direction  # noqa: E731
        numeric.append(directional_derivative(case, move))
        exact.append(np.sum(dimages * direction))
    assert relative_error(numeric, exact) <= 1e-5


def test_network_and_gradients_equal_pytorch(case):
    torch = pytest.importorskip("torch")
    model, images, _, _, loss, dimages = case
    tensors, forward = torch_network(torch, model, channels_last=False)
    image = torch.tensor(images).permute(0, 3, 1, 2).contiguous().requires_grad_()
    logits, offsets = forward(image)
    ours = model.forward(images)
    assert relative_error(ours[0], logits.detach().numpy()) <= 1e-10
    assert relative_error(ours[1], offsets.detach().numpy()) <= 1e-10
    torch.autograd.backward(
        [logits, offsets], [torch.tensor(loss.dlogits), torch.tensor(loss.doffsets)]
    )
    for name, tensor in tensors.items():
        gradient = from_torch_layout(tensor.grad.numpy())
        assert relative_error(model.parameters[name].grad, gradient) <= 1e-8, name
    assert relative_error(dimages, image.grad.permute(0, 2, 3, 1).numpy()) <= 1e-8


@pytest.mark.parametrize("name, rows, classes", [("tiny", 1344, 6), ("small", 5440, 4)])
def test_predict_has_the_specified_shape(name, rows, classes):
    model = SSD(load_config(name))
    side = model.config.input.size
    images = np.random.default_rng(0).standard_normal((2, side, side, 3)).astype(np.float32)
    prediction = model.predict(images)
    assert prediction.shape == (2, rows, classes + 4 + 8)
    assert prediction.dtype == np.float32
    logits, offsets = model.forward(images)
    np.testing.assert_allclose(prediction[..., :classes].sum(-1), 1, rtol=1e-5)
    np.testing.assert_array_equal(prediction[..., :classes], softmax(logits))
    np.testing.assert_array_equal(prediction[..., classes : classes + 4], offsets)
    np.testing.assert_allclose(prediction[1, :, -8:], model.default_boxes, rtol=1e-6)


def test_rows_of_the_output_are_the_default_boxes_in_order():
    """Only the cell under the default box answers: a bias-free head copies its map's cell."""
    model = SSD(load_config("tiny"))
    first = model.config.feature_maps[0]
    for parameter in model.parameters.values():
        parameter.assign(np.zeros_like(parameter.value))
    model.parameters["loc_conv4_2.bias"].assign(np.arange(16.0))  # box a, coordinate k: 4 a + k
    model.parameters["loc_conv5_2.bias"].assign(np.full(16, 100.0))
    offsets = model.forward(np.zeros((1, 128, 128, 3), np.float32))[1][0]
    rows = first.size**2 * first.boxes_per_cell
    expected = np.tile(np.arange(16.0).reshape(4, 4), (first.size**2, 1))
    np.testing.assert_array_equal(offsets[:rows], expected)
    np.testing.assert_array_equal(offsets[rows : rows + 256], 100)


def step(model: SSD, seed: int = 0):
    rng = np.random.default_rng(seed)
    images = rng.standard_normal((1, 128, 128, 3)).astype(np.float32)
    labels, offsets = make_targets(GT, GT_LABELS, model.default_boxes)
    predicted = model.forward(images, training=True)
    loss = multibox_loss(*predicted, labels[None], offsets[None])
    model.backward(loss.dlogits, loss.doffsets)
    return loss


def test_a_frozen_prefix_costs_no_backward_and_the_rest_is_unchanged(monkeypatch):
    model, free = SSD(CONFIG), SSD(CONFIG)
    model.freeze(up_to="conv5_2")
    visited = []
    for layer in model.layers[: len(model.config.layers)]:
        backward = layer.backward

        def spy(*args, name=layer.name, backward=backward):
            visited.append(name)
            return backward(*args)

        monkeypatch.setattr(layer, "backward", spy)
    step(model)
    step(free)
    assert visited == ["conv6_2", "conv6_1"]
    frozen = {n for n, p in model.parameters.items() if not p.trainable}
    assert frozen == {n for n in free.parameters if n.startswith("conv") and n[4] in "12345"} - {
        "conv4_2_norm.scale"
    }
    for name, parameter in model.parameters.items():
        if name in frozen:
            assert parameter.grad is None
        else:
            np.testing.assert_array_equal(parameter.grad, free.parameters[name].grad, name)


def test_the_gradient_of_the_image_passes_through_a_frozen_network():
    model, free = SSD(load_config("tiny")), SSD(load_config("tiny"))
    model.freeze(up_to="conv6_2")
    loss, _ = step(model), step(free)
    ours = model.backward(loss.dlogits, loss.doffsets, input_gradient=True)
    theirs = free.backward(loss.dlogits, loss.doffsets, input_gradient=True)
    np.testing.assert_array_equal(ours, theirs)


def test_freezing_an_unknown_layer_names_the_known_ones():
    with pytest.raises(ConfigError, match=r"no layer 'conv9_9'.*conv1_1"):
        SSD(load_config("tiny")).freeze("conv9_9")


def test_results_do_not_change_when_the_model_runs_again():
    """The model's workspace is reused; what it returned before must not be in it."""
    model = SSD(load_config("tiny"))
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, 1, 128, 128, 3)).astype(np.float32)
    logits, offsets = model.forward(a)
    before = logits.copy(), offsets.copy()
    model.forward(b)
    np.testing.assert_array_equal(logits, before[0])
    np.testing.assert_array_equal(offsets, before[1])


def test_a_batch_gives_what_its_images_give_alone():
    model = SSD(load_config("tiny"))
    images = np.random.default_rng(0).standard_normal((3, 128, 128, 3)).astype(np.float32)
    together = model.forward(images)[0]
    alone = np.concatenate([model.forward(image[None])[0] for image in images])
    np.testing.assert_allclose(together, alone, rtol=1e-4, atol=1e-3)


def test_the_seed_decides_the_weights():
    a, b, c = (
        SSD(load_config("tiny"), seed).parameters["conv3_1.weight"].value for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(a, b)
    assert np.abs(a - c).max() > 0


def test_the_head_kernel_is_a_number_of_the_config():
    config = dataclasses.replace(load_config("tiny"), head_kernel=1)
    model = SSD(config)
    assert model.parameters["conf_conv5_2.weight"].value.shape == (1, 1, 128, 24)
    assert model.forward(np.zeros((1, 128, 128, 3), np.float32))[0].shape == (1, 1344, 6)


@pytest.mark.parametrize(
    "images, message",
    [
        (np.zeros((1, 3, 128, 128), np.float32), "transpose"),
        (np.zeros((1, 64, 64, 3), np.float32), r"\(N, 128, 128, 3\)"),
        (np.zeros((128, 128, 3), np.float32), r"\(128, 128, 3\)"),
        (np.zeros((1, 128, 128, 3)), "float64"),
        (np.zeros((1, 128, 128, 3), np.uint8), "uint8"),
    ],
)
def test_wrong_images_are_refused_with_a_hint(images, message):
    with pytest.raises(ShapeError, match=message):
        SSD(load_config("tiny")).forward(images)


def test_backward_before_forward_is_refused():
    model = SSD(load_config("tiny"))
    with pytest.raises(ShapeError, match="training=True"):
        model.backward(np.zeros((1, 1344, 6)), np.zeros((1, 1344, 4)))


def test_inference_keeps_no_output_that_no_layer_needs(rng):
    """What a layer reads and what it writes are there at once, and a head's output beside them."""
    model, batch = SSD(load_config("tiny"), ops=select("fast")), 4
    images = rng.standard_normal((batch, 128, 128, 3)).astype(np.float32)
    expected = model.forward(images, training=True)  # keeps all of them
    sizes = [4 * batch * np.prod(row.output) for row in trace(model.config)]
    workspace = model.ops._place.workspace
    assert workspace.nbytes > 0.8 * sum(sizes)
    twin = SSD(load_config("tiny"), ops=select("fast"))
    for a, b in zip(twin.forward(images), expected, strict=True):
        assert np.abs(a - b).max() < 1e-4 * np.abs(b).max()
    most = max(a + b for a, b in itertools.pairwise(sizes))
    assert twin.ops._place.workspace.nbytes < 1.1 * most
