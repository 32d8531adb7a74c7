"""
19. A detector that fits itself
===============================

Default boxes decide what a detector can learn: an object that none of them meets has a single
example, from a box that is far away. The preset ``small`` has boxes for blood cells. Other objects
need others, and often another input. ``ssd-np train --data DATA`` therefore looks at the data,
decides, and says why (``ssd-np config --fit DATA`` writes its config). This lesson does what it
does, step by step.

Exercise (of lesson 03): ``match``; begin with ``ssd-np exercise start match``.
Documentation: docs/fitting.md.
"""

import matplotlib.pyplot as plt
import numpy as np

from ssd_np.boxes.coords import center_to_corner
from ssd_np.boxes.default_boxes import default_boxes
from ssd_np.boxes.iou import iou_matrix
from ssd_np.boxes.matching import match
from ssd_np.config import load_config
from ssd_np.data.coverage import coverage
from ssd_np.fit.boxes import cluster, maps_of, shape_iou, worst_iou
from ssd_np.fit.config import fit
from ssd_np.fit.fingerprint import fingerprint
from ssd_np.records import Sample, Truth
from ssd_np.viz.boxes import default_box_figure
from ssd_np.viz.fitting import boxes_figure
from ssd_np.viz.screen import show

# %%
# Data of other sizes
# -------------------
# Streets in portrait: houses, as tall as the picture, and lamps, tall and thin. Neither is like a
# blood cell.


class Street:
    """Generated pictures, 160 pixels high and 96 wide: a house or two, and a lamp before each."""

    class_names = ("lamp", "house")

    def __init__(self, seed, count):
        self.seed, self.count = seed, count

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        rng = np.random.default_rng([self.seed, index])
        image = np.full((160, 96, 3), rng.integers(150, 220, 3), np.uint8)
        boxes, labels = [], []
        for side in range(rng.integers(1, 3)):
            width, height = rng.integers(30, 46), rng.integers(90, 150)
            left, top = 48 * side + rng.integers(0, 48 - width + 1), 155 - height
            x, y = left + rng.integers(0, width - 6), 155 - rng.integers(50, 80)
            lamp = (x, y, x + rng.integers(5, 7), 155)
            for label, box in ((2, (left, top, left + width, 155)), (1, lamp)):
                x0, y0, x1, y1 = box
                image[y0:y1, x0:x1] = rng.integers(0, 140, 3)
                boxes.append(np.array(box) / (96, 160, 96, 160))
                labels.append(label)
        return Sample(image, Truth(boxes, labels, size=(160, 96)), f"{index}", self.class_names)


streets, unseen = Street(seed=0, count=150), Street(seed=1, count=100)
unseen_boxes = np.concatenate([unseen[i].truth.boxes_corner for i in range(len(unseen))])
small = load_config("small")
before = coverage(unseen_boxes, small)
print(f"small: {before.uncovered:.1%} of the objects have no default box with an IoU of 0.5")
assert before.uncovered > 0.3

# %%
# Which map takes an object
# -------------------------
# Boxes stand where cells are, objects anywhere. Give a map of cells 8 pixels apart a box of the
# very shape of an object of 16 x 16. If the object's centre lies half a step away on both axes,
# 12 x 12 pixels of it are in the box: an IoU of 144 / (256 + 256 - 144) = 0.39, and no match. One
# of 32 x 32 there has 28 x 28 of it in the box, 784 / (2048 - 784) = 0.62. With w and h for its
# sides and t for the step:
#
# .. math::
#
#    o = \Big(1 - \frac{t}{2w}\Big) \Big(1 - \frac{t}{2h}\Big), \qquad
#    \mathrm{IoU} = \frac{o}{2 - o} .

squares = np.array([[16.0, 16.0], [32.0, 32.0], [64.0, 64.0]])
print("cells 8 px apart: ", worst_iou(squares, (8, 8)).round(2))
print("cells 32 px apart:", worst_iou(squares, (32, 32)).round(2))
assert np.allclose(worst_iou(squares, (8, 8))[:2], [144 / 368, 784 / 1264])

# %%
# A deep map has seen more of the picture, and has fewer cells to be wrong about. So an object
# belongs to the *deepest map that matches it wherever it lies*.

