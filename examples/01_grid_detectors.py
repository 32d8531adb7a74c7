"""
01. Grid detectors
==================

A picture may show one object or twenty. A network, though, has a fixed number of outputs. How can a
fixed number of outputs answer "what is there, and where"?

SSD's answer: lay a grid over the picture and put a small detector into every cell. Each detector
answers only for its own place. The number of outputs is then fixed, and the number of objects free.

Exercise (of lesson 02): ``corner_to_center``; begin with ``ssd-np exercise start
corner_to_center``.
Derivation: docs/derivations.md#convolution.
"""

import matplotlib.pyplot as plt
import numpy as np

from ssd_np.boxes.default_boxes import default_boxes_for_map
from ssd_np.config import load_config
from ssd_np.data.shapes import ShapesDataset
from ssd_np.nn.conv import conv2d_backward, conv2d_forward
from ssd_np.viz.screen import show

# %%
# Which cell answers? An example to check by hand
# -----------------------------------------------
# A picture of 128 x 128 pixels, a grid of 4 x 4 cells, so a cell is 32 pixels wide. An object has
# its centre at x = 52, y = 84. Divide by 32: 52 / 32 = 1.625 and 84 / 32 = 2.625. So it lies in
# column 1, row 2 (counted from 0), and 0.625 of the way through that cell in both directions.

step, x, y = 32, 52, 84
column, row = x // step, y // step
assert (row, column) == (2, 1)
assert (x / step - column, y / step - row) == (0.625, 0.625)

# %%
# The library's grid
# ------------------
# The smallest preset, ``tiny``, has three grids: 16 x 16, 8 x 8 and 4 x 4. Its function for the
# boxes of a grid gives the centre of every cell, as fractions of the picture: row first, then
# column, as in any array. Cell (2, 1) is centred on x = 1.5 * 32 = 48 and y = 2.5 * 32 = 80
# pixels.

config = load_config("tiny")
boxes = default_boxes_for_map(config, index=2)  # (4, 4, 4, 8): rows, columns, boxes, numbers
centres = boxes[:, :, 0, :2] * 128  # (4, 4, 2), in pixels
print("centre of cell (2, 1):", centres[2, 1])
assert centres[2, 1].tolist() == [48, 80]

# %%
# A detector in every cell is a convolution
# -----------------------------------------
# All cells use the same detector, for a star is a star wherever it lies. "The same small
# computation at every place" has a name: convolution. Here is one by hand. It looks for a bright
# spot on a dark ground: 9 numbers, positive in the middle, negative around.

kernel = np.array([[-1.0, -1, -1], [-1, 8, -1], [-1, -1, -1]])
picture = np.zeros((6, 6))
picture[4, 1] = 1  # a bright spot in row 4, column 1
scores, cache = conv2d_forward(
    picture[None, :, :, None], kernel[:, :, None, None], np.zeros(1), pad=1
)
print(scores[0, :, :, 0].astype(int))
assert np.unravel_index(scores.argmax(), (6, 6)) == (4, 1)
assert scores.max() == 8

# %%
# The gradient: a cell learns from its own window
# -----------------------------------------------
# Only one cell is told that it was wrong: its gradient is 1, all others get 0. What comes out at
# the picture is not 0 in 9 pixels, the window of that cell. Nothing else could have changed its
# answer.

dscores = np.zeros_like(scores)
dscores[0, 4, 1, 0] = 1
dpicture, dkernel, dbias = conv2d_backward(dscores, cache)
assert np.count_nonzero(dpicture) == 9
assert np.array_equal(dpicture[0, 3:6, 0:3, 0], kernel)  # d score / d pixel is the kernel itself

# %%
# The picture
# -----------
# A generated picture, the 4 x 4 grid over it, and the cell that answers for each object.

sample = ShapesDataset(seed=0, count=40)[3]
gt = sample.truth.boxes_corner * 128
middle = (gt[:, :2] + gt[:, 2:]) / 2
figure, (left, right) = plt.subplots(1, 2, figsize=(7.4, 3.9), layout="constrained")
left.imshow(sample.image, extent=(0, 128, 128, 0))
for line in range(0, 129, step):
    left.axhline(line, color="white", lw=1)
    left.axvline(line, color="white", lw=1)
for cx, cy in middle:
    corner = (cx // step * step, cy // step * step)
    left.add_patch(plt.Rectangle(corner, step, step, fc="#E69F00", alpha=0.4))
left.plot(*middle.T, "kx", ms=9, mew=2)
left.set_title("objects and the cells that answer")
right.imshow(scores[0, :, :, 0], cmap="gray")
for (i, j), score in np.ndenumerate(scores[0, :, :, 0]):
    right.text(j, i, f"{score:.0f}", ha="center", va="center", color="white" if score < 4 else "k")
right.set_title("scores of the hand-made detector")
show()

# %%
# What goes wrong: two objects, one cell
# --------------------------------------
# If a cell can say one thing only, the second object in it is lost. Count how often that happens
# in 400 pictures. Two remedies: finer grids, and more than one detector in a cell. SSD uses both;
# lesson 02 shows how.

truths = [ShapesDataset(seed=1, count=400).truth(i).boxes_corner for i in range(400)]
lost = {}
for cells in (2, 4, 8, 16):
    taken = [np.floor((b[:, :2] + b[:, 2:]) / 2 * cells) for b in truths]
    lost[cells] = sum(len(t) - len(np.unique(t, axis=0)) for t in taken) / sum(map(len, truths))
    print(f"{cells:2} x {cells:<2} cells: {lost[cells]:6.2%} of the objects lost")

# %%
# The other classic: x and y exchanged. Arrays are indexed ``[row, column]``, that is ``[y, x]``,
# but boxes are written x first. The slip gives cell (1, 2) here, and is invisible for objects
# that happen to lie on the diagonal. That is why tests must use objects off the diagonal.

wrong = centres[column, row]
print("with x and y exchanged the cell is centred on", wrong, "- the object is at", (x, y))
assert wrong.tolist() == [80, 48]

# %%
# What to remember
# ----------------

assert lost[2] > lost[4] > lost[8] > lost[16]  # finer grids lose fewer objects
assert lost[16] < 0.01 < 0.05 < lost[4]
