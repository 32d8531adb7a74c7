"""
17. Batch normalisation
=======================

Each layer learns from what the layer below it says, and that keeps changing while the layer below
learns too. *Batch normalisation* takes the worst of it away: every channel gets mean 0 and spread 1
over the batch, and then a scale and a shift of its own, which are learned (Ioffe and Szegedy 2015).
Networks that start from random weights train faster with it; the price is a layer that behaves
differently in training and in use.

Exercises: ``batchnorm``, ``running_statistics``; begin with ``ssd-np exercise start batchnorm``.
Derivations: docs/derivations.md#batch-normalisation,
docs/derivations.md#folding-batch-normalisation.
"""

import dataclasses

import matplotlib.pyplot as plt
import numpy as np

from ssd_np.config import load_config
from ssd_np.gradcheck import numeric_gradient, relative_error
from ssd_np.kinds.batchnorm import BatchNormLayer
from ssd_np.kinds.conv import ConvLayer
from ssd_np.model.fold import fold_batchnorm
from ssd_np.model.ssd import SSD
from ssd_np.nn.batchnorm import (
    batchnorm_backward,
    batchnorm_forward,
    batchnorm_inference_forward,
    running_statistics,
)
from ssd_np.nn.conv import conv2d_forward
from ssd_np.nn.init import he_normal
from ssd_np.nn.relu import relu_forward
from ssd_np.viz.canvas import BLUE, ORANGE
from ssd_np.viz.screen import show

# %%
# One channel by hand
# -------------------
# Four values of one channel: 1, 3, 5, 7. Their mean is 4, their differences from it -3, -1, 1, 3,
# and the mean of the squares (9 + 1 + 1 + 9) / 4 = 5. Divide by the root, 2.236. With a scale of 2
# and a shift of 10:
#
# .. math::
#
#    u_m = \frac{x_m - \mu}{\sqrt{v + \varepsilon}}, \qquad y_m = s\, u_m + b .
#
# A map (N, H, W, C) has N * H * W values of each channel: all pixels of all images count together.

x = np.array([[1.0], [3], [5], [7]])  # four rows, one channel
scale, shift = np.array([2.0]), np.array([10.0])
out, cache = batchnorm_forward(x, scale, shift)
print("out:", out.ravel().round(3))
assert np.allclose(out.ravel(), 10 + 2 * np.array([-3, -1, 1, 3]) / np.sqrt(5), atol=1e-4)

# %%
# The gradient goes three ways
# ----------------------------
# x changes its own u; but it moves the mean as well, and the variance, and these change every other
# u. With g for what arrives at u,
#
# .. math::
#
#    \bar x_m = \frac{1}{\sigma} \Big( g_m - \frac{1}{M} \sum_k g_k
#    - u_m \frac{1}{M} \sum_k g_k u_k \Big) .
#
# By hand: let only the last value's gradient be 1, so g = 0 0 0 2. Its mean is 0.5. u is -1.342,
# -0.447, 0.447, 1.342, and the mean of g u is 0.671. The last: (2 - 0.5 - 1.342 * 0.671) / 2.236 =
# 0.268. The first: (0 - 0.5 + 1.342 * 0.671) / 2.236 = 0.179. A value that nobody asked about has a
# gradient, and they sum to 0.

dx, dscale, dshift = batchnorm_backward(np.array([[0.0], [0], [0], [1]]), cache)
print("dx:", dx.ravel().round(3), " scale:", dscale.round(3), " shift:", dshift)
assert np.allclose(dx.ravel(), [0.179, -0.089, -0.358, 0.268], atol=1e-3)
assert np.isclose(dx.sum(), 0) and np.isclose(np.sum(dx * out), 0, atol=1e-4)

# %%
# Ten layers deep
# ---------------
# Numbers from a random network whose weights are a little too small: each layer makes its answers
# smaller, and after ten nothing is left to learn from. With batch normalisation behind each
# convolution every layer speaks as loud as the one before.

rng = np.random.default_rng(0)
spread = {"plain": [], "normalised": []}
for name, spreads in spread.items():
    maps = rng.standard_normal((4, 12, 12, 16))
    for _ in range(10):
        w = 0.7 * he_normal(rng, (3, 3, 16, 16))
        maps, _ = conv2d_forward(maps, w.astype(np.float64), np.zeros(16), pad=1)
        if name == "normalised":
            maps, _ = batchnorm_forward(maps, np.ones(16), np.zeros(16))
        maps, _ = relu_forward(maps)
        spreads.append(maps.std())
