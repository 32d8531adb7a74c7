"""
05. Convolution as im2col, and its gradient
===========================================

Nearly all of a detector's time is spent in convolutions. This lesson turns a convolution into one
matrix product, which computers are extremely good at, and then its gradient into two more.

Exercises: ``im2col``, ``col2im``, ``conv2d_forward``, ``conv2d_backward``; begin with ``ssd-np
exercise start im2col``.
Derivation: docs/derivations.md#convolution.

Try it: `a value of a map, its patch, its kernel, their products
<../explore/index.html#part=network&layer=conv2_1&channel=5>`__.
"""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.cbook import get_sample_data

from ssd_np.gradcheck import numeric_gradient, relative_error
from ssd_np.nn.conv import conv2d_backward, conv2d_forward
from ssd_np.nn.im2col import col2im, im2col
from ssd_np.viz.im2col import im2col_figure
from ssd_np.viz.screen import show

# %%
# By hand: a 3 x 3 picture, a 2 x 2 kernel
# ----------------------------------------
# ::
#
#     picture  1 2 3     kernel  1 0
#              4 5 6             0 2
#              7 8 9
#
# The kernel lies over four windows. The first is 1 2 / 4 5; the answer 1 * 1 + 5 * 2 = 11. Then
# 2 * 1 + 6 * 2 = 14, then 4 * 1 + 8 * 2 = 20, then 5 * 1 + 9 * 2 = 23.

picture = np.arange(1.0, 10).reshape(1, 3, 3, 1)  # (N, H, W, C)
kernel = np.array([[1.0, 0], [0, 2]]).reshape(2, 2, 1, 1)  # (kh, kw, C, Co)
out, cache = conv2d_forward(picture, kernel, np.zeros(1))
print(out[0, :, :, 0])
assert out.ravel().tolist() == [11, 14, 20, 23]

# %%
# im2col: every window becomes a row
# ----------------------------------
# Lay the four windows out as rows of a matrix and the kernel as a column. Then *one* product does
# it all. With C channels a row has kh * kw * C numbers, with Co kernels there are Co columns.
# In the picture, a window and its row have the same colour.

rows = im2col(picture, 2)
print(rows.astype(int))
assert rows.tolist() == [[1, 2, 4, 5], [2, 3, 5, 6], [4, 5, 7, 8], [5, 6, 8, 9]]
assert np.array_equal(rows @ kernel.reshape(4, 1), out.reshape(4, 1))
sketch = plt.figure(figsize=(7.4, 2.6), layout="constrained")
im2col_figure(picture[0, :, :, 0], kernel[:, :, 0, 0], sketch)
show()

# %%
# The gradient, by the rule for a product
# ---------------------------------------
# With X for the rows, W for the kernel as a matrix, Y for the answers and G for the gradient that
# arrives at them,
#
# .. math::
#
#    Y = X W + b, \qquad \bar W = X^{\mathsf T} G, \qquad \bar b = \textstyle\sum_p G_p, \qquad
#    \bar X = G W^{\mathsf T} .
#
# Each weight collects all pixels that it was multiplied with, and the rows' gradient goes back to
# the pixels that the rows were copied from.
#
# Take g = 1, 0, 0, 10. The weight in the upper left met pixels 1, 2, 4, 5, so its gradient is
# 1 * 1 + 5 * 10 = 51. The last weight met 5, 6, 8, 9: 5 * 1 + 9 * 10 = 95.

g = np.array([1.0, 0, 0, 10]).reshape(1, 2, 2, 1)
dpicture, dkernel, dbias = conv2d_backward(g, cache)
print("kernel's gradient:", dkernel.ravel(), " bias:", dbias)
assert dkernel.ravel().tolist() == [51, 62, 84, 95] and dbias.tolist() == [11]

# %%
# And the pixels? Pixel 5 in the middle lies under the last weight (2) in the first window and
# under the first weight (1) in the last: 2 * 1 + 1 * 10 = 12. Gradients of one pixel *add up*.
# That is what ``col2im`` does: the rows go back where they came from, and what meets is added.

print(dpicture[0, :, :, 0])
assert dpicture[0, :, :, 0].tolist() == [[1, 0, 0], [0, 12, 0], [0, 0, 20]]
assert np.array_equal(col2im(g.reshape(4, 1) @ kernel.reshape(1, 4), picture.shape, 2), dpicture)

# %%
# ``col2im`` is no inverse of ``im2col``, it is its *adjoint*: for any rows y, <im2col(x), y>
# equals <x, col2im(y)>. Laying out ones and putting them back counts how many windows each pixel
# is in.

