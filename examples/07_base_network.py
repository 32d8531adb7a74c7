"""
07. The base network
====================

Before a detector can say what is where, it must see: edges, corners, textures, parts. That is the
work of the *base network*, a stack of convolutions and poolings. SSD reads its maps at several
depths: early maps are fine and see little, late maps are coarse and see much (paper, figure 2).

Exercises: ``output_size``, ``receptive_fields``, ``build_stages``; begin with ``ssd-np
exercise start output_size``.
Derivation: docs/derivations.md#the-network.
"""

import itertools

import matplotlib.pyplot as plt
import numpy as np

from ssd_np.boxes.targets import make_targets
from ssd_np.config import load_config
from ssd_np.data.batches import Batches
from ssd_np.data.image import preprocess
from ssd_np.data.shapes import ShapesDataset
from ssd_np.kinds.kind import Window
from ssd_np.loss.multibox import multibox_loss
from ssd_np.model.receptive_field import ReceptiveField, receptive_fields
from ssd_np.model.ssd import SSD
from ssd_np.model.weights import load
from ssd_np.train.sgd import SGD
from ssd_np.viz.network import feature_map_figure, receptive_field_figure
from ssd_np.viz.screen import show

# %%
# How far does a cell see? By hand
# --------------------------------
# A cell of a 3 x 3 convolution sees 3 pixels. Put a second one on top: its outer taps see one
# pixel further on each side, so 5. Now a pooling of 2 with stride 2: it sees one more, 6, and its
# cells are 2 pixels apart. From here on every step counts double: another 3 x 3 convolution adds
# 2 * 2 = 4: 10. Windows are squares, so this holds for both axes of any image, oblong ones too.
# Only where the first field lies, ``center``, is a pair (y, x), for the borders may differ.

field = ReceptiveField(size=1, stride=1, center=(0.5, 0.5))  # a pixel sees itself
sizes = []
for kernel, stride in ((3, 1), (3, 1), (2, 2), (3, 1)):
    field = field.through(Window(kernel, stride))
    sizes.append(field.size)
print("receptive fields:", sizes)
assert sizes == [3, 5, 6, 10]

# %%
# The library's function does this for a whole config. SSD300's conv4_3 sees 92 pixels, its heads
# 108. In fc7 it is 420, more than the image: 192 of them come from one layer, the dilated fc6.
# Below, the figure sets the fields of the heads against the boxes that they must judge.

fields = receptive_fields(load_config("ssd300_voc"))
assert (fields["conv4_3"].size, fields["head_conv4_3"].size, fields["fc7"].size) == (92, 108, 420)

# %%
# Feature maps
# ------------
# Run a trained network on a picture and look at what its maps hold. Early channels follow edges
# and colours; late ones light up where an object of a certain kind is. ``stage`` is the part of
# the base from one feature map to the next.

model = load("shapes")
config = model.config
sample = ShapesDataset(seed=5, count=20)[2]
x = preprocess(sample.image, config)[None]  # (1, 128, 128, 3)
maps = []
for stage, feature_map in zip(model.stages, config.feature_maps, strict=True):
    x = stage.forward(x)
    # a copy: the next call of the layer writes to the same memory
    maps.append((feature_map.name, x[0].copy()))
    print(f"{feature_map.name}: {x.shape[1:]}")
feature_map_figure(sample.image, maps, plt.figure())
show()

# %%
# The field, measured by the gradient
# -----------------------------------
# d cell / d pixel is not 0 just where the cell sees the pixel. So we ask a middle cell of each
# map for its gradient at the image: forward, then a 1 at that cell, then backward. Nothing
# outside the theoretical field may come out. What is inside is no square, but a bell: the middle
# counts most. As a measure of its width take the square that holds 95 % of the sum of squares.
#
# In the figure the orange square is the theoretical field; what is grey lies outside the picture.


