"""
12. Training
============

Show pictures, compute the loss, go back through the network, move every weight a little against its
gradient. Again and again. Before a long training there is a short one that every engineer does
first: can the network learn *one picture by heart*? If it can not, there is a bug, and no data set
will help.

Exercise: ``learning_rate``; begin with ``ssd-np exercise start learning_rate``.
"""

import csv
import dataclasses
import shutil
import tempfile
import warnings
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from ssd_np.config import TrainConfig, load_config
from ssd_np.data.shapes import ShapesDataset
from ssd_np.errors import NotFinite
from ssd_np.evaluate.average_precision import evaluate_voc
from ssd_np.evaluate.run import detect_dataset
from ssd_np.infer.detect import Detector
from ssd_np.model.ssd import SSD
from ssd_np.model.weights import load
from ssd_np.nn.parameter import Parameter
from ssd_np.train.schedule import learning_rate
from ssd_np.train.sgd import SGD
from ssd_np.train.trainer import Trainer
from ssd_np.viz.boxes import detection_figure
from ssd_np.viz.loss import loss_curve
from ssd_np.viz.screen import show

# %%
# One step by hand
# ----------------
# Gradient descent with momentum keeps a velocity v for each weight w. With momentum m, decay d,
# learning rate r and the gradient g,
#
# .. math::
#
#    v \leftarrow m v + g + d w, \qquad w \leftarrow w - r v .
#
# With momentum 0.9, rate 0.1 and no decay, from w = 1 and a gradient of 2 that stays 2:
#
# * step 1: v = 0.9 * 0 + 2 = 2, w = 1 - 0.1 * 2 = 0.8
# * step 2: v = 0.9 * 2 + 2 = 3.8, w = 0.8 - 0.38 = 0.42
#
# The velocity grows while the gradient points the same way, to at most 2 / (1 - 0.9) = 20: ten
# times the step. That is worth knowing when choosing a learning rate.

weight = Parameter(np.array([1.0]))
weight.grad = np.array([2.0])
optimiser = SGD({"w": weight}, momentum=0.9)
path = []
for _ in range(2):
    optimiser.step(rate=0.1)
    path.append(round(float(weight.value[0]), 6))
print("w:", path)
assert path == [0.8, 0.42]

# %%
# The learning rate has a schedule. It climbs during the *warm-up*, for the first gradients of
# random weights point anywhere, and falls towards the end, so that the network settles.

schedule = TrainConfig(steps=100, learning_rate=0.02, warmup_steps=10, schedule="cosine")
rates = [learning_rate(step, schedule) for step in range(100)]
print("rate at steps 0, 10, 50, 99:", [round(rates[i], 4) for i in (0, 10, 50, 99)])
assert rates[0] < 0.0021 and max(rates) < 0.02 and rates[99] < 1e-4

# %%
# One picture by heart
# --------------------

tiny = load_config("tiny")
folder = Path(tempfile.mkdtemp())


def train(dataset, out: str, **settings) -> tuple[SSD, dict[str, np.ndarray]]:
    """A small network trained on `dataset`, and the columns of the training's log."""
    model = SSD(tiny, seed=1)
    config = dataclasses.replace(tiny.training, warmup_steps=10, seed=1, **settings)
    Trainer(model, dataset, config, folder / out).fit()
    with open(folder / out / "log.csv", encoding="utf-8") as file:
        names, *rows = csv.reader(file)
    return model, dict(zip(names, np.array(rows, float).T, strict=True))


one = ShapesDataset(seed=8, count=1)
learned, log = train(one, "one", steps=100, batch_size=1, learning_rate=0.02)
print("loss:", {step: float(log["total"][step]) for step in (0, 50, 99)})
found = Detector(learned, score_threshold=0.5).detect(one[0].image)
texts = found.captions()
print("detected:", texts, " in truth:", len(one.truth(0)), "objects")

unseen = ShapesDataset(seed=99, count=24)
by_heart = evaluate_voc(*detect_dataset(learned, unseen)).mean_ap

# %%
# It knows the picture. Has it understood what a star is? No: on pictures that it never saw it
# fails. A falling loss shows that the machine works, not that anything was understood.

other = Detector(learned, score_threshold=0.5).detect(unseen[0].image)
others = other.captions()
panels = [
    ("learned by heart", one[0].image, found.boxes_corner, texts),
    ("never seen", unseen[0].image, other.boxes_corner, others),
]
detection_figure(panels, plt.figure())
show()

# %%
# A data set
# ----------
# 2,000 different pictures instead of one, 4 at a time, and a short training of 80 steps only.
# Below: the loss and its two parts. Light lines are single batches, and they jump: each batch
# holds other pictures. Read the smooth line.
#
# * Both parts should fall. Boxes alone: look for a mistake in labels. Classes alone: in the
#   encoding.
# * At the start, classes stand near 4 ln 6 = 7.2 and above (lesson 09).
# * A line that goes flat and falls again when the learning rate falls was too fast, not finished.

model, log = train(ShapesDataset(seed=0, count=2000), "many", steps=80, batch_size=4)
loss_curve(log, plt.figure())
show()

# %%
# 80 steps are a beginning: compare with the weights that come with the package, which saw many
# times as many pictures. What counts is the mAP (lesson 14) on pictures never seen.

short = evaluate_voc(*detect_dataset(model, unseen)).mean_ap
long = evaluate_voc(*detect_dataset(load("shapes"), unseen)).mean_ap
print(f"mAP: one picture {by_heart:.3f}, 80 steps {short:.3f}, shipped weights {long:.3f}")

# %%
# What goes wrong: a learning rate too high
# -----------------------------------------
# Take 3 instead of 0.03, and no limit on the gradients. Each step overshoots further than the
# last, until a number is too large for float32. The library checks every step and names the first
# tensor that broke, instead of training on with NaN for hours.

message = "no error"
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # NumPy's own, of numbers too large
    try:
        train(one, "wild", steps=60, batch_size=1, learning_rate=3.0, clip_norm=None)
    except NotFinite as error:
        message = str(error).replace(str(folder), "FOLDER")
print(message.replace("; ", ";\n"))
shutil.rmtree(folder)

# %%
# What to remember
# ----------------

assert np.mean(log["total"][-10:]) < 0.8 * np.mean(log["total"][:10])
assert len(found) == len(one.truth(0))  # all found, nothing invented
assert by_heart < 0.3 < long
assert short < long
assert "first broken" in message
