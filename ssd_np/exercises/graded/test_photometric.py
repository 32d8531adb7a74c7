"""Photometric augmentation against the definitions, and hue and saturation against colorsys."""

import colorsys

import numpy as np
import pytest

from ssd_np.data.photometric import (
    Light,
    LightingNoise,
    brightness,
    contrast,
    draw_order,
    lighting_noise,
)
from ssd_np.nn.hsv import scale_saturation, turn_hue

pytestmark = [pytest.mark.graded, pytest.mark.lesson10]

BOXES, LABELS = np.array([[0.1, 0.2, 0.3, 0.4]]), np.array([2])


@pytest.fixture
def image():
    """(9, 11, 3) float64 in 0..255, with grey, black, white and pure colours among its pixels."""
    pixels = np.random.default_rng(0).uniform(0, 255, (9, 11, 3))
    pixels[0, :8] = [[r, g, b] for r in (0, 255) for g in (0, 255) for b in (0, 255)]
    pixels[1, :3] = [[7, 7, 7], [90, 90, 20], [20, 90, 90]]
    return pixels


def through_colorsys(image, change):
    """Applies change(h, s, v) -> (h, s, v) to each pixel, on the 0..1 scale."""
    out = [
        colorsys.hsv_to_rgb(*change(*colorsys.rgb_to_hsv(*pixel)))
        for pixel in image.reshape(-1, 3) / 255
    ]
    return 255 * np.reshape(out, image.shape)


PIXEL = np.array([[[200.0, 120.0, 40.0]]])  # V 200, S 160 / 200 = 0.8, H 30 degrees


def test_saturation_by_hand():
    """The distances from the largest value, 80 and 160, are halved; or grow until one is 200."""
    np.testing.assert_allclose(scale_saturation(PIXEL, 0.5), [[[200, 160, 120]]])
    np.testing.assert_allclose(scale_saturation(PIXEL, 0.0), [[[200, 200, 200]]])
    np.testing.assert_allclose(scale_saturation(PIXEL, 1.25), [[[200, 100, 0]]])
    np.testing.assert_allclose(scale_saturation(PIXEL, 9.0), [[[200, 100, 0]]])


def test_hue_by_hand():
    """A third of a turn moves red to green; 30 degrees, from orange to yellow, one value up."""
    np.testing.assert_allclose(turn_hue(PIXEL, 120), [[[40, 200, 120]]])
    np.testing.assert_allclose(turn_hue(PIXEL, -120), [[[120, 40, 200]]])
    np.testing.assert_allclose(turn_hue(PIXEL, 30), [[[200, 200, 40]]])
    np.testing.assert_allclose(turn_hue(PIXEL, -60), [[[200, 40, 120]]])  # across 0 degrees


@pytest.mark.parametrize("degrees", [0, 18, -18, 60, -90, 180, 359, -360, 1000])
def test_hue_agrees_with_colorsys(image, degrees):
    expected = through_colorsys(image, lambda h, s, v: ((h + degrees / 360) % 1, s, v))
    np.testing.assert_allclose(turn_hue(image, degrees), expected, atol=1e-4)
    single = turn_hue(image.astype(np.float32), degrees)
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, expected, atol=2e-3)


@pytest.mark.parametrize("factor", [0, 0.5, 1, 1.5, 10])
def test_saturation_agrees_with_colorsys(image, factor):
    expected = through_colorsys(image, lambda h, s, v: (h, min(1, s * factor), v))
    np.testing.assert_allclose(scale_saturation(image, factor), expected, atol=1e-4)
    single = scale_saturation(image.astype(np.float32), factor)
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, expected, atol=2e-3)


def test_values_outside_0_to_255():
    """By hand, as earlier steps may leave them: V - x grows by the factor while S is at most 1; a
    pixel with S > 1 is not saturated further, and one without light has no colour to change."""
    image = np.array([[[-5.0, -5, -5], [100, 50, -50], [300, 150, 0], [400, 300, 200]]])
    np.testing.assert_allclose(
        scale_saturation(image, 1.5),
        [[[-5, -5, -5], [100, 50, -50], [300, 150, 0], [400, 250, 100]]],
    )
    np.testing.assert_allclose(
        scale_saturation(image, 0.5),
        [[[-5, -5, -5], [100, 75, 25], [300, 225, 150], [400, 350, 300]]],
    )
    np.testing.assert_allclose(
        turn_hue(image, 120), [[[-5, -5, -5], [-50, 100, 50], [0, 300, 150], [200, 400, 300]]]
    )


