"""The pictures of the page in the site: generated ones, each for something to see in it."""

import numpy as np

from ssd_np.data.shapes import OUTLINES, SIZE, Placed, ShapesDataset, paint
from ssd_np.explore.build import Shown
from ssd_np.records import Truth

SEED = 1_000_003  # pictures that the shipped weights have not seen
CHOSEN = (4, 20, 18, 33, 36, 23)  # first the one of the README
CROWD = (  # class, centre, half a side in pixels: two that want one default box, and a third
    ("square", (50.0, 50.0), 6.5),
    ("star", (56.0, 55.0), 7.0),
    ("circle", (92.0, 88.0), 24.0),
)


def generated() -> list[Shown]:
    """The pictures, and one of a crowd, where an object loses its best box to another."""
    data = ShapesDataset(SEED, max(CHOSEN) + 1)
    return [*(Shown(data[i].name, data[i].image, data[i].truth) for i in CHOSEN), crowd()]


def crowd() -> Shown:
    """A picture made by hand: generated ones keep their objects apart."""
    layout = [_placed(*item) for item in CROWD]
    truth = Truth(
        np.array([p.box for p in layout]) / SIZE, [p.kind + 1 for p in layout], size=(SIZE, SIZE)
    )
    return Shown("crowd", paint(layout, np.random.default_rng(3)), truth)


def _placed(name: str, center: tuple[float, float], half: float) -> Placed:
    vertices = OUTLINES[name] * half + center  # (V, 2)
    box = (*vertices.min(axis=0).tolist(), *vertices.max(axis=0).tolist())
    return Placed(ShapesDataset.class_names.index(name), vertices, box)
