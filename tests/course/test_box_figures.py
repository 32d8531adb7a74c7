"""Pictures of default boxes, matches and detections show what they were given."""

import dataclasses

import numpy as np
import pytest
from matplotlib.figure import Figure

from ssd_np.boxes.coords import center_to_corner
from ssd_np.boxes.default_boxes import default_boxes, default_boxes_for_map
from ssd_np.boxes.matching import NEUTRAL, match
from ssd_np.config import load_config
from ssd_np.viz.boxes import default_box_figure, detection_figure
from ssd_np.viz.matching import match_figure

IMAGE = np.full((40, 60, 3), 90, np.uint8)


def rectangles(axes, style="-"):
    """Corner boxes of the patches of a line style, without the dark rims."""
    rims = {"black", (0.0, 0.0, 0.0, 1.0)}
    found = [p for p in axes.patches if p.get_linestyle() == style]
    return [p.get_bbox().extents for p in found if p.get_edgecolor() not in rims]


def test_default_boxes_of_the_cell_asked_for():
    config, figure = load_config("tiny"), Figure()
    default_box_figure(config, IMAGE, figure, cell=(0.99, 0.01))
    for i, axes in enumerate(figure.axes):
        boxes = default_boxes_for_map(config, i)
        expected = center_to_corner(boxes[0, -1, :, :4])  # the upper right cell
        np.testing.assert_allclose(rectangles(axes), expected, atol=1e-12)
        (dots,) = axes.get_lines()
        assert len(dots.get_xdata()) == config.feature_maps[i].size ** 2
        assert config.feature_maps[i].name in axes.get_title()
        low, high = axes.get_xlim()
        assert low <= expected[:, 0].min() and high >= expected[:, 2].max()


def test_six_maps_take_two_rows(tmp_path):
    figure = Figure()
    default_box_figure(load_config("ssd300_voc"), IMAGE, figure)
    assert len([axes for axes in figure.axes if axes.get_visible()]) == 6
    five = load_config("ssd300_voc")
    layers = [layer for layer in five.layers if not layer.name.startswith("conv11")]
    five = dataclasses.replace(five, layers=tuple(layers), feature_maps=five.feature_maps[:5])
    default_box_figure(five, IMAGE, tmp_path / "five.png")
    assert (tmp_path / "five.png").stat().st_size > 10_000


def test_matches_by_rule():
    # two objects; box 2 and 3 are the best, box 0 reaches the threshold, box 1 (0.39) is neutral
    gt = np.array([[0, 0, 0.4, 0.4], [0.5, 0.5, 0.9, 0.9]])
    corner = np.array(
        [[0, 0, 0.3, 0.4], [0.1, 0.1, 0.5, 0.5], [0, 0, 0.4, 0.5],
         [0.7, 0.5, 1.1, 0.9], [0, 0.6, 0.3, 0.9]]
    )  # fmt: skip
    center = np.concatenate([(corner[:, :2] + corner[:, 2:]) / 2, corner[:, 2:] - corner[:, :2]], 1)
    default = np.concatenate([center, np.tile([0.1, 0.1, 0.2, 0.2], (5, 1))], axis=1)
    figure = Figure()
    match_figure(IMAGE, gt, default, figure, neutral_threshold=0.35)
    (axes,) = figure.axes
    np.testing.assert_allclose(rectangles(axes, "--"), corner[[0]])
    np.testing.assert_allclose(rectangles(axes, ":"), corner[[1]])
    np.testing.assert_allclose(rectangles(axes), [*corner[[2, 3]], *gt], atol=1e-12)
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert texts[1:] == ["best of its object: 2", "IoU of at least 0.5: 1", "neutral: 1"]


def test_many_objects_have_a_panel_each():
    """No panel shows another object's boxes; together they show all that stand for one."""
    rng = np.random.default_rng(0)
    low = rng.uniform(0, 0.7, (18, 2))
    gt = np.concatenate([low, low + rng.uniform(0.1, 0.3, (18, 2))], axis=1)
    boxes = default_boxes(load_config("tiny"))
    match_figure(IMAGE, gt, boxes, figure := Figure(), neutral_threshold=0.4)
    overview, *panels = (axes for axes in figure.axes if axes.get_visible())
    assert [text.get_text() for text in overview.texts] == [str(g) for g in range(18)]
    np.testing.assert_allclose(rectangles(overview), gt)
    corner = center_to_corner(boxes[:, :4])
    matched = match(gt, corner, 0.5, 0.4)
    assert len(panels) == 18 and (matched == NEUTRAL).any()
    for g, axes in enumerate(panels):
        *best, truth = rectangles(axes)
        shown = np.array([*rectangles(axes, "--"), *best])
        expected = corner[matched == g]
        np.testing.assert_allclose(np.sort(shown, axis=0), np.sort(expected, axis=0))
        np.testing.assert_allclose(truth, gt[g])
        assert axes.get_title().startswith(f"{g}: IoU 0.")
    neutral = sum(len(rectangles(axes, ":")) for axes in panels)
    assert neutral == np.count_nonzero(matched == NEUTRAL)


def test_more_objects_than_panels_is_said():
    gt = np.tile([[0.1, 0.1, 0.4, 0.4]], (50, 1))
    match_figure(IMAGE, gt, default_boxes(load_config("tiny")), figure := Figure())
    visible = [axes for axes in figure.axes if axes.get_visible()]
    assert len(visible) == 1 + 40 and visible[0].get_title().endswith("of the first 40")


def test_picture_without_objects():
    match_figure(IMAGE, np.empty((0, 4)), default_boxes(load_config("tiny")), figure := Figure())
    assert rectangles(figure.axes[0]) == []


def test_detections_side_by_side():
    boxes = np.array([[0.1, 0.1, 0.5, 0.5], [0.2, 0.2, 0.9, 0.9]])
    figure = Figure()
    detection_figure(
        [("left", IMAGE, boxes, ["", ""]), ("right", IMAGE, boxes[:1], ["cat"])], figure
    )
    left, right = figure.axes
    assert [axes.get_title() for axes in figure.axes] == ["left", "right"]
    np.testing.assert_allclose(rectangles(left), boxes)
    assert [t.get_text() for t in right.texts] == ["cat"] and not left.texts
    with pytest.raises(ValueError, match="shorter"):
        detection_figure([("x", IMAGE, boxes, ["one text for two boxes"])], Figure())
