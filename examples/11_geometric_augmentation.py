"""
11. Geometric augmentation
==========================

SSD without augmentation: 65.5 % mAP. With it: 74.3 % (paper, table 2). No other single idea in the
paper gains as much. The objects are shown elsewhere, larger, smaller, mirrored - and the boxes must
go along, exactly.

Exercises: ``flips``, ``expand``, ``crop_rule``, ``crop``; begin with ``ssd-np exercise start
flips``.
"""

import dataclasses
import os

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.cbook import get_sample_data

from ssd_np.boxes.iou import iou_matrix
from ssd_np.config import Crop as CropConfig
from ssd_np.config import load_config
from ssd_np.data.geometric import Crop, Expand, draw_patch, into_window, mirror_x, out_of_window
from ssd_np.data.pipeline import augment
from ssd_np.data.shapes import ShapesDataset
from ssd_np.data.transform import undo_boxes
from ssd_np.data.voc import VOCDataset
from ssd_np.records import Sample, Truth
from ssd_np.viz.augmentation import augmentation_figure, strip_figure
from ssd_np.viz.screen import show

# %%
# By hand: mirror, crop, expand
# -----------------------------
# A box from x = 0.1 to 0.4, y = 0.2 to 0.6.
#
# **Mirror.** x becomes 1 - x. So 0.1 becomes 0.9 and 0.4 becomes 0.6; but now 0.6 is the left
# side. The two exchange their roles: 0.6 to 0.9.

box = np.array([[0.1, 0.2, 0.4, 0.6]])
assert np.allclose(mirror_x(box), [[0.6, 0.2, 0.9, 0.6]])

# %%
# **Crop.** A window from (0, 0) to (0.5, 0.8) becomes the whole picture. What was at x = 0.1 is
# now at 0.1 / 0.5 = 0.2; 0.4 becomes 0.8; y = 0.2 becomes 0.2 / 0.8 = 0.25, and 0.6 becomes 0.75.
#
# **Expand.** The same with a window larger than the picture: from (-1, -1) to (1, 1), the picture
# lies in the lower right quarter of a canvas twice its size. x = 0.1 becomes (0.1 + 1) / 2 =
# 0.55.

smaller, larger = np.array([0, 0, 0.5, 0.8]), np.array([-1.0, -1, 1, 1])
print("cropped:", into_window(box, smaller), " expanded:", into_window(box, larger))
assert np.allclose(into_window(box, smaller), [[0.2, 0.25, 0.8, 0.75]])
assert np.allclose(into_window(box, larger), [[0.55, 0.6, 0.7, 0.8]])
assert np.allclose(out_of_window(into_window(box, larger), larger), box)  # and back

# %%
# Expand and Crop
# ---------------
# Each is an object that draws a window, changes the image and the boxes, and undoes. ``Expand``
# puts the picture on a canvas up to four times as wide and high, filled with the mean colour, which
# normalisation turns into 0: it makes small objects, of which data sets have too few. ``Crop`` cuts
# out a patch that overlaps an object by a minimum IoU. An object stays if its *centre* lies in it.

photograph = plt.imread(get_sample_data("grace_hopper.jpg"))  # (600, 512, 3)
face, hat = [0.31, 0.17, 0.68, 0.55], [0.28, 0.03, 0.72, 0.22]
truth = Truth(np.array([face, hat]), [1, 2], size=photograph.shape[:2])
item = (photograph, truth.boxes_corner, truth.labels)
mean = (123.0, 117.0, 104.0)
panels = [("original", photograph, truth.boxes_corner)]
for seed in (1, 5):
    image, boxes, *_ = Expand(mean, max_ratio=4)(*item, np.random.default_rng(seed))
    panels.append((f"expanded to {image.shape[1]} × {image.shape[0]}", image, boxes))
for least in (0.1, 0.5):
    crop = Crop(mean, CropConfig(min_ious=(least,)))
    image, boxes, labels, step = crop(*item, np.random.default_rng(7))
    window = step.drawn.corners
    assert iou_matrix(truth.boxes_corner, window[None]).max() >= least  # the promise is kept
    panels.append((f"crop, IoU ≥ {least}: {len(boxes)} of 2", image, boxes))
strip_figure(panels, plt.figure())
show()

