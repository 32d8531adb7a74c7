"""Stochastic gradient descent with momentum and weight decay, for all parameters of a model.

    v <- momentum * v + scale * g + decay * w
    w <- w - rate * v                               (nn/sgd.py)

Caffe puts the rate into the velocity, v <- momentum * v + rate * (...), w <- w - v
(`rate_in_momentum`). As long as the rate stays, both do the same; after a drop Caffe's velocity
still has the size of the old rate, for some 1 / (1 - momentum) steps.

Decay pulls weights and scales towards 0 and leaves biases alone. `scale` shortens all gradients
together when their common norm is above a limit (Pascanu et al. 2013), which keeps a rare wild
batch from throwing the weights far away.
"""

import functools
from collections.abc import Mapping

import numpy as np

from ssd_np.checks import check_factor, check_kind
from ssd_np.engine import Engine, select
from ssd_np.errors import NotFinite, ShapeError, WeightsError
from ssd_np.nn.parameter import Parameter
from ssd_np.train.parts import checked_rate

VELOCITY = "velocity/"  # and the parameter's name: the name of its velocity in a checkpoint

# by name, each with its gradient
Moving = dict[str, tuple[Parameter, np.ndarray]]


class SGD:
    """Updates parameters in place. Whether one learns is asked at each step: one that is frozen
    rests, its velocity too, and goes on with it when it learns again.

    velocity     dict name -> array of the parameter's shape, the optimiser's whole state
    multipliers  of the rate, by parameter: a base that was trained before may learn more slowly
    """

    def __init__(
        self,
        parameters: Mapping[str, Parameter],
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        bias_multiplier: float = 1.0,
        ops: Engine | None = None,
        rate_in_momentum: bool = False,
        multipliers: Mapping[str, float] | None = None,
    ) -> None:
        check_kind(parameters, Mapping, "parameters")
        multipliers = {} if multipliers is None else multipliers
        check_kind(multipliers, Mapping, "multipliers")
        self.ops, self.parameters = ops or select(), dict(parameters)
        self.momentum, self.weight_decay = momentum, weight_decay
        self.bias_multiplier, self.rate_in_momentum = bias_multiplier, rate_in_momentum
        self.multipliers = dict(multipliers)
        self.velocity: dict[str, np.ndarray] = {}
        for name, parameter in self.parameters.items():
            if parameter.trainable:
                self._at_rest(name)

    def _at_rest(self, name: str) -> None:
        value = self.parameters[name].value
        self.velocity[name] = np.zeros(value.shape, value.dtype)

    def step(self, rate: float, clip_norm: float | None = None) -> float:
        """One update from `Parameter.grad`; returns the norm of all gradients before clipping.

        Raises NotFinite, with nothing changed, when a gradient is NaN or infinite.
        """
        checked_rate(rate)
        moving = learning(self.parameters)
        norm = gradient_norm(moving, self.ops)
        scale = shortening(norm, clip_norm)
        for name, (parameter, gradient) in moving.items():
            if name not in self.velocity:  # it was frozen until now
                self._at_rest(name)
            bias = name.endswith(".bias")
            own = self.multipliers.get(name, 1.0) * (self.bias_multiplier if bias else 1)
            outside = float(rate * own)
            inside = 1.0
            if self.rate_in_momentum:
                outside, inside = inside, outside
            decay = 0.0 if bias or not parameter.decays else self.weight_decay
            settings = outside, self.momentum, inside * decay, inside * scale

            parameter.update(functools.partial(self._rule, name, gradient, settings))
        return norm

    def _rule(
        self, name: str, g: np.ndarray, settings: tuple[float, ...], w: np.ndarray
    ) -> np.ndarray:
        w, self.velocity[name] = self.ops.sgd_update(w, self.velocity[name], g, *settings)
        return w

    def state(self) -> dict[str, np.ndarray]:
        """The velocities, "velocity/conv1_1.weight" and so on."""
        return {VELOCITY + name: velocity for name, velocity in self.velocity.items()}

    def load_state(self, state: Mapping[str, np.ndarray]) -> None:
        """Takes the velocities from `state`; WeightsError for one that belongs to no parameter."""
        check_kind(state, Mapping, "state")
        velocity = {}
        for key, array in state.items():
            name = key.removeprefix(VELOCITY)
            if name == key or name not in self.parameters:
                raise WeightsError("is the velocity of no parameter", where=key)
            own = self.parameters[name].value
            if (array.shape, array.dtype) != (own.shape, own.dtype):
                what = f"is {array.shape} {array.dtype}, the parameter {own.shape} {own.dtype}"
                raise WeightsError(what, where=key)
            velocity[name] = np.array(array)  # of its own
        self.velocity = velocity


def learning(parameters: Mapping[str, Parameter]) -> Moving:
    """The parameters that learn as things stand, with their gradients; ShapeError for one that has
    none to learn by, or one of another shape."""
    check_kind(parameters, Mapping, "parameters")
    found: Moving = {}
    for name, parameter in parameters.items():
        if not parameter.trainable:
            continue
        gradient = parameter.grad
        if gradient is None or gradient.shape != parameter.value.shape:
            got = "no gradient" if gradient is None else f"one of {gradient.shape}"
            what = f"has {got}, and is to learn"
            hint = "backward comes before the update; a layer's sets Parameter.grad of each"
            raise ShapeError(what, f"parameter {name} {parameter.value.shape}", hint)
        found[name] = parameter, gradient
    return found


def gradient_norm(moving: Moving, ops: Engine | None = None) -> float:
    """Square root of the sum of squares of all gradients, added up in float64; NotFinite, with its
    parameter's name, for one that is no number."""
    check_kind(moving, Mapping, "moving")
    ops, total = ops or select(), 0.0
    for name, (_, gradient) in moving.items():
        square = ops.square_sum(gradient)
        if not np.isfinite(square):
            raise NotFinite("gradient is not finite", where=name, hint="lower the learning rate")
        total += square
    return float(np.sqrt(total))


def shortening(norm: float, clip_norm: float | None) -> float:
    """What to multiply all gradients by, so that together they are not longer than `clip_norm`."""
    check_factor(norm, "norm")
    check_factor(0.0 if clip_norm is None else clip_norm, "clip_norm")
    return min(1.0, clip_norm / norm) if clip_norm and norm > 0 else 1.0
