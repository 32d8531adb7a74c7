"""Cases of the room data for test_equals_concepts.py."""

import numpy as np
from drawing import array


def colour(ops, rng, dtype):
    """Values beyond 0 and 255 too, grey, black and white among them, in any layout."""
    shape = (*rng.integers(1, 9, 2), 3)
    image = array(rng, shape, dtype) * 120 + 100
    image[0, 0] = rng.choice([0, 7, 255])
    image = np.rint(image) if rng.random() < 0.3 else image  # equal values are frequent then
    factor, degrees = float(rng.uniform(0, 3)), float(rng.uniform(-720, 720))
    return [ops.scale_saturation(image, factor), ops.turn_hue(image, degrees)]


CASES = [colour]
