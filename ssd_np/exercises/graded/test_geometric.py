"""Geometric augmentation: boxes go where their pixels go, and a crop keeps its promise."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ssd_np.config import Crop as CropRule
from ssd_np.data.geometric import (
    Crop,
    Expand,
    HorizontalFlip,
    VerticalFlip,
    draw_canvas,
    draw_patch,
    into_window,
    keep_centred,
    mirror_x,
    mirror_y,
    out_of_window,
)
from ssd_np.data.patches import centres_inside, patches_pass

pytestmark = [pytest.mark.graded, pytest.mark.lesson11]

MIN_IOUS = (1.0, 0.1, 0.3, 0.5, 0.7, 0.9, 0.0)
RULE = CropRule(min_ious=MIN_IOUS, scale=(0.3, 1.0), ratio=(0.5, 2.0), shape="sides", tries=50)
FILL = (123.0, 117.0, 104.0)
WHOLE = np.array([0.0, 0.0, 1.0, 1.0])
SIZE = (60, 80)  # of the pictures here


def rule_of(*min_ious):
    return dataclasses.replace(RULE, min_ious=min_ious)


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
@pytest.mark.parametrize("flip", [HorizontalFlip(), VerticalFlip()], ids=lambda flip: flip.name)
def test_flips_move_boxes_with_their_pixels(flip, seed):
    image, boxes, labels = picture_of(APART)
    flipped, moved, kept, step = flip(image, boxes, labels, np.random.default_rng(seed))
    mirror = image[:, ::-1] if flip.name == "horizontal_flip" else image[::-1]
    assert np.array_equal(flipped, mirror)
    for i in range(3):
        np.testing.assert_allclose(extent(flipped, 50 + i), moved[i], atol=1e-12)
    assert np.array_equal(kept, labels) and step.transform is flip
    np.testing.assert_allclose(flip.undo(moved, step.drawn), boxes, atol=1e-12)
    again, back, *_ = flip(flipped, moved, kept, np.random.default_rng(seed))
    assert np.array_equal(again, image)
    np.testing.assert_allclose(back, boxes, atol=1e-12)


def test_flip_by_hand():
    boxes = np.array([[0.1, 0.2, 0.4, 0.6], [0.0, 0.5, 1.0, 0.75]])
    before = boxes.copy()
    np.testing.assert_allclose(mirror_x(boxes), [[0.6, 0.2, 0.9, 0.6], [0, 0.5, 1, 0.75]])
    np.testing.assert_allclose(mirror_y(boxes), [[0.1, 0.4, 0.4, 0.8], [0, 0.25, 1, 0.5]])
    assert np.array_equal(boxes, before)
    assert mirror_x(np.empty((0, 4))).shape == mirror_y(np.empty((0, 4))).shape == (0, 4)


def test_window_by_hand_and_back():
    window = np.array([0.5, 0.0, 1.0, 0.25])
    boxes = np.array([[0.75, 0.125, 1.0, 0.5]])
    np.testing.assert_allclose(into_window(boxes, window), [[0.5, 0.5, 1.0, 2.0]])
    np.testing.assert_allclose(out_of_window(into_window(boxes, window), window), boxes)


def test_a_window_keeps_objects_whose_centre_is_inside_cut_off_at_its_border():
    """In the left half: one object wholly, one to three quarters; the others' centres are not."""
    boxes = np.array(
        [
            [0.125, 0.25, 0.25, 0.5],
            [0.25, 0.5, 0.5625, 1],  # centre at 0.40625; a fifth is cut off
            [0.375, 0, 0.625, 0.25],  # its centre is on the border
            [0.75, 0, 1, 1],
        ]
    )
    labels, window = np.array([4, 3, 2, 1]), np.array([0, 0, 0.5, 1])
    before = boxes.copy(), labels.copy()
    moved, kept = keep_centred(boxes, labels, window)
    np.testing.assert_allclose(moved, [[0.25, 0.25, 0.5, 0.5], [0.5, 0.5, 1, 1]])
    assert kept.tolist() == [4, 3]
    assert np.array_equal(boxes, before[0]) and np.array_equal(labels, before[1])
    moved, kept = keep_centred(boxes, labels, np.array([0.25, 0.25, 0.75, 0.7]))
    assert moved.shape == (0, 4) and kept.shape == (0,)  # all centres are above, below or beside
    moved, kept = keep_centred(np.empty((0, 4)), np.empty(0, int), window)
    assert moved.shape == (0, 4) and kept.shape == (0,)


