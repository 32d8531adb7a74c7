"""Layers: gradients through a small network, memory kept between steps, what is not computed."""

import numpy as np
import pytest

from ssd_np.engine import select
from ssd_np.engine.memory import Place, Workspace
from ssd_np.gradcheck import numeric_gradient, relative_error
from ssd_np.nn.layers import BatchNorm, Conv, Depthwise, L2Normalization, MaxPool
from ssd_np.nn.parameter import Parameter
from ssd_np.nn.sequential import Sequential
from ssd_np.train.sgd import SGD

pytestmark = pytest.mark.lesson08


def small_network(dtype=np.float64, ops=None):
    rng, ops = np.random.default_rng(3), ops or select("fast")
    options = {"rng": rng, "dtype": dtype, "ops": ops}
    network = Sequential(
        [
            Conv("conv1", 2, 3, **options),
            MaxPool("pool1", ops=ops),
            Conv("conv2", 3, 4, stride=2, **options),
            L2Normalization("norm", 4, dtype=dtype),
            Conv("conv3", 4, 2, kernel=1, pad=0, activation="none", **options),
        ]
    )
    for p in network.parameters.values():  # no ReLU at its kink, no bias at 0
        p.assign(p.value + 0.3 * rng.standard_normal(p.value.shape).astype(dtype))
    return network


def draw(rng, dtype=np.float64):
    x, dout = rng.standard_normal((2, 8, 6, 2)), rng.standard_normal((2, 2, 2, 2))
    return x.astype(dtype), dout.astype(dtype)


@pytest.mark.parametrize("ops", [select("plain"), select("fast"), select("fast").for_model()])
def test_gradients_of_input_and_parameters(ops, rng):
    network = small_network(ops=ops)
    x, dout = draw(rng)

    def forward(v):
        return network.forward(v)

    assert forward(x).shape == dout.shape
    numeric = numeric_gradient(forward, x, dout)
    network.forward(x, True)
    assert relative_error(numeric, network.backward(dout)) <= 1e-6
    gradients = {name: p.grad.copy() for name, p in network.parameters.items()}
    assert set(gradients) == {
        *("conv1.weight", "conv1.bias", "conv2.weight", "conv2.bias", "norm.scale"),
        *("conv3.weight", "conv3.bias"),
    }
    for name, p in network.parameters.items():

        def with_value(v, p=p):
            kept = p.value.copy()
            p.assign(v)
            out = forward(x)
            p.assign(kept)
            return out

        numeric = numeric_gradient(with_value, p.value, dout)
        assert relative_error(numeric, gradients[name]) <= 1e-6, name


def test_kept_memory_changes_no_result(rng):
    """Three steps of different sizes on one workspace, against fresh memory each time."""
    network, fresh = small_network(ops=select("fast").for_model()), small_network()
    for n in (2, 1, 3):
        x, dout = rng.standard_normal((n, 8, 6, 2)), rng.standard_normal((n, 2, 2, 2))
        out = network.forward(x, True).copy()
        dx = network.backward(dout).copy()
        assert np.array_equal(out, fresh.forward(x, True))
        assert np.array_equal(dx, fresh.backward(dout))
        for name, p in network.parameters.items():
            assert np.array_equal(p.grad, fresh.parameters[name].grad), name


def test_gradients_of_parameters_survive_the_next_step(rng):
    network = small_network(ops=select("fast").for_model())
    x, dout = draw(rng)
    network.forward(x, True)
    network.backward(dout)
    kept = [(p.grad, p.grad.copy()) for p in network.parameters.values()]
    network.forward(2 * x, True)
    network.backward(-dout)
    assert all(np.array_equal(now, then) for now, then in kept)


def test_no_layer_changes_its_input_or_gradient(rng):
    network = small_network(ops=select("fast").for_model())
    x, dout = draw(rng)
    before = x.copy(), dout.copy()
    network.forward(x, True)
    network.backward(dout)
    assert np.array_equal(x, before[0]) and np.array_equal(dout, before[1])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_types_stay(dtype, rng):
    network = small_network(dtype)
    x, dout = draw(rng, dtype)
    assert network.forward(x, True).dtype == dtype
    assert network.backward(dout).dtype == dtype
    assert all(p.grad.dtype == p.value.dtype == dtype for p in network.parameters.values())


def test_without_training_nothing_is_remembered(rng):
    network = small_network()
    x, _ = draw(rng)
    network.forward(x, training=True)
    assert all(layer.cache is not None for layer in network)
    network.forward(x)
    assert all(layer.cache is None for layer in network)


def test_backward_ends_where_nothing_is_left_to_train(rng):
    network = small_network()
    conv1, pool1, conv2, _, _ = network
    for p in (*conv1.parameters.values(), *conv2.parameters.values()):
        p.trainable = False
    called = []
    for layer in network:
        original = layer.backward
        layer.backward = lambda *a, f=original, n=layer.name: (called.append(n), f(*a))[1]
    x, dout = draw(rng)
    network.forward(x, True)
    assert network.backward(dout, input_gradient=False) is None
    assert called == ["conv3", "norm"]
    assert conv1.weight.grad is None and conv2.weight.grad is None
    called.clear()
    assert network.backward(dout).shape == x.shape  # the gradient of the image is asked for
    assert called == ["conv3", "norm", "conv2", "pool1", "conv1"]
    assert conv1.weight.grad is None and pool1.trainable is False and not conv1.trainable


