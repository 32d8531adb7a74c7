"""Smooth L1: quadratic near zero, linear far away, so that one wild box does not rule the batch.

    f(d) = d^2 / (2 beta)      for |d| < beta
           |d| - beta / 2      else                  d = pred - target

(Fast R-CNN, equation 3; SSD paper, equation 2, with beta = 1.) f(.5) = .125, f(1) = .5, f(2) = 1.5.
"""

import numpy as np

from ssd_np.loss.checks import check_same_shape
from ssd_np.nn.checks import check_gradient


def smooth_l1_forward(
    pred: np.ndarray, target: np.ndarray, beta: float = 1.0
) -> tuple[np.ndarray, tuple]:
    """Elementwise, any shape -> the same shape, and the cache. Both shapes must be equal."""
    check_same_shape(pred, target, beta)
    d = pred - target
    size = np.abs(d)
    near = np.minimum(size, beta)  # what is beyond beta counts as it is; its square may overflow
    return near * near / (2 * beta) + (size - near), (d, beta)


def smooth_l1_backward(dout: np.ndarray, cache: tuple) -> np.ndarray:
    """dpred = dout * clip(d / beta, -1, 1); the gradient never exceeds dout.

    Derivation: docs/derivations.md#smooth-l1, (13).
    """
    d, beta = cache
    check_gradient(dout, d.shape, "smooth_l1_forward")
    return dout * np.clip(d / beta, -1, 1)