# --- expand --------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_expand(seed, dtype):
    image, boxes, labels = picture_of(APART)
    canvas, moved, kept, step = Expand(FILL, 4.0)(
        image.astype(dtype), boxes, labels, np.random.default_rng(seed)
    )
    left, top, right, bottom = in_pixels(step.drawn.corners)
    assert (bottom - top, right - left) == canvas.shape[:2]
    assert 60 <= canvas.shape[0] <= 240 and 80 <= canvas.shape[1] <= 320
    ratio = canvas.shape[0] / 60  # the same for both sides, but for whole pixels
    assert abs(canvas.shape[1] / 80 - ratio) < 1 / 60
    assert canvas.dtype == dtype and kept is labels
    assert np.array_equal(canvas[-top : 60 - top, -left : 80 - left], image)
    for i in range(3):
        np.testing.assert_allclose(extent(canvas, 50 + i), moved[i], atol=1e-12)
    np.testing.assert_allclose(step.transform.undo(moved, step.drawn), boxes, atol=1e-12)
    outside = (canvas == FILL).all(axis=-1)
    assert outside.sum() == canvas.shape[0] * canvas.shape[1] - 60 * 80


def test_a_canvas_of_the_pictures_size_is_the_picture():
    """A ratio from [1, 1]: the window is all of it."""
    window = draw_canvas(SIZE, np.random.default_rng(0), 1.0)
    np.testing.assert_array_equal(window, WHOLE)
    image, boxes, labels = picture_of(APART)
    canvas, moved, *_ = Expand((9, 9, 9), 1.0)(image, boxes, labels, np.random.default_rng(0))
    assert np.array_equal(canvas, image) and not np.shares_memory(canvas, image)
    np.testing.assert_allclose(moved, boxes)


def test_the_colour_of_the_canvas_is_rounded_for_whole_numbers():
    image = np.zeros((4, 4, 3), np.uint8)
    none = np.empty((0, 4)), np.empty(0, int)
    for dtype, expected in ((np.uint8, [104, 117, 255]), (np.float32, [103.6, 117.4, 254.9])):
        canvas, *_ = Expand((103.6, 117.4, 254.9), 4.0)(
            image.astype(dtype), *none, np.random.default_rng(2)
        )
        corners = canvas[[0, 0, -1, -1], [0, -1, 0, -1]]
        filled = corners[corners.any(axis=1)]
        assert len(filled) >= 2
        np.testing.assert_allclose(filled, np.tile(np.float32(expected), (len(filled), 1)))


def test_a_canvas_has_every_size_and_the_picture_every_place():
    """Windows of a picture of 60 x 80 pixels, in its fractions: whole pixels, around the picture,
    its sides one ratio, and each number reaches the ends of its range."""
    rng = np.random.default_rng(1)
    windows = np.array([draw_canvas(SIZE, rng, 4.0) for _ in range(300)])
    pixels = windows * (80, 60, 80, 60)
    np.testing.assert_allclose(pixels, np.rint(pixels), atol=1e-9)
    assert (windows[:, :2] <= 1e-9).all() and (windows[:, 2:] >= 1 - 1e-9).all()
    sides = windows[:, 2:] - windows[:, :2]
    assert np.abs(sides[:, 0] - sides[:, 1]).max() < 1 / 60
    assert sides.min() < 1.1 and sides.max() > 3.8 and sides.max() <= 4
    assert 2.3 < sides.mean() < 2.7
    wide = sides[:, 0] > 1.5
    room = -windows[wide, :2] / (sides[wide] - 1)  # share of the free room before the picture
    assert (room.min(axis=0) < 0.03).all() and (room.max(axis=0) > 0.97).all()
    small = np.array([draw_canvas((1, 1), rng, 2.5) for _ in range(60)])  # one or two pixels
    assert {tuple(window) for window in small.tolist()} == {
        (0, 0, 1, 1), (0, 0, 2, 2), (-1, 0, 1, 2), (0, -1, 2, 1), (-1, -1, 1, 1),
    }  # fmt: skip


