"""SGD: momentum, decay and clipping by hand-computed numbers and against PyTorch."""

import numpy as np
import pytest

from ssd_np.errors import NotFinite
from ssd_np.nn.parameter import Parameter
from ssd_np.train.sgd import SGD

pytestmark = pytest.mark.lesson12


def parameters(rng, dtype=np.float64) -> dict[str, Parameter]:
    shapes = {"conv.weight": (3, 3, 2, 4), "conv.bias": (4,), "conv_norm.scale": (4,)}
    return {name: Parameter(rng.standard_normal(s).astype(dtype)) for name, s in shapes.items()}


def set_gradients(params, rng) -> None:
    for parameter in params.values():
        parameter.grad = rng.standard_normal(parameter.value.shape).astype(parameter.value.dtype)


def test_two_steps_by_hand():
    params = {"w": Parameter(np.array([1.0]))}
    optimiser = SGD(params, momentum=0.9, weight_decay=0.1)
    params["w"].grad = np.array([2.0])
    optimiser.step(0.5)  # v = 2 + .1 * 1 = 2.1, w = 1 - 1.05
    np.testing.assert_allclose(params["w"].value, -0.05)
    optimiser.step(0.5)  # v = .9 * 2.1 + 2 - .005 = 3.885, w = -.05 - 1.9425
    np.testing.assert_allclose(params["w"].value, -1.9925)


def test_equals_pytorch_with_no_decay_on_biases():
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    params = parameters(rng)
    theirs = {n: torch.tensor(p.value).requires_grad_() for n, p in params.items()}
    bias = [theirs["conv.bias"]]
    rest = [theirs["conv.weight"], theirs["conv_norm.scale"]]
    reference = torch.optim.SGD(
        [{"params": rest, "weight_decay": 5e-4}, {"params": bias, "lr": 0.02}], 0.01, momentum=0.9
    )
    optimiser = SGD(params, momentum=0.9, weight_decay=5e-4, bias_multiplier=2)
    for _ in range(5):
        set_gradients(params, rng)
        for name, tensor in theirs.items():
            tensor.grad = torch.tensor(params[name].grad)
        norm = optimiser.step(0.01, clip_norm=3.0)
        their_norm = torch.nn.utils.clip_grad_norm_(theirs.values(), 3.0)
        reference.step()
        assert norm == pytest.approx(float(their_norm), rel=1e-12)
    for name, tensor in theirs.items():
        np.testing.assert_allclose(params[name].value, tensor.detach().numpy(), rtol=1e-6)


def test_a_base_of_half_the_rate_equals_pytorchs_parameter_groups():
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    params = parameters(rng)
    theirs = {n: torch.tensor(p.value).requires_grad_() for n, p in params.items()}
    groups = [{"params": [t], "lr": 0.005 if n == "conv.weight" else 0.01}
              for n, t in theirs.items()]  # fmt: skip
    reference = torch.optim.SGD(groups, momentum=0.9)
    optimiser = SGD(params, momentum=0.9, multipliers={"conv.weight": 0.5})
    for _ in range(5):
        set_gradients(params, rng)
        for name, tensor in theirs.items():
            tensor.grad = torch.tensor(params[name].grad)
        optimiser.step(0.01)
        reference.step()
    for name, tensor in theirs.items():
        np.testing.assert_allclose(params[name].value, tensor.detach().numpy(), rtol=1e-6)


def test_the_rate_in_the_momentum_by_hand():
    """w = 1, gradients 1 at rate 0.1, then 0.01: velocities 0.1 and 0.9 * 0.1 + 0.01 = 0.1. The
    other way they are 1 and 1.9, and the second step is ten times shorter: 0.019."""
    for inside, expected in ((True, 1 - 0.1 - 0.1), (False, 1 - 0.1 - 0.019)):
        params = {"w": Parameter(np.array([1.0]))}
        optimiser = SGD(params, momentum=0.9, rate_in_momentum=inside)
        for rate in (0.1, 0.01):
            params["w"].grad = np.array([1.0])
            optimiser.step(rate)
        np.testing.assert_allclose(params["w"].value, [expected])


def test_where_the_rate_stands_is_the_same_while_it_stays():
    """With decay, a longer rate for biases and a limit on the norm."""
    trained = []
    for inside in (True, False):
        rng = np.random.default_rng(3)
        params = parameters(rng)
        optimiser = SGD(params, 0.9, 5e-4, bias_multiplier=2, rate_in_momentum=inside)
        for _ in range(5):
            set_gradients(params, rng)
            optimiser.step(0.01, clip_norm=3.0)
        trained.append({name: p.value.copy() for name, p in params.items()})
    for name, value in trained[0].items():
        np.testing.assert_allclose(value, trained[1][name], rtol=1e-6, atol=1e-9)


def test_a_small_gradient_is_not_stretched():
    params = {"w": Parameter(np.array([0.0]))}
    params["w"].grad = np.array([0.5])
    SGD(params, momentum=0).step(1.0, clip_norm=10.0)
    np.testing.assert_allclose(params["w"].value, -0.5)


def test_what_is_frozen_has_no_state_and_is_not_touched():
    rng = np.random.default_rng(0)
    params = parameters(rng)
    params["conv.weight"].trainable = False
    before = params["conv.weight"].value.copy()
    optimiser = SGD(params, momentum=0.9, weight_decay=0.1)
    set_gradients(params, rng)
    params["conv.weight"].grad = None
    optimiser.step(0.1)
    assert "conv.weight" not in optimiser.velocity
    np.testing.assert_array_equal(params["conv.weight"].value, before)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_gradient_that_is_not_finite_is_named_and_changes_nothing(bad):
    rng = np.random.default_rng(0)
    params = parameters(rng, np.float32)
    set_gradients(params, rng)
    params["conv.bias"].grad[2] = bad
    before = {name: p.value.copy() for name, p in params.items()}
    with pytest.raises(NotFinite, match=r"conv\.bias"):
        SGD(params).step(0.1)
    for name, parameter in params.items():
        np.testing.assert_array_equal(parameter.value, before[name])


def test_float32_stays_float32():
    rng = np.random.default_rng(0)
    params = parameters(rng, np.float32)
    set_gradients(params, rng)
    SGD(params, momentum=0.9).step(0.1)
    assert {p.value.dtype for p in params.values()} == {np.dtype(np.float32)}
