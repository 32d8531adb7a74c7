"""
03. IoU and matching
====================

To train the network, each default box must be told what it should have said. So we ask, for every
default box: does it stand for an object, and for which one? That takes two things: a number for how
much two boxes agree, and two rules for what to do with it (SSD paper, section 2.2).

Exercises: ``iou_matrix``, ``match``; begin with ``ssd-np exercise start iou_matrix``.

Try it: `drag an object, and see who stands for it
<../explore/index.html#part=match&object=1>`__.
"""

import matplotlib.pyplot as plt
import numpy as np

from ssd_np.boxes.coords import center_to_corner, corner_to_center
from ssd_np.boxes.default_boxes import default_boxes
from ssd_np.boxes.iou import iou_matrix
from ssd_np.boxes.matching import match, match_iou
from ssd_np.boxes.targets import make_targets
from ssd_np.config import load_config
from ssd_np.data.shapes import ShapesDataset
from ssd_np.viz.matching import match_figure
from ssd_np.viz.screen import show

# %%
# Intersection over union, by hand
# --------------------------------
# Intersection over union is the area that two boxes share, divided by the area that they cover
# together:
#
# .. math::
#
#    \operatorname{IoU}(a, b) = \frac{|a \cap b|}{|a| + |b| - |a \cap b|} .
#
# Two squares of side 2. One begins at x = 0, the other at x = 1. They share 1 * 2 = 2. Together
# they cover 4 + 4 - 2 = 6. So IoU = 2 / 6 = 1/3. The same box twice has IoU 1; boxes that do not
# touch, 0.

a = np.array([[0.0, 0, 2, 2]])
b = np.array([[1.0, 0, 3, 2], [0, 0, 2, 2], [5, 5, 6, 6]])
print("IoU:", iou_matrix(a, b))
assert np.allclose(iou_matrix(a, b), [[1 / 3, 1, 0]])

# %%
# Two objects, five default boxes
# -------------------------------
# Written (xmin, ymin, xmax, ymax), as fractions of the image. Check some: box 0 lies in object 0
# and has 0.3 * 0.4 = 0.12 of its 0.16, so 0.75. Box 1 shares 0.3 * 0.3 = 0.09 with object 0;
# together they cover 0.16 + 0.16 - 0.09 = 0.23, so 0.39. Box 3 shares 0.2 * 0.4 = 0.08 with
# object 1, together 0.24: 1/3.

gt = np.array([[0.0, 0.0, 0.4, 0.4], [0.5, 0.5, 0.9, 0.9]])
default = np.array(
    [
        [0.0, 0.0, 0.3, 0.4],
        [0.1, 0.1, 0.5, 0.5],
        [0.0, 0.0, 0.4, 0.5],
        [0.7, 0.5, 1.1, 0.9],
        [0.0, 0.6, 0.3, 0.9],
    ]
)
iou = iou_matrix(gt, default)  # (2, 5)
print(iou.round(2))
assert np.allclose(iou, [[0.75, 0.09 / 0.23, 0.8, 0, 0], [0, 0, 0, 1 / 3, 0]])

# %%
# **Rule one:** every object gets the box that fits it best. Object 0 gets box 2 (0.80). Object 1
# gets box 3, although 1/3 is little: no object may be lost.
#
# **Rule two:** every other box that overlaps an object by at least 0.5 stands for it as well.
# That is box 0 (0.75). More boxes for an object means more to learn from.
#
# The rest is background, written -1. With a *neutral zone* from 0.35, box 1 (0.39) is neither:
# too close to be shown as background, too far to be shown as the object. It is written -2.

print("match:     ", match(gt, default))
print("with zone: ", match(gt, default, neutral_threshold=0.35))
assert match(gt, default).tolist() == [0, -1, 0, 1, -1]
assert match(gt, default, neutral_threshold=0.35).tolist() == [0, -2, 0, 1, -1]

# %%
# The picture
# -----------
# The same on a generated picture with 1,344 default boxes.

tiny = load_config("tiny")
sample = ShapesDataset(seed=0, count=40)[3]
boxes = default_boxes(tiny)
match_figure(sample.image, sample.truth.boxes_corner, boxes, plt.figure(), neutral_threshold=0.4)
show()

# %%
# From matches to labels
# ----------------------
# ``make_targets`` turns the matches into what the network is trained on: a class for every box (0
# is the background, -1 neutral) and four offsets (lesson 04). Few boxes are positive: that is why
# lesson 09 needs hard negative mining.

labels, offsets = make_targets(sample.truth.boxes_corner, sample.truth.labels, boxes)
print(f"{(labels > 0).sum()} of {len(labels)} boxes stand for {len(sample.truth)} objects")

# %%
# There is no gradient here. Matching picks, and a slightly moved box changes no pick. The
# gradient will flow through what was picked.
#
# What goes wrong: two objects want the same box
# ----------------------------------------------
# Object 0 fits box 0 by 0.60, object 1 fits it by 0.58. A loop that gives each object its best
# box, one after the other, gives box 0 to object 0, then to object 1. Object 0 is gone. The
# remedy is to take the best pair of all first, and then the best among what is left.

conflict = np.array([[0.60, 0.20, 0.10], [0.58, 0.30, 0.05]])
careless = np.full(3, -1)
for g in range(2):
    careless[conflict[g].argmax()] = g  # the last one wins
print("careless:", careless, " greedy:", match_iou(conflict))
assert careless.tolist() == [1, -1, -1]  # object 0 stands nowhere
assert match_iou(conflict).tolist() == [0, 1, -1]

# %%
# Rule two alone? Small objects would have no box at all. Take SSD300, whose smallest box is 30 x
# 30 pixels, and an object of 12 x 12 right in the middle of such a box. The IoU is 144 / 900 =
# 0.16: no box reaches 0.5. Rule one saves the object, with one single box to learn from. This is
# one reason why SSD is weak on small objects.

corner = center_to_corner(default_boxes(load_config("ssd300_voc"))[:, :4])  # (8732, 4)
small = np.array([[150, 150, 162, 162]]) / 300  # cell 19 of 38 is centred on 19.5 * 8 = 156
best = iou_matrix(small, corner).max()
stands = np.flatnonzero(match(small, corner) == 0)
print(f"best IoU of the small object: {best:.2f}; boxes that stand for it: {len(stands)}")
assert np.isclose(best, 144 / 900)

# %%
# The most common slip of all: boxes in the wrong form. IoU wants corners. Given (cx, cy, w, h) it
# raises no error, for both forms are four numbers; it just answers nonsense.

wrong = iou_matrix(corner_to_center(gt), corner_to_center(default))
print("IoU of center forms:", wrong.round(2).tolist())

# %%
# What to remember
# ----------------

assert not np.allclose(wrong, iou)
assert len(stands) == 1
assert (labels > 0).sum() < 0.05 * len(labels)
