"""
13. Decoding and non-maximum suppression
========================================

The network has spoken: for each of a thousand default boxes, class scores and four offsets. Most
say "background". Those that do not often mean the same object, for an object has many default
boxes around it. Two steps make detections of it: decoding, and keeping the best of each crowd.

Exercise: ``nms``; begin with ``ssd-np exercise start nms``.
Derivation: docs/derivations.md#decoding.

Try it: `all raw boxes, and who drops whom
<../explore/index.html#part=detect&raw=1&score=0.3>`__.
"""

import matplotlib.pyplot as plt
import numpy as np

from ssd_np.boxes.codec import decode
from ssd_np.boxes.coords import center_to_corner, corner_to_center
from ssd_np.boxes.iou import iou_matrix
from ssd_np.boxes.nms import nms
from ssd_np.data.image import preprocess
from ssd_np.data.shapes import ShapesDataset
from ssd_np.infer.detect import Detector
from ssd_np.model.weights import load
from ssd_np.viz.boxes import detection_figure
from ssd_np.viz.screen import show

# %%
# Non-maximum suppression by hand
# -------------------------------
# Four boxes, best score first, all of them 1 high from y = 0 to y = 1. So IoU is a matter of x
# alone::
#
#     A  0.9   x from 0.0 to 1.0
#     B  0.8   x from 0.2 to 1.2     IoU with A: 0.8 / 1.2 = 0.67
#     C  0.7   x from 0.4 to 1.4     IoU with A: 0.6 / 1.4 = 0.43, with B: 0.67
#     D  0.6   x from 3.0 to 4.0     touches nobody
#
# Keep A. It suppresses B (0.67 > 0.45). C stays: with A it has 0.43, and B, which it resembles
# more, is gone already. Keep C. Keep D. The order matters: the best one decides first.

left = np.array([0.0, 0.2, 0.4, 3.0])
boxes = np.stack([left, np.zeros(4), left + 1, np.ones(4)], axis=1)
scores = np.array([0.9, 0.8, 0.7, 0.6])
print("kept:", nms(boxes, scores, iou_threshold=0.45))
assert nms(boxes, scores, iou_threshold=0.45).tolist() == [0, 2, 3]
assert nms(boxes, scores, iou_threshold=0.40).tolist() == [0, 3]
assert nms(boxes, scores, iou_threshold=0.70).tolist() == [0, 1, 2, 3]

# %%
# From the network to detections, step by step
# --------------------------------------------
# 1. Run the network: ``predict`` returns scores, offsets, default boxes, variances in one row.

model = load("shapes")
classes = model.config.num_classes + 1
sample = ShapesDataset(seed=5, count=20)[1]
rows = model.predict(preprocess(sample.image, model.config)[None])[0]  # (T, K + 12)
probability, offsets, default = rows[:, :classes], rows[:, classes:-8], rows[:, -8:]

# %%
# 2. Decode: apply each box's correction (lesson 04), and go over to corners.

corner = center_to_corner(decode(offsets, default))  # (T, 4)

# %%
# 3. Take one class at a time, never the background, and leave out what is hardly likely. For a
# metric the limit is low, 0.01 (lesson 14); for people it is 0.5.

best_class = probability[:, 1:].max(axis=0).argmax() + 1  # the class that is most sure of itself
name = model.config.class_names[best_class - 1]
candidates = np.flatnonzero(probability[:, best_class] > 0.3)

# %%
# 4. Suppress.

kept = candidates[nms(corner[candidates], probability[candidates, best_class], 0.45)]
print(f"{name}: {len(rows)} boxes, {len(candidates)} above 0.3, {len(kept)} after suppression")

# %%
# ``Detector`` does these steps for every class, keeps the best 200 of all and clips them at the
# border.

found = Detector(model, score_threshold=0.3).detect(sample.image)
same = found.boxes_corner[found.labels == best_class]
assert np.allclose(same, np.clip(corner[kept], 0, 1), atol=1e-5)
for name, score, _, box in found:
    print(f"  {name:9} {score:.2f}  {box.round(2)}")

# %%
# The picture
# -----------
# Left: every candidate of every class. Right: what is left.

above = [
    (corner[i], f"{found.class_names[k - 1]} {probability[i, k]:.2f}")
    for k in range(1, classes)
    for i in np.flatnonzero(probability[:, k] > 0.3)
]
texts = found.captions()
detection_figure(
    [
        (f"{len(above)} candidates", sample.image, [box for box, _ in above], [""] * len(above)),
        (f"{len(found)} detections", sample.image, found.boxes_corner, texts),
    ],
    plt.figure(),
)
show()

# %%
# No gradient: suppression picks, like matching. It is used after training only.
#
# What goes wrong
# ---------------
# **The threshold is a compromise.** Low, and two objects that stand close become one. High, and
# one object is found twice. Count over 60 pictures.

dataset = ShapesDataset(seed=6, count=60)
objects = sum(len(dataset.truth(i)) for i in range(60))
images = [sample.image for sample in (dataset[i] for i in range(60))]
count = {}
for threshold in (0.05, 0.45, 0.95):
    detector = Detector(model, score_threshold=0.5, iou_threshold=threshold)
    count[threshold] = sum(len(d) for d in detector.detect_all(images))
    print(f"threshold {threshold}: {count[threshold]} detections of {objects} objects")

# %%
# **Boxes in the wrong form.** NMS wants corners. Center form raises no error; it suppresses at
# random.

wrong = nms(corner_to_center(corner[candidates]), probability[candidates, best_class], 0.45)
print(f"with center form {len(wrong)} detections of {name} are left instead of {len(kept)}")

# %%
# **All classes at once.** A cross before a square: two objects, their boxes nearly equal. One
# list for all classes suppresses the second one. SSD suppresses class by class.

two, both = np.array([[0.2, 0.2, 0.8, 0.8], [0.22, 0.2, 0.8, 0.8]]), np.array([0.9, 0.85])
assert len(nms(two, both)) == 1  # in one list
assert len(nms(two[:1], both[:1])) + len(nms(two[1:], both[1:])) == 2  # class by class

# %%
# What to remember
# ----------------

assert count[0.05] <= count[0.45] < count[0.95]
assert len(kept) < len(candidates)
overlap = iou_matrix(corner[kept], corner[kept]) - np.eye(len(kept))
assert overlap.max() <= 0.45  # of one class, no two detections overlap more
