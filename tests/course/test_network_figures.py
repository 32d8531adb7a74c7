"""Pictures of the network follow the config; those of fields and maps follow their numbers."""

import itertools

import numpy as np
import pytest
from matplotlib.figure import Figure

from ssd_np.config import load_config
from ssd_np.viz.network import feature_map_figure, network_figure, receptive_field_figure


@pytest.mark.parametrize(
    ("name", "boxes"), [("tiny", "1,344"), ("ssd300_voc", "8,732"), ("ssd512_voc", "24,564")]
)
def test_network_is_that_of_the_config(name, boxes):
    config, figure = load_config(name), Figure()
    network_figure(config, figure)
    (axes,) = figure.axes
    assert len(axes.patches) == len(config.layers) + 2  # the image and the row of boxes
    texts = [text.get_text() for text in axes.texts]
    assert any(text.startswith(f"{boxes} default boxes") for text in texts)
    for m in config.feature_maps:
        assert any(t.startswith(f"{m.name}\n{m.size} × {m.size}\n") for t in texts)
    heads = [t for t in texts if "3 × 3 conv" in t]
    ends = [f"{m.boxes_per_cell} × ({config.num_classes + 1} + 4)" for m in config.feature_maps]
    assert [head.splitlines()[-1] for head in heads] == ends
    assert sum("L2Norm" in head for head in heads) == sum(
        m.l2norm_scale is not None for m in config.feature_maps
    )


def test_slabs_do_not_overlap():
    figure = Figure()
    network_figure(load_config("ssd300_voc"), figure)
    slabs = [p.get_bbox() for p in figure.axes[0].patches][:-1]
    assert all(a.x1 < b.x0 for a, b in itertools.pairwise(slabs))
    assert slabs[0].height > slabs[-1].height  # 300 pixels, 1 cell


def test_receptive_fields_of_ssd300():
    config, figure = load_config("ssd300_voc"), Figure()
    measured = {m.name: 10.0 + i for i, m in enumerate(config.feature_maps)}
    receptive_field_figure(config, figure, measured)
    (axes,) = figure.axes
    lines = {line.get_label(): line.get_ydata() for line in axes.get_lines()}
    assert list(lines["receptive field of the heads"]) == [108, 452, 516, 644, 772, 900]
    assert list(lines["measured part of it"]) == list(measured.values())
    sides = lines["default boxes: longer sides"]  # of conv4_3: 30, sqrt(30 * 60), 30 * sqrt(2)
    np.testing.assert_allclose(sorted(sides), [30, 42.4264, 42.4264, 42.4264], rtol=1e-5)
    receptive_field_figure(config, figure := Figure())
    assert "measured part of it" not in {line.get_label() for line in figure.axes[0].get_lines()}


def test_liveliest_channels_come_first(rng):
    values = rng.standard_normal((4, 5, 6)) * [0, 3, 1, 9, 0.1, 5]
    figure = Figure()
    feature_map_figure(np.zeros((8, 8, 3), np.uint8), [("m", values)], figure, channels=3)
    image, *panels = figure.axes
    assert image.get_ylabel() == "m\n4 × 5 × 6"
    assert [axes.get_title() for axes in panels] == ["channel 3", "channel 5", "channel 1"]
    np.testing.assert_array_equal(panels[0].images[0].get_array(), values[..., 3])