def gradient_at_image(index: int) -> np.ndarray:
    """|d cell / d pixel|, summed over colours, for a middle cell of map `index`: (H, W)."""
    out = preprocess(sample.image, config)[None]
    for stage in model.stages[: index + 1]:
        out = stage.forward(out, training=True)
    gradient = np.zeros_like(out)
    gradient[0, out.shape[1] // 2, out.shape[2] // 2] = 1
    for stage in model.stages[: index + 1][::-1]:
        gradient = stage.backward(gradient)
    return np.abs(gradient[0]).sum(axis=-1)


measured, inside = {}, {}
own = receptive_fields(config)
figure, panels = plt.subplots(1, len(maps), figsize=(7.4, 2.9), layout="constrained")
for i, feature_map in enumerate(config.feature_maps):
    gradient = gradient_at_image(i)
    f = own[feature_map.name]
    centre = f.center[0] + feature_map.size // 2 * f.stride  # pixels, of the cell's field
    away = np.abs(np.arange(128) + 0.5 - centre)
    distance = np.maximum(away[:, None], away[None, :])  # (H, W)
    inside[feature_map.name] = not gradient[distance > f.size / 2].any()
    order = np.argsort(distance, axis=None)
    share = np.cumsum(gradient.ravel()[order] ** 2) / np.sum(gradient**2)
    measured[feature_map.name] = 2 * distance.ravel()[order][np.searchsorted(share, 0.95)]
    panels[i].imshow(np.sqrt(gradient), cmap="gray")
    corner = centre - f.size / 2 - 0.5
    panels[i].add_patch(
        plt.Rectangle((corner, corner), f.size, f.size, fill=False, ec="#E69F00", lw=2)
    )
    panels[i].set(
        title=f"{feature_map.name}\nfield {f.size}, used {measured[feature_map.name]:.0f}"
    )
    panels[i].set(xticks=[], yticks=[], xlim=(-20, 160), ylim=(160, -20), facecolor="0.85")
show()

# %%
# Are the fields large enough for the boxes? A head can not judge an object it does not see.

receptive_field_figure(config, plt.figure(), measured)
show()

# %%
# Pretrained and frozen
# ---------------------
# Seeing is useful for any task, so a base is rarely trained from nothing: SSD begins with one that
# was trained on other pictures. *Frozen*, it keeps what it knows; backward stops above it, which
# saves time. Here the heads of two new classes, round and angular, learn on the frozen base of the
# shapes detector, and on a frozen base of random numbers. The library: ``load(...,
# replace_heads=...)``, ``freeze``; on the command line ``--base-weights FILE --freeze-base``.

data = ShapesDataset(seed=6, count=200)


def learn(detector: SSD, steps: int = 40) -> list[float]:
    """The losses of a short training whose base is frozen."""
    detector.freeze(up_to=config.base_end)
    optimiser, losses = SGD(detector.parameters, weight_decay=5e-4), []
    with Batches(data, detector.config, batch_size=8, seed=0) as batches:
        for batch in itertools.islice(batches, steps):
            truths = [(boxes, np.where(labels == 1, 1, 2)) for boxes, labels in batch.truths]
            targets = [make_targets(*truth, detector.default_boxes) for truth in truths]
            labels, offsets = map(np.stack, zip(*targets, strict=True))
            logits, predicted = detector.forward(batch.images, training=True)
            loss = multibox_loss(logits, predicted, labels, offsets)
            detector.backward(loss.dlogits, loss.doffsets)
            optimiser.step(rate=0.01, clip_norm=5)
            losses.append(loss.total)
    return losses


names = ["round", "angular"]
tuned, blind = load("shapes", replace_heads=names), SSD(config.with_classes(names), seed=1)
before = {name: p.value.copy() for name, p in tuned.parameters.items()}
curves = {"pretrained": learn(tuned), "random": learn(blind)}
moved = {n for n, p in tuned.parameters.items() if not np.array_equal(p.value, before[n])}
frozen = {name for name, p in tuned.parameters.items() if not p.trainable}
print(f"frozen: {len(frozen)} of {len(before)} tensors")
assert moved.isdisjoint(frozen) and "conf_conv4_2.weight" in moved
panel = plt.figure(layout="constrained").gca()
for name, losses in curves.items():
    print(f"frozen base, {name}: loss {losses[0]:.1f}, after 40 steps {np.mean(losses[-8:]):.1f}")
    panel.plot(losses, label=f"frozen base: {name}")
panel.set(xlabel="step", ylabel="loss", title="Two heads on a frozen base")
panel.legend()
show()

# %%
# On photographs, with figures that were computed beforehand
# ----------------------------------------------------------
# What a base brings shows where photographs are few. 20, 60 or 120 photographs of raccoons teach,
# 40 others measure (mAP at IoU 0.5; 192 x 192 pixels, 150 steps of 8, with all 120 300; means of
# three seeds, which differ by about 0.02; docs/fitting.md has each). The trunks are those of
# published detectors: of faces, and of the 80 classes of COCO. Frozen, their features must do as
# they are; learning on, they become those of raccoons.

MEASURED = {  # on 40 photographs of raccoons: taught by 20, 60, 120
    "random weights": (0.758, 0.690, 0.725),
    "face trunk, frozen": (0.592, 0.617, 0.634),
    "face trunk, frozen up to block6": (0.773, 0.850, 0.825),
    "face trunk, at 0.3 of the rate": (0.809, 0.801, 0.849),
    "face trunk, at the full rate": (0.825, 0.826, 0.862),
    "COCO trunk, frozen": (0.883, 0.905, 0.912),
    "COCO trunk, frozen up to block6": (0.889, 0.916, 0.924),
    "COCO trunk, at 0.3 of the rate": (0.898, 0.940, 0.954),
    "COCO trunk, at the full rate": (0.889, 0.935, 0.963),
}


def show_figures(measured):
    for start, figures in measured.items():
        print(*(f"{figure:.3f}" for figure in figures), start)


show_figures(MEASURED)

# %%
# The same for chess pieces: 20, 60 or all 202 photographs of boards teach, 58 measure. A pawn is
# unlike anything in COCO, so a frozen base is worse than none, and one that learns all of it fast
# is best. Whether to freeze is a question about your data, and the answer is measured.

MEASURED = {
    "random weights": (0.839, 0.894, 0.967),
    "face trunk, frozen": (0.076, 0.095, 0.212),
    "face trunk, at the full rate": (0.359, 0.400, 0.872),
    "COCO trunk, frozen": (0.597, 0.663, 0.765),
    "COCO trunk, at 0.3 of the rate": (0.837, 0.876, 0.964),
    "COCO trunk, at the full rate": (0.893, 0.932, 0.983),
}
show_figures(MEASURED)

# %%
# What goes wrong: the base is there, its eyes are not
# ----------------------------------------------------
# A base expects images prepared as in its own training: RGB in this order, this mean taken away.
# Feed the pixels 0..255 as they are. The shapes stay the same, no error, and the map becomes
# another one. How alike are the right map and the wrong one? The cosine is 1 for equal
# directions.

raw = sample.image[None].astype(np.float32)
slip, right = model.stages[0].forward(raw), maps[0][1]
cosine = float(np.sum(slip[0] * right) / np.linalg.norm(slip[0]) / np.linalg.norm(right))
times = float(np.abs(slip).mean() / np.abs(right).mean())
print(f"map of raw pixels: {times:.0f} times larger, cosine {cosine:.2f}")

# %%
# The remedy: mean and scale are stored with the weights, in the config inside the file.

# %%
# What to remember
# ----------------

assert all(inside.values())  # no pixel outside the theoretical field has a gradient
assert all(measured[name] < own[name].size for name in measured)
assert times > 3 and cosine < 0.95
assert np.mean(curves["pretrained"][-8:]) < 0.7 * np.mean(curves["random"][-8:])
