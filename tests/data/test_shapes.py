"""The generated data set: deterministic, its boxes true, its statistics as promised."""

import math

import numpy as np
import pytest
from PIL import Image

from ssd_np.config import load_config
from ssd_np.data import shapes
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


def test_the_layouts_of_a_seed_stay_what_they_are():
    truth = ShapesDataset(0, 1).truth(0)
    assert truth.labels.tolist() == [2, 5, 2, 4]
    corners = [
        (53.932, 36.526, 122.845, 104.315),
        (36.268, 3.649, 79.276, 41.813),
        (79.736, 8.328, 116.872, 40.395),
        (12.873, 30.047, 37.519, 53.838),
    ]
    assert np.abs(truth.boxes_corner * SIZE - corners).max() < 1e-3


def test_a_background_is_its_four_fields():
    """A gradient down and across, blotches and stripes, each drawn pixel by pixel."""
    for seed in range(5):
        base = np.random.default_rng(1).uniform(30, 225, 3)
        found = shapes._background(base, np.random.default_rng(seed)).reshape(SIZE, SIZE, 3)
        rng = np.random.default_rng(seed)
        coarse = Image.fromarray(rng.standard_normal((6, 6), dtype=np.float32))
        blotches = np.array(coarse.resize((SIZE, SIZE), Image.Resampling.BICUBIC))
        angle, waves, phase = rng.uniform((0, 4, 0), (np.pi, 14, 2 * np.pi))
        y, x = np.mgrid[-0.5 : 0.5 : SIZE * 1j, -0.5 : 0.5 : SIZE * 1j]
        stripes = np.sin(2 * np.pi * waves * (np.sin(angle) * y + np.cos(angle) * x) + phase)
        strength = rng.random((4, 1)) * [[50], [50], [16], [12]]
        levels = strength * rng.uniform(-1, 1, (4, 3))
        expected = base + np.stack([y, x, blotches, stripes], axis=-1) @ levels
        assert np.abs(found - expected).max() < 1e-3


def test_the_noise_is_normal():
    """Its 256 values are as likely as each other: what lies below each is the normal share."""
    noise = np.sort(shapes._NOISE)
    below = [(1 + math.erf(x / math.sqrt(2))) / 2 for x in noise]
    assert np.abs(below - (np.arange(256) + 0.5) / 256).max() < 1e-4
    assert abs(noise.mean()) < 1e-6 and abs(noise.std() - 1) < 0.01
    nothing = paint([], np.random.default_rng(3)).astype(float)
    # neighbours share their background, whose steps are small beside the noise
    steps = np.diff(nothing, axis=1)[::2, ::2]
    assert 2 < steps.std() / math.sqrt(2) < 16


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
