"""Boxes fitted to objects: which map takes one, and that few boxes match most."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ssd_np.boxes.iou import iou_matrix
from ssd_np.fit.boxes import (
    ENOUGH,
    MOST,
    chance_to_match,
    cluster,
    fit_boxes,
    maps_of,
    matched,
    shape_iou,
    worst_iou,
)

STEPS = [(8.0, 8.0), (16.0, 16.0), (32.0, 32.0), (64.0, 64.0)]
FIRST = [20.0, 40.0, 80.0, 160.0]


def corners(shapes, centres):
    """Boxes (n, 4) of heights and widths (n, 2) around centres (n, 2), which are y, x."""
    low, high = centres - shapes / 2, centres + shapes / 2
    return np.concatenate([low[:, ::-1], high[:, ::-1]], axis=1)


def equal(shapes):
    return np.full(len(shapes), 1 / len(shapes))


def test_worst_place_by_hand():
    # half a step of 8 on both axes away from a box of its own 16 x 16: 12 x 12 shared, 144 of 512
    assert worst_iou(np.array([[16.0, 16.0]]), (8, 8))[0] == pytest.approx(144 / (512 - 144))
    # 10 px high, 40 wide, steps of 4 down and 8 across: 8 x 36 shared
    assert worst_iou(np.array([[10.0, 40.0]]), (4, 8))[0] == pytest.approx(288 / (800 - 288))
    assert worst_iou(np.array([[3.0, 50.0]]), (8, 8))[0] == 0  # not even touched


def test_shape_iou_is_that_of_centred_boxes(rng):
    a, b = rng.uniform(5, 90, (7, 2)), rng.uniform(5, 90, (4, 2))
    expected = iou_matrix(corners(a, np.zeros((7, 2))), corners(b, np.zeros((4, 2))))
    np.testing.assert_allclose(shape_iou(a, b), expected, rtol=1e-12)


def test_matched_is_the_iou_of_boxes_apart(rng):
    shapes, boxes = rng.uniform(8, 60, (200, 2)), rng.uniform(8, 60, (3, 2))
    away = rng.uniform(0, 8, (200, 2))
    iou = iou_matrix(corners(shapes, away), corners(boxes, np.zeros((3, 2))))
    found = matched(shapes, boxes, away)
    np.testing.assert_array_equal(found, (iou >= 0.5).any(axis=1))
    assert 0.05 < found.mean() < 0.95


def test_chance_to_match_is_that_of_random_places(rng):
    shapes, step = np.array([[14.0, 30.0], [12, 12], [40, 9], [60, 60], [5, 5]]), (8.0, 10.0)
    places = np.abs(rng.uniform(-0.5, 0.5, (20000, 2))) * step
    expected = [matched(np.tile(s, (20000, 1)), s[None], places).mean() for s in shapes]
    np.testing.assert_allclose(chance_to_match(shapes, step), expected, atol=0.04)
    assert chance_to_match(shapes, step)[3] == 1


def test_an_object_belongs_to_the_deepest_map_that_always_matches_it():
    sides = np.array([6.0, 22, 44, 88, 176, 300])
    found = maps_of(np.stack([sides, sides], 1), equal(sides), STEPS)
    assert found.tolist() == [0, 0, 1, 2, 3, 3]  # 21.8 px and more for each 8 px of the step
    thin = np.array([[20.0, 300.0]] * 6)
    assert set(maps_of(thin, equal(thin), STEPS)) == {0}  # the short side decides


def test_maps_with_hardly_any_object_take_none():
    sides = np.array([30.0] * 500 + [90.0] * 490 + [300.0] * 9 + [3000.0])
    found = maps_of(np.stack([sides, sides], 1), equal(sides), STEPS)
    assert np.bincount(found).tolist() == [500, 0, 500]
    rare_below = np.array([30.0] * 3 + [90.0] * 997)
    found = maps_of(np.stack([rare_below, rare_below], 1), equal(rare_below), STEPS)
    assert np.bincount(found).tolist() == [0, 0, 1000]


def test_clusters_are_found(rng):
    tall, wide = np.array([40.0, 20.0]), np.array([20.0, 40.0])
    shapes = np.concatenate([tall * np.exp(rng.normal(0, 0.05, (50, 2))),
                             wide * np.exp(rng.normal(0, 0.05, (50, 2)))])  # fmt: skip
    found = cluster(shapes, np.array([[30.0, 25.0], [25.0, 30.0], [500.0, 500.0]]))
    assert len(found) == 2  # the third has no object
    np.testing.assert_allclose(found[np.argsort(found[:, 0])], [wide, tall], rtol=0.05)


def test_few_boxes_match_most_objects(rng):
    sides = np.exp(rng.uniform(np.log(20), np.log(250), (3000, 1)))
    shapes = sides * np.exp(rng.normal(0, 0.25, (3000, 2)))
    boxes = fit_boxes(shapes, equal(shapes), STEPS, FIRST, rng)
    place = maps_of(shapes, equal(shapes), STEPS)
    fresh = np.abs(rng.uniform(-0.5, 0.5, shapes.shape))  # other places than it was fitted for
    found = [
        matched(shapes[place == i], boxes[i], fresh[place == i] * step).sum()
        for i, step in enumerate(STEPS)
    ]
    assert sum(found) / 3000 > ENOUGH - 0.01 and sum(map(len, boxes)) <= 12
    assert all(len(b) > 0 for b in boxes)


def test_two_kinds_of_objects_get_two_boxes(rng):
    shapes = np.array([[60.0, 25.0]] * 100 + [[25.0, 60.0]] * 100)
    boxes = fit_boxes(shapes, equal(shapes), STEPS, FIRST, rng)
    assert [len(b) for b in boxes] == [2, 0, 0, 0]
    np.testing.assert_allclose(np.sort(boxes[0], axis=0), [[25, 25], [60, 60]])


def test_a_rare_class_counts_as_much_as_another(rng):
    shapes = np.array([[80.0, 30.0]] * 990 + [[30.0, 80.0]] * 10)
    few = fit_boxes(shapes, equal(shapes), STEPS, FIRST, rng)
    weights = np.array([0.5 / 990] * 990 + [0.5 / 10] * 10)
    fair = fit_boxes(shapes, weights, STEPS, FIRST, rng)
    assert (len(few[0]), len(fair[0])) == (1, 2)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 300), st.floats(1, 500), st.floats(0, 2))
def test_boxes_are_like_the_objects_of_their_map(seed, count, side, spread):
    rng = np.random.default_rng(seed)
    shapes = np.clip(side * np.exp(rng.normal(0, spread, (count, 2))), 1, 512)
    boxes = fit_boxes(shapes, equal(shapes), STEPS, FIRST, rng)
    place = maps_of(shapes, equal(shapes), STEPS)
    for i, found in enumerate(boxes):
        own = shapes[place == i]
        assert (len(found) > 0) == (len(own) > 0) and len(found) <= MOST
        if len(found):
            assert np.all(found >= own.min(0) - 1e-9) and np.all(found <= own.max(0) + 1e-9)
