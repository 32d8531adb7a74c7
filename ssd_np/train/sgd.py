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

import numpy as np

from ssd_np.engine import Engine, select
from ssd_np.errors import NotFinite
from ssd_np.nn.parameter import Parameter


class SGD:
    """Updates parameters in place; those that do not learn have no velocity and are not touched.

    velocity  dict name -> array of the parameter's shape, the optimiser's whole state
    """

    def __init__(
        self,
        parameters: dict[str, Parameter],
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        bias_multiplier: float = 1.0,
        ops: Engine | None = None,
        rate_in_momentum: bool = False,
    ) -> None:
        self.ops = ops or select()
        self.parameters = {name: p for name, p in parameters.items() if p.trainable}
        self.momentum, self.weight_decay = momentum, weight_decay
        self.bias_multiplier, self.rate_in_momentum = bias_multiplier, rate_in_momentum
        self.velocity = {
            name: np.zeros(p.value.shape, p.value.dtype) for name, p in self.parameters.items()
        }

    def step(self, rate: float, clip_norm: float | None = None) -> float:
        """One update from `Parameter.grad`; returns the norm of all gradients before clipping.

        Raises NotFinite, with nothing changed, when a gradient is NaN or infinite.
        """
        norm = self.gradient_norm()
        scale = min(1.0, clip_norm / norm) if clip_norm and norm > 0 else 1.0
        for name, parameter in self.parameters.items():
            bias = name.endswith(".bias")
            outside = float(rate * (self.bias_multiplier if bias else 1))
            inside = 1.0
            if self.rate_in_momentum:
                outside, inside = inside, outside
            decay = 0.0 if bias or not parameter.decays else self.weight_decay
            settings = outside, self.momentum, inside * decay, inside * scale

            def rule(w, name=name, g=parameter.grad, settings=settings):
                w, self.velocity[name] = self.ops.sgd_update(w, self.velocity[name], g, *settings)
                return w

            parameter.update(rule)
        return norm

    def gradient_norm(self) -> float:
        """Square root of the sum of squares of all gradients, added up in float64."""
        total = 0.0
        for name, parameter in self.parameters.items():
            square = self.ops.square_sum(parameter.grad)
            if not np.isfinite(square):
                raise NotFinite(
                    "gradient is not finite", where=name, hint="lower the learning rate"
                )
            total += square
        return float(np.sqrt(total))
