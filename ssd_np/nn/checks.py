"""The check that every backward function begins with."""

import numpy as np

from ssd_np.errors import ShapeError


def check_gradient(dout: np.ndarray, shape: tuple[int, ...], of: str) -> None:
    """`dout` must have the shape of what the forward function `of` returned."""
    if np.shape(dout) != shape:
        raise ShapeError(
            f"dout has shape {np.shape(dout)}, the output had {shape}",
            hint=f"dout is the gradient of what {of} returned",
        )
