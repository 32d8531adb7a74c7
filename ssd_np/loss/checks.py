"""The checks of the loss at the public border: each names the argument and says what to do."""

import numpy as np

from ssd_np.checks import as_array, check_factor, check_whole
from ssd_np.errors import ConfigError, ShapeError
from ssd_np.nn.checks import check_floats, check_logits


def check_outputs(
    logits: np.ndarray, offsets: np.ndarray, target_labels: np.ndarray, target_offsets: np.ndarray
) -> None:
    """Outputs of a batch, (N, T, K) and (N, T, 4), and their targets, (N, T) and (N, T, 4)."""
    for name, array in (("logits", logits), ("offsets", offsets)):
        check_floats(array, name)
    for name, array in (("target_labels", target_labels), ("target_offsets", target_offsets)):
        check_floats(array, name, "iuf")
    n, t = target_labels.shape if target_labels.ndim == 2 else (-1, -1)
    fits = logits.ndim == 3 and logits.shape[:2] == (n, t)
    if not (fits and offsets.shape == (n, t, 4) == target_offsets.shape):
        raise ShapeError(
            f"logits {logits.shape}, offsets {offsets.shape}, target_labels {target_labels.shape}, "
            f"target_offsets {target_offsets.shape} do not fit",
            hint="expected (N, T, K), (N, T, 4), (N, T), (N, T, 4)",
        )
    if target_labels.size and target_labels.min() < -1:
        hint = "class, 0 background, -1 neutral: as make_targets gives them"
        raise ShapeError(f"target_labels holds {target_labels.min()}", hint=hint)


def check_rule(**rule: float) -> None:
    """Factors of the loss, each by its name: numbers from 0 on."""
    for name, value in rule.items():
        if not _from_0_on(value):
            raise ConfigError(f"{name} is {value!r}", hint="a number of at least 0")


def _from_0_on(value: float) -> bool:
    return isinstance(value, int | float | np.number) and bool(0 <= value < 1e12)


def check_labels(labels: np.ndarray, logits: np.ndarray) -> np.ndarray:
    """A class (...) for each row of logits (..., K)."""
    check_logits(logits)
    labels = as_array(labels, "labels")
    if labels.shape != logits.shape[:-1]:
        hint = "expected one label for each row of logits"
        raise ShapeError(f"labels have shape {labels.shape}, logits {logits.shape}", hint=hint)
    check_classes(labels, logits.shape[-1])
    return labels


def check_classes(labels: np.ndarray, classes: int) -> None:
    """Whole numbers from 0 to classes - 1."""
    if labels.dtype.kind not in "iu":
        raise ShapeError(f"labels are {labels.dtype}", hint="classes are whole numbers")
    if labels.size and not 0 <= labels.min() <= labels.max() < classes:
        what = f"labels run from {labels.min()} to {labels.max()}, logits have {classes} classes"
        raise ShapeError(what, hint="labels are 0 (background) to classes - 1")


def check_mining(
    confidence_loss: np.ndarray,
    positive: np.ndarray,
    negative: np.ndarray,
    per: str,
    ratio: float,
    minimum: int,
) -> None:
    """Three arrays (N, T), the latter two bool; `per` is "image" or "batch"."""
    check_rule(ratio=ratio)
    check_whole(minimum, "minimum", 0)
    check_floats(confidence_loss, "confidence_loss", "fiu")
    positive, negative = as_array(positive, "positive"), as_array(negative, "negative")
    if not confidence_loss.shape == positive.shape == negative.shape or positive.ndim != 2:
        raise ShapeError(
            f"confidence_loss {confidence_loss.shape}, positive {positive.shape} and negative "
            f"{negative.shape} must be equal",
            hint="(N, T): images, default boxes",
        )
    if not positive.dtype == negative.dtype == bool:
        hint = "expected bool: labels > 0 and labels == 0"
        raise ShapeError(f"positive is {positive.dtype}, negative {negative.dtype}", hint=hint)
    if per not in ("image", "batch"):
        raise ConfigError(f"per is {per!r}", hint="mining is per 'image' or per 'batch'")


def check_same_shape(pred: np.ndarray, target: np.ndarray, beta: float = 1) -> None:
    """A target for each prediction; beta is a number."""
    check_factor(beta, "beta")
    for array, name in ((pred, "pred"), (target, "target")):
        check_floats(array, name, "fiu")
    if pred.shape != target.shape:
        hint = "expected equal shapes"
        raise ShapeError(f"pred has shape {pred.shape}, target {target.shape}", hint=hint)


def check_gamma(gamma: float) -> float:
    """The focal loss's exponent: a number of at least 0."""
    if not _from_0_on(gamma):
        raise ConfigError(f"gamma is {gamma!r}", hint="a number of at least 0; 0 is cross-entropy")
    return float(gamma)


def check_scores(logits: np.ndarray, scores: str) -> None:
    """Logits (..., K), and what makes scores of them."""
    check_logits(logits)
    if not isinstance(scores, str) or scores not in ("softmax", "sigmoid"):
        raise ConfigError(f"scores is {scores!r}"[:200], hint="known: softmax, sigmoid")


def check_weights(class_weights: np.ndarray | None, logits: np.ndarray) -> np.ndarray:
    """A factor (K,) for each class of logits (..., K), in their type; None: 1 for all."""
    classes = logits.shape[-1]
    if class_weights is None:
        return np.ones(classes, logits.dtype)
    weights = as_array(class_weights, "class_weights")
    numbers = weights.dtype.kind in "fiu" and np.isfinite(weights).all()
    if weights.shape != (classes,) or not numbers or weights.min() < 0:
        hint = f"{classes} numbers of at least 0"
        raise ShapeError(f"class_weights are {class_weights}", hint=hint)
    return weights.astype(logits.dtype)
