"""Offsets: how a box is told relative to a default box, and back.

    t_cx = (cx - d_cx) / d_w / v_0        t_w = log(w / d_w) / v_2
    t_cy = (cy - d_cy) / d_h / v_1        t_h = log(h / d_h) / v_3

The network predicts t (SSD paper, equation 2). Dividing by the default box's size makes one unit
mean the same for small and large boxes; the variances v (.1 .1 .2 .2, from the authors' code)
bring the four to a similar spread, about 1, so that no side of the box dominates the loss.
"""

import numpy as np

from ssd_np.boxes.checks import (
    check_area,
    check_boxes,
    check_default_boxes,
    check_fractions,
    check_pairs,
)
from ssd_np.checks import check_factor
from ssd_np.errors import ShapeError

# of the logarithm of a size: a box e^40 times its default box covers every image, and its area is
# still a number in float32. Beyond, exp would overflow, and infinite boxes have no IoU.
LARGEST_EXPONENT = 40.0


def encode(gt_center: np.ndarray, default_boxes: np.ndarray) -> np.ndarray:
    """Offsets that lead from each default box to its ground truth: (T, 4), (T, 8) -> (T, 4).

    Raises DegenerateBox for a box without area, whose logarithm does not exist.

    >>> d = np.array([[0.5, 0.5, 0.25, 0.25, 0.1, 0.1, 0.2, 0.2]])
    >>> encode(np.array([[0.55, 0.48, 0.3, 0.2]]), d).round(4).tolist()
    [[2.0, -0.8, 0.9116, -1.1157]]
    """
    gt_center = check_fractions(gt_center, "gt_center")
    check_pairs(gt_center, default_boxes, "gt_center")
    check_area(gt_center, "gt_center")
    cx, cy, w, h = np.moveaxis(gt_center, -1, 0)  # each (..., T)
    d_cx, d_cy, d_w, d_h, v_cx, v_cy, v_w, v_h = _columns(default_boxes)  # each (T,)
    t_cx, t_cy = (cx - d_cx) / d_w / v_cx, (cy - d_cy) / d_h / v_cy
    t_w, t_h = np.log(w / d_w) / v_w, np.log(h / d_h) / v_h
    return np.stack([t_cx, t_cy, t_w, t_h], axis=-1)


def decode(
    offsets: np.ndarray, default_boxes: np.ndarray, max_exponent: float | None = None
) -> np.ndarray:
    """The inverse of encode: (..., T, 4), (T, 8) -> (..., T, 4) in center form.

    `max_exponent` limits the logarithm of the size change before exp (torchvision: ln(1000 / 16));
    without one it ends at LARGEST_EXPONENT, which only a network that has gone astray can reach.
    """
    offsets = check_boxes(offsets, "offsets")
    check_pairs(offsets, default_boxes, "offsets")
    t_cx, t_cy, t_w, t_h = np.moveaxis(offsets, -1, 0)  # each (..., T)
    d_cx, d_cy, d_w, d_h, v_cx, v_cy, v_w, v_h = _columns(default_boxes)  # each (T,)
    limit = LARGEST_EXPONENT if max_exponent is None else max_exponent
    check_factor(limit, "max_exponent")
    log_w, log_h = np.minimum(t_w * v_w, limit), np.minimum(t_h * v_h, limit)
    cx, cy = d_cx + t_cx * v_cx * d_w, d_cy + t_cy * v_cy * d_h
    return np.stack([cx, cy, d_w * np.exp(log_w), d_h * np.exp(log_h)], axis=-1)


def decode_backward(
    dcenter: np.ndarray,
    offsets: np.ndarray,
    default_boxes: np.ndarray,
    max_exponent: float | None = None,
) -> np.ndarray:
    """Gradient of decode with respect to the offsets: (..., T, 4) -> (..., T, 4).

    d cx / d t_cx = v_0 d_w;  d w / d t_w = v_2 w, and 0 beyond the limit of the exponent.
    Derivation: docs/derivations.md#decoding, (14).
    """
    dcenter, offsets = check_boxes(dcenter, "dcenter"), check_boxes(offsets, "offsets")
    if dcenter.shape != offsets.shape:
        hint = "dcenter is the gradient of what decode returned"
        raise ShapeError(f"dcenter has shape {dcenter.shape}, offsets {offsets.shape}", hint=hint)
    dcx, dcy, dw, dh = np.moveaxis(dcenter, -1, 0)  # each (..., T)
    _, _, t_w, t_h = np.moveaxis(offsets, -1, 0)
    _, _, w, h = np.moveaxis(decode(offsets, default_boxes, max_exponent), -1, 0)
    _, _, d_w, d_h, v_cx, v_cy, v_w, v_h = _columns(default_boxes)  # each (T,)
    limit = LARGEST_EXPONENT if max_exponent is None else max_exponent
    dt_w = np.where(t_w * v_w > limit, 0, dw * v_w * w)
    dt_h = np.where(t_h * v_h > limit, 0, dh * v_h * h)
    return np.stack([dcx * v_cx * d_w, dcy * v_cy * d_h, dt_w, dt_h], axis=-1)


def _columns(default_boxes: np.ndarray) -> np.ndarray:
    """(T, 8) -> (8, T): cx, cy, w, h and the variance of each."""
    return np.moveaxis(check_default_boxes(default_boxes), -1, 0)
