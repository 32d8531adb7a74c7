"""
18. Separable convolutions
==========================

A 3x3 convolution does two things at once: it looks around, and it mixes channels. MobileNet
(Howard et al. 2017) does them one after the other: a *depthwise* convolution looks around in each
channel by itself, a 1x1 convolution, called *pointwise*, mixes the channels of each pixel. The
detectors that telephones run are made of such pairs, and two of them can be read here: ``slim``,
which finds faces, and ``mobilenet_coco``.

Exercise: ``depthwise``; begin with ``ssd-np exercise start depthwise``.
Derivation: docs/derivations.md#depthwise-convolution.
"""

import time

import matplotlib.pyplot as plt
import numpy as np

from ssd_np.config import load_config
from ssd_np.engine import select
from ssd_np.gradcheck import numeric_gradient, relative_error
from ssd_np.model.trace import trace
from ssd_np.nn.blocks import Block
from ssd_np.nn.conv import conv2d_forward
from ssd_np.nn.depthwise import depthwise_backward, depthwise_forward
from ssd_np.viz.canvas import BLUE, GREEN, ORANGE
from ssd_np.viz.screen import show

# %%
# A pixel by hand
# ---------------
# Two channels, a kernel of 1 x 3 for each, three pixels side by side:
#
# ==========  =============  ==========  ==========================
# channel     pixels         kernel      sum for the pixel between
# ==========  =============  ==========  ==========================
# 0           1, 2, 3        1, 0, -1    1 - 3 = -2
# 1           10, 20, 30     0, 1, 2     20 + 2 * 30 = 80
# ==========  =============  ==========  ==========================
#
# Neither channel has heard of the other: :math:`y_{pc} = b_c + \sum_t x_{ptc} w_{tc}`. In a full
# convolution both sums would be added, and that for each channel that comes out.

x = np.array([[[[1.0, 10], [2, 20], [3, 30]]]])  # (N, H, W, C) = (1, 1, 3, 2)
w = np.array([[[1.0, 0], [0, 1], [-1, 2]]])  # (kh, kw, C) = (1, 3, 2)
out, cache = depthwise_forward(x, w, np.zeros(2))
print("depthwise:", out.ravel())
assert out.ravel().tolist() == [-2, 80]

# %%
# What it saves
# -------------
# From C to C' channels, for each pixel:
#
# * full, 3x3: 9 C C' products. For 384 to 384: 9 * 384 * 384 = 1,327,104.
# * depthwise 9 C = 3,456, then pointwise C C' = 147,456: together 150,912, 8.8 times less.
#
# The quotient is 1 / C' + 1 / 9: with many channels nothing but the ninth is left, for almost all
# the work lies in the pointwise half.
#
# A pair can not do everything that a full convolution can. Its kernel is a product: for each input
# channel one shape, the same for all outputs but for a factor, ``w[i, j, c] * m[c, o]``.

rng = np.random.default_rng(0)
x = rng.standard_normal((1, 8, 9, 4))
w, mix = rng.standard_normal((3, 3, 4)), rng.standard_normal((1, 1, 4, 6))
looked, _ = depthwise_forward(x, w, np.zeros(4), pad=1)
pair, _ = conv2d_forward(looked, mix, np.zeros(6))
full, _ = conv2d_forward(x, w[..., None] * mix[0, 0], np.zeros(6), pad=1)
print(f"a pair, and the full convolution that it is: off by {relative_error(pair, full):.0e}")
assert relative_error(pair, full) < 1e-12

# %%
# A whole network counted
# -----------------------
# ``mobilenet_coco`` once as it is, and once with a full 3x3 convolution in place of each pair.

config = load_config("mobilenet_coco")
rows, kinds = trace(config), {layer.name: layer.kind for layer in config.layers}
work = {"depthwise": 0, "pointwise": 0, "all else": 0}
instead = 0  # of the pairs, if they were full
for index, row in enumerate(rows):
    if kinds.get(row.name) == "depthwise":
        pointwise = next(r for r in rows[index + 1 :] if r.multiply_adds)
        work["depthwise"] += row.multiply_adds
        work["pointwise"] += pointwise.multiply_adds
        instead += 9 * pointwise.multiply_adds
work["all else"] = sum(row.multiply_adds for row in rows) - sum(work.values())
total = sum(work.values())
print({name: f"{count / 1e6:.0f} million" for name, count in work.items()})
figure, axes = plt.subplots(figsize=(7, 2.4), layout="constrained")
left = 0
for (name, count), color in zip(work.items(), (ORANGE, BLUE, GREEN), strict=True):
    axes.barh("pairs", count / 1e9, left=left, color=color, label=name)
    left += count / 1e9
axes.barh("full 3x3", instead / 1e9, color="white", edgecolor=BLUE, hatch="//", label="full 3x3")
axes.barh("full 3x3", work["all else"] / 1e9, left=instead / 1e9, color=GREEN)
axes.set(xlabel="billions of multiply-adds", title="mobilenet_coco")
axes.legend(frameon=False, fontsize=8)
show()

# %%
# The way back
# ------------
# A weight meets the pixels of its channel and nothing else, an input pixel the nine weights of its
# channel. So with what arrives at the output, :math:`\bar y`,
#
# .. math::
#
#    \bar w_{tc} = \sum_p x_{ptc}\, \bar y_{pc}, \qquad
#    \bar x_{ptc} = \bar y_{pc}\, w_{tc} ,
#
# added up for each pixel over the windows that it lies in. In the example by hand, with a gradient
# of 1 for channel 0 and of 10 for channel 1: the kernels' gradients are the pixels themselves,
# 1, 2, 3, and ten times 10, 20, 30; the pixels' are the kernels, 1, 0, -1, and 0, 10, 20.

