"""
10. Photometric augmentation
============================

A cat in the evening is still a cat. A network that saw it at noon only may not know. So training
pictures are shown in other light: brighter, paler, redder, at random and new each time. The boxes
stay where they are (SSD paper, section 2.2; the values are those of the authors' program).

Exercises: ``brightness_and_contrast``, ``saturation``, ``hue``, ``lighting_noise``; begin with
``ssd-np exercise start brightness_and_contrast``.
"""

import dataclasses

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.cbook import get_sample_data

from ssd_np.config import AugmentationConfig, Brightness, Contrast, Hue, Saturation, load_config
from ssd_np.data.photometric import Light, LightingNoise, brightness, contrast, lighting_noise
from ssd_np.data.pipeline import Chain, distort
from ssd_np.nn.hsv import scale_saturation, turn_hue
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
assert brightness(pixel, 30).ravel().tolist() == [230, 150, 70]
assert contrast(pixel, 0.5).ravel().tolist() == [100, 60, 20]
assert np.allclose(scale_saturation(pixel, 0.5), [[[200, 160, 120]]])
assert np.allclose(turn_hue(pixel, 120), [[[40, 200, 120]]])
assert lighting_noise(pixel, [2, 1, 0]).ravel().tolist() == [40, 120, 200]
print("hue turned by 120 degrees:", turn_hue(pixel, 120).ravel())

# %%
# One object for each change
# --------------------------
# These five functions say what happens. *How much* is drawn by an object around each: it draws from
# a generator that the caller gives, changes the image, changes the boxes (light: not at all), and
# can undo. A fixed seed gives the same picture again, on any number of threads.

photograph = plt.imread(get_sample_data("grace_hopper.jpg"))[::2, ::2]  # (300, 256, 3)
box, label = np.array([[0.25, 0.05, 0.8, 0.55]]), np.array([1])
item = (photograph.astype(np.float32), box, label)
rng = np.random.default_rng(176)
transforms = (
    Light("brightness", brightness, -32, 32, "brightness {:+.0f}"),
    Light("contrast", contrast, 0.5, 1.5, "contrast × {:.2f}"),
    Light("saturation", scale_saturation, 0.5, 1.5, "saturation × {:.2f}"),
    Light("hue", turn_hue, -18, 18, "hue {:+.0f}°"),
    LightingNoise(),
)
panels = [("original", *item[:2])]
for transform in transforms:
    image, boxes, labels, step = transform(*item, rng)
    panels.append((transform.caption(step.drawn), image, boxes))
    assert boxes is box and labels is label  # light moves no boxes
    print(f"{step.name}: {step.drawn}")

# %%
# The pictures
# ------------

strip_figure(panels, plt.figure())
show()

# %%
# And the chain of all five, each with probability 1/2, eight times. Contrast comes before
# saturation and hue or after them, by the throw of a coin. Values are rounded and clipped *once*,
# at the end. (The authors' program turns hue by up to 36 degrees and leaves the channels in their
# order; so do the presets of the published detectors.)

chances = AugmentationConfig()
print(chances.brightness, chances.contrast, chances.saturation, chances.hue, sep="\n")
assert chances.brightness == Brightness(0.5, -32, 32)
assert chances.contrast == Contrast(0.5, 0.5, 1.5)
assert chances.saturation == Saturation(0.5, 0.5, 1.5) and chances.hue == Hue(0.5, -18, 18)
full = dataclasses.replace(load_config("tiny"), augmentation=chances)
chains = []
for seed in range(8):
    out, steps = distort(photograph, full, np.random.default_rng(seed))
    words = " + ".join(step.name.split("_")[0] for step in steps)
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
chain = Chain(dataclasses.replace(full, augmentation=no_colour))
for seed in range(20):
    _, steps = chain.distort(photograph[:4, :4], np.random.default_rng(seed))
    assert not {"hue", "lighting_noise"} & {step.name for step in steps}

# %%
# What to remember
# ----------------

assert hurt > 0.1
assert (wrapped < photograph).any()
again = [distort(photograph, full, np.random.default_rng(3))[0] for _ in range(2)]
assert np.array_equal(*again)  # one seed, one picture
