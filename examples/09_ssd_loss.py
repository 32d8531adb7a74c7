"""
09. The SSD loss
================

One number says how wrong the network was: how wrong the boxes are, plus how wrong the classes are.
Its gradient says to each of the 8,732 answers how to become better. All of it fits on one page, and
every derivative can be taken by hand (SSD paper, equations 1 to 3).

Exercises: ``softmax``, ``cross_entropy_backward``, ``smooth_l1``, ``mine_hard_negatives``,
``multibox_loss``, ``focal_loss``; begin with ``ssd-np exercise start softmax``.
Derivations: docs/derivations.md#softmax-and-cross-entropy, docs/derivations.md#smooth-l1,
docs/derivations.md#the-ssd-loss, docs/derivations.md#focal-loss,
docs/derivations.md#sigmoid-and-binary-cross-entropy.

Try it: `the costliest background box, its loss and its gradient
<../explore/index.html#part=loss&box=1320>`__.
"""

import matplotlib.pyplot as plt
import numpy as np

from ssd_np.boxes.targets import make_targets
from ssd_np.config import load_config
from ssd_np.data.image import preprocess
from ssd_np.data.shapes import ShapesDataset
from ssd_np.gradcheck import numeric_gradient, relative_error
from ssd_np.loss.cross_entropy import cross_entropy_backward, cross_entropy_forward
from ssd_np.loss.mining import mine_hard_negatives
from ssd_np.loss.multibox import multibox_loss
from ssd_np.loss.smooth_l1 import smooth_l1_backward, smooth_l1_forward
from ssd_np.model.ssd import SSD
from ssd_np.viz.mining import mining_figure
from ssd_np.viz.screen import show

# %%
# Boxes: smooth L1
# ----------------
# For a difference d between an offset and its target,
#
# .. math::
#
#    f(d) = \begin{cases} d^2 / 2 & |d| < 1 \\ |d| - 1/2 & \text{else.} \end{cases}
#
# Near 0 it is a parabola, so small errors are polished; far out a straight line, so that one
# wild box does not rule the batch. f(0.5) = 0.125, f(1) = 0.5, f(2) = 1.5. Gradient: d itself,
# but at most 1 in size.

d = np.array([0.5, 1.0, 2.0, -3.0])
loss, cache = smooth_l1_forward(d, np.zeros(4))
print("loss:", loss, " gradient:", smooth_l1_backward(np.ones(4), cache))
assert loss.tolist() == [0.125, 0.5, 1.5, 2.5]
assert smooth_l1_backward(np.ones(4), cache).tolist() == [0.5, 1, 1, -1]

# %%
# Classes: cross-entropy
# ----------------------
# Softmax makes probabilities of scores z; the loss is minus the logarithm of that of class c, the
# right one:
#
# .. math::
#
#    p_k = \frac{e^{z_k}}{\sum_j e^{z_j}}, \qquad \ell = -\ln p_c, \qquad
#    \frac{\partial \ell}{\partial z_k} = p_k - [k = c] .
#
# Three scores: ln 1, ln 2, ln 5. Softmax makes probabilities of them: 1/8, 2/8, 5/8. If class 1
# is right, the loss is -ln(2/8) = 1.386. The gradient is "probability minus truth": 1/8, 2/8 - 1,
# 5/8. It sums to 0, pushes the right class up and all others down, each by its share.

scores, labels = np.log([[1.0, 2, 5]]), np.array([1])
loss, cache = cross_entropy_forward(scores, labels)
dscores = cross_entropy_backward(np.ones(1), cache)
print("loss:", loss.round(3), " gradient:", dscores)
assert np.allclose(loss, np.log(4)) and np.allclose(dscores, [[1 / 8, -6 / 8, 5 / 8]])

# %%
# Hard negative mining, step by step
# ----------------------------------
# Ten default boxes. Box 1 stands for an object, box 2 is neutral, the rest is background. Below
# is what each would cost as background.
#
# 1. Count the positives: 1. So three negatives are wanted.
# 2. Rank the negatives by their loss: box 7 (2.1), box 4 (1.7), box 9 (0.8), box 0 (0.4), ...
# 3. Cut after the third. Boxes 7, 4, 9 are trained, the others are left alone.
#
# Box 2 costs 5.0 and is not taken: neutral is neutral. Nor is box 1, the object itself.

cost = np.array([[0.4, 3.0, 5.0, 0.1, 1.7, 0.2, 0.3, 2.1, 0.05, 0.8]])
kind = np.array([[0, 1, -1, 0, 0, 0, 0, 0, 0, 0]])
mined = mine_hard_negatives(cost, kind > 0, kind == 0, ratio=3)
print("mined:", np.flatnonzero(mined[0]))
assert np.flatnonzero(mined[0]).tolist() == [4, 7, 9]

# %%
# Mining has no gradient. It picks; and the gradient flows through what was picked.
#
# All together
# ------------
# Over the positives P (N of them) and the mined negatives M, with offsets t and their targets,
#
# .. math::
#
#    L = \frac{1}{N} \Big( \sum_{i \in P \cup M} \ell_i +
#    \sum_{i \in P} \sum_{m=1}^{4} f(t_{im} - \hat t_{im}) \Big) .
#
# The paper has no image without an object. Where negatives are asked for even there (the config's
# ``minimum_negatives``), the divisor is max(1, positives, mined / ratio): three negatives without
# an object weigh as much as three with one. Where each image has its object, nothing changes. A
# fresh network whose heads say 0 has probability 1/C for every class, so each trained box costs
# ln C. With 3 negatives for a positive that is 4 ln C: for 6 classes 7.167. A training that
# starts elsewhere has a bug; look there first.

