"""
10. Photometric augmentation
============================

A cat in the evening is still a cat. A network that saw it at noon only may not know. So training
pictures are shown in other light: brighter, paler, redder, at random and new each time. The boxes
stay where they are (SSD paper, section 2.2; the values are those of the authors' program).

Exercises: ``brightness_and_contrast``, ``saturation``, ``hue``, ``lighting_noise``; begin with
``ssd-np exercise start brightness_and_contrast``.
"""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.cbook import get_sample_data

from ssd_np.config import AugmentationConfig, Brightness, Contrast, Hue, Saturation
from ssd_np.data.photometric import (
    brightness,
    contrast,
    hue,
    lighting_noise,
    saturation,
    scale_saturation,
    turn_hue,
)
from ssd_np.data.pipeline import distort
from ssd_np.viz.augmentation import strip_figure
from ssd_np.viz.screen import show

# %%
# One pixel by hand
# -----------------
# An orange pixel: red 200, green 120, blue 40. Five things may happen to it.
#
# * **brightness**: add the same to all three. +30: 230, 150, 70
# * **contrast**: multiply all three. x 0.5: 100, 60, 20
# * **saturation**: how far from grey? V is the largest value, 200, and stays. The distances to
#   it, 0, 80, 160, are multiplied. x 0.5: 0, 40, 80, so 200, 160, 120: paler, and just as bright
# * **hue**: which colour? A circle of 360 degrees: red 0, green 120, blue 240. Ours is at 30.
#   A turn by 120 makes red green, green blue and blue red: 40, 200, 120
# * **lighting noise**: the three channels in another order. Reversed: 40, 120, 200

pixel = np.array([[[200.0, 120, 40]]])  # (H, W, 3), float: values may leave 0..255 on the way
assert (pixel + 30).ravel().tolist() == [230, 150, 70]
assert (pixel * 0.5).ravel().tolist() == [100, 60, 20]
assert np.allclose(scale_saturation(pixel, 0.5), [[[200, 160, 120]]])
assert np.allclose(turn_hue(pixel, 120), [[[40, 200, 120]]])
print("hue turned by 120 degrees:", turn_hue(pixel, 120).ravel())

# %%
# The library's functions
# -----------------------
# Each takes and returns image, boxes and labels, and draws its strength from a generator that the
# caller gives. A fixed seed gives the same picture again, on any number of threads.

photograph = plt.imread(get_sample_data("grace_hopper.jpg"))[::2, ::2]  # (300, 256, 3)
box, label = np.array([[0.25, 0.05, 0.8, 0.55]]), np.array([1])
item = (photograph.astype(np.float32), box, label)
rng = np.random.default_rng(176)
history = []
changed = (
    brightness(*item, rng, -32, 32, history),
    contrast(*item, rng, 0.5, 1.5, history),
    saturation(*item, rng, 0.5, 1.5, history),
    hue(*item, rng, -18, 18, history),
    lighting_noise(*item, rng, history),
)
words = ("brightness {:+.0f}", "contrast × {:.2f}", "saturation × {:.2f}", "hue {:+.0f}°",
         "channels {}")  # fmt: skip
panels = [("original", *item[:2])]
for (name, drawn), text, (image, boxes, labels) in zip(history, words, changed, strict=True):
    (value,) = drawn.values()
    panels.append((text.format(value), image, boxes))
    assert boxes is box and labels is label  # light moves no boxes
    print(f"{name}: {value}")

# %%
# The pictures
# ------------

strip_figure(panels, plt.figure())
show()

# %%
# And the chain of all five, each with probability 1/2, eight times. Contrast comes before
# saturation and hue or after them, by the throw of a coin. Values are rounded and clipped *once*,
# at the end.

chances = AugmentationConfig()
print(chances.brightness, chances.contrast, chances.saturation, chances.hue, sep="\n")
assert chances.brightness == Brightness(0.5, -32, 32)
assert chances.contrast == Contrast(0.5, 0.5, 1.5)
assert chances.saturation == Saturation(0.5, 0.5, 1.5) and chances.hue == Hue(0.5, -18, 18)
chains = []
for seed in range(8):
    steps = []
    out = distort(photograph, chances, np.random.default_rng(seed), steps)
    words = " + ".join(name.split("_")[0] for name, _ in steps)
    chains.append((words or "nothing", out, box))
    assert out.dtype == np.uint8 and out.shape == photograph.shape
strip_figure(chains, plt.figure())
show()

# %%
# There is no gradient: pictures are changed before the network sees them, and nothing in that is
# learned.
#
# What goes wrong: clipping after every step
# ------------------------------------------
# Bright values cut at 255 are gone. Add 100, then multiply by 0.5: (200 + 100) * 0.5 = 150. With
# a cut in between: 255 * 0.5 = 127.5. The sky loses its clouds. How much of the photograph is
# hurt?

image = photograph.astype(np.float32)
once = np.clip((image + 100) * 0.5, 0, 255)
twice = np.clip(np.clip(image + 100, 0, 255) * 0.5, 0, 255)
hurt = float((once != twice).mean())
print(f"values that a cut on the way changes: {hurt:.0%}")

# %%
# **The type.** uint8 has no room above 255: it starts again at 0, and white turns black. No
# error.

wrapped = photograph + np.uint8(100)
around = np.array([200], np.uint8) + np.array([100], np.uint8)
print("200 + 100 in uint8 is", around)
assert around[0] == 300 - 256

# %%
# **Units.** One program counts hue in degrees, the next in 0..180 (OpenCV, 8 bits), a third in
# 0..1. The value 18, meant as degrees, is 36 degrees to OpenCV and 18 full turns to the third,
# that is: nothing.

assert np.allclose(turn_hue(pixel, 18 * 360), pixel)
far = np.abs(turn_hue(pixel, 36) - turn_hue(pixel, 18)).max()
print(f"18 taken as OpenCV's unit: off by {far:.0f} grey levels")

# %%
# **Colour that is the answer.** If classes differ by colour (ripe and unripe tomatoes), hue and
# lighting noise destroy what is to be learned. Every probability is in the config; set those two
# to 0.

no_colour = AugmentationConfig(hue=Hue(probability=0), lighting_noise=0)
for seed in range(20):
    steps = []
    distort(photograph[:4, :4], no_colour, np.random.default_rng(seed), steps)
    assert not {"hue", "lighting_noise"} & {name for name, _ in steps}

# %%
# What to remember
# ----------------

assert hurt > 0.1
assert (wrapped < photograph).any()
again = [distort(photograph, chances, np.random.default_rng(3), []) for _ in range(2)]
assert np.array_equal(*again)  # one seed, one picture
