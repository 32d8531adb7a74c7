"""The published presets hold the published numbers."""

import dataclasses

import numpy as np
import pytest

from ssd_np.boxes.default_boxes import default_boxes, default_boxes_for_map, derive_sizes
from ssd_np.boxes.targets import make_targets
from ssd_np.config import AugmentationConfig, ConvLayer, Hue, load_config
from ssd_np.errors import ConfigError
from ssd_np.loss.multibox import multibox_loss
from ssd_np.model.ssd import SSD
from ssd_np.model.trace import trace

PUBLISHED = ("ssd300_voc", "ssd300_coco", "ssd512_voc", "ssd512_coco")
SIZES = {  # min_size of each map, then max_size of the last
    "ssd300_voc": (30, 60, 111, 162, 213, 264, 315),
    "ssd300_coco": (21, 45, 99, 153, 207, 261, 315),
    "ssd512_voc": (35.84, 76.8, 153.6, 230.4, 307.2, 384, 460.8, 537.6),
    "ssd512_coco": (20.48, 51.2, 133.12, 215.04, 296.96, 378.88, 460.8, 542.72),
}
GRIDS = {300: (38, 19, 10, 5, 3, 1), 512: (64, 32, 16, 8, 4, 2, 1)}
STEPS = {300: (8, 16, 32, 64, 100, 300), 512: (8, 16, 32, 64, 128, 256, 512)}
PER_CELL = {300: (4, 6, 6, 6, 4, 4), 512: (4, 6, 6, 6, 6, 4, 4)}


@pytest.fixture(params=PUBLISHED)
def config(request):
    return load_config(request.param)


def test_feature_maps(config):
    side, maps = config.input.size, config.feature_maps
    assert tuple(m.size for m in maps) == GRIDS[side]
    assert tuple(m.step for m in maps) == STEPS[side]
    assert tuple(m.boxes_per_cell for m in maps) == PER_CELL[side]
    assert (*(m.min_size for m in maps), maps[-1].max_size) == SIZES[config.name]
    assert [m.max_size for m in maps[:-1]] == [m.min_size for m in maps[1:]]
    assert [m.l2norm_scale for m in maps] == [20] + [None] * (len(maps) - 1)
    assert len(default_boxes(config)) == {300: 8732, 512: 24564}[side]


@pytest.mark.parametrize(
    ("name", "integer", "widths", "areas"),
    [
        ("ssd300_voc", True, 1510.429285, 328.060100),
        ("ssd300_coco", True, 1172.198034, 228.902400),
        ("ssd512_voc", True, 3105.554454, 536.466721),
        ("ssd512_voc", False, 3146.141697, 545.164200),
        ("ssd512_coco", True, 2173.682012, 344.379303),
        ("ssd512_coco", False, 2192.471071, 346.788800),
    ],
)
def test_sums_over_all_default_boxes(name, integer, widths, areas):
    config = load_config(name)
    assert config.boxes.integer_sizes and config.boxes.clip == "none"  # as Caffe
    boxes = dataclasses.replace(config.boxes, integer_sizes=integer)
    b = default_boxes(dataclasses.replace(config, boxes=boxes))
    assert b[:, 2].sum() == pytest.approx(widths, abs=1e-6)
    assert (b[:, 2] * b[:, 3]).sum() == pytest.approx(areas, abs=1e-6)


def test_order_in_a_cell_and_variances():
    """s, s', 2, 1/2, 3, 1/3."""
    boxes = default_boxes_for_map(load_config("ssd300_voc"), 1)
    assert boxes.shape == (19, 19, 6, 8)
    s, t, r, q = 60 / 300, np.sqrt(60 * 111) / 300, np.sqrt(2), np.sqrt(3)
    shapes = [(s, s), (t, t), (s * r, s / r), (s / r, s * r), (s * q, s / q), (s / q, s * q)]
    np.testing.assert_allclose(boxes[4, 7, :, 2:4], shapes, rtol=1e-14)
    np.testing.assert_allclose(boxes[4, 7, :, 0], 7.5 * 16 / 300)
    np.testing.assert_allclose(boxes[4, 7, :, 1], 4.5 * 16 / 300)
    np.testing.assert_array_equal(boxes[4, 7, :, 4:], [[0.1, 0.1, 0.2, 0.2]] * 6)


@pytest.mark.parametrize(
    "name, percent",
    [
        ("ssd300_voc", (10, 20, 90)),
        ("ssd300_coco", (7, 15, 90)),
        ("ssd512_voc", (7, 15, 90)),
        ("ssd512_coco", (4, 10, 90)),
    ],
)
def test_sizes_follow_from_the_formula_with_a_step_of_whole_percent(name, percent):
    config = load_config(name)
    maps = len(config.feature_maps)
    assert derive_sizes(config.input.size, *percent, maps) == pytest.approx(SIZES[name])