tiny = load_config("tiny")
model = SSD(tiny, dtype=np.float64)
sample = ShapesDataset(seed=0, count=40)[3]
targets = make_targets(sample.truth.boxes_corner, sample.truth.labels, model.default_boxes)
target_labels, target_offsets = targets[0][None], targets[1][None]  # (1, T), (1, T, 4)
zeros = np.zeros((1, 1344, 6)), np.zeros((1, 1344, 4))
start = multibox_loss(*zeros, target_labels, target_offsets)
print(f"classes {start.confidence:.3f} = 4 ln 6, boxes {start.location:.3f}")
assert np.isclose(start.confidence, 4 * np.log(6))

# %%
# And its gradient, against plain differences. Only the offsets of positives and the scores of
# chosen boxes have one.

rng = np.random.default_rng(0)
few = np.r_[np.flatnonzero(target_labels[0] > 0)[:3], 0:12]  # 3 positives, 12 negatives
logits, offsets = rng.standard_normal((1, 15, 6)), rng.standard_normal((1, 15, 4))
truth = target_labels[:, few], target_offsets[:, few]
result = multibox_loss(logits, offsets, *truth)
numeric = numeric_gradient(
    lambda z: np.array(multibox_loss(z, offsets, *truth).total), logits, np.array(1.0)
)
numeric_offsets = numeric_gradient(
    lambda t: np.array(multibox_loss(logits, t, *truth).total), offsets, np.array(1.0)
)
errors = relative_error(result.dlogits, numeric), relative_error(result.doffsets, numeric_offsets)
print("relative errors:", errors)
trained = int(np.any(result.dlogits != 0, axis=-1).sum())
assert trained == 3 + 9 and result.mined.sum() == 9

# %%
# The picture: what mining does to the gradient
# ---------------------------------------------
# A network whose answers still are noise, as at the start of a training. Left, all negatives
# ranked by their loss, and the cut. Right: how many boxes each group is, and what share of the
# gradient it would have *if all were trained*. The few positives would be drowned.

image = preprocess(sample.image, tiny)[None].astype(np.float64)
logits, offsets = model.forward(image)
noisy = multibox_loss(logits, offsets, target_labels, target_offsets)
mining_figure(logits[0], target_labels[0], noisy.mined[0], plt.figure())
show()

# %%
# What goes wrong: no mining
# --------------------------
# Train on all negatives and measure, in the gradient of the class scores, what the positives have
# to say.


def share_of_positives(ratio: float) -> float:
    """Part of the sum of |gradient| of the scores that belongs to positive boxes."""
    size = np.abs(
        multibox_loss(logits, offsets, target_labels, target_offsets, ratio=ratio).dlogits
    ).sum(axis=-1)
    return float(size[target_labels > 0].sum() / size.sum())


mined_share, all_share = share_of_positives(3), share_of_positives(1e6)
print(f"positives' share of the gradient: {mined_share:.0%} mined, {all_share:.0%} with all")

# %%
# Another way out: the focal loss
# -------------------------------
# Mining leaves the easy negatives out. The focal loss (Lin et al. 2017) keeps all and weighs each
# by how wrong it is, (1 - p)^2: a box at p = 0.9 counts a hundredth of what it did. In a config:
# ``"loss": {"focal_gamma": 2.0}``. Once the network calls most of the background so, the few
# positives are heard without any cut.

certain = logits + np.where(np.arange(logits.shape[-1]) == 0, 4.0, 0.0)  # leans to background
for name, gamma in (("cross-entropy of all", 0.0), ("focal loss of all", 2.0)):
    pair = target_labels, target_offsets
    gradient = multibox_loss(certain, offsets, *pair, gamma=gamma).dlogits
    size = np.abs(gradient).sum(axis=-1)
    share = float(size[target_labels > 0].sum() / size.sum())
    print(f"positives' share of the gradient, {name}: {share:.0%}")

# %%
# Each class by itself: the sigmoid
# ---------------------------------
# Softmax makes the classes share 1, the background among them. TensorFlow's SSDs ask of each class
# by itself, with a sigmoid: an object may be of two classes, and a background box is one to which
# all say no. Its loss is binary cross-entropy, summed over the classes, and the gradient looks the
# same, score minus truth. Column 0 is left over: it has no gradient. In a config:
# ``"decoding": {"scores": "sigmoid"}``.

asked = multibox_loss(logits, offsets, target_labels, target_offsets, scores="sigmoid")
row = int(np.flatnonzero(target_labels[0] > 0)[0])  # an object's default box
label, scale = int(target_labels[0, row]), 1 / asked.num_positive
said = 1 / (1 + np.exp(-logits[0, row]))
print(f"{said[label]:.2f} said, 1 true: {asked.dlogits[0, row, label] / scale:+.2f}")
print("gradient of column 0:", np.abs(asked.dlogits[..., 0]).max())

# %%
# The second slip: log(softmax) in two steps. For a confident mistake the probability is 0 in
# floating point, its logarithm minus infinity. From the logits directly it is a plain number.

sure = np.array([[0.0, 800.0]])
with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
    two_steps = -np.log(np.exp(sure) / np.exp(sure).sum())[0, 0]
direct, _ = cross_entropy_forward(sure, np.array([0]))
print("in two steps:", two_steps, " from the logits:", direct[0])

# %%
# What to remember
# ----------------

assert max(errors) < 1e-8
assert mined_share > 3 * all_share
assert np.isclose(asked.dlogits[0, row, label], (said[label] - 1) * scale)
assert not np.isfinite(two_steps) and direct[0] == 800
