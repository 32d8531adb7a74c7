"""
04. Encoding and variances
==========================

A default box rarely fits its object exactly. The network must say how to correct it: move it a bit,
make it wider or taller. *Encoding* writes that correction as four numbers, the offsets. *Decoding*
applies them. Training compares offsets with offsets, detection decodes (SSD paper, equation 2).

Exercises: ``encode``, ``decode``, ``decode_backward``; begin with ``ssd-np exercise start encode``.
Derivation: docs/derivations.md#decoding.

Try it: `a detection, decoded with its numbers
<../explore/index.html#part=detect&found=1093.4>`__.
"""

import matplotlib.pyplot as plt
import numpy as np

from ssd_np.boxes.codec import decode, decode_backward, encode
from ssd_np.boxes.coords import center_to_corner, corner_to_center
from ssd_np.boxes.default_boxes import default_boxes
from ssd_np.boxes.iou import iou_matrix
from ssd_np.boxes.targets import make_targets
from ssd_np.config import load_config
from ssd_np.data.shapes import ShapesDataset
from ssd_np.gradcheck import numeric_gradient, relative_error
from ssd_np.viz.canvas import BLUE, GREEN, ORANGE, VERMILION
from ssd_np.viz.screen import show

# %%
# One box by hand
# ---------------
# Default box: centre (0.5, 0.5), 0.25 wide and high. Object: centre (0.55, 0.48), 0.3 wide, 0.2
# high.
#
# * move right: 0.55 - 0.5 = 0.05, in widths of the default box 0.05 / 0.25 = 0.2
# * move down: 0.48 - 0.5 = -0.02, in heights -0.02 / 0.25 = -0.08
# * wider: 0.3 / 0.25 = 1.2 times, as a logarithm ln 1.2 = 0.1823
# * higher: 0.2 / 0.25 = 0.8 times, as a logarithm ln 0.8 = -0.2231
#
# Why divide by the size? Then 0.2 means "a fifth of the box" for a small box and a large one
# alike. Why a logarithm? Twice as wide and half as wide become +0.69 and -0.69, and no number the
# network can say makes a width negative.
#
# Last, divide by the *variances* (0.1, 0.1, 0.2, 0.2): 2.0, -0.8, 0.9116, -1.1157. With g for the
# object, d for the default box and v for the variances,
#
# .. math::
#
#    t_x = \frac{g_x - d_x}{v_x\, d_w}, \quad t_y = \frac{g_y - d_y}{v_y\, d_h}, \quad
#    t_w = \frac{1}{v_w} \ln \frac{g_w}{d_w}, \quad t_h = \frac{1}{v_h} \ln \frac{g_h}{d_h} .

default = np.array([[0.5, 0.5, 0.25, 0.25, 0.1, 0.1, 0.2, 0.2]])  # cx cy w h and four variances
gt_center = np.array([[0.55, 0.48, 0.3, 0.2]])
offsets = encode(gt_center, default)
print("offsets:", offsets.round(4))
assert np.allclose(offsets, [[2.0, -0.8, np.log(1.2) / 0.2, np.log(0.8) / 0.2]])
assert np.allclose(decode(offsets, default), gt_center)  # there and back

# %%
# What the variances are for
# --------------------------
# They are no variances of anything; the name comes from the authors' program. They are four fixed
# numbers that bring the offsets to a similar spread. Look at the offsets of all matched boxes in
# 150 pictures. Undivided, moves are small and stretches larger. Divided, all four are about 1
# wide, so that no side of the box drowns the others in the loss.

boxes = default_boxes(load_config("tiny"))
dataset = ShapesDataset(seed=1, count=150)
targets = []
for i in range(len(dataset)):
    truth = dataset.truth(i)
    labels, offsets_of_image = make_targets(truth.boxes_corner, truth.labels, boxes)
    targets.append(offsets_of_image[labels > 0])