def test_the_papers_own_formula_differs():
    exact = derive_sizes(300, 10, 20, 90, 6, whole_percent=False)
    assert exact == [30, 60, 112.5, 165, 217.5, 270, 322.5]
    # the deepest map's scale is the paper's s_max = 0.9, not the published 0.88
    assert exact[5] / 300 == 0.9 and derive_sizes(300, 10, 20, 90, 6)[5] / 300 == 0.88


def test_where_both_sums_agree_the_step_was_whole_anyway():
    for size, *percent, maps in ((512, 7, 15, 90, 7), (512, 4, 10, 90, 7)):
        assert derive_sizes(size, *percent, maps) == derive_sizes(
            size, *percent, maps, whole_percent=False
        )


def test_the_layers(config):
    layers = {layer.name: layer for layer in config.layers}
    assert layers["pool3"].ceil and (layers["pool3"].size, layers["pool3"].stride) == (2, 2)
    assert (layers["pool5"].size, layers["pool5"].stride, layers["pool5"].pad) == (3, 1, 1)
    assert layers["fc6"] == ConvLayer("fc6", 1024, kernel=3, pad=6, dilation=6)
    assert layers["fc7"] == ConvLayer("fc7", 1024, kernel=1, pad=0)
    convolutions = [name for name, layer in layers.items() if layer.kind == "conv"]
    assert config.base_end == "fc7" and convolutions.index("fc7") == 14
    if config.input.size == 512:
        assert layers["conv12_2"] == ConvLayer("conv12_2", 256, kernel=4, pad=1)


@pytest.mark.parametrize(
    "name, classes, parameters",
    [
        ("ssd300_voc", 21, 26_285_486),
        ("ssd300_coco", 91, 35_641_826),
        ("ssd512_voc", 21, 27_188_676),
    ],
)
def test_the_number_of_parameters(name, classes, parameters):
    config = load_config(name)
    model = SSD(config)
    assert config.num_classes + 1 == classes
    assert sum(p.value.size for p in model.parameters.values()) == parameters
    rows = trace(config)
    assert sum(row.parameters for row in rows) == parameters
    by_layer: dict = {}
    for tensor, p in model.parameters.items():
        layer = tensor.rsplit(".", 1)[0]
        by_layer[layer] = by_layer.get(layer, 0) + p.value.size
    assert by_layer == {row.name: row.parameters for row in rows if row.parameters}


def test_training_as_published(config):
    t = config.training
    assert (t.learning_rate, t.momentum, t.weight_decay, t.batch_size) == (1e-3, 0.9, 5e-4, 32)
    drops = [round(share * t.steps) for share in t.milestones]
    voc = config.name.endswith("voc")
    assert (*drops, t.steps) == ((80_000, 100_000, 120_000) if voc else (280_000, 360_000, 400_000))
    assert t.rate_in_momentum
    assert t.bias_multiplier == 2 and t.gamma == 0.1 and t.schedule == "step"
    # Caffe's 18 are half degrees; its channels keep their order (random_order_prob: 0.0)
    caffe = AugmentationConfig(hue=Hue(low=-36.0, high=36.0), lighting_noise=0.0)
    assert config.augmentation == caffe
    assert config.input.mean == (123, 117, 104) and config.input.std == (1, 1, 1)


def test_the_first_loss_of_ssd300_is_4_ln_21():
    """Class heads of zeros find all 21 classes equally likely; 1 positive and 3 negatives count."""
    model = SSD(load_config("ssd300_voc"))
    for name, parameter in model.parameters.items():
        if name.startswith("conf_"):
            parameter.assign(np.zeros_like(parameter.value))
    images = np.random.default_rng(0).normal(0, 50, (1, 300, 300, 3)).astype(np.float32)
    gt = np.array([[0.3, 0.3, 0.7, 0.7], [0.1, 0.6, 0.3, 0.9]])
    labels, offsets = make_targets(gt, np.array([3, 20]), model.default_boxes)
    predicted = model.forward(images)
    loss = multibox_loss(*predicted, labels[None], offsets[None].astype(np.float32))
    assert loss.num_positive > 9 and loss.mined.sum() == 3 * loss.num_positive
    assert loss.confidence == pytest.approx(12.1781, abs=1e-4)
    assert loss.confidence == pytest.approx(4 * np.log(21), rel=1e-6)


@pytest.mark.parametrize("name", ["SSD500", "ssd500", "ssd500_voc"])
def test_ssd500_leads_to_ssd512(name):
    with pytest.raises(ConfigError, match=r"first version.*SSD512.*ssd512_voc or ssd512_coco"):
        load_config(name)


@pytest.mark.parametrize("whole_percent", [True, False])
def test_sizes_of_too_few_maps_are_refused(whole_percent):
    for maps in (0, 1, 2):
        with pytest.raises(ConfigError, match=f"sizes for {maps} maps"):
            derive_sizes(300, 10, 20, 90, maps, whole_percent)
    assert derive_sizes(300, 10, 20, 90, 3, whole_percent) == [30, 60, 270, 480]
