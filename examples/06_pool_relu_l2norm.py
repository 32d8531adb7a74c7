"""
06. Max-pooling, ReLU and L2Norm
================================

Three small layers stand between the convolutions. Each is a few lines forward and a few lines back,
and each has a trap in its gradient.

Exercises: ``max_pool2d_backward``, ``l2norm_backward``; begin with ``ssd-np exercise start
max_pool2d_backward``.
Derivations: docs/derivations.md#max-pooling-and-relu, docs/derivations.md#l2-normalisation.
"""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.cbook import get_sample_data

from ssd_np.gradcheck import numeric_gradient, relative_error
from ssd_np.nn.l2norm import l2norm_backward, l2norm_forward
from ssd_np.nn.pool import max_pool2d_backward, max_pool2d_forward, pool_output_size
from ssd_np.nn.relu import relu_backward, relu_forward
from ssd_np.viz.screen import show

# %%
# Max-pooling by hand
# -------------------
# Cut the map into windows of 2 x 2 and keep the largest of each. Half the side, a quarter of the
# work, and a feature may move by a pixel without being missed::
#
#     1 3 | 2 0
#     4 2 | 1 1      4 2
#     ----+----  ->  8 7
#     0 8 | 7 5
#     6 1 | 3 2

x = np.array([[1.0, 3, 2, 0], [4, 2, 1, 1], [0, 8, 7, 5], [6, 1, 3, 2]])[None, :, :, None]
out, cache = max_pool2d_forward(x, size=2, stride=2)
print(out[0, :, :, 0])
assert out.ravel().tolist() == [4, 2, 8, 7]

# %%
# **Gradient.** Only the largest value of a window had a say, so the whole gradient goes to it.

dx = max_pool2d_backward(np.array([10.0, 20, 30, 40]).reshape(1, 2, 2, 1), cache)
print(dx[0, :, :, 0])
assert dx[0, :, :, 0].tolist() == [[0, 0, 20, 0], [10, 0, 0, 0], [0, 30, 40, 0], [0, 0, 0, 0]]

# %%
# **Odd sizes.** SSD300's third pooling gets 75 x 75. Windows of 2 fit 37 times, one row is left
# over. SSD keeps the last, partial window (``ceil_mode``): 38. A network built with 37 has 300
# boxes fewer on this map alone, and published weights no longer mean what they say.

assert pool_output_size(75, 2, 2, 0, ceil_mode=False) == 37
assert pool_output_size(75, 2, 2, 0, ceil_mode=True) == 38
print("38 * 38 * 4 =", 38 * 38 * 4, "boxes; 37 * 37 * 4 =", 37 * 37 * 4)

# %%
# ReLU
# ----
# max(0, x): what is negative becomes 0. Without it, two convolutions in a row would be one. The
# gradient passes where the output is above 0 and nowhere else.

out, cache = relu_forward(np.array([-2.0, 0, 3]))
print("forward:", out, " backward:", relu_backward(np.array([5.0, 5, 5]), cache))
assert relu_backward(np.array([5.0, 5, 5]), cache).tolist() == [0, 0, 5]

# %%
# L2Norm
# ------
# SSD's finest map, conv4_3, lies deep inside the base and has much larger numbers than the maps
# after it. So each of its cells, a vector over the channels, is brought to length 1 and then
# multiplied with a learned scale that begins at 20 (paper, section 3.1). By hand: (3, 4) has
# length 5, so (0.6, 0.8), so (12, 16).

cell, scale = np.array([[3.0, 4.0]]), np.array([20.0, 20.0])
out, cache = l2norm_forward(cell, scale)
print("L2Norm of (3, 4):", out)
assert np.allclose(out, [[12, 16]])

# %%
# **Gradient.** Making the cell longer changes nothing, for its length is taken away. So the
# gradient must have no part along the cell. With g = gradient * scale and u = the cell of length
# 1,
#
# .. math::
#
#    \bar x = \frac{g - u\, (u \cdot g)}{\lVert x \rVert} .
#
# Let the gradient be (1, 0). Then g = (20, 0), u . g = 12, u (u . g) = (7.2, 9.6), and the cell's
# gradient is (12.8, -9.6) / 5 = (2.56, -1.92). Along the cell: 3 * 2.56 - 4 * 1.92 = 0. As it
# should be.

