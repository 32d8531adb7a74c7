"""Fingerprints of data that does not exist."""

import numpy as np

from ssd_np.fit.fingerprint import Fingerprint


def made_up(images, an_image, sides, size=(480, 640), classes=1, spread=0.0, seed=0, **rest):
    """`an_image` objects in each image of (height, width) `size`; the roots of their areas are
    spaced evenly from the first to the last of `sides`, in parts of the image's side, and vary by
    `spread` (of the logarithm)."""
    rng, count = np.random.default_rng(seed), images * an_image
    side = np.geomspace(*sides, count)[rng.permutation(count), None]
    objects = np.minimum(side * np.exp(rng.normal(0, spread, (count, 2))), 1)  # width, height
    low = rng.uniform(0, 1 - objects)
    labels = rng.permutation(np.arange(count) % classes) + 1
    return Fingerprint(
        tuple(f"kind {k}" for k in range(1, classes + 1)),
        np.tile(size, (images, 1)),
        np.hstack([low, low + objects]),
        labels,
        np.repeat(np.arange(images), an_image),
        **rest,
    )


# a microscope: many round cells of nearly one size, told apart by their colour
CELLS = made_up(200, 14, (0.13, 0.16), classes=3, light=2.0, colour=0.9, upright=1.0)
# photographs of animals, upright, one large one each
ANIMALS = made_up(100, 1, (0.2, 0.9), (640, 480), spread=0.2, light=30.0, contrast=1.3, upright=9.0)
# from the air: cars, tiny; and signs with arrows to the left and to the right
CARS = made_up(6000, 5, (0.03, 0.06), (600, 600), classes=4, mirror=0.9, light=15.0)
