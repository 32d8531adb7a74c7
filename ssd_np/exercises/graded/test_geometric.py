"""Geometric augmentation: boxes go where their pixels go, and a crop keeps its promise."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ssd_np.data.geometric import (
    centres_inside,
    crop,
    expand,
    horizontal_flip,
    into_window,
    out_of_window,
    patches_pass,
    vertical_flip,
)

pytestmark = [pytest.mark.graded, pytest.mark.lesson11]

MIN_IOUS = (1.0, 0.1, 0.3, 0.5, 0.7, 0.9, 0.0)
CROP = (MIN_IOUS, (0.3, 1.0), (0.5, 2.0), 50)


def picture_of(boxes_pixels, height=60, width=80):
    """A black image, each box painted in a grey level of its own, and the boxes as fractions."""
    image = np.zeros((height, width, 3), np.uint8)
    for i, (x0, y0, x1, y1) in enumerate(boxes_pixels):
        image[y0:y1, x0:x1] = 50 + i
    boxes = np.array(boxes_pixels, float).reshape(-1, 4) / (width, height, width, height)
    return image, boxes, np.arange(1, len(boxes) + 1)


def in_pixels(window, height=60, width=80):
    return np.rint(window * (width, height, width, height)).astype(int)


def extent(image, level):
    """The box of all pixels of a grey level, as fractions."""
    rows, columns = np.nonzero(image[..., 0] == level)
    height, width = image.shape[:2]
    return np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]) / (
        width, height, width, height,
    )  # fmt: skip


APART = [(5, 6, 20, 30), (30, 10, 70, 25), (40, 40, 44, 58)]


@pytest.mark.parametrize("seed", range(4))  # nothing is drawn: always flipped
@pytest.mark.parametrize("flip", [horizontal_flip, vertical_flip])
def test_flips_move_boxes_with_their_pixels(flip, seed):
    image, boxes, labels = picture_of(APART)
    history = []
    flipped, moved, kept = flip(image, boxes, labels, np.random.default_rng(seed), history)
    mirror = image[:, ::-1] if flip is horizontal_flip else image[::-1]
    assert np.array_equal(flipped, mirror)
    for i in range(3):
        np.testing.assert_allclose(extent(flipped, 50 + i), moved[i], atol=1e-12)
    assert np.array_equal(kept, labels) and history == [(flip.__name__, {})]
    again, back, _ = flip(flipped, moved, kept, np.random.default_rng(seed))
    assert np.array_equal(again, image)
    np.testing.assert_allclose(back, boxes, atol=1e-12)


def test_flip_by_hand():
    boxes = np.array([[0.1, 0.2, 0.4, 0.6]])
    image = np.zeros((2, 2, 3), np.uint8)
    _, across, _ = horizontal_flip(image, boxes, np.array([1]), np.random.default_rng(0))
    _, over, _ = vertical_flip(image, boxes, np.array([1]), np.random.default_rng(0))
    np.testing.assert_allclose(across, [[0.6, 0.2, 0.9, 0.6]])
    np.testing.assert_allclose(over, [[0.1, 0.4, 0.4, 0.8]])


def test_window_by_hand_and_back():
    window = np.array([0.5, 0.0, 1.0, 0.25])
    boxes = np.array([[0.75, 0.125, 1.0, 0.5]])
    np.testing.assert_allclose(into_window(boxes, window), [[0.5, 0.5, 1.0, 2.0]])
    np.testing.assert_allclose(out_of_window(into_window(boxes, window), window), boxes)


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_expand(seed, dtype):
    image, boxes, labels = picture_of(APART)
    history = []
    fill = (123.0, 117.0, 104.0)
    canvas, moved, kept = expand(
        image.astype(dtype), boxes, labels, np.random.default_rng(seed), 4.0, fill, history
    )
    name, values = history[0]
    assert name == "expand" and 1 <= values["ratio"] <= 4
    assert canvas.dtype == dtype and kept is labels
    assert canvas.shape == (int(60 * values["ratio"]), int(80 * values["ratio"]), 3)
    left, top, right, bottom = in_pixels(values["window"])
    assert (bottom - top, right - left) == canvas.shape[:2]
    assert np.array_equal(canvas[-top : 60 - top, -left : 80 - left], image)
    for i in range(3):
        np.testing.assert_allclose(extent(canvas, 50 + i), moved[i], atol=1e-12)
    assert np.array_equal(kept, labels)
    np.testing.assert_allclose(out_of_window(moved, values["window"]), boxes, atol=1e-12)
    outside = (canvas == fill).all(axis=-1)
    assert outside.sum() == canvas.shape[0] * canvas.shape[1] - 60 * 80


def test_expand_by_hand():
    """A ratio from [1, 1]: the canvas is the image, the window all of it; nothing is shared."""
    image, boxes, labels = picture_of(APART)
    history = []
    canvas, moved, _ = expand(
        image, boxes, labels, np.random.default_rng(0), 1.0, (9, 9, 9), history
    )
    assert np.array_equal(canvas, image) and not np.shares_memory(canvas, image)
    np.testing.assert_allclose(moved, boxes)
    ((name, values),) = history
    assert name == "expand" and values["ratio"] == 1
    np.testing.assert_array_equal(values["window"], [0, 0, 1, 1])


def test_the_colour_of_the_canvas_is_rounded_for_whole_numbers():
    image = np.zeros((4, 4, 3), np.uint8)
    for dtype, expected in ((np.uint8, [104, 117, 255]), (np.float32, [103.6, 117.4, 254.9])):
        canvas, *_ = expand(
            image.astype(dtype),
            np.empty((0, 4)),
            np.empty(0, int),
            np.random.default_rng(2),
            4.0,
            (103.6, 117.4, 254.9),
        )
        corners = canvas[[0, 0, -1, -1], [0, -1, 0, -1]]
        filled = corners[corners.any(axis=1)]
        assert len(filled) >= 2
        np.testing.assert_allclose(filled, np.tile(np.float32(expected), (len(filled), 1)))


def test_expand_reaches_every_corner():
    image, boxes, labels = picture_of([(0, 0, 80, 60)])
    rng = np.random.default_rng(1)
    moved = np.array([expand(image, boxes, labels, rng, 4.0, (0, 0, 0))[1][0] for _ in range(300)])
    widths = moved[:, 2] - moved[:, 0]
    assert widths.min() < 0.27 and widths.max() > 0.9
    room = moved[:, :2] / np.maximum(1 - widths, 1e-9)[:, None]
    assert (room.min(axis=0) < 0.03).all() and (room.max(axis=0) > 0.97).all()


def plain_iou(a, b):
    w = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    h = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    areas = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1])
    return w * h / (areas - w * h)


# patches and boxes in eighths, so that their IoUs and centres are exact
LEFT_HALF, UPPER_HALF = [0, 0, 0.5, 1], [0, 0, 1, 0.5]


def test_the_minimum_of_the_iou_by_hand():
    """A quarter of the image in its left half: the IoU is 0.25 / 0.5."""
    patches, boxes = np.array([LEFT_HALF]), np.array([[0, 0, 0.5, 0.5]])
    assert patches_pass(patches, boxes, 0.4).tolist() == [True]
    assert patches_pass(patches, boxes, 0.5).tolist() == [True]  # from the minimum on
    assert patches_pass(patches, boxes, 0.6).tolist() == [False]  # all of the box, yet too little
    everything = np.array([[0.0, 0, 1, 1]])  # its centre lies on the edge of the patch
    assert patches_pass(patches, everything, 0.1).tolist() == [False]


def test_one_object_that_overlaps_enough_will_do():
    """Beside it a small one, whose IoU with the left half is 1/32, and one outside."""
    large, small, outside = [0, 0.125, 0.5, 1], [0.25, 0.25, 0.375, 0.375], [0.75, 0.75, 1, 1]
    for boxes in ([large, small, outside], [outside, small, large]):
        assert patches_pass(np.array([LEFT_HALF]), np.array(boxes), 0.8).tolist() == [True]
    few = np.array([small, outside])
    assert patches_pass(np.array([LEFT_HALF]), few, 0.1).tolist() == [False]
    assert patches_pass(np.array([LEFT_HALF]), few, 0.0).tolist() == [True]


def test_overlap_and_centre_may_be_two_objects():
    """The IoU of the long one is 3/8, its centre outside; the small one is inside."""
    long, small = [0, 0, 1, 1], [0.125, 0.125, 0.25, 0.25]
    patches = np.array([[0, 0, 0.375, 1]])
    assert patches_pass(patches, np.array([long, small]), 0.3).tolist() == [True]
    assert patches_pass(patches, np.array([long]), 0.3).tolist() == [False]


def test_without_a_minimum_a_centre_must_be_inside():
    boxes = np.array([[0.5, 0, 1, 0.25], [0.25, 0, 0.5, 0.25]])  # upper right, upper left
    patches = np.array([LEFT_HALF, UPPER_HALF, [0, 0.5, 1, 1], [0.25, 0, 0.375, 1]])
    assert patches_pass(patches, boxes, 0.0).tolist() == [True, True, False, False]


def test_without_objects_every_patch_passes():
    passed = patches_pass(np.array([LEFT_HALF, UPPER_HALF]), np.empty((0, 4)), 0.9)
    assert passed.tolist() == [True, True] and passed.dtype == bool


def test_which_centres_are_inside():
    """For each patch and each box; a centre on the edge is outside."""
    patches = np.array([LEFT_HALF, UPPER_HALF, [0, 0, 1, 1]])
    boxes = np.array(
        [
            [0.125, 0.5, 0.375, 0.75],  # inside the left half, wholly
            [0.25, 0.25, 0.625, 0.5],  # most of it, and its centre
            [0.375, 0.75, 0.625, 1],  # half of it
            [0.75, 0.25, 1, 0.375],  # nothing of it
        ]
    )
    assert centres_inside(patches, boxes).tolist() == [
        [True, True, False, False],
        [False, True, False, True],
        [True, True, True, True],
    ]
    assert centres_inside(patches, np.empty((0, 4))).shape == (3, 0)


@pytest.mark.parametrize("min_iou", [0.0, 0.3])
def test_a_patch_may_leave_objects_out(min_iou):
    """One centre inside and one IoU will do: of three objects one, two or three are kept."""
    image, boxes, labels = picture_of(APART)
    history, counts = [], set()
    for seed in range(40):
        rng = np.random.default_rng(seed)
        counts.add(len(crop(image, boxes, labels, rng, (min_iou,), *CROP[1:], history)[2]))
    assert {1, 2} <= counts
    windows = [v["window"] for _, v in history if not np.array_equal(v["window"], [0, 0, 1, 1])]
    assert len(windows) > 20
    assert all(min(plain_iou(window, box) for box in boxes) < 0.3 for window in windows)


@pytest.mark.parametrize("side", [49, 98, 103])
def test_windows_are_whole_pixels_at_every_size(side):
    """1 / 49 * 49 is below 1: fractions lead back to pixels by rounding, not by cutting off."""
    values = np.arange(side * side).reshape(side, side, 1).repeat(3, axis=2)
    boxes, labels = np.array([[0.1, 0.1, 0.9, 0.9]]), np.array([1])
    for seed in range(20):
        history = []
        patch, *_ = crop(
            values, boxes, labels, np.random.default_rng(seed), (0.0,), *CROP[1:], history
        )
        x0, y0, x1, y1 = in_pixels(history[0][1]["window"], side, side)
        assert np.array_equal(patch, values[y0:y1, x0:x1])


@st.composite
def pixel_boxes(draw):
    boxes = []
    for _ in range(draw(st.integers(0, 5))):
        x0, y0 = draw(st.integers(0, 78)), draw(st.integers(0, 58))
        boxes.append((x0, y0, draw(st.integers(x0 + 1, 80)), draw(st.integers(y0 + 1, 60))))
    return boxes


def check_a_crop(pixels, seed):
    """All that is promised of one crop, spelled out in pixels."""
    image, boxes, labels = picture_of(pixels)
    history = []
    patch, moved, kept = crop(image, boxes, labels, np.random.default_rng(seed), *CROP, history)
    ((name, values),) = history
    window, min_iou = values["window"], values["min_iou"]
    assert name == "crop" and min_iou in MIN_IOUS
    whole = np.array_equal(window, [0, 0, 1, 1])
    assert whole or min_iou < 1

    x0, y0, x1, y1 = in_pixels(window)
    assert np.array_equal(patch, image[y0:y1, x0:x1])  # whole pixels, inside the image
    if whole:
        assert np.array_equal(moved, boxes) and np.array_equal(kept, labels)
        return
    assert 0.5 <= (x1 - x0) / (y1 - y0) <= 2
    assert (x1 - x0) >= 23 and (y1 - y0) >= 18  # 0.3 of 80 and 60, rounded
    centre = [((a + c) / 2, (b + d) / 2) for a, b, c, d in pixels]
    inside = [x0 < cx < x1 and y0 < cy < y1 for cx, cy in centre]
    if any(cx in (x0, x1) or cy in (y0, y1) for cx, cy in centre):
        return  # on the edge: left to rounding
    assert kept.tolist() == labels[np.array(inside, bool)].tolist()
    if pixels:
        assert any(inside)
        assert max(plain_iou((x0, y0, x1, y1), box) for box in pixels) >= min_iou - 1e-9
    expected = [
        [(max(a, x0) - x0) / (x1 - x0), (max(b, y0) - y0) / (y1 - y0),
         (min(c, x1) - x0) / (x1 - x0), (min(d, y1) - y0) / (y1 - y0)]
        for (a, b, c, d), good in zip(pixels, inside, strict=True) if good
    ]  # fmt: skip
    np.testing.assert_allclose(moved, np.reshape(expected, (-1, 4)), atol=1e-12)
    assert (moved[:, 2:] > moved[:, :2]).all() and (moved >= 0).all() and (moved <= 1).all()


@pytest.mark.parametrize(
    "pixels",
    [
        [(5, 6, 20, 31), (31, 10, 70, 25), (40, 41, 45, 58)],
        [(30, 20, 51, 41)],
        [(10, 5, 71, 56), (0, 0, 9, 9)],
        [],
    ],
    ids=["three", "one", "large and small", "none"],
)
def test_crops_keep_their_promise(pixels):
    for seed in range(40):
        check_a_crop(pixels, seed)


@settings(max_examples=150, deadline=None)
@given(pixels=pixel_boxes(), seed=st.integers(0, 10**6))
def test_any_crop_keeps_its_promise(pixels, seed):
    check_a_crop(pixels, seed)


def test_every_minimum_is_drawn():
    image, boxes, labels = picture_of(APART)
    history, rng = [], np.random.default_rng(0)
    for _ in range(200):
        crop(image, boxes, labels, rng, *CROP, history)
    assert {values["min_iou"] for _, values in history} == {*MIN_IOUS}


def test_the_minimum_rejects():
    """With a minimum of 0.9 and one large object, every crop that is not the whole image obeys."""
    image, boxes, labels = picture_of([(10, 5, 70, 55)])
    history = []
    for seed in range(200):
        crop(image, boxes, labels, np.random.default_rng(seed), (0.9,), *CROP[1:], history)
    cropped = [v["window"] for _, v in history if not np.array_equal(v["window"], [0, 0, 1, 1])]
    assert 5 < len(cropped) < 100  # it can be met, but most often not within 50 tries
    assert min(plain_iou(window, boxes[0]) for window in cropped) >= 0.9


def test_no_patch_possible_leaves_the_image_whole():
    image, boxes, labels = picture_of([(0, 0, 2, 2)])
    history = []
    out, moved, kept = crop(
        image, boxes, labels, np.random.default_rng(0), (0.9,), *CROP[1:], history
    )
    assert np.array_equal(out, image) and np.array_equal(moved, boxes) and len(kept) == 1
    assert history[0][1]["min_iou"] == 0.9


def test_without_objects_crops_are_free():
    image, boxes, labels = picture_of([])
    sizes = {
        crop(image, boxes, labels, np.random.default_rng(seed), (0.9,), *CROP[1:])[0].shape
        for seed in range(20)
    }
    assert len(sizes) > 10


def test_tiny_images_survive():
    image = np.zeros((1, 1, 3), np.uint8)
    boxes, labels = np.array([[0.0, 0.0, 1.0, 1.0]]), np.array([1])
    for seed in range(20):
        out, moved, _ = crop(image, boxes, labels, np.random.default_rng(seed), *CROP)
        assert out.shape == (1, 1, 3) and np.array_equal(moved, boxes)
        canvas, moved, _ = expand(image, boxes, labels, np.random.default_rng(seed), 4.0, (0, 0, 0))
        assert canvas.size >= 3 and (moved[:, 2:] > moved[:, :2]).all()


def test_the_same_generator_gives_the_same_patch():
    image, boxes, labels = picture_of(APART)
    for transform, rule in ((crop, CROP), (expand, (4.0, (0, 0, 0)))):
        a, b = (
            transform(image, boxes, labels, np.random.default_rng(3), *rule, *history)
            for history in ((), ([],))
        )
        assert all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


def test_inputs_are_not_changed():
    image, boxes, labels = picture_of(APART)
    copies = image.copy(), boxes.copy(), labels.copy()
    for seed in range(5):
        rng = np.random.default_rng(seed)
        for out, *_ in (
            horizontal_flip(image, boxes, labels, rng),
            vertical_flip(image, boxes, labels, rng),
            expand(image, boxes, labels, rng, 2.0, (0, 0, 0)),
            crop(image, boxes, labels, rng, *CROP),
        ):
            assert not np.shares_memory(out, image)
    for now, then in zip((image, boxes, labels), copies, strict=True):
        assert np.array_equal(now, then)