def test_no_strength_changes_nothing_even_outside_0_to_255():
    image = np.random.default_rng(2).uniform(-80, 400, (20, 20, 3))
    np.testing.assert_allclose(scale_saturation(image, 1.0), image, atol=1e-9)
    np.testing.assert_allclose(turn_hue(image, 0.0), image, atol=1e-9)
    np.testing.assert_allclose(turn_hue(image, 360.0), image, atol=1e-9)


def test_brightness_and_contrast(image):
    np.testing.assert_allclose(brightness(image, 31.5), image + 31.5)
    np.testing.assert_allclose(contrast(image, 0.75), image * 0.75)
    assert brightness(image, 31.5).max() > 255  # clipping is the pipeline's task


def test_one_number_for_the_whole_image_and_no_bounds():
    """[-10, 100.25, 250] + 20 and * 1.5: nothing is clipped or rounded, black stays black."""
    image = np.array([[[-10, 100.25, 250], [0, 0, 0]]], np.float32)
    before = image.copy()
    for out, expected in (
        (brightness(image, 20.0), [[[10, 120.25, 270], [20, 20, 20]]]),
        (brightness(image, -20.0), [[[-30, 80.25, 230], [-20, -20, -20]]]),
        (contrast(image, 1.5), [[[-15, 150.375, 375], [0, 0, 0]]]),
        (contrast(image, 0.5), [[[-5, 50.125, 125], [0, 0, 0]]]),
    ):
        np.testing.assert_array_equal(out, expected)
        assert out.dtype == np.float32 and not np.shares_memory(out, image)
        assert np.array_equal(image, before)


def test_lighting_noise_by_hand(image):
    """New channel k is old channel order[k]."""
    pixel = np.array([[[10, 20, 30]]])
    assert lighting_noise(pixel, [2, 0, 1]).tolist() == [[[30, 10, 20]]]
    assert lighting_noise(pixel, [1, 2, 0]).tolist() == [[[20, 30, 10]]]
    for dtype in (np.float32, np.float64, np.uint8):
        picture = image.astype(dtype)
        before = picture.copy()
        out = lighting_noise(picture, [0, 2, 1])
        assert np.array_equal(out, before[..., [0, 2, 1]]) and out.dtype == dtype
        assert np.array_equal(picture, before) and not np.shares_memory(out, picture)


def test_an_order_is_another_one_and_all_five_are_as_likely():
    drawn, again = (
        [tuple(draw_order(rng)) for _ in range(500)]
        for rng in (np.random.default_rng(4), np.random.default_rng(4))
    )
    assert drawn == again  # by the generator that is given, and no other
    assert (0, 1, 2) not in drawn
    assert all(sorted(order) == [0, 1, 2] for order in drawn)
    counts = [drawn.count(order) for order in set(drawn)]
    assert len(counts) == 5 and all(abs(count - 100) < 36 for count in counts)  # 4 deviations


TRANSFORMS = [
    Light("brightness", brightness, -32, 32, "brightness {:+.0f}"),
    Light("contrast", contrast, 0.5, 1.5, "contrast × {:.2f}"),
    Light("saturation", scale_saturation, 0.5, 1.5, "saturation × {:.2f}"),
    Light("hue", turn_hue, -18, 18, "hue {:+.0f}°"),
    LightingNoise(),
]


@pytest.mark.parametrize("transform", TRANSFORMS[:2], ids=lambda t: t.name)
def test_strengths_fill_their_range(transform):
    rng = np.random.default_rng(5)
    drawn = np.array([transform.draw(rng, (1, 1), BOXES) for _ in range(200)])
    low, high = transform.low, transform.high
    assert low <= drawn.min() < low + 0.05 * (high - low)
    assert high - 0.05 * (high - low) < drawn.max() <= high


@pytest.mark.parametrize("transform", TRANSFORMS, ids=lambda t: t.name)
def test_every_transform_is_seeded_keeps_boxes_and_inputs(image, transform):
    image = image.astype(np.float32)
    before = image.copy()
    results = []
    for seed in (5, 5, 6):
        out, boxes, labels, step = transform(image, BOXES, LABELS, np.random.default_rng(seed))
        assert boxes is BOXES and labels is LABELS
        assert out.dtype == np.float32 and out.shape == image.shape
        assert not np.shares_memory(out, image) and np.array_equal(image, before)
        assert step.transform is transform and step.name == transform.name
        assert np.array_equal(transform.image(image, step.drawn), out)  # it can be repeated
        assert transform.undo(BOXES, step.drawn) is BOXES
        results.append(out)
    assert np.array_equal(results[0], results[1])
    assert not np.array_equal(results[0], results[2])
    assert [t.caption(2.0) for t in TRANSFORMS[:4]] == [
        "brightness +2", "contrast × 2.00", "saturation × 2.00", "hue +2°",
    ]  # fmt: skip
