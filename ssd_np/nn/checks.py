"""What functions check at the border, one line each."""

import numpy as np

from ssd_np.errors import ShapeError


def check_gradient(dout: np.ndarray, shape: tuple[int, ...], of: str) -> None:
    """`dout` must have the shape of what the forward function `of` returned."""
    if np.shape(dout) != shape:
        raise ShapeError(
            f"dout has shape {np.shape(dout)}, the output had {shape}",
            hint=f"dout is the gradient of what {of} returned",
        )


def check_logits(logits: np.ndarray) -> None:
    """Numbers (..., K), K at least 1."""
    if logits.ndim == 0 or logits.shape[-1] == 0 or logits.dtype.kind not in "fiu":
        raise ShapeError(
            f"logits are {logits.shape} {logits.dtype}", hint="expected numbers (..., K)"
        )
