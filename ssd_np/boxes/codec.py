"""Offsets: how a box is told relative to a default box, and back.

    t_cx = (cx - d_cx) / d_w / v_0        t_w = log(w / d_w) / v_2
    t_cy = (cy - d_cy) / d_h / v_1        t_h = log(h / d_h) / v_3

The network predicts t (SSD paper, equation 2). Dividing by the default box's size makes one unit
mean the same for small and large boxes; the variances v (.1 .1 .2 .2, from the authors' code)
bring the four to a similar spread, about 1, so that no side of the box dominates the loss.
"""

import numpy as np

from ssd_np.boxes.coords import check_boxes, check_fractions
from ssd_np.errors import DegenerateBox, ShapeError


def encode(gt_center: np.ndarray, default_boxes: np.ndarray) -> np.ndarray:
    """Offsets that lead from each default box to its ground truth: (T, 4), (T, 8) -> (T, 4).

    Raises DegenerateBox for a box without area, whose logarithm does not exist.

    >>> d = np.array([[0.5, 0.5, 0.25, 0.25, 0.1, 0.1, 0.2, 0.2]])
    >>> encode(np.array([[0.55, 0.48, 0.3, 0.2]]), d).round(4).tolist()
    [[2.0, -0.8, 0.9116, -1.1157]]
    """
    gt_center = check_fractions(gt_center, "gt_center")
    _check_pairs(gt_center, default_boxes, "gt_center")
    center, size, variance_center, variance_size = _split(default_boxes)
    if gt_center.size and not (gt_center[..., 2:] > 0).all():
        row = np.argwhere(~(gt_center[..., 2:] > 0).all(axis=-1))[0]
        raise DegenerateBox(
            f"width and height must be above 0, got {gt_center[tuple(row)].tolist()}",
            where=f"gt_center[{row[0] if len(row) else 0}]",
            hint="leave boxes without area out of the data",
        )
    offsets_center = (gt_center[..., :2] - center) / size / variance_center
    offsets_size = np.log(gt_center[..., 2:] / size) / variance_size
    return np.concatenate([offsets_center, offsets_size], axis=-1)


def decode(
    offsets: np.ndarray, default_boxes: np.ndarray, max_exponent: float | None = None
) -> np.ndarray:
    """The inverse of encode: (..., T, 4), (T, 8) -> (..., T, 4) in center form.

    `max_exponent` limits the logarithm of the size change before exp (torchvision: ln(1000 / 16)).
    """
    offsets = check_boxes(offsets, "offsets")
    _check_pairs(offsets, default_boxes, "offsets")
    center, size, variance_center, variance_size = _split(default_boxes)
    exponent = offsets[..., 2:] * variance_size
    if max_exponent is not None:
        exponent = np.minimum(exponent, max_exponent)
    box_center = center + offsets[..., :2] * variance_center * size
    return np.concatenate([box_center, size * np.exp(exponent)], axis=-1)


def decode_backward(
    dcenter: np.ndarray,
    offsets: np.ndarray,
    default_boxes: np.ndarray,
    max_exponent: float | None = None,
) -> np.ndarray:
    """Gradient of decode with respect to the offsets: (..., T, 4) -> (..., T, 4).

    d cx / d t_cx = v_0 d_w;  d w / d t_w = v_2 w, and 0 where max_exponent cuts.
    """
    _, size, variance_center, variance_size = _split(default_boxes)
    decoded_size = decode(offsets, default_boxes, max_exponent)[..., 2:]
    doffsets = np.empty_like(dcenter)
    doffsets[..., :2] = dcenter[..., :2] * variance_center * size
    doffsets[..., 2:] = dcenter[..., 2:] * variance_size * decoded_size
    if max_exponent is not None:
        doffsets[..., 2:][offsets[..., 2:] * variance_size > max_exponent] = 0
    return doffsets


def _check_pairs(boxes: np.ndarray, default_boxes: np.ndarray, name: str) -> None:
    shapes = boxes.shape[:-1], np.shape(default_boxes)[:-1]
    if shapes[0][len(shapes[0]) - len(shapes[1]) :] != shapes[1]:
        raise ShapeError(
            f"{name} has shape {boxes.shape}, default_boxes {np.shape(default_boxes)}",
            hint="one default box for each: (..., T, 4) and (T, 8)",
        )


def _split(default_boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    default_boxes = np.asarray(default_boxes)
    if default_boxes.shape[-1:] != (8,):
        raise ShapeError(
            f"default_boxes has shape {default_boxes.shape}",
            hint="expected (T, 8): cx cy w h and four variances",
        )
    return tuple(default_boxes[..., i : i + 2] for i in (0, 2, 4, 6))
