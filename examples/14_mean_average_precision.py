"""
14. Mean average precision
==========================

Is this detector better than that one? A single number is wanted that rewards finding objects,
punishes false alarms, and does not depend on where somebody put a score threshold. That is average
precision, and its mean over the classes: mAP.

Exercises: ``average_precision``, ``precision_recall``; begin with ``ssd-np exercise start
average_precision``.
"""

import os

import matplotlib.pyplot as plt
import numpy as np

from ssd_np.data.shapes import ShapesDataset
from ssd_np.data.voc import VOCDataset
from ssd_np.evaluate.average_precision import all_point_ap, eleven_point_ap, evaluate_voc
from ssd_np.evaluate.run import detect_dataset
from ssd_np.model.weights import load
from ssd_np.records import Detections, Truth
from ssd_np.viz.recall import precision_recall
from ssd_np.viz.screen import show

# %%
# Four objects, five detections, by hand
# --------------------------------------
# One class, one image. Sort the detections by score. A detection is right if its IoU with an
# object is at least 0.5 and no better one took that object before. Here detection 3 finds the
# object that detection 1 found already: a duplicate, and wrong.
#
# ====  =====  =========  ==========  ===========
# no    score  right?     precision   recall
# ====  =====  =========  ==========  ===========
# 1     0.9    yes        1/1 = 1     1/4 = 0.25
# 2     0.8    yes        2/2 = 1     2/4 = 0.50
# 3     0.7    duplicate  2/3 = 0.67  0.50
# 4     0.6    yes        3/4 = 0.75  3/4 = 0.75
# 5     0.5    no         3/5 = 0.60  0.75
# ====  =====  =========  ==========  ===========
#
# Precision: how many of those so far are right. Recall: how many of the objects are found. The
# fourth object is never found, so recall ends at 0.75.
#
# **AP is the area under precision over recall**, where precision at a recall is the best one from
# there on:
#
# .. math::
#
#    \mathrm{AP} = \int_0^1 \max_{r' \ge r} \mathrm{precision}(r') \, dr .
#
# From 0 to 0.5 that is 1, from 0.5 to 0.75 it is 0.75, then 0: 0.5 * 1 + 0.25 * 0.75 =
# 0.6875.
#
# Pascal VOC 2007 took the mean at 11 recalls, 0, 0.1, ..., 1: six times 1 (0 to 0.5), two times
# 0.75 (0.6 and 0.7), three times 0: 7.5 / 11 = 0.6818.

recall = np.array([1, 2, 2, 3, 3]) / 4
precision = np.array([1, 1, 2 / 3, 3 / 4, 3 / 5])
assert np.isclose(all_point_ap(recall, precision), 0.6875)
assert np.isclose(eleven_point_ap(recall, precision), 7.5 / 11)

# %%
# The library's function
# ----------------------
# The same as boxes. Objects are four squares in a row; detections lie on them, or beside.

square = np.array([0.0, 0.0, 0.1, 0.1])
places = [square + np.array([0.2 * k, 0, 0.2 * k, 0]) for k in range(4)]
truth = Truth(np.stack(places), [1, 1, 1, 1])
beside = square + np.array([0, 0.5, 0, 0.5])
found = Detections(
    np.stack([places[0], places[1], places[0], places[2], beside]),
    np.ones(5, int),
    np.array([0.9, 0.8, 0.7, 0.6, 0.5]),
    ("thing",),
)
result = evaluate_voc([found], [truth])
print(result.table())
assert np.allclose(result.classes[0].precision, precision)
assert np.allclose(result.classes[0].recall, recall)
assert np.isclose(result.mean_ap, 0.6875)
assert np.isclose(evaluate_voc([found], [truth], metric="11-point").mean_ap, 7.5 / 11)

# %%
# A trained detector
# ------------------
# 120 pictures that it never saw. The dots show where the usual threshold for people, 0.5, would
# stand: one point of the whole curve.

model = load("shapes")
dataset = ShapesDataset(seed=2024, count=120)
detections, truths = detect_dataset(model, dataset)
trained = evaluate_voc(detections, truths)
print(trained.table())
precision_recall(trained, plt.figure())
show()

# %%
# And photographs? Set BCCD_ROOT to a folder with the public blood-cell data set (BCCD) to see.

if "BCCD_ROOT" in os.environ:
    cells = load("blood_cells")
    names = cells.config.class_names
    blood = VOCDataset(os.environ["BCCD_ROOT"], "test", names)
    print(evaluate_voc(*detect_dataset(cells, blood)).table())

# %%
# There is no gradient: a count of hits does not change when a box moves a little. Networks are
# trained with the loss of lesson 09 and only judged by AP.
#
# What goes wrong
# ---------------
# **Cutting at 0.5 before measuring.** It looks tidy and throws away the curve's tail: all those
# objects that the detector had found, less surely. The same detector, another number.

sure = [found.at_least(0.5) for found in detections]
cut = evaluate_voc(sure, truths).mean_ap
print(f"mAP {trained.mean_ap:.4f}, after a cut at 0.5: {cut:.4f}")

# %%
# **Duplicates counted as right.** In our example, detection 3 would be right, too. Then recall
# would reach 4/4 with an object not found, and AP = 1 * 0.5 + 1 * 0.25 + 1 * 0.25 = 1.0.

generous = all_point_ap(np.array([1, 2, 3, 4, 4]) / 4, np.array([1, 1, 1, 1, 4 / 5]))
print("AP with duplicates as right:", generous)

# %%
# **Comparing numbers of different metrics.** 11 points or all, IoU 0.5 or COCO's mean over 0.5 to
# 0.95: the same detections, three numbers. A mAP without the name of its metric says little.

strict = {t: evaluate_voc(detections, truths, iou_threshold=t).mean_ap for t in (0.5, 0.75, 0.9)}
eleven = evaluate_voc(detections, truths, metric="11-point").mean_ap
print(f"11-point {eleven:.4f};", ", ".join(f"IoU {t}: {ap:.4f}" for t, ap in strict.items()))

# %%
# **A class without objects** has no recall, 0 / 0. As 0 in the mean it would punish a detector
# for nothing. The library leaves it out.

two_names = Detections(found.boxes_corner, found.labels, found.scores, ("thing", "absent"))
absent = evaluate_voc([two_names], [truth])
assert np.isnan(absent.ap["absent"]) and np.isclose(absent.mean_ap, 0.6875)

# %%
# What to remember
# ----------------

assert generous == 1.0 > result.mean_ap
assert cut < trained.mean_ap
assert strict[0.5] > strict[0.75] > strict[0.9]
assert trained.mean_ap > 0.6
