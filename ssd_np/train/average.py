"""The average of the weights of the last steps: a network that is often better than each of them.

Single steps jump around a good place, their mean lies in it (Polyak and Juditsky 1992). How far
back to look depends on how far the training is: in the polynomial-decay average of Shamir and Zhang
(2013, section 4) the weights w of step t = 1, 2, ... join the average a by

    a <- a + min(1, 1 / (share t)) (w - a)

so that at any time the last `share` of the steps so far is looked back on, and nobody needs to know
how many there will be.
"""

import contextlib
from collections.abc import Iterator, Mapping

import numpy as np

from ssd_np.config import TrainConfig
from ssd_np.engine import Engine
from ssd_np.errors import WeightsError
from ssd_np.model.pretrained import base_names
from ssd_np.model.ssd import SSD
from ssd_np.nn.parameter import Parameter
from ssd_np.signatures import checked
from ssd_np.train.parts import Optimiser
from ssd_np.train.sgd import SGD

AVERAGE, COUNT = "average/", "average/steps"  # names in a checkpoint: the parameter's after the "/"


class Averaged:
    """An optimiser that also keeps the average of the weights it makes, statistics of batches
    included; the average is a part of its state, and goes on with it.

    average  dict name -> array of the parameter's shape; empty before the first step
    """

    def __init__(
        self, optimiser: Optimiser, parameters: Mapping[str, Parameter], share: float
    ) -> None:
        self.optimiser, self.parameters, self.share = optimiser, dict(parameters), share
        self.steps, self.average = 0, dict[str, np.ndarray]()

    def step(self, rate: float, clip_norm: float | None = None) -> float:
        """A step of the optimiser; its weights join the average."""
        norm = self.optimiser.step(rate, clip_norm)
        self.steps += 1
        newest = 1 / (self.share * self.steps)
        for name, parameter in self.parameters.items():
            if newest >= 1:
                self.average[name] = parameter.value.copy()
            else:
                average = self.average[name]
                average += newest * (parameter.value - average)
        return norm

    def state(self) -> dict[str, np.ndarray]:
        """That of the optimiser, the average, and of how many steps it is."""
        own = {AVERAGE + name: average for name, average in self.average.items()}
        return {**self.optimiser.state(), **own, COUNT: np.array([self.steps])}

    def load_state(self, state: Mapping[str, np.ndarray]) -> None:
        """Takes all of it from `state`; WeightsError where the average does not fit."""
        rest = {name: a for name, a in state.items() if not name.startswith(AVERAGE)}
        steps = int(state[COUNT].sum()) if COUNT in state else 0
        average = {}
        for name, parameter in self.parameters.items() if steps else ():
            array = state.get(AVERAGE + name)
            own = parameter.value
            if array is None or (array.shape, array.dtype) != (own.shape, own.dtype):
                raise WeightsError("has no average of this parameter", where=name)
            average[name] = np.array(array)  # of its own
        self.optimiser.load_state(rest)
        self.steps, self.average = steps, average

    @contextlib.contextmanager
    def in_use(self) -> Iterator[None]:
        """In here the parameters are their averages."""
        own = {name: self.parameters[name].value.copy() for name in self.average}
        try:
            for name, average in self.average.items():
                self.parameters[name].assign(average)
            yield
        finally:
            for name, value in own.items():
                self.parameters[name].assign(value)


@checked
def optimiser_of(
    config: TrainConfig, model: SSD, ops: Engine, own: Optimiser | None = None
) -> Optimiser:
    """SGD, or an optimiser of your own; with an average of the weights where the config says so."""
    parameters = model.parameters
    if own is None:
        rule = config.momentum, config.weight_decay, config.bias_multiplier
        multipliers = dict.fromkeys(base_names(model.config), config.base_multiplier)
        own = SGD(parameters, *rule, ops, config.rate_in_momentum, multipliers)
    return Averaged(own, parameters, config.average) if config.average else own


def averaged(optimiser: Optimiser) -> contextlib.AbstractContextManager[None]:
    """In here the weights are their average, where the optimiser keeps one."""
    return optimiser.in_use() if isinstance(optimiser, Averaged) else contextlib.nullcontext()
