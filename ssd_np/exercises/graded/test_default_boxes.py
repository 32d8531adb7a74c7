"""Default boxes: small grids by hand, and the published tables of SSD300 and SSD512."""

import dataclasses
import itertools

import numpy as np
import pytest

from ssd_np.boxes.default_boxes import box_shapes, default_boxes, default_boxes_for_map
from ssd_np.config import (
    Config,
    ConvLayer,
    DefaultBoxConfig,
    FeatureMapConfig,
    InputConfig,
    load_config,
)

pytestmark = [pytest.mark.graded, pytest.mark.lesson01, pytest.mark.lesson02, pytest.mark.lesson15]

RATIOS_300 = [(2,), (2, 3), (2, 3), (2, 3), (2,), (2,)]
RATIOS_512 = [(2,), (2, 3), (2, 3), (2, 3), (2, 3), (2,), (2,)]
STEPS_300 = [8, 16, 32, 64, 100, 300]
STEPS_512 = [8, 16, 32, 64, 128, 256, 512]
SIZES_300 = [38, 19, 10, 5, 3, 1]
SIZES_512 = [64, 32, 16, 8, 4, 2, 1]
TABLES = {
    # input size, cells of each map, steps, ratios, then min sizes with the last max size
    "voc300": (300, SIZES_300, STEPS_300, RATIOS_300, [30, 60, 111, 162, 213, 264, 315]),
    "coco300": (300, SIZES_300, STEPS_300, RATIOS_300, [21, 45, 99, 153, 207, 261, 315]),
    "voc512": (
        *(512, SIZES_512, STEPS_512, RATIOS_512),
        [35.84, 76.8, 153.6, 230.4, 307.2, 384, 460.8, 537.6],
    ),
    "coco512": (
        *(512, SIZES_512, STEPS_512, RATIOS_512),
        [20.48, 51.2, 133.12, 215.04, 296.96, 378.88, 460.8, 542.72],
    ),
}


def published(name, clip="none", integer_sizes=False):
    """The default boxes of a published detector, on the least network with maps of these sizes."""
    side, sizes, steps, ratios, limits = TABLES[name]
    strides = [8] + [3 if (a, b) == (3, 1) else 2 for a, b in itertools.pairwise(sizes)]
    layers = [ConvLayer(f"map{i}", 1, kernel=1, stride=s, pad=0) for i, s in enumerate(strides)]
    maps = [
        FeatureMapConfig(f"map{i}", sizes[i], steps[i], limits[i], limits[i + 1], ratios[i])
        for i in range(len(sizes))
    ]
    return Config(
        name=name,
        class_names=("thing",),
        input=InputConfig(side),
        layers=tuple(layers),
        base_end="map0",
        feature_maps=tuple(maps),
        boxes=DefaultBoxConfig(clip=clip, integer_sizes=integer_sizes),
    )


def sums(boxes):
    return boxes[:, 2].sum(), (boxes[:, 2] * boxes[:, 3]).sum()


def test_shapes_in_a_cell_by_hand():
    shapes = box_shapes(FeatureMapConfig("m", 1, 1, min_size=9, max_size=16, aspect_ratios=(4, 9)))
    expected = [(9, 9), (12, 12), (18, 4.5), (4.5, 18), (27, 3), (3, 27)]  # s, s', 4, 1/4, 9, 1/9
    np.testing.assert_allclose(shapes, expected, rtol=1e-14)


def test_tiny_by_hand():
    boxes = default_boxes(load_config("tiny"))
    assert boxes.shape == (16 * 16 * 4 + 8 * 8 * 4 + 4 * 4 * 4, 8) and boxes.dtype == np.float64
    s, middle, root = 20 / 128, np.sqrt(20 * 36) / 128, np.sqrt(2)
    first_cell = [(s, s), (middle, middle), (s * root, s / root), (s / root, s * root)]
    np.testing.assert_allclose(boxes[:4, 2:4], first_cell, rtol=1e-14)
    np.testing.assert_allclose(boxes[:4, :2], 4 / 128, rtol=1e-14)  # half a step of 8 pixels
    np.testing.assert_allclose(boxes[4:8, 0], 12 / 128, rtol=1e-14)  # the next cell is to the right
    np.testing.assert_allclose(boxes[4:8, 1], 4 / 128, rtol=1e-14)
    np.testing.assert_allclose(boxes[64, :2], [4 / 128, 12 / 128], rtol=1e-14)  # the next row
    np.testing.assert_allclose(boxes[1024, :4], [8 / 128, 8 / 128, 40 / 128, 40 / 128], rtol=1e-14)
    np.testing.assert_allclose(boxes[-4, :4], [112 / 128, 112 / 128, 68 / 128, 68 / 128])
    assert np.array_equal(boxes[:, 4:], np.tile([0.1, 0.1, 0.2, 0.2], (len(boxes), 1)))


def oblong(step):
    """A network for pictures of 96 rows and 160 columns, with one map of 12 x 20 cells."""
    return Config(
        name="oblong",
        class_names=("thing",),
        input=InputConfig((96, 160)),
        layers=(ConvLayer("map", 1, kernel=1, stride=8, pad=0),),
        base_end="map",
        feature_maps=(FeatureMapConfig("map", (12, 20), step, min_size=24, max_size=54),),
    )


