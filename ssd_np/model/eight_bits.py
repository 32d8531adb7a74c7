"""Kernels in 8 bits, a quarter of the file: integers q and one scale s for each channel.

    s = max |w| / 127 over the channel        q = round(w / s), -127 to 127        w ~ s q

The last axis of a kernel is its channels, depthwise or not. What is wrong by up to s / 2 after that
is nothing to a batch normalisation behind it, which learns on. Biases, statistics and what else is
a vector stay as they are: there is little of it. In an archive q has the kernel's name.
"""

import numpy as np

from ssd_np.errors import WeightsError
from ssd_np.model.weights_file import Arrays
from ssd_np.signatures import checked

SCALES = "scales/"  # and the kernel's name: the name of its scales in an archive
STEPS = 127
LARGEST = 1e30  # of a scale: 127 of it are still a number


@checked
def in_eight_bits(arrays: Arrays) -> Arrays:
    """The same arrays, of each kernel q (..., C) int8 and s (C,) float32 instead."""
    stored: Arrays = {}
    for name, array in arrays.items():
        if array.ndim < 2:
            stored[name] = array
            continue
        largest = np.abs(array).max(axis=tuple(range(array.ndim - 1)))  # (C,)
        scale = (np.where(largest > 0, largest, 1) / STEPS).astype(np.float32)
        stored[name] = np.rint(array / scale).astype(np.int8)
        stored[SCALES + name] = scale
    return stored


@checked
def in_full(arrays: Arrays, where: str) -> Arrays:
    """The way back, float32; raises WeightsError for scales that no kernel can have."""
    full = {name: array for name, array in arrays.items() if not name.startswith(SCALES)}
    for key in arrays.keys() - full.keys():
        name, scale = key.removeprefix(SCALES), arrays[key]
        q = full.get(name)
        if q is None or q.dtype != np.int8 or q.ndim < 2:
            raise WeightsError("are scales of no kernel in 8 bits", f"{where}: {key}")
        if scale.shape != q.shape[-1:] or scale.dtype != np.float32:
            what = f"is {scale.shape} {scale.dtype}, expected {q.shape[-1:]} float32"
            raise WeightsError(what, f"{where}: {key}")
        if not ((scale > 0) & (scale < LARGEST)).all():  # nor NaN
            what = f"holds scales that do not lie between 0 and {LARGEST:g}"
            raise WeightsError(what, f"{where}: {key}")
        full[name] = q * scale
    return full
