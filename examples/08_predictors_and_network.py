"""
08. Convolutional predictors and the whole network
==================================================

From a feature map of 38 x 38 x 512 numbers to 5,776 answers, each with class scores and four
offsets: that is one convolution. And from an image to all 8,732 answers: that is the network.

Exercises: ``prediction_rows``, ``shape_trace``; begin with ``ssd-np exercise start
prediction_rows``.
Derivation: docs/derivations.md#the-network.

Try it: `the maps of every layer, down to the class scores
<../explore/index.html#part=network&layer=conf_conv4_2>`__.
"""

import matplotlib.pyplot as plt
import numpy as np

from ssd_np.boxes.default_boxes import default_boxes
from ssd_np.config import load_config
from ssd_np.model.heads import Head
from ssd_np.model.ssd import SSD
from ssd_np.model.trace import trace, trace_table
from ssd_np.viz.network import network_figure
from ssd_np.viz.screen import show

# %%
# Counting by hand: one layer
# ---------------------------
# conv4_3 is 38 x 38 cells of 512 channels: 739,328 numbers. Each cell has 4 default boxes, and
# each box needs scores for 20 classes and the background: 4 * 21 = 84 numbers a cell, 121,296 in
# all.
#
# A *fully connected* layer joins every number to every answer: 739,328 * 121,296 = 9 * 10^10
# weights. In float32 that is 359 gigabytes.
#
# A *convolution* of 3 x 3 uses the same weights in every cell and looks at its neighbourhood
# only: 3 * 3 * 512 * 84 weights and 84 biases = 387,156. That is 230,000 times fewer.

inputs, outputs = 38 * 38 * 512, 38 * 38 * 4 * 21
by_convolution = 3 * 3 * 512 * 84 + 84
print(f"{inputs:,} inputs; fully connected {inputs * outputs:.1e}, convolution {by_convolution:,}")
assert inputs == 739_328 and by_convolution == 387_156
assert 8.9e10 < inputs * outputs < 9.0e10

# %%
# The library's head
# ------------------
# Two convolutions, for classes and for offsets. Their outputs are (N, 38, 38, 4 * 21) and (N, 38,
# 38, 4 * 4), and in this layout, channels last, they fold into one row per default box without
# moving a number: (N, 5776, 21) and (N, 5776, 4).

voc = load_config("ssd300_voc")
head = Head("conv4_3", c_in=512, boxes=4, classes=21)
rng = np.random.default_rng(0)
feature_map = rng.standard_normal((1, 38, 38, 512), dtype=np.float32)
logits, offsets = head.forward(feature_map, training=True)
print("logits", logits.shape, "offsets", offsets.shape)
assert logits.shape == (1, 5776, 21) and offsets.shape == (1, 5776, 4)
assert sum(p.value.size for n, p in head.parameters.items() if n.startswith("conf")) == 387_156

# %%
# Row 4 * (38 * i + j) + a belongs to cell (i, j) and its box a, in the order of the default
# boxes. Check one: cell (10, 20), box 2, is row 4 * 400 + 2 = 1602. Its scores are those of one
# window, 3 x 3 x 512.

weights = head.parameters["conf_conv4_3.weight"].value  # (3, 3, 512, 84)
window = feature_map[0, 9:12, 19:22]  # (3, 3, 512)
by_hand = np.tensordot(window, weights, axes=3)[2 * 21 : 3 * 21]  # the channels of box 2
assert np.allclose(logits[0, 1602], by_hand, atol=1e-4)
cx, cy = default_boxes(voc)[1602, :2] * 300
assert (round(cx), round(cy)) == (164, 84)  # 20.5 * 8 and 10.5 * 8

# %%
# The whole network
# -----------------
# Drawn from its config: the base, cut where a feature map is read, and above each map its head.

network_figure(voc, plt.figure())
show()

table = trace_table(voc).splitlines()
print(table[0], *table[-12:], sep="\n")  # its head and its end
rows = trace(voc)
assert sum(row.parameters for row in rows) == 26_285_486
assert next(row for row in rows if row.name == "conf_conv4_3").parameters == 387_156

# %%
# Run it, with random weights, on a random image. ``predict`` returns for each box 21 scores, 4
# offsets, and then the default box itself with its variances, so that a row holds all that
# decoding needs: 21 + 4 + 8 = 33 numbers.

network = SSD(voc)
image = rng.standard_normal((1, 300, 300, 3), dtype=np.float32)
answer = network.predict(image)
print("predict:", answer.shape)
assert answer.shape == (1, 8732, 20 + 1 + 4 + 8)
assert np.allclose(answer[..., :21].sum(axis=-1), 1, atol=1e-5)  # scores are probabilities
assert np.allclose(answer[0, :, 25:], network.default_boxes)

# %%
# The gradient: a map serves two masters
# --------------------------------------
# A feature map feeds its head *and* the next stage. When two things depend on one number, its
# gradient is the sum of both. So going back through the stages, at each map the gradient from its
# head is added to the one from behind. Test it on the small network: the gradient of all heads
# together must be the sum of the gradients of each alone.

tiny = SSD(load_config("tiny"), dtype=np.float64)
images = rng.standard_normal((1, 128, 128, 3))
logits, offsets = tiny.forward(images, training=True)
dlogits, doffsets = rng.standard_normal(logits.shape), rng.standard_normal(offsets.shape)


def first_gradient(rows: slice) -> np.ndarray:
    """Gradient of the first kernel when only these default boxes are trained."""
    only = np.zeros((1, logits.shape[1], 1))
    only[:, rows] = 1
    tiny.forward(images, training=True)
    tiny.backward(dlogits * only, doffsets * only)
    return tiny.parameters["conv1_1.weight"].grad.copy()


together = first_gradient(slice(None))
apart = [first_gradient(slice(*ends)) for ends in ((0, 1024), (1024, 1280), (1280, 1344))]
shares = [np.linalg.norm(g) / np.linalg.norm(together) for g in apart]
print("size of each map's gradient in the first layer:", np.round(shares, 2))
assert np.allclose(together, sum(apart))

# %%
# What goes wrong: folding channels-first
# ---------------------------------------
# Other programs keep channels first: (N, 84, 38, 38). Fold that into rows *without* moving the
# channels to the end, and the shape is right. But a row now holds 21 neighbouring cells' values
# of one channel. Nothing crashes; the loss even falls, slowly, and never far. How many rows are
# right?

logits, _ = head.forward(feature_map)
channels_first = logits.reshape(1, 38, 38, 84).transpose(0, 3, 1, 2)  # as another program has it
slip = channels_first.reshape(1, -1, 21)
right = channels_first.transpose(0, 2, 3, 1).reshape(1, -1, 21)
same = int(np.isclose(slip, logits).all(axis=-1).sum())
print(f"{slip.shape}: {same} of {slip.shape[1]} rows are right")

# %%
# The other slip: the map has 37 cells, the default boxes were made for 38 (lesson 06). The
# library computes every map's side from its layers and refuses a config that says something else.

# %%
# What to remember
# ----------------

assert slip.shape == right.shape and np.array_equal(right, logits)
assert same == 0
assert len(network.default_boxes) == 8732