dx, dw, db = depthwise_backward(np.array([[[[1.0, 10]]]]), cache)
print("dw:", dw[0].T.tolist(), " dx:", dx[0, 0].T.tolist(), " db:", db)
assert dw[0].T.tolist() == [[1, 2, 3], [100, 200, 300]]
assert dx[0, 0].T.tolist() == [[1, 0, -1], [0, 10, 20]] and db.tolist() == [1, 10]

x = rng.standard_normal((2, 6, 7, 3))
w, b = rng.standard_normal((3, 3, 3)), rng.standard_normal(3)
out, cache = depthwise_forward(x, w, b, stride=2, pad=1)
upstream = rng.standard_normal(out.shape)
found = depthwise_backward(upstream, cache)
numeric = (
    numeric_gradient(lambda v: depthwise_forward(v, w, b, 2, 1)[0], x, upstream),
    numeric_gradient(lambda v: depthwise_forward(x, v, b, 2, 1)[0], w, upstream),
    numeric_gradient(lambda v: depthwise_forward(x, w, v, 2, 1)[0], b, upstream),
)
errors = [relative_error(ours, theirs) for ours, theirs in zip(found, numeric, strict=True)]
print("dx, dw, db against numeric gradients:", ", ".join(f"{error:.0e}" for error in errors))

# %%
# Few products, many numbers
# --------------------------
# A core multiplies much faster than memory brings numbers. What counts is how many products are
# made of each number that is fetched or written. Depthwise: 9 for one read and one written, 4.5.
# Pointwise, 384 to 384: 147,456 for 384 read and 384 written, 192. So a depthwise layer does 2 % of
# the work and takes a good deal more of the time: it is *memory-bound*. Measured here, one layer
# after the other, the best of a few calls:

ops, speeds = select("fast"), {"depthwise": [], "pointwise": []}
for side, channels in ((75, 96), (38, 192), (19, 384)):
    maps = rng.standard_normal((1, side, side, channels)).astype(np.float32)
    bias = np.zeros(channels, np.float32)
    kernels = {
        "depthwise": rng.standard_normal((3, 3, channels)).astype(np.float32),
        "pointwise": rng.standard_normal((1, 1, channels, channels)).astype(np.float32),
    }
    for name, kernel in kernels.items():
        forward = ops.depthwise_forward if name == "depthwise" else ops.conv2d_forward
        seconds = []
        for _ in range(15):
            start = time.perf_counter()
            forward(maps, kernel, bias, 1, kernel.shape[0] // 2)
            seconds.append(time.perf_counter() - start)
        speeds[name].append(kernel.size * side * side / min(seconds) / 1e9)
        print(f"{side:3} x {side:2} x {channels:3} {name}: {1e3 * min(seconds):6.2f} ms, "
              f"{speeds[name][-1]:5.1f} billion products a second")  # fmt: skip
figure, axes = plt.subplots(figsize=(6, 3.4), layout="constrained")
places = np.arange(3)
for offset, (name, color) in zip(
    (-0.2, 0.2), (("depthwise", ORANGE), ("pointwise", BLUE)), strict=True
):
    axes.bar(places + offset, speeds[name], 0.4, color=color, label=name)
axes.set_xticks(places, ["75 x 75 x 96", "38 x 38 x 192", "19 x 19 x 384"])
axes.set(ylabel="billions of products a second", title="the same machine, fed differently")
axes.legend(frameon=False)
show()

# %%
# Two remedies. *Do not write what is read at once*: the library takes some lines of a map through
# the depthwise layer and on through the pointwise one while they are in the cache, bias and
# activation on the way, and batch normalisation folded into the weights (lesson 17). *Do not fetch
# twice*: the innermost loop keeps the sums of eight pixels in registers, and the nine taps go by.

blocks = [
    Block(kernels["depthwise"], bias, pad=1, activation="relu6"),
    Block(kernels["pointwise"], bias, activation="relu6"),
]
(at_once,) = ops.network_forward(maps, [(0, blocks[0]), (1, blocks[1])])
middle, _ = ops.depthwise_block_forward(maps, *blocks[0])
one_by_one, _ = ops.conv_block_forward(middle, *blocks[1])
print(f"both layers at once: off by {relative_error(at_once, one_by_one):.0e}")

# %%
# What goes wrong
# ---------------
# * The kernel's gradient is summed over pixels and images, never over channels. A sum too many
#   gives all channels the same kernel for ever.
# * TensorFlow's border "SAME" with stride 2 puts a line of zeros *behind* an even map and none in
#   front. A network that was trained so and runs with a line on each side is off by a pixel of what
#   goes into every such layer, and the deeper maps have the larger pixels: ``mobilenet_coco`` then
#   finds less, and what it finds too low and too far right, large things by a seventh of the image.
# * ReLU6 stops at 6. Published weights of MobileNets count on it.

x = np.arange(1.0, 7).reshape(1, 1, 6, 1)
w = np.ones((1, 3, 1))
behind, _ = depthwise_forward(x, w, np.zeros(1), 2, ((0, 0), (0, 1)))
around, _ = depthwise_forward(x, w, np.zeros(1), 2, ((0, 0), (1, 1)))
print("zeros behind:", behind.ravel(), " around:", around.ravel())

# %%
# What to remember
# ----------------

assert 9 * 384 * 384 == 1_327_104 and 9 * 384 + 384 * 384 == 150_912
assert 0.02 < work["depthwise"] / total < 0.05 < 0.7 < work["pointwise"] / total
assert max(errors) < 1e-6
assert relative_error(at_once, one_by_one) < 1e-5
assert behind.ravel().tolist() == [6, 12, 11] and around.ravel().tolist() == [3, 9, 15]