dcell, dscale = l2norm_backward(np.array([[1.0, 0]]), cache)
print("gradient:", dcell, " of the scale:", dscale)
assert np.allclose(dcell, [[2.56, -1.92]]) and np.allclose(dscale, [0.6, 0])
assert np.isclose(np.sum(cell * dcell), 0, atol=1e-8)

rng = np.random.default_rng(0)
cells, upstream = rng.standard_normal((2, 5, 4)), rng.standard_normal((2, 5, 4))
scale4 = rng.uniform(0.5, 2, 4)
dcells, _ = l2norm_backward(upstream, l2norm_forward(cells, scale4)[1])
numeric = numeric_gradient(lambda v: l2norm_forward(v, scale4)[0], cells, upstream)
print(f"relative error against central differences: {relative_error(dcells, numeric):.1e}")

# %%
# The picture
# -----------
# A photograph, and two ways to make it smaller four times. Every 4th pixel takes whatever is
# there; pooling keeps what is bright. Last, cells of two channels before and after L2Norm. All
# land on one circle, of radius 20: what is left of a cell is its direction.

photograph = plt.imread(get_sample_data("grace_hopper.jpg"))[40:296, 120:376]  # (256, 256, 3)
pooled = max_pool2d_forward(photograph[None].astype(np.float32) / 255, 4, 4)[0][0]
figure, panels = plt.subplots(2, 2, figsize=(7, 7.3), layout="constrained")
panels = panels.ravel()
pictures = (photograph, photograph[::4, ::4], pooled)
for axes, values, title in zip(
    panels, pictures, ("256 x 256", "every 4th pixel", "pooled"), strict=False
):
    axes.imshow(values)
    axes.set(title=title, xticks=[], yticks=[])
before = np.abs(rng.standard_normal((40, 2))) * (30, 60)
after, _ = l2norm_forward(before, scale)
panels[3].plot(*before.T, "x", color="#D55E00", label="before")
panels[3].plot(*after.T, "o", color="#0072B2", ms=4, label="after")
panels[3].set(title="cells and L2Norm", xlabel="first channel", ylabel="second channel")
panels[3].set(aspect="equal", xlim=(-3, 112), ylim=(-3, 112))
panels[3].legend()
show()

# %%
# What goes wrong: a tie in a window, a cell of zeros
# ---------------------------------------------------
# After ReLU, many windows hold four zeros. Who gets the gradient? A careless "wherever x equals
# the maximum" gives it to all four: four times too much. The library gives it to the first.

flat, cache = max_pool2d_forward(np.zeros((1, 2, 2, 1)), 2, 2)
right = max_pool2d_backward(np.ones((1, 1, 1, 1)), cache)
careless = (np.zeros((1, 2, 2, 1)) == flat) * 1.0
print(f"gradient handed out: {right.sum():.0f}, carelessly: {careless.sum():.0f}")

# %%
# And a cell of zeros has length 0, and 0 / 0 is NaN. One NaN, and after the next step every
# weight of the network is NaN. A tiny number *inside* the root, sqrt(sum + 1e-10), keeps both
# directions finite.

zero = np.zeros((1, 2))
with np.errstate(invalid="ignore"):
    naive = zero / np.sqrt((zero**2).sum(axis=1, keepdims=True))
safe, cache = l2norm_forward(zero, scale)
dzero, _ = l2norm_backward(np.ones((1, 2)), cache)
print("naive:", naive, " library:", safe, " gradient:", dzero)

# %%
# What to remember
# ----------------

assert right.sum() == 1 and careless.sum() == 4
assert np.isnan(naive).all() and np.isfinite(safe).all() and np.isfinite(dzero).all()
assert np.allclose(np.linalg.norm(after, axis=1), 20)
assert relative_error(dcells, numeric) < 1e-8