# --- crop: what passes ---------------------------------------------------------------------------


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


# --- crop: what is cut out -----------------------------------------------------------------------


@pytest.mark.parametrize("min_iou", [0.0, 0.3])
def test_a_patch_may_leave_objects_out(min_iou):
    """One centre inside and one IoU will do: of three objects one, two or three are kept."""
    _, boxes, labels = picture_of(APART)
    windows, counts = [], set()
    for seed in range(40):
        window, _ = draw_patch(SIZE, boxes, np.random.default_rng(seed), rule_of(min_iou))
        counts.add(len(keep_centred(boxes, labels, window)[1]))
        if not np.array_equal(window, WHOLE):
            windows.append(window)
    assert {1, 2} <= counts
    assert len(windows) > 20
    assert all(min(plain_iou(window, box) for box in boxes) < 0.3 for window in windows)


@pytest.mark.parametrize("side", [49, 98, 103])
def test_windows_are_whole_pixels_at_every_size(side):
    """1 / 49 * 49 is below 1: fractions lead back to pixels by rounding, not by cutting off."""
    values = np.arange(side * side).reshape(side, side, 1).repeat(3, axis=2)
    boxes, labels = np.array([[0.1, 0.1, 0.9, 0.9]]), np.array([1])
    crop = Crop(FILL, rule_of(0.0))
    for seed in range(20):
        patch, _, _, step = crop(values, boxes, labels, np.random.default_rng(seed))
        x0, y0, x1, y1 = in_pixels(step.drawn.corners, side, side)
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
    patch, moved, kept, step = Crop(FILL, RULE)(image, boxes, labels, np.random.default_rng(seed))
    window, min_iou = step.drawn
    assert min_iou in MIN_IOUS
    whole = np.array_equal(window, WHOLE)
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


def test_every_minimum_that_can_be_met_is_as_likely():
    """One large object: all seven rules can be met, each is picked in a seventh of the draws."""
    _, boxes, _ = picture_of([(4, 3, 76, 57)])
    rng = np.random.default_rng(0)
    rule = dataclasses.replace(RULE, tries=400)  # 0.9 is found nearly always
    picked = [draw_patch(SIZE, boxes, rng, rule)[1] for _ in range(700)]
    counts = [picked.count(min_iou) for min_iou in MIN_IOUS]
    assert sum(counts) == 700 and all(abs(count - 100) < 40 for count in counts)  # 4 deviations


def test_what_can_not_be_met_is_not_drawn():
    """A small object has an IoU below 0.1 with any patch: of the rules only the whole picture and
    "no minimum" remain. The picture stays whole in half of the draws, not in six of seven."""
    _, boxes, _ = picture_of([(37, 27, 43, 33)])  # 36 pixels; the smallest patch has 432
    rng = np.random.default_rng(0)
    rule = dataclasses.replace(RULE, tries=400)
    picked = [draw_patch(SIZE, boxes, rng, rule) for _ in range(400)]
    assert {min_iou for _, min_iou in picked} == {1.0, 0.0}
    stays = sum(np.array_equal(window, WHOLE) for window, _ in picked)
    assert 160 < stays < 240  # 4 deviations