@pytest.mark.parametrize(("step", "down", "across"), [(8, 8, 8), ((8, 10), 8, 10)])
def test_a_picture_that_is_not_square(step, down, across):
    """Cells and sizes are counted in pixels on both axes, then divided by the side along them."""
    boxes = default_boxes_for_map(oblong(step), 0)
    assert boxes.shape == (12, 20, 4, 8)
    pixels = boxes[..., :4] * [160, 96, 160, 96]
    np.testing.assert_allclose(pixels[0, 0, :, :2], [[across / 2, down / 2]] * 4)
    np.testing.assert_allclose(pixels[11, 19, 0, :2], [19.5 * across, 11.5 * down])
    np.testing.assert_allclose(pixels[5, 7, 0, 2:], [24, 24])  # a square is a square
    np.testing.assert_allclose(pixels[5, 7, 1, 2:], [36, 36])
    np.testing.assert_allclose(pixels[5, 7, 2, 2:], [24 * 2**0.5, 24 / 2**0.5])
    np.testing.assert_allclose(pixels[5, 7, 3, 2:], [24 / 2**0.5, 24 * 2**0.5])


def test_small_by_hand():
    boxes = default_boxes(load_config("small"))
    assert boxes.shape == ((32**2 + 16**2 + 8**2 + 4**2) * 4, 8)
    last = np.sqrt(120 * 180) / 256
    np.testing.assert_allclose(boxes[-3, :4], [224 / 256, 224 / 256, last, last], rtol=1e-14)


def test_one_map_is_a_slice_of_all():
    config = load_config("tiny")
    boxes, first = default_boxes(config), 0
    for i, feature_map in enumerate(config.feature_maps):
        one = default_boxes_for_map(config, i)
        assert one.shape == (feature_map.size, feature_map.size, feature_map.boxes_per_cell, 8)
        rows = one.reshape(-1, 8)
        assert np.array_equal(boxes[first : first + len(rows)], rows)
        first += len(rows)
    assert first == len(boxes)


def test_voc300_box_by_box():
    boxes = default_boxes(published("voc300"))
    expected = {
        0: (0.013333, 0.013333, 0.1, 0.1),
        1: (0.013333, 0.013333, 0.141421, 0.141421),
        2: (0.013333, 0.013333, 0.141421, 0.070711),
        5781: (8 / 300, 8 / 300, 0.11547, 0.34641),
        8730: (0.5, 0.5, 1.244508, 0.622254),
    }
    for index, box in expected.items():
        np.testing.assert_allclose(boxes[index, :4], box, rtol=0, atol=6e-7)
    # the grid of conv8_2 is wider than the image: its last centre is at 304 pixels of 300
    assert boxes[7942:8542, 0].max() == pytest.approx(304 / 300)


def test_boxes_that_leave_the_image():
    for name, count in (("voc300", 2869), ("coco300", 2223)):
        b = default_boxes(published(name))
        outside = np.abs(b[:, :2] - 0.5) + b[:, 2:4] / 2 > 0.5 + 1e-9
        assert np.count_nonzero(outside.any(axis=1)) == count


@pytest.mark.parametrize(
    ("name", "integer", "width_sum", "area_sum"),
    [
        ("voc300", False, 1510.429285, 328.060100),
        ("voc300", True, 1510.429285, 328.060100),
        ("coco300", False, 1172.198034, 228.902400),
        ("voc512", True, 3105.554454, 536.466721),
        ("voc512", False, 3146.141697, 545.164200),
        ("coco512", True, 2173.682012, 344.379303),
        ("coco512", False, 2192.471071, 346.788800),
    ],
)
def test_sums_of_the_published_detectors(name, integer, width_sum, area_sum):
    got = sums(default_boxes(published(name, integer_sizes=integer)))
    np.testing.assert_allclose(got, (width_sum, area_sum), rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "starts", "count"),
    [
        ("voc300", [0, 5776, 7942, 8542, 8692, 8728], 8732),
        ("coco300", [0, 5776, 7942, 8542, 8692, 8728], 8732),
        ("voc512", [0, 16384, 22528, 24064, 24448, 24544, 24560], 24564),
        ("coco512", [0, 16384, 22528, 24064, 24448, 24544, 24560], 24564),
    ],
)
def test_where_each_map_begins(name, starts, count):
    config = published(name)
    boxes, limits = default_boxes(config), TABLES[name][4]
    assert len(boxes) == count
    for start, small, feature_map in zip(starts, limits, config.feature_maps, strict=False):
        half_step = feature_map.step / 2 / config.input.size
        side = small / config.input.size
        np.testing.assert_allclose(boxes[start, :4], [half_step, half_step, side, side], rtol=1e-12)


@pytest.mark.parametrize(
    ("name", "clip", "changed"),
    [
        ("voc300", "all", 134),
        ("coco300", "all", 116),
        ("coco300", "sizes", 2),
        ("voc300", "none", 0),
    ],
)
def test_clip_rules(name, clip, changed):
    plain, clipped = default_boxes(published(name)), default_boxes(published(name, clip=clip))
    different = (plain != clipped).any(axis=1)
    assert np.count_nonzero(different) == changed
    if clip == "sizes":
        assert np.flatnonzero(different).tolist() == [8730, 8731]
        assert np.array_equal(plain[:, :2], clipped[:, :2])
        assert clipped[:, 2:4].max() == 1
    if clip == "all":
        assert clipped[:, :4].min() >= 0 and clipped[:, :4].max() == 1


def test_variances_come_from_the_config():
    config = dataclasses.replace(
        load_config("tiny"), boxes=DefaultBoxConfig(variances=(0.1, 0.2, 0.3, 0.4))
    )
    assert np.array_equal(np.unique(default_boxes(config)[:, 4:], axis=0), [[0.1, 0.2, 0.3, 0.4]])


def test_two_calls_share_no_memory():
    config = load_config("tiny")
    first = default_boxes(config)
    first[:] = 7
    assert default_boxes(config).max() < 2