def test_a_frozen_layer_in_the_middle_passes_the_gradient_on(rng):
    network, free = small_network(), small_network()
    _, _, conv2, _, _ = network
    conv2.weight.trainable = conv2.bias.trainable = False
    x, dout = draw(rng)
    for n in (network, free):
        n.forward(x, True)
        n.backward(dout, input_gradient=False)
    assert conv2.weight.grad is None and conv2.bias.grad is None
    for name in ("conv1.weight", "conv1.bias", "norm.scale"):
        assert np.array_equal(network.parameters[name].grad, free.parameters[name].grad)


def test_memory_is_lent_while_an_array_refers_to_it():
    workspace = Workspace()
    a = workspace.empty((4, 3), np.float32)
    assert a.shape == (4, 3) and a.dtype == np.float32 and a.flags.writeable
    b = workspace.empty((4, 3), np.float32)
    assert not np.shares_memory(a, b)
    corner = a.T[1:, :2]
    address = a.__array_interface__["data"][0]
    del a
    assert not np.shares_memory(corner, workspace.empty((4, 3), np.float32))  # a view holds it
    del corner
    again = workspace.empty((2, 3), np.float64)
    assert again.__array_interface__["data"][0] == address
    fresh = Place()
    first = fresh.empty((3,), np.float64)
    assert not np.shares_memory(first, fresh.empty((3,), np.float64))


def test_free_memory_is_used_again_and_what_is_too_small_makes_room():
    workspace = Workspace()
    for size in (10, 20, 40):  # one at a time
        workspace.empty((size,), np.uint8)
        assert workspace.nbytes == size
    kept = workspace.empty((5,), np.uint8)
    assert workspace.nbytes == 40 and len(kept) == 5
    other = workspace.empty((30,), np.uint8)
    assert workspace.nbytes == 70
    del kept, other
    small = workspace.empty((25,), np.uint8)  # the smaller of the two that hold it
    large = workspace.empty((35,), np.uint8)
    assert workspace.nbytes == 70 and not np.shares_memory(small, large)
    assert workspace.empty((0, 3), np.float32).shape == (0, 3)


def test_starting_values():
    options = {"rng": np.random.default_rng(0), "ops": select()}
    conv = Conv("c", 64, 64, **options)
    head = Conv("h", 64, 64, activation="none", **options)
    assert conv.weight.value.std() == pytest.approx(np.sqrt(2 / 576), rel=0.02)  # He
    assert np.abs(head.weight.value).max() <= np.sqrt(6 / 1152)  # Glorot
    assert not conv.bias.value.any() and conv.weight.value.dtype == np.float32
    assert (L2Normalization("n", 5).scale.value == 20).all()
    parameter = Parameter(np.ones(2))
    assert parameter.trainable and parameter.grad is None


# --- depthwise convolution and batch normalisation -----------------------------------------------

ENGINES = pytest.mark.parametrize(
    "ops",
    [select("plain"), select("fast"), select("fast").for_model()],
    ids=["plain", "fast", "kept memory"],
)


def separable(ops, dtype=np.float64):
    """A MobileNet block behind a first convolution: depthwise, then 1x1, each normalised."""
    rng = np.random.default_rng(3)
    options = {"rng": rng, "dtype": dtype, "ops": ops}
    network = Sequential(
        [
            Conv("first", 2, 4, activation="none", **options),
            BatchNorm("first_bn", 4, dtype=dtype, ops=ops),
            Depthwise("wide", 4, stride=2, pad=((0, 1), (0, 1)), activation="relu6", **options),
            BatchNorm("wide_bn", 4, activation="none", dtype=dtype, ops=ops),
            Conv("narrow", 4, 3, kernel=1, pad=0, activation="none", **options),
            BatchNorm("narrow_bn", 3, activation="relu6", dtype=dtype, ops=ops),
        ]
    )
    for p in network.parameters.values():
        p.assign(np.abs(p.value) + 0.3 * rng.random(p.value.shape).astype(dtype))
    return network