# %%
# Which minimum? The rule has seven: 0.1, 0.3, 0.5, 0.7, 0.9, "anything" and "leave it whole". For
# each of them patches are drawn until one passes, at most 50; then one of those *found* is picked.
# With a small object most minima can not be met, and the pick is among the others. To draw the
# minimum first, and leave the picture whole where it is not met, would leave most pictures whole.

rule = CropConfig()
small = np.array([[0.4, 0.4, 0.5, 0.5]])
found = [draw_patch((512, 512), small, np.random.default_rng(i), rule)[1] for i in range(300)]
whole = found.count(1.0) / len(found)
print("minima that were picked:", sorted(set(found)), f"whole: {whole:.0%}")
assert 0.3 < whole < 0.6

# %%
# The chain
# ---------
# Light first (lesson 10), then expand, crop, resize, mirror. The order matters: light before the
# canvas, so that the canvas keeps the mean colour.

voc = load_config("ssd300_voc")
sample = Sample(photograph, truth, "grace_hopper")
augmentation_figure(sample, voc, np.random.default_rng(57), plt.figure())
show()

# %%
# With blood cells, if BCCD_ROOT names the folder of that public data set.

if "BCCD_ROOT" in os.environ:
    cells = VOCDataset(os.environ["BCCD_ROOT"], "train")[0]
    augmentation_figure(cells, voc, np.random.default_rng(57), plt.figure())
    show()

# %%
# Every step can be taken back
# ----------------------------
# ``augment`` returns what it did. So the boxes of an augmented picture can be carried home, the
# best test there is: they must land on the truth, but for what a crop has cut off.

zoom = dataclasses.replace(voc.augmentation.crop, probability=0.0)
chances = dataclasses.replace(voc.augmentation, crop=zoom)
uncut = dataclasses.replace(voc, augmentation=chances)  # nothing is cut off
shapes = ShapesDataset(seed=3, count=50)
farthest, steps = 0.0, []
for i in range(len(shapes)):
    original = shapes[i]
    _, boxes, labels, history = augment(original, uncut, np.random.default_rng(i))
    home = undo_boxes(boxes, history)
    farthest = max(farthest, float(np.abs(home - original.truth.boxes_corner).max()))
    assert np.array_equal(labels, original.truth.labels)
    steps += [step.name for step in history]
print(f"{steps.count('expand')} expanded, {steps.count('horizontal_flip')} mirrored")
print(f"largest distance of a box carried home: {farthest:.1e}")

# %%
# There is no gradient: like light, geometry happens before the network and nothing in it is
# learned.
#
# What goes wrong: a mirror without the exchange
# ----------------------------------------------
# 1 - x for both sides, and left stays left: a box from 0.9 to 0.6. Its width is -0.3. In the best
# case its logarithm is NaN (lesson 04) and the training stops at once. In the worst case somebody
# wrote ``abs`` somewhere, and a wrong width is learned.

slip = box.copy()
slip[:, [0, 2]] = 1 - slip[:, [0, 2]]
width = float(slip[0, 2] - slip[0, 0])
print(f"mirrored without the exchange: {slip[0]}, width {width:.1f}")

# %%
# **Objects cut in two.** Keep every object that the patch touches, and a sliver of an elbow is
# taught as "person". With the rule of the centre, a fair part of the box remains. Compare
# the smallest share of a box that is left in 400 random patches.

rng = np.random.default_rng(0)
touched, centred = [], []
for _ in range(400):
    low = rng.uniform(0, 0.6, 2)
    window = np.r_[low, low + rng.uniform(0.3, 0.4, 2)]
    inside = np.r_[np.maximum(box[0, :2], window[:2]), np.minimum(box[0, 2:], window[2:])]
    sides = np.maximum(inside[2:] - inside[:2], 0)
    share = sides.prod() / (0.3 * 0.4)
    if share > 0:
        touched.append(share)
        centre = np.array([0.25, 0.4])
        if (centre > window[:2]).all() and (centre < window[2:]).all():
            centred.append(share)
print(f"smallest share left: touched {min(touched):.1%}, centre inside {min(centred):.1%}")

# %%
# What to remember
# ----------------

assert farthest < 1e-9 and min(steps.count("expand"), steps.count("horizontal_flip")) > 10
assert width < 0
assert min(touched) < 0.02 and min(centred) > 0.25
