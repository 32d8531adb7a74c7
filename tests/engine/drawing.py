"""Random arrays in every layout that a caller may hand in."""

import numpy as np


def array(rng: np.random.Generator, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Standard normal numbers, C-contiguous in one draw of three, else a view of something else."""
    layout = rng.integers(3)
    if layout == 0 or not shape:
        return rng.standard_normal(shape).astype(dtype)
    if layout == 1:  # axes in reverse order
        return rng.standard_normal(shape[::-1]).astype(dtype).T
    return rng.standard_normal((*shape[:-1], 2 * shape[-1])).astype(dtype)[..., ::2]
