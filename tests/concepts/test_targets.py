"""Targets: matches become labels and offsets, and bad ground truth is refused by name."""

import dataclasses

import numpy as np
import pytest

from ssd_np.boxes.codec import decode, encode
from ssd_np.boxes.coords import center_to_corner, corner_to_center
from ssd_np.boxes.default_boxes import default_boxes
from ssd_np.boxes.matching import match
from ssd_np.boxes.targets import make_targets
from ssd_np.config import load_config
from ssd_np.errors import DegenerateBox, ShapeError

pytestmark = [pytest.mark.lesson03, pytest.mark.lesson04]

DEFAULTS = default_boxes(load_config("tiny"))
GT = np.array([[0.1, 0.1, 0.5, 0.5], [0.6, 0.55, 0.95, 0.9]])
LABELS = np.array([3, 1])


def test_labels_and_offsets_follow_the_matches():
    labels, offsets = make_targets(GT, LABELS, DEFAULTS, 0.5, 0.4)
    matched = match(GT, center_to_corner(DEFAULTS[:, :4]), 0.5, 0.4)
    for t, g in enumerate(matched):
        if g >= 0:
            assert labels[t] == LABELS[g]
            expected = encode(corner_to_center(GT[[g]]), DEFAULTS[[t]])
            np.testing.assert_allclose(offsets[[t]], expected, rtol=1e-12, atol=1e-12)
        else:
            assert labels[t] == {-1: 0, -2: -1}[g]
            assert not offsets[t].any()
    assert {-1, 0, 1, 3} == set(labels.tolist())


def test_default_boxes_far_larger_than_the_image():
    """A config may ask for them: their corners lie beyond 2, which is no sign of pixels."""
    config = load_config("tiny")
    *others, last = config.feature_maps
    last = dataclasses.replace(last, min_size=500, max_size=900)  # of 128 pixels
    defaults = default_boxes(dataclasses.replace(config, feature_maps=(*others, last)))
    assert np.abs(center_to_corner(defaults[:, :4])).max() > 3
    labels, offsets = make_targets(GT, LABELS, defaults)
    assert {0, 1, 3} == set(labels.tolist()) and np.isfinite(offsets).all()
    only_large = defaults[-64:]
    assert set(make_targets(GT, LABELS, only_large)[0].tolist()) == {0, 1, 3}
    with pytest.raises(ShapeError, match="divide pixels"):
        make_targets(GT, LABELS, np.concatenate([128 * defaults[:, :4], defaults[:, 4:]], axis=1))


def test_decoding_the_targets_gives_the_objects_back():
    labels, offsets = make_targets(GT, LABELS, DEFAULTS)
    for g, label in enumerate(LABELS):
        rows = labels == label
        boxes = center_to_corner(decode(offsets[rows], DEFAULTS[rows]))
        assert len(boxes) > 1
        np.testing.assert_allclose(boxes, np.tile(GT[g], (len(boxes), 1)), rtol=0, atol=1e-12)


def test_no_object():
    labels, offsets = make_targets(np.zeros((0, 4)), np.zeros(0, int), DEFAULTS)
    assert labels.shape == (1344,) and not labels.any()
    assert offsets.shape == (1344, 4) and not offsets.any()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_types(dtype):
    labels, offsets = make_targets(GT.astype(dtype), LABELS, DEFAULTS.astype(dtype))
    assert labels.dtype == np.int64 and offsets.dtype == dtype


@pytest.mark.parametrize(
    "box", [[0.5, 0.2, 0.5, 0.8], [0.2, 0.8, 0.5, 0.3], [0.1, np.nan, 0.5, 0.5]]
)
def test_a_box_without_area_is_named(box):
    with pytest.raises(DegenerateBox, match=r"gt_corner\[1\]: xmax <= xmin or ymax <= ymin"):
        make_targets(np.array([[0.1, 0.1, 0.4, 0.4], box]), LABELS, DEFAULTS)


def test_boxes_in_pixels_are_refused_with_the_way_out():
    with pytest.raises(ShapeError, match=r"gt_corner holds 200.*divide pixels"):
        make_targets(np.array([[20, 30, 100, 200.0]]), np.array([1]), DEFAULTS)


@pytest.mark.parametrize("label", [0, -1])
def test_labels_below_one_are_refused(label):
    with pytest.raises(ShapeError, match="classes count from 1"):
        make_targets(GT, np.array([2, label]), DEFAULTS)


def test_wrong_shapes_are_named():
    with pytest.raises(ShapeError, match="one label for each box"):
        make_targets(GT, np.array([1]), DEFAULTS)
    with pytest.raises(ShapeError, match="four numbers"):
        make_targets(np.zeros((2, 5)), LABELS, DEFAULTS)
    with pytest.raises(ShapeError, match="four variances"):
        make_targets(GT, LABELS, DEFAULTS[:, :4])


def test_inputs_stay_as_they_are():
    arrays = (GT, LABELS, DEFAULTS)
    before = [a.copy() for a in arrays]
    make_targets(*arrays, 0.5, 0.3)
    assert all(np.array_equal(a, b) for a, b in zip(arrays, before, strict=True))