@ENGINES
@pytest.mark.parametrize("frozen", [False, True])
def test_gradients_through_batch_normalisation(ops, frozen, rng):
    network = separable(ops)
    if frozen:
        for layer in network:
            if isinstance(layer, BatchNorm):
                layer.scale.trainable = layer.shift.trainable = False
    statistics = {n: p.value.copy() for n, p in network.parameters.items() if not p.trainable}
    x = rng.standard_normal((3, 6, 8, 2))
    dout = rng.standard_normal((3, 3, 4, 3))

    def forward(v):
        return network.forward(v, training=True).copy()

    numeric = numeric_gradient(forward, x, dout)
    network.forward(x, True)
    assert relative_error(numeric, network.backward(dout)) <= 1e-6
    gradients = {n: p.grad.copy() for n, p in network.parameters.items() if p.trainable}
    assert {n.rpartition(".")[2] for n in gradients} == (
        {"weight", "bias"} if frozen else {"weight", "bias", "scale", "shift"}
    )
    for name, grad in gradients.items():
        p = network.parameters[name]

        def with_value(v, p=p):
            kept = p.value.copy()
            p.assign(v)
            out = forward(x)
            p.assign(kept)
            return out

        numeric = numeric_gradient(with_value, p.value, dout)
        if not frozen and name in ("first.bias", "narrow.bias", "wide_bn.shift"):
            # what the next normalisation takes away again learns nothing
            np.testing.assert_allclose(grad, 0, atol=1e-12)
            np.testing.assert_allclose(numeric, 0, atol=1e-8)
        else:
            assert relative_error(numeric, grad) <= 1e-6, name
    for name, value in statistics.items():  # frozen, they are kept; else they have moved
        if frozen or name.endswith((".scale", ".shift")):
            assert np.array_equal(network.parameters[name].value, value), name
        else:
            assert not np.array_equal(network.parameters[name].value, value), name


@ENGINES
def test_training_with_batch_normalisation_is_pytorchs(ops, rng):
    """Three steps of SGD with decay, which leaves scale and shift alone; then inference."""
    torch = pytest.importorskip("torch")
    network = separable(ops)
    tensors = {n: p.value.copy() for n, p in network.parameters.items()}

    def bn(name, channels):
        layer = torch.nn.BatchNorm2d(channels, dtype=torch.float64)
        with torch.no_grad():
            layer.weight[:] = torch.tensor(tensors[f"{name}.scale"])
            layer.bias[:] = torch.tensor(tensors[f"{name}.shift"])
            layer.running_mean[:] = torch.tensor(tensors[f"{name}.mean"])
            layer.running_var[:] = torch.tensor(tensors[f"{name}.variance"])
        return layer

    def conv(name, c_in, c_out, kernel, **options):
        layer = torch.nn.Conv2d(c_in, c_out, kernel, dtype=torch.float64, **options)
        w = tensors[f"{name}.weight"]
        w = w[:, :, None] if w.ndim == 3 else w  # (kh, kw, 1, C): one channel comes in
        with torch.no_grad():
            layer.weight[:] = torch.tensor(w.transpose(3, 2, 0, 1))
            layer.bias[:] = torch.tensor(tensors[f"{name}.bias"])
        return layer

    theirs = torch.nn.Sequential(
        *(conv("first", 2, 4, 3, padding=1), bn("first_bn", 4), torch.nn.ReLU()),
        *(torch.nn.ZeroPad2d((0, 1, 0, 1)), conv("wide", 4, 4, 3, stride=2, groups=4)),
        *(torch.nn.ReLU6(), bn("wide_bn", 4), conv("narrow", 4, 3, 1), bn("narrow_bn", 3)),
        torch.nn.ReLU6(),
    )
    named = dict(theirs.named_parameters())
    decaying = [p for n, p in named.items() if p.ndim == 4]
    rest = [p for n, p in named.items() if p.ndim != 4]
    reference = torch.optim.SGD(
        [{"params": decaying, "weight_decay": 0.1}, {"params": rest}], 0.05, momentum=0.9
    )
    optimiser = SGD(network.parameters, momentum=0.9, weight_decay=0.1)
    for step in range(4):
        theirs.train(step < 3)
        x, dout = rng.standard_normal((3, 6, 8, 2)), rng.standard_normal((3, 3, 4, 3))
        expected = theirs(torch.tensor(x.transpose(0, 3, 1, 2)))
        out = network.forward(x, training=step < 3)
        assert relative_error(out, expected.detach().permute(0, 2, 3, 1).numpy()) <= 1e-10, step
        if step == 3:
            break
        network.backward(dout)
        optimiser.step(0.05)
        reference.zero_grad()
        expected.backward(torch.tensor(dout.transpose(0, 3, 1, 2)))
        reference.step()


def test_running_statistics_belong_to_the_tensors_but_not_to_the_optimiser():
    network = separable(select("fast"))
    assert {"wide_bn.mean", "wide_bn.variance"} <= network.parameters.keys()
    velocity = SGD(network.parameters).velocity
    assert {"wide_bn.scale", "wide_bn.shift", "wide.weight"} <= velocity.keys()
    assert not any(name.endswith((".mean", ".variance")) for name in velocity)


def test_a_convolution_of_ones_own_is_asked_in_inference_too(rng):
    """Neighbours that are computed in one call are the package's own."""

    class Doubled(Conv):
        def forward(self, x, training=False):
            return 2 * super().forward(x, training)

    x = rng.standard_normal((1, 4, 5, 3), np.float32)
    own, plain = (
        Sequential([kind(f"layer{i}", 3, 3, kernel=1, pad=0, ops=select("fast")) for i in range(2)])
        for kind in (Doubled, Conv)
    )
    np.testing.assert_array_equal(own.forward(x), own.forward(x, training=True))
    assert not np.array_equal(own.forward(x), plain.forward(x))
    np.testing.assert_allclose(plain.forward(x), plain.forward(x, training=True), rtol=1e-5)