steps = [(8, 8), (16, 16), (32, 32), (64, 64)]
print("maps of the three squares:", maps_of(squares, np.full(3, 1 / 3), steps))
assert maps_of(squares, np.full(3, 1 / 3), steps).tolist() == [0, 0, 1]

# %%
# Few shapes for many objects
# ---------------------------
# The objects of a map are gathered by k-means. Its distance is 1 - IoU, for that is what matching
# will ask; a centre is the geometric mean of its objects.

rng = np.random.default_rng(0)
doors = np.array([60.0, 22.0]) * np.exp(rng.normal(0, 0.12, (60, 2)))  # heights and widths
windows = np.array([30.0, 34.0]) * np.exp(rng.normal(0, 0.12, (60, 2)))
shapes = np.concatenate([doors, windows])
centres = cluster(shapes, np.array([[40.0, 30.0], [40.0, 40.0]]))
print("two boxes for doors and windows:", centres.round(0).tolist())
figure, axes = plt.subplots(figsize=(4.4, 4), layout="constrained")
axes.plot(*shapes.T[::-1], ".", color="black", alpha=0.4)
axes.plot(*centres.T[::-1], "s", color="#d55e00", markersize=12)
axes.set(xlabel="width", ylabel="height", title="objects, and the boxes for them")
show()
assert (shape_iou(shapes, centres).max(axis=1) > 0.5).mean() > 0.98

# %%
# The fingerprint
# ---------------
# All other decisions are made from a few numbers as well, never from what the data is called: how
# many images and objects, how large, how much they vary, and from a few decoded pictures whether it
# matters which way up they are, and whether colour alone tells the classes apart.

found = fingerprint(streets)
print(*found.lines(), sep="\n")
print(f"upside down: {found.upright:.1f} times as different as by chance")
assert found.upright > 2  # all stand on the street

# %%
# The decisions
# -------------
# Each is a function of the fingerprint, a few lines long (``ssd_np/fit/decide.py``), and gives its
# reason.

config, reasons = fit(found)
print(*reasons, sep="\n")
height, width = config.input.shape
assert height > width  # as the pictures are

# %%
# Before and after
# ----------------
# Dots are objects as the input shows them, crosses those that no default box meets, large marks the
# boxes of a cell. Fitted to 150 pictures, they meet the objects of 100 others.

boxes_figure(unseen_boxes, [small, config], plt.figure())
show()
after = coverage(unseen_boxes, config)
print(f"without a box: {before.uncovered:.1%} before, {after.uncovered:.1%} after")

# %%
# The boxes of one cell of each map, over a street:

default_box_figure(config, unseen[0].image, plt.figure(), cell=(0.4, 0.6))
show()

# %%
# What it means for the training: how many default boxes learn from an object.


def examples(config):
    """The mean number of default boxes that are matched to an object, by class."""
    defaults = center_to_corner(default_boxes(config)[:, :4])
    counts = {name: [] for name in Street.class_names}
    for sample in map(unseen.__getitem__, range(30)):
        matched = match(sample.truth.boxes_corner, defaults)
        for row, label in enumerate(sample.truth.labels):
            counts[Street.class_names[label - 1]].append(np.sum(matched == row))
    return {name: float(np.mean(numbers)) for name, numbers in counts.items()}


for name, chosen in (("small", small), ("fitted", config)):
    print(f"{name:7}", {kind: round(count, 1) for kind, count in examples(chosen).items()})

# %%
# What goes wrong: a deep map for small objects
# ---------------------------------------------
# By height alone one might give a lamp of 170 x 16 pixels to the map whose cells are 32 pixels
# apart, with a box of exactly its shape. Where it stands between the cells that box misses it.

lamp = np.array([170.0, 16.0])
places = rng.uniform(0, 32, (1000, 2))  # of lamps, on one cell; its centre is at (16, 16)
low, high = places - lamp / 2, places + lamp / 2
box = np.concatenate([16 - lamp / 2, 16 + lamp / 2])[None]
missed = np.mean(iou_matrix(np.hstack([low, high]), box) < 0.5)
print(f"{missed:.0%} of the lamps are missed by a box of their own shape")

# %%
# What to remember
# ----------------

assert missed > 0.3
assert after.uncovered < 0.02 < before.uncovered
assert examples(config)["lamp"] > 5 * examples(small)["lamp"]
