"""The strip replays what `augment` did: the same boxes, the same picture."""

import dataclasses

import numpy as np
import pytest
from matplotlib.figure import Figure

from ssd_np.config import load_config
from ssd_np.data.image import preprocess
from ssd_np.data.pipeline import augment
from ssd_np.data.shapes import ShapesDataset
from ssd_np.records import Truth
from ssd_np.viz.augmentation import augmentation_figure, replay, strip_figure

CONFIG = load_config("ssd300_voc")
CONFIG = dataclasses.replace(
    CONFIG,
    augmentation=dataclasses.replace(CONFIG.augmentation, vertical_flip=0.5, lighting_noise=0.5),
)
SAMPLE = ShapesDataset(seed=4, count=10)[7]


@pytest.mark.parametrize("seed", range(30))
def test_replay_ends_where_augment_ends(seed):
    image, boxes, _, history = augment(SAMPLE, CONFIG, np.random.default_rng(seed))
    panels = replay(SAMPLE, history)
    assert len(panels) == 1 + len(history)
    _, last, last_boxes = panels[-1]
    np.testing.assert_allclose(last_boxes, boxes, atol=1e-12)
    again = preprocess(np.clip(np.rint(last), 0, 255).astype(np.uint8), CONFIG)
    assert np.abs(again - image).mean() < 1.5  # grey levels: resized before or after the flip


def test_all_steps_are_covered():
    """The seeds above contain every step there is."""
    seen = set()
    for seed in range(30):
        seen |= {step.name for step in augment(SAMPLE, CONFIG, np.random.default_rng(seed))[3]}
    assert seen == {
        "brightness", "contrast", "saturation", "hue", "lighting_noise", "expand", "crop",
        "horizontal_flip", "vertical_flip",
    }  # fmt: skip


def test_crowds_are_left_out():
    truth = Truth(np.array([[0, 0, 0.5, 0.5], [0.5, 0.5, 1, 1]]), [1, 1], crowd=[False, True])
    panels = replay(dataclasses.replace(SAMPLE, truth=truth), [])
    assert panels[0][2].tolist() == [[0, 0, 0.5, 0.5]]


def test_strip_has_a_panel_for_each_step():
    figure, rng = Figure(), np.random.default_rng(2)
    augmentation_figure(SAMPLE, CONFIG, rng, figure)
    history = augment(SAMPLE, CONFIG, np.random.default_rng(2))[3]
    shown = [axes.get_title() for axes in figure.axes if axes.get_visible()]
    assert len(shown) == 1 + len(history) and shown[0] == "original"
    figure = Figure()
    strip_figure([("a", SAMPLE.image, SAMPLE.truth.boxes_corner)], figure)
    assert len(figure.axes) == 1
    assert len(figure.axes[0].patches) == 2 * len(SAMPLE.truth)  # a line and its dark rim