rng = np.random.default_rng(0)
x, y = rng.standard_normal((1, 6, 6, 2)), rng.standard_normal((36, 18))
assert np.isclose(np.sum(im2col(x, 3, pad=1) * y), np.sum(x * col2im(y, x.shape, 3, pad=1)))
times = col2im(np.ones((36, 9)), (1, 6, 6, 1), 3, pad=1)[0, :, :, 0].astype(int)
print("windows of 3 x 3 that each of 6 x 6 pixels is in:")
print(times)
assert times[0, 0] == 4 and times[0, 2] == 6 and times[2, 2] == 9

# %%
# Padding, stride, dilation
# -------------------------
# With padding p on each side, stride s and dilation d, a kernel of k taps reaches over
# d (k - 1) + 1 pixels, and of n pixels there remain
#
# .. math::
#
#    \left\lfloor \frac{n + 2p - (d (k - 1) + 1)}{s} \right\rfloor + 1 .
#
# Height and width go their own ways. Where the border differs in front and behind, as TensorFlow's
# "SAME" has it, 2p is the sum of the two.
#
# SSD's fc6 has dilation 6: its 3 taps reach over 13.

wide = rng.standard_normal((1, 19, 19, 1))
for stride, pad, dilation in ((1, 1, 1), (2, 1, 1), (1, 6, 6)):
    out, _ = conv2d_forward(wide, np.ones((3, 3, 1, 1)), np.zeros(1), stride, pad, dilation)
    size = out.shape[1]
    print(f"19 pixels, stride {stride}, pad {pad}, dilation {dilation}: {size} pixels")
    assert size == (19 + 2 * pad - (dilation * 2 + 1)) // stride + 1

# %%
# The picture
# -----------
# A hand-made kernel that answers to edges: +1 on one side, -1 on the other. A trained network has
# hundreds of such kernels, and nobody made them by hand.

photograph = plt.imread(get_sample_data("grace_hopper.jpg"))[40:360:4, 120:440:4] / 255
grey = photograph.mean(axis=2)[None, :, :, None]  # (1, 80, 80, 1)
upright = np.array([[1.0, 0, -1], [2, 0, -2], [1, 0, -1]])
kernels = np.stack([upright, upright.T], axis=-1)[:, :, None, :]  # (3, 3, 1, 2)
edges, _ = conv2d_forward(grey, kernels, np.zeros(2), pad=1)
figure, panels = plt.subplots(2, 2, figsize=(7, 7.3), layout="constrained")
for axes, values, title in zip(
    panels.ravel(),
    (photograph, edges[0, :, :, 0], edges[0, :, :, 1], times),
    ("photograph", "upright edges", "lying edges", "windows per pixel"),
    strict=True,
):
    axes.imshow(values, cmap="gray")
    axes.set(title=title, xticks=[], yticks=[])
for (i, j), count in np.ndenumerate(times):
    axes.text(j, i, count, ha="center", va="center", color="white" if count < 9 else "k")
show()

# %%
# What goes wrong: a kernel not turned round
# ------------------------------------------
# For stride 1 there is another way to the pixels' gradient: convolve g with the kernel *turned by
# 180 degrees*. Forget the turn and the result looks fine, has the right shape, and is wrong.
# Worse: a test with g = all ones does not notice it inside the picture, for there every pixel
# just collects the sum of all weights, turned or not. This is why gradients are checked with a
# random g.

w = rng.standard_normal((3, 3, 1, 1))
x = rng.standard_normal((1, 8, 8, 1))
_, cache = conv2d_forward(x, w, np.zeros(1), pad=1)
difference = {}
for name, upstream in (("ones", np.ones_like(x)), ("random", rng.standard_normal(x.shape))):
    right = conv2d_backward(upstream, cache)[0]
    slip, _ = conv2d_forward(upstream, w, np.zeros(1), pad=1)  # should be w[::-1, ::-1]
    turned, _ = conv2d_forward(upstream, w[::-1, ::-1], np.zeros(1), pad=1)
    difference[name] = relative_error(slip[:, 1:-1, 1:-1], right[:, 1:-1, 1:-1])
    assert np.allclose(turned, right)
    print(f"g = {name:6}: the slip is off by {difference[name]:.1e} inside the picture")

# %%
# What to remember
# ----------------
# Three products, each checked against plain differences.

upstream = rng.standard_normal(x.shape)
dx, dw, db = conv2d_backward(upstream, cache)
along_x = numeric_gradient(lambda v: conv2d_forward(v, w, np.zeros(1), pad=1)[0], x, upstream)
along_w = numeric_gradient(lambda v: conv2d_forward(x, v, np.zeros(1), pad=1)[0], w, upstream)
assert relative_error(dx, along_x) < 1e-8 and relative_error(dw, along_w) < 1e-8
assert np.isclose(db[0], upstream.sum())
assert difference["ones"] < 1e-12 and difference["random"] > 0.1
