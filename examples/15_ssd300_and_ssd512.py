"""
15. SSD300 and SSD512
=====================

The detectors of the paper are two configs of this library, number for number. This lesson puts
their tables side by side, and shows how weights that others published are read - and why the right
weights in a slightly different detector are wrong.

Exercise (of lesson 08): ``shape_trace``; begin with ``ssd-np exercise start shape_trace``.
"""

import dataclasses
import os
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.cbook import get_sample_data

from ssd_np.boxes.default_boxes import default_boxes
from ssd_np.config import load_config
from ssd_np.dialects import in_dialect
from ssd_np.errors import ConfigError
from ssd_np.infer.detect import Detector
from ssd_np.model.pretrained import decimate
from ssd_np.model.ssd import SSD
from ssd_np.model.trace import trace
from ssd_np.model.weights import export_torchvision, load_torch
from ssd_np.viz.boxes import detection_figure
from ssd_np.viz.screen import show

# %%
# The tables
# ----------
# One line for each feature map. Check one by hand: SSD512's fc7 has 32 x 32 cells with 6 boxes
# each: 6,144. The maps before it hold 64 x 64 x 4 = 16,384, so its first box has number 16,384.

firsts = {}
for name in ("ssd300_voc", "ssd512_voc"):
    config, first = load_config(name), 0
    print(f"{name}   (map, cells, step, s, s of the next, ratios, boxes, number of the first)")
    firsts[name] = []
    for m in config.feature_maps:
        boxes = m.size**2 * m.boxes_per_cell
        ratios = ",".join(f"{r:g}" for r in m.aspect_ratios)
        print(f"  {m.name:9} {m.size:3} {m.step:4g} {m.min_size:7g} {m.max_size:7g}  {ratios:4}"
              f"{boxes:7,} {first:7,}")  # fmt: skip
        firsts[name].append(first)
        first += boxes
    assert len(default_boxes(config)) == first
assert firsts["ssd300_voc"] == [0, 5776, 7942, 8542, 8692, 8728]
assert firsts["ssd512_voc"] == [0, 16384, 22528, 24064, 24448, 24544, 24560]

# %%
# What the larger picture buys, and costs
# ---------------------------------------
# From the paper (and its authors' later table with zoom-out augmentation), mAP on Pascal VOC
# 2007:
#
# =========================  ==========  ==========
# measured                   SSD300      SSD512
# =========================  ==========  ==========
# VOC 2007 test              74.3 %      76.8 %
# with zoom-out (lesson 11)  77.2 %      79.8 %
# images a second (Titan X)  46          19
# =========================  ==========  ==========
#
# Small objects gain most: an object of 20 pixels in one is 34 in the other. The price is work.
# Count it:

work, parameters = {}, {}
for name in ("ssd300_voc", "ssd512_voc"):
    rows = trace(load_config(name))
    work[name] = sum(row.multiply_adds for row in rows)
    parameters[name] = sum(row.parameters for row in rows)
    print(f"{name}: {work[name] / 1e9:.1f} billion multiply-adds, {parameters[name]:,} parameters")

figure, (left, right) = plt.subplots(1, 2, figsize=(7.4, 3.5), layout="constrained")
styles = {"ssd300_voc": ("o-", "#0072B2"), "ssd512_voc": ("s--", "#D55E00")}
for name, (style, color) in styles.items():
    config = load_config(name)
    sides = [m.min_size / config.input.size for m in config.feature_maps]
    counts = [m.size**2 * m.boxes_per_cell for m in config.feature_maps]
    left.plot(range(1, len(sides) + 1), sides, style, color=color, label=name)
    right.plot(range(1, len(sides) + 1), counts, style, color=color, label=name)
left.set(xlabel="feature map", ylabel="s / side of the image", title="sizes")
right.set(xlabel="feature map", ylabel="default boxes", yscale="log", title="how many")
left.legend()
show()

# %%
# VGG-16's last layers, thinned out
# ---------------------------------
# The base was a classifier. Its layer fc6 is a 7 x 7 kernel with 4,096 outputs: 103 million
# weights. SSD keeps every third tap in both directions and every fourth output: 3 x 3 and 1,024.
# Taps 0, 3 and 6 of 7 are left, and the dilation spreads them again.

