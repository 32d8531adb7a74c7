"""
02. Default boxes
=================

A cell knows *where* it looks. Default boxes say *what shapes* it looks for: small squares, large
squares, wide boxes, tall boxes. They are fixed before training, the same in every cell, and the
network only has to say how to correct them. Nothing about them is learned, so there is no gradient.

Large objects are left to coarse grids and small ones to fine grids (SSD paper, section 2.2).

Exercises: ``corner_to_center``, ``default_boxes``; begin with ``ssd-np exercise start
corner_to_center``.

Try it: `the default boxes of a cell, and what it sees
<../explore/index.html#part=match&map=1&cell=3.2>`__.
"""

import dataclasses

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.cbook import get_sample_data

from ssd_np.boxes.coords import center_to_corner
from ssd_np.boxes.default_boxes import (
    box_shapes,
    default_boxes,
    default_boxes_for_map,
    derive_sizes,
)
from ssd_np.boxes.iou import iou_matrix
from ssd_np.config import load_config
from ssd_np.viz.boxes import default_box_figure
from ssd_np.viz.screen import show

# %%
# Four shapes, by hand
# --------------------
# A map gives two numbers: s, the side of its small square, and the next map's s. The boxes are the
# small square, a larger one between the two maps, and for each ratio r a wide and a tall one *with
# the area of the small square*:
#
# .. math::
#
#    s \times s, \qquad \sqrt{s\, s_{next}} \times \sqrt{s\, s_{next}}, \qquad
#    s \sqrt{r} \times \frac{s}{\sqrt{r}}, \qquad \frac{s}{\sqrt{r}} \times s \sqrt{r} .
#
# Take s = 40 and next = 64 pixels, and ratio 2:
#
# * the small square: 40 x 40
# * the large square: the root of 40 * 64 = 2560 is 50.6
# * the wide box: 40 * 1.414 = 56.6 by 40 / 1.414 = 28.3
# * the same, standing: 28.3 by 56.6

s, s_next = 40, 64
by_hand = [
    (s, s),
    (np.sqrt(s * s_next), np.sqrt(s * s_next)),
    (s * np.sqrt(2), s / np.sqrt(2)),
    (s / np.sqrt(2), s * np.sqrt(2)),
]

# %%
# The library's function
# ----------------------
# ``box_shapes`` makes these four, ``default_boxes_for_map`` puts them into every cell, and
# ``default_boxes`` lists those of all maps: map by map, row by row, cell by cell, box by box. A
# row holds cx, cy, w, h as fractions of the image and four variances (lesson 04).

tiny = load_config("tiny")
second = tiny.feature_maps[1]
print(box_shapes(second).round(1))
assert (second.min_size, second.max_size) == (40, 64)
assert np.allclose(box_shapes(second), by_hand)

boxes = default_boxes(tiny)
print(
    "tiny:", " + ".join(f"{m.size}*{m.size}*{m.boxes_per_cell}" for m in tiny.feature_maps), "boxes"
)
assert boxes.shape == (16 * 16 * 4 + 8 * 8 * 4 + 4 * 4 * 4, 8) == (1344, 8)

# %%
# The very first box: cell (0, 0) of the finest map, whose cells are 8 pixels wide. Its centre is
# (0.5 * 8, 0.5 * 8) = (4, 4) pixels, its side 20 pixels: as fractions of 128, 0.03125 and
# 0.15625. In an oblong image x and w are divided by its width, y and h by its height: a square of
# 20 pixels is one on both axes, though its fractions differ.

print("first box:", boxes[0])
assert boxes[0, :4].tolist() == [0.03125, 0.03125, 0.15625, 0.15625]

# %%
# SSD300 and its 8,732 boxes
# --------------------------
# The published detector has six maps. Where do its famous numbers 30, 60, 111, 162 ... come from?
# The paper spreads the sizes evenly between 20 % and 90 % of the image. The authors' script does
# it in whole percents: floor((90 - 20) / 4) = 17, so 20, 37, 54, 71, 88 and one more, 105. Of 300
# pixels that is 60, 111, 162, 213, 264, 315. The finest map gets 10 %, 30 pixels.

ssd300 = load_config("ssd300_voc")
sizes = [m.min_size for m in ssd300.feature_maps] + [ssd300.feature_maps[-1].max_size]
print("sizes:", sizes)
assert sizes == [300 * p / 100 for p in (10, 20, 37, 54, 71, 88, 105)]
assert sizes == derive_sizes(300, 10, 20, 90, maps=6)

counts = [m.size**2 * m.boxes_per_cell for m in ssd300.feature_maps]
print("boxes:", " + ".join(map(str, counts)), "=", sum(counts))
assert len(default_boxes(ssd300)) == sum(counts) == 8732

# %%
# The picture
# -----------
# For each map: the centres of its cells, and all the boxes of the cell in the middle.

photograph = plt.imread(get_sample_data("grace_hopper.jpg"))
default_box_figure(ssd300, photograph, plt.figure())
show()

# %%
# What goes wrong: centres without the half
# -----------------------------------------
# A cell is centred on (column + 0.5) * step, not on column * step. Suppose one program trains
# with the half and another detects without it. Nothing crashes, every box is off by half a cell.
# On the finest map that is 4 pixels to the left and 4 up, for a box of 20 x 20. What is left of a
# perfect answer? The two squares share 16 * 16 = 256, together they cover 400 + 400 - 256 = 544.
# That is an IoU (lesson 03) of 0.47, and below 0.5 an answer counts as wrong. *All* answers
# become wrong.

left_over = {}
for i, feature_map in enumerate(tiny.feature_maps):
    square = default_boxes_for_map(tiny, i)[2, 2, 0, :4]  # the small square of cell (2, 2)
    moved = square.copy()
    moved[:2] -= 0.5 * feature_map.step / tiny.input.size
    iou = iou_matrix(center_to_corner(square)[None], center_to_corner(moved)[None])
    left_over[feature_map.name] = float(iou[0, 0])
    print(f"{feature_map.name}: IoU with itself, half a cell off: {iou[0, 0]:.3f}")

# %%
# Evenly spaced sizes in one call to ``linspace`` look plausible, too, and are not SSD's: 6 values
# from 0.1 to 1.05 of 300 pixels.

print("linspace:", np.linspace(0.1, 1.05, 6) * 300)
assert not np.allclose(np.linspace(0.1, 1.05, 6) * 300, sizes[:6])

# %%
# A third trap: many boxes leave the image. Some published programs cut them at the border, some
# do not, and weights trained one way lose accuracy the other way. So it is a named choice in the
# config.

corner = center_to_corner(default_boxes(ssd300)[:, :4])
leaving = int(((corner < -1e-9) | (corner > 1 + 1e-9)).any(axis=1).sum())
clip = dataclasses.replace(ssd300, boxes=dataclasses.replace(ssd300.boxes, clip="all"))
changed = int((default_boxes(clip)[:, :4] != default_boxes(ssd300)[:, :4]).any(axis=1).sum())
print(f"{leaving} of 8732 boxes leave the image; clip='all' limits {changed} centres or sizes")

# %%
# What to remember
# ----------------

assert np.isclose(left_over["conv4_2"], 256 / 544)
assert max(left_over.values()) < 0.5  # half a cell decides between right and wrong
assert leaving == 2869
assert 0 < changed < leaving