def test_the_minimum_rejects():
    """With a minimum of 0.9 and one large object, every crop that is not the whole image obeys."""
    _, boxes, _ = picture_of([(10, 5, 70, 55)])
    found = [
        draw_patch(SIZE, boxes, np.random.default_rng(seed), rule_of(0.9)) for seed in range(200)
    ]
    cropped = [window for window, _ in found if not np.array_equal(window, WHOLE)]
    assert 5 < len(cropped) < 100  # it can be met, but most often not within 50 tries
    assert min(plain_iou(window, boxes[0]) for window in cropped) >= 0.9


def test_no_patch_possible_leaves_the_image_whole():
    image, boxes, labels = picture_of([(0, 0, 2, 2)])
    out, moved, kept, step = Crop(FILL, rule_of(0.9))(
        image, boxes, labels, np.random.default_rng(0)
    )
    assert np.array_equal(out, image) and np.array_equal(moved, boxes) and len(kept) == 1
    assert step.drawn.min_iou == 1 and np.array_equal(step.drawn.corners, WHOLE)


def test_without_objects_crops_are_free():
    boxes = np.empty((0, 4))
    windows = {
        tuple(draw_patch(SIZE, boxes, np.random.default_rng(seed), rule_of(0.9))[0])
        for seed in range(20)
    }
    assert len(windows) > 10


def test_a_scale_and_a_ratio_make_a_patch():
    """Caffe's shape: sides s * sqrt(r) and s / sqrt(r) of the picture's, r from s**2 to s**-2."""
    rule = dataclasses.replace(rule_of(0.0), shape="scale_and_ratio")
    boxes = np.array([[0.0, 0.0, 1.0, 1.0]])
    rng = np.random.default_rng(0)
    windows = np.array([draw_patch((600, 900), boxes, rng, rule)[0] for _ in range(500)])
    across, down = (windows[:, 2:] - windows[:, :2]).T
    scale, ratio = np.sqrt(across * down), across / down
    assert (windows >= 0).all() and (windows <= 1).all()
    assert scale.min() > 0.299 and scale.max() > 0.9 and scale.max() <= 1
    assert 0.495 < ratio.min() < 0.55 and 1.8 < ratio.max() < 2.02  # of fractions, not of pixels


def test_tiny_images_survive():
    image = np.zeros((1, 1, 3), np.uint8)
    boxes, labels = np.array([[0.0, 0.0, 1.0, 1.0]]), np.array([1])
    for seed in range(20):
        rng = np.random.default_rng(seed)
        for shape in ("sides", "scale_and_ratio"):
            crop = Crop(FILL, dataclasses.replace(RULE, shape=shape))
            out, moved, *_ = crop(image, boxes, labels, rng)
            assert out.shape == (1, 1, 3) and np.array_equal(moved, boxes)
        canvas, moved, *_ = Expand((0, 0, 0), 4.0)(image, boxes, labels, rng)
        assert canvas.size >= 3 and (moved[:, 2:] > moved[:, :2]).all()


def test_the_same_generator_gives_the_same_patch():
    image, boxes, labels = picture_of(APART)
    for transform in (Crop(FILL, RULE), Expand((0, 0, 0), 4.0)):
        a, b = (transform(image, boxes, labels, np.random.default_rng(3)) for _ in range(2))
        assert all(np.array_equal(x, y) for x, y in zip(a[:3], b[:3], strict=True))


def test_inputs_are_not_changed():
    image, boxes, labels = picture_of(APART)
    copies = image.copy(), boxes.copy(), labels.copy()
    transforms = [HorizontalFlip(), VerticalFlip(), Expand((0, 0, 0), 2.0), Crop(FILL, RULE)]
    for seed in range(5):
        rng = np.random.default_rng(seed)
        for transform in transforms:
            out, *_ = transform(image, boxes, labels, rng)
            assert not np.shares_memory(out, image)
    for now, then in zip((image, boxes, labels), copies, strict=True):
        assert np.array_equal(now, then)
