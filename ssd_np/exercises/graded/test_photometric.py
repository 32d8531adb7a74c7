"""Photometric augmentation against the definitions, and hue and saturation against colorsys."""

import colorsys

import numpy as np
import pytest

from ssd_np.data import photometric
from ssd_np.data.photometric import (
    scale_saturation,
    scale_saturation_plain,
    turn_hue,
    turn_hue_plain,
)

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


@pytest.mark.parametrize("turn", [turn_hue, turn_hue_plain])
@pytest.mark.parametrize("degrees", [0, 18, -18, 60, -90, 180, 359, -360, 1000])
def test_hue_agrees_with_colorsys(image, turn, degrees):
    expected = through_colorsys(image, lambda h, s, v: ((h + degrees / 360) % 1, s, v))
    np.testing.assert_allclose(turn(image, degrees), expected, atol=1e-4)
    single = turn(image.astype(np.float32), degrees)
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, expected, atol=2e-3)


@pytest.mark.parametrize("scale", [scale_saturation, scale_saturation_plain])
@pytest.mark.parametrize("factor", [0, 0.5, 1, 1.5, 10])
def test_saturation_agrees_with_colorsys(image, scale, factor):
    expected = through_colorsys(image, lambda h, s, v: (h, min(1, s * factor), v))
    np.testing.assert_allclose(scale(image, factor), expected, atol=1e-4)
    single = scale(image.astype(np.float32), factor)
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, expected, atol=2e-3)


@pytest.mark.parametrize("strength", [0.5, 1.0, 1.4])
def test_kernels_agree_with_their_plain_twins_outside_0_to_255(strength):
    image = np.random.default_rng(1).uniform(-80, 400, (20, 20, 3))
    image[0, 0], image[0, 1] = -5, [-9, -20, -9]
    np.testing.assert_allclose(
        scale_saturation(image, strength), scale_saturation_plain(image, strength), atol=1e-9
    )
    np.testing.assert_allclose(
        turn_hue(image, 40 * strength), turn_hue_plain(image, 40 * strength), atol=1e-9
    )


def test_no_strength_changes_nothing_even_outside_0_to_255():
    image = np.random.default_rng(2).uniform(-80, 400, (20, 20, 3))
    np.testing.assert_allclose(scale_saturation(image, 1.0), image, atol=1e-9)
    np.testing.assert_allclose(turn_hue(image, 0.0), image, atol=1e-9)
    np.testing.assert_allclose(turn_hue(image, 360.0), image, atol=1e-9)


def test_brightness_and_contrast(image):
    history = []
    rng = np.random.default_rng(3)
    brighter, *_ = photometric.brightness(image, BOXES, LABELS, rng, -32, 32, history)
    flatter, *_ = photometric.contrast(image, BOXES, LABELS, rng, 0.5, 1.5, history)
    (first, drawn), (second, factors) = history
    assert (first, second) == ("brightness", "contrast")
    assert -32 <= drawn["delta"] <= 32 and 0.5 <= factors["factor"] <= 1.5
    np.testing.assert_allclose(brighter, image + drawn["delta"])
    np.testing.assert_allclose(flatter, image * factors["factor"])
    assert brighter.max() > 255 or brighter.min() < 0  # clipping is the pipeline's task


def test_one_number_for_the_whole_image_and_no_bounds():
    """[-10, 100.25, 250] + 20 and * 1.5: nothing is clipped or rounded, black stays black."""
    image = np.array([[[-10, 100.25, 250], [0, 0, 0]]], np.float32)
    rng = np.random.default_rng(0)
    out, *_ = photometric.brightness(image, BOXES, LABELS, rng, 20, 20)
    np.testing.assert_array_equal(out, [[[10, 120.25, 270], [20, 20, 20]]])
    out, *_ = photometric.brightness(image, BOXES, LABELS, rng, -20, -20)
    np.testing.assert_array_equal(out, [[[-30, 80.25, 230], [-20, -20, -20]]])
    out, *_ = photometric.contrast(image, BOXES, LABELS, rng, 1.5, 1.5)
    np.testing.assert_array_equal(out, [[[-15, 150.375, 375], [0, 0, 0]]])


@pytest.mark.parametrize(
    "transform, key, low, high",
    [(photometric.brightness, "delta", -32, 32), (photometric.contrast, "factor", 0.5, 1.5)],
)
def test_strengths_fill_their_range(transform, key, low, high):
    rng, history = np.random.default_rng(5), []
    for _ in range(200):
        transform(PIXEL, BOXES, LABELS, rng, low, high, history)
    drawn = np.array([values[key] for _, values in history])
    assert low <= drawn.min() < low + 0.05 * (high - low)
    assert high - 0.05 * (high - low) < drawn.max() <= high


def test_lighting_noise_draws_all_six_orders(image):
    seen = set()
    rng = np.random.default_rng(4)
    for _ in range(60):
        history = []
        out, *_ = photometric.lighting_noise(image, BOXES, LABELS, rng, history)
        order = history[0][1]["order"]
        assert np.array_equal(out, image[..., order])
        seen.add(tuple(order))
    assert len(seen) == 6


@pytest.mark.parametrize(
    "transform, ranges",
    [
        (photometric.brightness, (-32, 32)),
        (photometric.contrast, (0.5, 1.5)),
        (photometric.saturation, (0.5, 1.5)),
        (photometric.hue, (-18, 18)),
        (photometric.lighting_noise, ()),
    ],
)
def test_every_transform_is_seeded_keeps_boxes_and_inputs(image, transform, ranges):
    image = image.astype(np.float32)
    before = image.copy()
    results = []
    for seed in (5, 5, 6):
        history = []
        out, boxes, labels = transform(
            image, BOXES, LABELS, np.random.default_rng(seed), *ranges, history
        )
        assert boxes is BOXES and labels is LABELS
        assert out.dtype == np.float32 and out.shape == image.shape
        assert not np.shares_memory(out, image) and np.array_equal(image, before)
        assert len(history) == 1 and history[0][0] == transform.__name__
        results.append(out)
    alone, *_ = transform(image, BOXES, LABELS, np.random.default_rng(5), *ranges)
    assert np.array_equal(results[0], alone)  # without a history too
    assert np.array_equal(results[0], results[1])
    assert not np.array_equal(results[0], results[2])