figure, axes = plt.subplots(figsize=(6, 3.4), layout="constrained")
for (name, spreads), (style, color) in zip(
    spread.items(), (("-", BLUE), ("--", ORANGE)), strict=True
):
    axes.plot(range(1, 11), spreads, style, color=color, marker="o", label=name)
axes.set(xlabel="layer", ylabel="spread of the answers", title="the same weights", yscale="log")
axes.legend(frameon=False)
show()

# %%
# In use there is no batch
# ------------------------
# A detector must not answer differently because of what else is in the batch, and a batch of one
# pixel has no variance at all. So training keeps *running statistics*: each batch moves them a
# tenth of the way. From then on they are constants, and the layer is a multiplication and an
# addition. The running variance counts M - 1 (20 / 3 here, not 5): it shall estimate the variance
# of all images, not of these four.

mean, variance = running_statistics(np.zeros(1), np.ones(1), cache)
print("after one batch:", mean, variance.round(3))
assert np.allclose(mean, 0.4) and np.allclose(variance, 0.9 + 0.1 * 20 / 3)
for _ in range(100):
    mean, variance = running_statistics(mean, variance, cache)
in_use, _ = batchnorm_inference_forward(x, scale, shift, mean, variance)
print("after 100, in use:", in_use.ravel().round(3))
assert np.allclose(mean, 4, atol=1e-3) and np.allclose(variance, 20 / 3, atol=1e-3)

# %%
# Folded away
# -----------
# A multiplication behind a convolution is a convolution with other weights. ``fold_batchnorm``
# makes the network without the layers and with the same outputs: what is faster in training costs
# nothing in use.

tiny = load_config("tiny")
layers, renamed = [], {}
for layer in tiny.layers:
    if isinstance(layer, ConvLayer):
        layers.append(dataclasses.replace(layer, activation="none"))
        layers.append(BatchNormLayer(f"{layer.name}_bn"))
        renamed[layer.name] = f"{layer.name}_bn"
    else:
        layers.append(layer)
feature_maps = tuple(
    dataclasses.replace(feature_map, name=renamed.get(feature_map.name, feature_map.name))
    for feature_map in tiny.feature_maps
)
normalised = dataclasses.replace(
    tiny,
    layers=tuple(layers),
    feature_maps=feature_maps,
    base_end=renamed.get(tiny.base_end, tiny.base_end),
)
model = SSD(normalised, dtype=np.float64)
for parameter in model.parameters.values():  # as if it had trained
    parameter.assign(parameter.value + rng.uniform(0.0, 0.2, parameter.value.shape))
folded = fold_batchnorm(model)
images = rng.standard_normal((2, 128, 128, 3))
difference = relative_error(model.forward(images)[0], folded.forward(images)[0])
print(
    f"{len(normalised.layers)} layers become {len(folded.config.layers)}, off by {difference:.0e}"
)
assert difference < 1e-10

# %%
# What goes wrong: the statistics taken for constants
# ---------------------------------------------------
# It is tempting to treat mean and variance as given numbers: then the gradient is s / sigma and
# nothing else. The network still learns, slowly. A check with a gradient of ones sees less than it
# should: there the right answer is 0 everywhere, for moving all values together changes nothing.

x = rng.standard_normal((2, 3, 3, 2))
scale, shift = np.array([1.5, 0.5]), np.zeros(2)
upstream = rng.standard_normal(x.shape)
out, cache = batchnorm_forward(x, scale, shift)
right = batchnorm_backward(upstream, cache)[0]
constants = scale * upstream / np.sqrt(x.var(axis=(0, 1, 2)) + 1e-5)
numeric = numeric_gradient(lambda v: batchnorm_forward(v, scale, shift)[0], x, upstream)
slip = relative_error(constants, numeric)
print(f"right: {relative_error(right, numeric):.0e}, statistics as constants: {slip:.2f}")
flat = batchnorm_backward(np.ones_like(x), cache)[0]

# %%
# The other slip is the unbiased variance in the forward, M - 1 instead of M. With thousands of
# pixels nobody sees it; published weights then answer a little differently, and a small batch a
# lot. And running statistics that never move leave a network that is right in training and wrong in
# use: its validation is poor from the first step, and no gradient is to blame.

# %%
# What to remember
# ----------------

assert relative_error(right, numeric) < 1e-6 and slip > 0.01
assert np.allclose(flat, 0, atol=1e-10)
assert spread["plain"][-1] < 0.2 * spread["normalised"][-1]
