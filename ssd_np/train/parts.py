"""The parts of a training that may be your own: its loss, its schedule, its optimiser.

    Trainer(..., loss=focal, schedule=lambda step: 1e-3, optimiser=Adam(model.parameters))

Each is a protocol: whatever has its shape will do, a function or an object, and there is nothing to
derive from. Callbacks are told of in callbacks.py, data sets in data/items.py. A training that goes
on must be given the parts that it began with: their names stand in its checkpoint.
"""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from ssd_np.checks import check_factor, check_kind
from ssd_np.config import Config
from ssd_np.engine import Engine
from ssd_np.errors import ConfigError
from ssd_np.nn.checks import check_floats
from ssd_np.signatures import checked

LOSS_VALUE = ("total", "parts", "dlogits", "doffsets")


class LossValue(Protocol):
    """What a loss says of a batch; `MultiboxLoss` is one, and so is `LossAndGradients`."""

    @property
    def total(self) -> float:
        """What gets smaller."""

    @property
    def parts(self) -> Mapping[str, float]:
        """What the total is made of, by name: a column of the log each, the same at every step."""

    @property
    def dlogits(self) -> np.ndarray:
        """(N, T, K), the gradient of the total with respect to the logits."""

    @property
    def doffsets(self) -> np.ndarray:
        """(N, T, 4), the gradient with respect to the offsets."""


@dataclass(frozen=True)
class LossAndGradients:
    """The value of a loss of your own (see `LossValue`)."""

    total: float
    dlogits: np.ndarray
    doffsets: np.ndarray
    parts: Mapping[str, float] = field(default_factory=dict)


class Loss(Protocol):
    """How wrong the network is on a batch, with both gradients."""

    def __call__(
        self,
        logits: np.ndarray,
        offsets: np.ndarray,
        target_labels: np.ndarray,
        target_offsets: np.ndarray,
        /,
    ) -> LossValue:
        """logits (N, T, K), offsets (N, T, 4), target_labels (N, T) int: a class, 0 background, -1
        neutral (counts for nothing), target_offsets (N, T, 4), zeros where there is no object."""


class Schedule(Protocol):
    """The learning rate of a step, counted from 0. It may depend on nothing else: a training that
    goes on asks for the steps that are left."""

    def __call__(self, step: int, /) -> float: ...


class Optimiser(Protocol):
    """What moves the weights, and what it remembers of earlier steps.

    sgd.py has what all of them need: `learning(parameters)`, those to be moved, each with its
    gradient, and `gradient_norm`, `shortening`, their common length and what a limit makes of it.
    """

    def step(self, rate: float, clip_norm: float | None = None) -> float:
        """One update from `Parameter.grad` by `Parameter.update`, of gradients that together are
        not longer than `clip_norm`; returns how long they were. NotFinite, with nothing changed,
        for a gradient that is no number."""

    def state(self) -> Mapping[str, np.ndarray]:
        """All that it remembers, by names that no parameter has, such as "m/conv1_1.weight"."""

    def load_state(self, state: Mapping[str, np.ndarray]) -> None:
        """Remembers what `state` gave; WeightsError, with nothing changed, if it does not fit."""


@checked
def ssd_loss(config: Config, ops: Engine) -> Loss:
    """The loss that a config describes."""
    rule = config.loss
    return functools.partial(
        ops.multibox_loss,
        ratio=rule.ratio,
        alpha=rule.alpha,
        mining=rule.mining,
        minimum=rule.minimum_negatives,
        scores=config.decoding.scores,
        class_weights=rule.class_weights or None,
        gamma=rule.focal_gamma,
    )


def name_of(part: object) -> str:
    """What a part is called: the function, or the class of the object."""
    part = getattr(part, "func", part)  # of a functools.partial
    return getattr(part, "__qualname__", type(part).__qualname__)


def checked_rate(rate: float, step: int | None = None) -> float:
    """What a schedule says, as a number; ConfigError if it is none, or below 0."""
    check_factor(rate, "the learning rate")
    if not 0 <= rate < float("inf"):
        hint = "a schedule gives a number from 0 on for each step"
        where = "" if step is None else f"step {step}"
        raise ConfigError(f"the learning rate is {rate!r}", where, hint)
    return float(rate)


def check_parts(loss: object, schedule: object, optimiser: object) -> None:
    """ConfigError for one that has not the shape of its protocol."""
    for what, part in {"loss": loss, "schedule": schedule}.items():
        if not callable(part):
            raise ConfigError(f"{part!r} can not be called", what, "give a function or an object")
    require_methods("optimiser", optimiser, ("step", "state", "load_state"), "see train.Optimiser")


@checked
def require_methods(what: str, part: object, names: Sequence[str], hint: str) -> None:
    """ConfigError for an object that lacks a method, and for a class in the place of an object."""
    if isinstance(part, type):
        raise ConfigError("is a class", f"{what} {part.__name__}", "give an object that it makes")
    missing = [name for name in names if not callable(getattr(part, name, None))]
    if missing:
        raise ConfigError(f"has no {', '.join(missing)}", f"{what} {type(part).__name__}", hint)


def checked_loss(value: LossValue) -> LossValue:
    """What a loss says; ConfigError if it does not say all."""
    missing = [name for name in LOSS_VALUE if not hasattr(value, name)]
    if missing:
        what = f"gives a {type(value).__name__} without {', '.join(missing)}"
        raise ConfigError(what, "the loss", "return a train.LossAndGradients")
    check_kind(value.parts, Mapping, "parts of the loss")
    for name, number in {"total": value.total, **value.parts}.items():
        check_factor(number, f"the loss's {name}")
    for name in LOSS_VALUE[2:]:
        check_floats(getattr(value, name), name)
    return value
