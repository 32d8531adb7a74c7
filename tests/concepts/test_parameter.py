"""A parameter owns its memory: every layout trains, nobody else writes, copies stand alone."""

import copy
import pickle

import numpy as np
import pytest

from ssd_np.config import load_config
from ssd_np.engine import select
from ssd_np.engine.memory import Workspace
from ssd_np.errors import ShapeError
from ssd_np.model.ssd import SSD
from ssd_np.nn.parameter import Parameter
from ssd_np.train.sgd import SGD

pytestmark = pytest.mark.lesson08

LAYOUTS = {
    "C order": lambda a: a,
    "Fortran order": np.asfortranarray,
    "a transposed view": lambda a: np.ascontiguousarray(a.transpose(3, 2, 0, 1)).transpose(
        2, 3, 1, 0
    ),
    "every second entry": lambda a: np.repeat(a, 2, axis=-1)[..., ::2],
    "backwards": lambda a: a[::-1].copy()[::-1],
    "read-only": lambda a: np.broadcast_to(a, a.shape),
    "the other byte order": lambda a: a.astype(a.dtype.newbyteorder()),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("way", ["made from", "assigned"])
def test_every_layout_trains(layout, way, rng):
    values = rng.standard_normal((3, 3, 2, 4)).astype(np.float32)
    given = LAYOUTS[layout](values)
    np.testing.assert_array_equal(given, values)
    parameter = Parameter(given if way == "made from" else np.zeros_like(values))
    parameter.assign(given)
    optimiser = SGD({"w": parameter}, momentum=0.9, weight_decay=5e-4)
    velocity, expected = np.zeros_like(values), values
    for _ in range(2):
        parameter.grad = np.asfortranarray(rng.standard_normal(values.shape).astype(np.float32))
        velocity = 0.9 * velocity + parameter.grad + 5e-4 * expected
        expected = expected - 0.1 * velocity
        optimiser.step(0.1)
    np.testing.assert_allclose(parameter.value, expected, rtol=1e-5, atol=1e-6)
    assert parameter.value.flags.c_contiguous and parameter.value.dtype == np.float32
    np.testing.assert_array_equal(given, values)  # the array it came from is untouched


def test_only_assign_and_update_write():
    parameter = Parameter(np.ones((2, 3)))
    with pytest.raises(ValueError, match="read-only"):
        parameter.value[0, 0] = 5
    with pytest.raises(ValueError, match="read-only"):
        parameter.value.reshape(-1)[0] = 5
    with pytest.raises(AttributeError):
        parameter.value = np.zeros((2, 3))
    assert (parameter.value == 1).all()


def test_value_is_a_window_not_a_copy():
    parameter = Parameter(np.ones(3))
    window = parameter.value
    parameter.assign(np.array([1.0, 2.0, 3.0]))
    assert window.tolist() == [1, 2, 3]
    parameter.update(lambda w: w + 1)  # a rule that makes a new array
    assert window.tolist() == [2, 3, 4]

    def rule(w):
        w *= 2
        return w

    parameter.update(rule)  # and one that writes in place
    assert window.tolist() == [4, 6, 8]


@pytest.mark.parametrize("array", [np.zeros((3, 2)), np.zeros(6), np.zeros((2, 3), int)])
def test_what_does_not_fit_is_refused_and_changes_nothing(array):
    parameter = Parameter(np.ones((2, 3), np.float32))
    with pytest.raises(ShapeError, match=r"\(2, 3\) float32"):
        parameter.assign(array)
    assert (parameter.value == 1).all()


def test_the_type_of_a_parameter_stays():
    parameter = Parameter(np.zeros(2, np.float32))
    parameter.assign(np.array([0.1, 0.2]))
    assert parameter.value.dtype == np.float32
    np.testing.assert_array_equal(parameter.value, np.array([0.1, 0.2], np.float32))


COPIES = {"deepcopy": copy.deepcopy, "pickle": lambda a: pickle.loads(pickle.dumps(a))}


@pytest.mark.parametrize("way", COPIES)
def test_a_copy_of_a_model_stands_alone(way, rng):
    model = SSD(load_config("tiny"), seed=1)
    images = rng.standard_normal((1, 128, 128, 3)).astype(np.float32)
    outputs = model.forward(images, training=True)
    twin = COPIES[way](model)
    np.testing.assert_array_equal(twin.forward(images, training=True)[0], outputs[0])
    gradients = [rng.standard_normal(a.shape).astype(np.float32) for a in outputs]
    before = {name: p.value.copy() for name, p in model.parameters.items()}
    optimiser = SGD(twin.parameters)
    twin.backward(*gradients)
    optimiser.step(0.1)
    for name, parameter in twin.parameters.items():
        assert not np.array_equal(parameter.value, before[name]), name
        np.testing.assert_array_equal(model.parameters[name].value, before[name])
    model.backward(*gradients)  # what the model remembered of its own forward is still there
    for name, parameter in model.parameters.items():
        assert parameter.grad is not twin.parameters[name].grad
        np.testing.assert_array_equal(parameter.grad, twin.parameters[name].grad)


@pytest.mark.parametrize("way", COPIES)
def test_relatives_of_a_model_can_be_copied(way, rng):
    workspace = Workspace()
    kept = workspace.empty((3,), np.float32)
    assert not np.shares_memory(kept, COPIES[way](workspace).empty((3,), np.float32))
    for engine in (select("plain").for_model(), select("fast").for_model()):
        with engine.turn:  # in use meanwhile
            with COPIES[way](engine).turn:
                pass  # or it would wait for ever
            assert not engine.turn.acquire(blocking=False)
    parameter = COPIES[way](Parameter(rng.standard_normal((2, 3)), trainable=False))
    assert parameter.value.flags.c_contiguous and not parameter.trainable
    with pytest.raises(ValueError, match="read-only"):
        parameter.value[...] = 0
    parameter.assign(np.ones((2, 3)))
    assert (parameter.value == 1).all()