targets = np.concatenate(targets)  # (boxes, 4)
variances = boxes[0, 4:]
with_variances, without = targets.std(axis=0), (targets * variances).std(axis=0)
print("spread without variances:", without.round(2), " with:", with_variances.round(2))

figure, panels = plt.subplots(1, 2, figsize=(7.4, 3.4), layout="constrained")
styles = (("-", BLUE), ("--", ORANGE), ("-.", GREEN), (":", VERMILION))
for axes, values, title in (
    (panels[0], targets * variances, "offsets not divided"),
    (panels[1], targets, "divided: what the network learns"),
):
    for k, name in enumerate(("x", "y", "width", "height")):
        counts, edges = np.histogram(values[:, k], bins=25, range=(-3.5, 3.5))
        style, color = styles[k]
        axes.plot((edges[1:] + edges[:-1]) / 2, counts, style, color=color, lw=2, label=name)
    axes.set(title=title, xlabel="offset")
panels[0].set(ylabel="default boxes")
panels[0].legend()
show()

# %%
# The gradient of decode
# ----------------------
# SSD's loss compares offsets, so decoding needs no gradient there. Newer losses (GIoU, for one)
# compare decoded boxes, and then it does. It is short:
#
# .. math::
#
#    x = d_x + t_x v_x d_w \;\Rightarrow\; \frac{\partial x}{\partial t_x} = v_x d_w, \qquad
#    w = d_w e^{t_w v_w} \;\Rightarrow\; \frac{\partial w}{\partial t_w} = v_w w .
#
# Here they are 0.1 * 0.25 = 0.025 and 0.2 * 0.3 = 0.06.

ones = np.ones((1, 4))
print("gradient:", decode_backward(ones, offsets, default))
assert np.allclose(decode_backward(ones, offsets, default), [[0.025, 0.025, 0.06, 0.04]])

upstream = np.random.default_rng(0).standard_normal((1, 4))
numeric = numeric_gradient(lambda t: decode(t, default), offsets, upstream)
error = relative_error(numeric, decode_backward(upstream, offsets, default))
print(f"relative error against central differences: {error:.1e}")

# %%
# What goes wrong: variances at one end only
# ------------------------------------------
# The network was trained with variances, the detector decodes without. Every correction is then 5
# to 10 times too strong. Our box should be found at (0.55, 0.48) with 0.3 by 0.2.

no_variances = default.copy()
no_variances[:, 4:] = 1
wrong = decode(offsets, no_variances)
print("decoded without variances:", wrong.round(3))

# %%
# It lands at x = 0.5 + 2.0 * 0.25 = 1.0, the right border. The fit is gone:

fit = iou_matrix(center_to_corner(gt_center), center_to_corner(wrong))[0, 0]
print(f"IoU with the object: {fit:.2f}")

# %%
# The second classic: corners given where centres are wanted. No error, other numbers.

corners = center_to_corner(gt_center)
print("encode(corners):", encode(corners, default).round(2), "- should be", offsets.round(2))

# %%
# And a third: a wild network. In the first steps of a training that runs away, an offset of 40
# asks for exp(40 * 0.2) = 2,981 times the width. torchvision limits the exponent to ln(1000 / 16)
# = 4.135, and so can ``decode``. Where the limit holds, the gradient is 0.

wild = np.array([[0.0, 0, 40, 0]])
print("width:", decode(wild, default)[0, 2], "limited:", decode(wild, default, np.log(62.5))[0, 2])
assert np.isclose(decode(wild, default, np.log(62.5))[0, 2], 62.5 * 0.25)
assert decode_backward(ones, wild, default, np.log(62.5))[0, 2] == 0

# %%
# What to remember
# ----------------

assert (with_variances > 0.5).all() and (with_variances < 2).all()
assert without.max() < 0.5
assert error < 1e-8
assert np.isclose(wrong[0, 0], 1.0) and fit < 0.1
assert not np.allclose(encode(corners, default), offsets)
assert np.allclose(corner_to_center(corners), gt_center)
