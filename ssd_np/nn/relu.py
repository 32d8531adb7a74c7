"""ReLU, max(0, x), and ReLU6, which also stops at 6 (MobileNets; it keeps low precision exact).

The gradient passes where the output is strictly inside, and is taken as 0 at the corners.
"""

import numpy as np

from ssd_np.errors import ConfigError
from ssd_np.nn.checks import check_gradient, numbers

ACTIVATIONS = ("none", "relu", "relu6")


def relu_forward(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Any shape -> the same shape, and the cache (the output itself is enough)."""
    out = np.maximum(numbers(x), 0)
    return out, out


def relu_backward(dout: np.ndarray, cache: np.ndarray) -> np.ndarray:
    """dx = dout where the output was above 0, else 0.

    Derivation: docs/derivations.md#max-pooling-and-relu, (7).
    """
    check_gradient(dout, cache.shape, "relu_forward")
    return np.where(cache > 0, dout, 0)


def relu6_forward(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """min(6, max(0, x)): any shape -> the same shape, and the cache (the output)."""
    out = np.minimum(np.maximum(numbers(x), 0), 6)
    return out, out


def relu6_backward(dout: np.ndarray, cache: np.ndarray) -> np.ndarray:
    """dx = dout where the output was between 0 and 6, else 0.

    Derivation: docs/derivations.md#max-pooling-and-relu, (7).
    """
    check_gradient(dout, cache.shape, "relu6_forward")
    return np.where((cache > 0) & (cache < 6), dout, 0)


def activation_forward(x: np.ndarray, activation: str) -> tuple[np.ndarray, tuple]:
    """What stands behind a layer, by its name in a config: "none", "relu" or "relu6"."""
    check_activation(activation)
    forward = {"none": lambda x: (numbers(x), x), "relu": relu_forward, "relu6": relu6_forward}
    out, _ = forward[activation](x)
    return out, (out, activation)


def activation_backward(dout: np.ndarray, cache: tuple) -> np.ndarray:
    """dout -> dx, any shape.

    Derivation: docs/derivations.md#max-pooling-and-relu, (7).
    """
    out, activation = cache
    backward = {"none": lambda dout, _: dout, "relu": relu_backward, "relu6": relu6_backward}
    return backward[activation](dout, out)


def check_activation(activation: str) -> None:
    """Raises ConfigError for another name."""
    if not isinstance(activation, str) or activation not in ACTIVATIONS:
        hint = f"known: {', '.join(ACTIVATIONS)}"
        raise ConfigError(f"unknown activation {activation!r}", hint=hint)