taps = np.arange(49).reshape(7, 7)
print(decimate(taps, (3, 3)))
assert decimate(taps, (3, 3)).tolist() == [[0, 3, 6], [21, 24, 27], [42, 45, 48]]
assert 4096 * 512 * 7 * 7 == 102_760_448 and 1024 * 512 * 3 * 3 == 4_718_592

# %%
# Published weights
# -----------------
# ``load_torch(path)`` reads the files of torchvision (``ssd300_vgg16``, COCO) and of amdegroot's
# ssd.pytorch (VOC) without PyTorch. The names of the tensors tell whose they are. Set
# SSD300_WEIGHTS to such a file to see it at work here; nothing is downloaded.

if "SSD300_WEIGHTS" in os.environ:
    published = load_torch(os.environ["SSD300_WEIGHTS"])
    photograph = plt.imread(get_sample_data("grace_hopper.jpg"))
    found = Detector(published, score_threshold=0.5).detect(photograph)
    texts = found.captions()
    detection_figure([("SSD300", photograph, found.boxes_corner, texts)], plt.figure())
    show()

# %%
# A kernel is four-dimensional, and everybody orders it differently: PyTorch (Co, C, kh, kw), this
# library (kh, kw, C, Co). So reading is a transposition. As a test, send an SSD300 with a 16th of
# the channels out under torchvision's names and back in again.

voc = load_config("ssd300_voc")
slim_layers = tuple(
    dataclasses.replace(layer, channels=layer.channels // 16) if layer.kind == "conv" else layer
    for layer in voc.layers
)
slim = SSD(dataclasses.replace(voc, layers=slim_layers), seed=4)
with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "slim.npz"
    export_torchvision(path, slim)
    names = np.load(path).files
    theirs = np.load(path)["backbone.features.0.weight"]
    again = load_torch(path)
print(len(names), "tensors, for example", names[0], theirs.shape)
images = np.random.default_rng(0).standard_normal((1, 300, 300, 3), dtype=np.float32)
scores, offsets = slim.forward(images)
assert np.array_equal(again.forward(images)[0], scores)
assert len(names) == 71 and theirs.shape == (4, 3, 3, 3)

# %%
# No gradient in this lesson: nothing is learned here, only read.
#
# What goes wrong: right numbers, wrong order
# -------------------------------------------
# ``reshape`` instead of ``transpose``. Size and shape are right, and every kernel is scrambled.

kernel = slim.parameters["conv1_1.weight"].value  # (3, 3, 3, 4)
scrambled = theirs.reshape(kernel.shape)
alike = float((scrambled == kernel).mean())
print(f"after reshape {alike:.0%} of the numbers stand where they belong")

# %%
# **Right weights, another detector.** The weights do not say how their default boxes were clipped
# or which mean was taken away. Every program settled such things in its own way, and so the
# library keeps a table of who does what (``ssd_np.dialects``) and ``load_torch`` applies it. How
# many default boxes of SSD300 would be others in amdegroot's program, for which these weights
# were not trained?

reference = default_boxes(voc)
other = {}
for who in ("torchvision", "amdegroot"):
    theirs_boxes = default_boxes(in_dialect(voc, who))
    other[who] = int((np.abs(theirs_boxes - reference) > 1e-12).any(axis=1).sum())
    print(f"{who}: {other[who]} default boxes differ from the authors'")

# %%
# **SSD500** was in the first version of the paper only; what everybody means today is SSD512,
# with a seventh map and other sizes. The library says so.

try:
    load_config("ssd500_voc")
except ConfigError as error:
    message = str(error)
print(message)

# %%
# What to remember
# ----------------

assert len(default_boxes(load_config("ssd512_voc"))) == 24_564
assert parameters["ssd300_voc"] == 26_285_486
assert 2.7 < work["ssd512_voc"] / work["ssd300_voc"] < 3.1  # about (512 / 300) ** 2 = 2.9
assert alike < 0.2 and other["amdegroot"] > 100 and "SSD512" in message
