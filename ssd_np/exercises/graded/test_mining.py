"""Hard negative mining: whom it picks, how many, whom it never picks."""

import numpy as np
import pytest

from ssd_np.loss.mining import mine_hard_negatives

pytestmark = [pytest.mark.graded, pytest.mark.lesson09]


def mine(loss, kinds, **options):
    """kinds: a text a row, "+" positive, "-" negative, "." neutral; the picked indices by row."""
    kinds = np.array([list(row) for row in kinds])
    mined = mine_hard_negatives(np.array(loss, float), kinds == "+", kinds == "-", **options)
    assert mined.shape == kinds.shape and mined.dtype == bool
    return [np.flatnonzero(row).tolist() for row in mined]


def by_sorting(loss, positive, negative, ratio, minimum):
    """One image by a plain sort."""
    wanted = max(int(ratio * positive.sum()), minimum)
    ranked = sorted(np.flatnonzero(negative), key=lambda t: (-loss[t], t))
    return sorted(ranked[:wanted])


def test_the_costliest_three_for_each_positive():
    loss = [[9, 1, 5, 2, 4, 3, 8]]
    assert mine(loss, ["+------"]) == [[2, 4, 6]]
    assert mine(loss, ["+------"], ratio=1) == [[6]]
    assert mine(loss, ["+------"], ratio=1.5) == [[6]]
    assert mine(loss, ["++-----"], ratio=1.5) == [[2, 4, 6]]


def test_positives_and_neutrals_are_never_picked():
    loss = [[9, 9, 1, 9, 2, 3, 9]]
    assert mine(loss, ["+.-.--."], ratio=2) == [[4, 5]]
    assert mine(loss, ["+.-.--."], ratio=99) == [[2, 4, 5]]


def test_of_equal_losses_the_lowest_index():
    assert mine([[0, 1, 1, 1, 1, 2]], ["+-----"]) == [[1, 2, 5]]


def test_each_image_has_its_own_share():
    loss = [[0, 1, 2, 3, 4, 5], [0, 10, 20, 30, 40, 50]]
    assert mine(loss, ["+-----", "------"]) == [[3, 4, 5], []]
    assert mine(loss, ["+-----", "------"], minimum=2) == [[3, 4, 5], [4, 5]]


def test_per_batch_the_images_compete():
    loss = [[0, 1, 2, 3, 4, 45], [0, 10, 20, 30, 40, 50]]
    assert mine(loss, ["+-----", "------"], per="batch") == [[5], [4, 5]]
    assert mine(loss, ["------", "------"], per="batch") == [[], []]


def test_no_more_than_there_are():
    assert mine([[1, 2, 3]], ["++-"]) == [[2]]
    assert mine([[1, 2, 3]], ["+++"]) == [[]]
    assert mine([[1, 2, 3]], ["---"], minimum=9) == [[0, 1, 2]]


def test_nan_is_picked_so_that_the_loss_shows_it():
    loss = [[0, 1, np.nan, 9, 8, 7, 6, 5]]
    assert mine(loss, ["+-------"]) == [[2, 3, 4]]
    assert mine(np.full((1, 6), np.nan), ["+-----"]) == [[1, 2, 3]]


def test_against_a_sort(rng):
    for trial in range(100):
        shape = (3, 40)
        loss = rng.random(shape) if trial % 2 else rng.integers(0, 5, shape) / 4  # with ties
        kind = rng.random(shape)
        positive, negative = kind < 0.08, kind > 0.3
        minimum = int(rng.integers(0, 4))
        mined = mine_hard_negatives(loss, positive, negative, 3, minimum)
        for n in range(3):
            expected = by_sorting(loss[n], positive[n], negative[n], 3, minimum)
            assert np.flatnonzero(mined[n]).tolist() == expected
        batch = mine_hard_negatives(loss, positive, negative, 3, minimum, "batch")
        flat = (a.ravel() for a in (loss, positive, negative))
        assert np.flatnonzero(batch).tolist() == by_sorting(*flat, 3, minimum)


def test_inputs_stay_as_they_are(rng):
    arrays = (rng.random((2, 9)), rng.random((2, 9)) < 0.2, rng.random((2, 9)) < 0.5)
    before = [a.copy() for a in arrays]
    for per in ("image", "batch"):
        mine_hard_negatives(*arrays, per=per)
    assert all(np.array_equal(a, b) for a, b in zip(arrays, before, strict=True))
