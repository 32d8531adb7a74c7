"""The generated data set: deterministic, its boxes true, its statistics as promised."""

import numpy as np
import pytest

from ssd_np.config import load_config
from ssd_np.data.shapes import (
    CLEAR_IOU,
    MAX_IOU,
    MAX_SIDE,
    MIN_SIDE,
    SIZE,
    ShapesDataset,
    draw_layout,
    paint,
)


def pair_ious(boxes):
    """Plain loop over all pairs."""
    ious = []
    for i, a in enumerate(boxes):
        for b in boxes[i + 1 :]:
            w = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
            h = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
            areas = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1])
            ious.append(w * h / (areas - w * h))
    return ious


@pytest.fixture(scope="module")
def truths():
    dataset = ShapesDataset(seed=3, count=1500)
    return [dataset.truth(i) for i in range(len(dataset))]


def test_same_seed_same_pictures_whatever_the_order():
    a, b = ShapesDataset(1, 10), ShapesDataset(1, 50)
    for i in (7, 2, 7):
        assert np.array_equal(a[i].image, b[i].image)
        assert np.array_equal(a[i].truth.boxes_corner, b[i].truth.boxes_corner)
    assert not np.array_equal(a[2].image, a[3].image)
    assert not np.array_equal(a[2].image, ShapesDataset(2, 10)[2].image)


def test_sample_and_truth_agree():
    dataset = ShapesDataset(0, 5)
    for i, sample in enumerate(dataset):  # ends by IndexError
        truth = dataset.truth(i)
        assert sample.image.shape == (SIZE, SIZE, 3) and sample.image.dtype == np.uint8
        assert np.array_equal(sample.truth.boxes_corner, truth.boxes_corner)
        assert np.array_equal(sample.truth.labels, truth.labels)
        assert truth.size == (SIZE, SIZE)
    assert i == len(dataset) - 1
    for i in (-1, -5):
        assert dataset[i] == dataset[i + 5] and dataset.truth(i) == dataset.truth(i + 5)
        assert dataset[i].name == dataset[i + 5].name
    for i in (5, -6):
        with pytest.raises(IndexError):
            dataset[i]
        with pytest.raises(IndexError):
            dataset.truth(i)


def test_classes_are_those_of_the_preset():
    assert ShapesDataset.class_names == load_config("tiny").class_names


def test_counts_sizes_and_labels(truths):
    counts = np.array([len(truth) for truth in truths])
    assert set(counts) == {1, 2, 3, 4, 5, 6}
    boxes = np.concatenate([truth.boxes_corner for truth in truths])
    sides = (boxes[:, 2:] - boxes[:, :2]) * SIZE
    assert sides.min() >= MIN_SIDE - 1e-9 and sides.max() <= MAX_SIDE + 1e-9
    assert boxes.min() >= 0 and boxes.max() <= 1
    labels = np.concatenate([truth.labels for truth in truths])
    shares = np.bincount(labels, minlength=6)[1:] / len(labels)
    assert len(np.bincount(labels)) == 6 and np.abs(shares - 0.2).max() < 0.03


def test_a_third_of_the_pictures_has_an_overlap(truths):
    overlapping = 0
    for truth in truths:
        ious = pair_ious(truth.boxes_corner)
        assert max(ious, default=0) <= MAX_IOU + 1e-9
        overlapping += max(ious, default=0) > CLEAR_IOU
    # 500 expected, standard deviation sqrt(1500 * 1/3 * 2/3) = 18
    assert abs(overlapping - len(truths) / 3) < 4 * 18


def test_a_box_is_the_extent_of_its_painted_object():
    """Painting a layout with and without its last object changes the pixels of its box only."""
    for seed in range(30):
        layout = draw_layout(np.random.default_rng(seed))
        with_it = paint(layout, np.random.default_rng(99)).astype(int)
        # the same background and colours, but no noise, which follows in the stream
        last = layout[-1]
        empty = type(last)(last.kind, np.zeros_like(last.vertices), (0.0, 0.0, 1.0, 1.0))
        without = paint([*layout[:-1], empty], np.random.default_rng(99)).astype(int)
        changed = np.abs(with_it - without).max(axis=-1) > 24
        changed[0, 0] = False  # where the empty object may leave a speck
        rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
        found = (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
        assert np.abs(np.array(found) - last.box).max() <= 1.5  # faint edge pixels may be missed


def test_colour_says_nothing_about_the_class():
    """The colour stream does not depend on the kinds: other shapes, same colours."""
    layout = draw_layout(np.random.default_rng(4))
    vertices = np.array([(0, 0), (1, 0), (1, 1), (0, 1)])
    as_squares = [
        type(p)(1, vertices * (p.box[2] - p.box[0], p.box[3] - p.box[1]) + p.box[:2], p.box)
        for p in layout
    ]
    a = paint(layout, np.random.default_rng(5)).astype(int)
    b = paint(as_squares, np.random.default_rng(5)).astype(int)
    top = layout[-1]  # nothing is painted over it, and all shapes cover their centre
    x, y = (int((top.box[i] + top.box[i + 2]) / 2) for i in (0, 1))
    assert np.array_equal(a[y, x], b[y, x])
