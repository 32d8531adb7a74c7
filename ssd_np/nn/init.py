"""Where weights start. Kernels are (kh, kw, C, Co): fan_in = kh kw C, fan_out = kh kw Co.

He keeps the spread of activations through ReLU (He et al. 2015, equation 10); Glorot balances
forward and backward without it (Glorot and Bengio 2010, equation 16); Caffe calls "xavier" a
version of Glorot with fan_in alone, with which the published SSDs began.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from ssd_np.checks import check_shape


def he_normal(
    rng: np.random.Generator, shape: tuple[int, ...], dtype: DTypeLike = np.float32
) -> np.ndarray:
    """Normal with standard deviation sqrt(2 / fan_in)."""
    fan_in, _ = _fans(shape)
    return (rng.standard_normal(shape) * math.sqrt(2 / fan_in)).astype(dtype, copy=False)


def glorot_uniform(
    rng: np.random.Generator, shape: tuple[int, ...], dtype: DTypeLike = np.float32
) -> np.ndarray:
    """Uniform in +- sqrt(6 / (fan_in + fan_out))."""
    fan_in, fan_out = _fans(shape)
    bound = math.sqrt(6 / (fan_in + fan_out))
    return rng.uniform(-bound, bound, shape).astype(dtype, copy=False)


def caffe_xavier(
    rng: np.random.Generator, shape: tuple[int, ...], dtype: DTypeLike = np.float32
) -> np.ndarray:
    """Uniform in +- sqrt(3 / fan_in)."""
    fan_in, _ = _fans(shape)
    bound = math.sqrt(3 / fan_in)
    return rng.uniform(-bound, bound, shape).astype(dtype, copy=False)


def small_normal(
    rng: np.random.Generator, shape: tuple[int, ...], dtype: DTypeLike = np.float32
) -> np.ndarray:
    """Normal with standard deviation 0.01, for predictors (Fast R-CNN, section 4.2).

    A network that starts from nothing then begins with "no idea" and the default boxes themselves,
    at a loss of 4 log(classes), instead of with loud guesses that the first steps must undo.
    """
    check_shape(shape, "(kh, kw, C, Co)")
    return (rng.standard_normal(shape) * 0.01).astype(dtype, copy=False)


class Zeros(np.random.Generator):
    """Draws zeros, in a fraction of the time: for weights that a file is going to replace."""

    def __init__(self) -> None:
        super().__init__(np.random.PCG64(0))

    def standard_normal(self, size: Any = None, dtype: Any = None, out: Any = None) -> Any:
        """Of the size asked for."""
        return np.zeros(size or (), np.float32)

    def uniform(self, low: Any = 0, high: Any = 1, size: Any = None) -> Any:
        """Of the size asked for, whatever the bounds."""
        return np.zeros(size or (), np.float32)


def _fans(shape: tuple[int, ...]) -> tuple[int, int]:
    check_shape(shape, "(kh, kw, C, Co) or (C, Co)", 2)
    *kernel, c_in, c_out = shape
    taps = int(np.prod(kernel))
    return taps * c_in, taps * c_out
