"""Receptive fields: the published numbers, and the gradient of the image, which measures them."""

import dataclasses
import itertools

import numpy as np
import pytest

from ssd_np.config import load_config
from ssd_np.geometry import borders
from ssd_np.kinds.batchnorm import BatchNormLayer
from ssd_np.kinds.conv import ConvLayer
from ssd_np.kinds.pool import PoolLayer
from ssd_np.model.receptive_field import receptive_fields
from ssd_np.model.ssd import SSD

pytestmark = [pytest.mark.graded, pytest.mark.lesson07]

EXPECTED = {"conv4_3": 92, "fc7": 420, "conv8_2": 452, "conv9_2": 516, "conv10_2": 644,
            "conv11_2": 772}  # fmt: skip
HEADS = (108, 452, 516, 644, 772, 900)


def test_the_published_fields_of_ssd300():
    fields = receptive_fields(load_config("ssd300_voc"))
    assert {name: fields[name].size for name in EXPECTED} == EXPECTED
    assert tuple(fields[f"head_{name}"].size for name in EXPECTED) == HEADS
    assert fields["fc6"].size - fields["pool5"].size == 192  # dilation 6 on a grid of 16 pixels
    assert [fields[name].stride for name in EXPECTED] == [8, 16, 32, 64, 64, 64]


def taps(layer):
    """Windows of a layer: kernel, stride, pad, dilation."""
    if isinstance(layer, BatchNormLayer):
        return 1, 1, 0, 1
    if isinstance(layer, PoolLayer):
        return layer.size, layer.stride, layer.pad, 1
    return layer.kernel, layer.stride, layer.pad, layer.dilation


def seen(rules, cell, axis):
    """The first pixel and the last + 1 that a cell sees, window by window down to the image."""
    first = last = cell
    for kernel, stride, pad, dilation in reversed(rules):
        before = borders(pad)[axis][0]
        first = first * stride - before
        last = last * stride - before + dilation * (kernel - 1)
    return first, last + 1


def check_fields(config):
    maps, rules = {m.name for m in config.feature_maps}, []
    fields, names = receptive_fields(config), []
    for layer in config.layers:
        rules.append(taps(layer))
        head = [*rules, (config.head_kernel, 1, config.head_kernel // 2, 1)]
        cases = [(layer.name, rules)] + [(f"head_{layer.name}", head)] * (layer.name in maps)
        for name, path in cases:
            names.append(name)
            field = fields[name]
            for axis, cell in itertools.product((0, 1), (0, 1, 5)):
                low = field.center[axis] + cell * field.stride - field.size / 2
                assert (low, low + field.size) == seen(path, cell, axis), (name, axis, cell)
    assert list(fields) == names


def test_two_convolutions_and_a_pooling_by_hand():
    """3 taps see 3 pixels, then 5; a pooling of 2 adds one cell, and its cells are 2 apart."""
    config = small([ConvLayer("a", 8), ConvLayer("b", 8), PoolLayer("c"), ConvLayer("d", 8)])
    fields = receptive_fields(config)
    found = [(fields[name].size, fields[name].stride, fields[name].center) for name in "abcd"]
    assert found == [
        (3, 1, (0.5,) * 2),
        (5, 1, (0.5,) * 2),
        (6, 2, (1.0,) * 2),
        (10, 2, (1.0,) * 2),
    ]
    assert (fields["head_d"].size, fields["head_d"].stride) == (14, 2)


def small(layers):
    """`tiny` with these layers, of which the last is the only map."""
    config, size = load_config("tiny"), (128, 128)
    for layer in layers:
        size = layer.output_shape(size)
    feature_map = dataclasses.replace(config.feature_maps[0], name=layers[-1].name, size=size)
    return dataclasses.replace(
        config, layers=tuple(layers), base_end=layers[0].name, feature_maps=(feature_map,)
    )


@pytest.mark.parametrize("name", ["ssd300_voc", "ssd512_voc", "small", "tiny"])
def test_the_fields_are_what_windows_in_windows_see(name):
    check_fields(load_config(name))


def test_the_fields_of_borders_dilations_and_strides_of_all_sizes():
    check_fields(
        small(
            [
                ConvLayer("a", 8, kernel=5, stride=2, pad=0),
                PoolLayer("b", size=3, stride=3, pad=1),
                ConvLayer("c", 8, kernel=2, pad=1, dilation=3),
                ConvLayer("d", 8, kernel=3, stride=2, pad=2, dilation=2),
                PoolLayer("e", size=3, stride=1, pad=1),
            ]
        )
    )


def test_borders_that_differ_move_the_fields_and_widen_nothing():
    """Twice SAME of TensorFlow: no border in front of the rows, one cell on either side across."""
    lopsided = ((0, 1), (1, 1))
    layers = [ConvLayer("a", 8, stride=2, pad=lopsided), ConvLayer("b", 8, stride=2, pad=lopsided)]
    check_fields(small(layers))
    field = receptive_fields(small(layers))["b"]
    assert (field.size, field.stride, field.center) == (7, 4, (3.5, 0.5))


def test_the_heads_kernel_is_part_of_their_field():
    config = load_config("tiny")
    fields = receptive_fields(dataclasses.replace(config, head_kernel=5))
    for name in (m.name for m in config.feature_maps):
        below, head = fields[name], fields[f"head_{name}"]
        assert head.size == below.size + 4 * below.stride
        assert (head.stride, head.center) == (below.stride, below.center)


def measured(model, cell, index=0):
    """Rows and columns of the image that one cell's scores depend on: [first, last + 1)."""
    config = model.config
    side, feature_map = config.input.size, config.feature_maps[index]
    rng = np.random.default_rng(0)
    logits, offsets = model.forward(rng.uniform(1, 2, (1, side, side, 3)), training=True)
    dlogits = np.zeros_like(logits)
    first = sum(m.size**2 * m.boxes_per_cell for m in config.feature_maps[:index])
    first += (cell[0] * feature_map.size + cell[1]) * feature_map.boxes_per_cell
    dlogits[0, first : first + feature_map.boxes_per_cell] = 1
    dimages = model.backward(dlogits, np.zeros_like(offsets), input_gradient=True)
    rows, columns = (np.flatnonzero(dimages[0].any(axis=axes)) for axes in ((1, 2), (0, 2)))
    return (rows[0], rows[-1] + 1), (columns[0], columns[-1] + 1)


@pytest.fixture(scope="module")
def model():
    """`tiny` with positive weights, strided convolutions for pools, and a dilated layer.

    No ReLU cuts a path then, and no pooling chooses one: the gradient is the whole field.
    """
    config = load_config("tiny")
    channels, layers = 3, []
    for layer in config.layers:
        if isinstance(layer, PoolLayer):
            layer = ConvLayer(layer.name, channels, layer.size, layer.stride, layer.pad)
        elif layer.name == config.base_end:
            layer = dataclasses.replace(layer, dilation=2, pad=2)
        channels = layer.channels
        layers.append(layer)
    model = SSD(dataclasses.replace(config, layers=tuple(layers)), dtype=np.float64)
    for name, parameter in model.parameters.items():
        if name.endswith("weight"):
            parameter.assign(np.abs(parameter.value))
    return model


@pytest.mark.parametrize(
    "index, cell, inside",
    [
        (0, (7, 9), True),
        (0, (0, 15), False),
        (1, (3, 4), False),
        (1, (0, 7), False),
        (2, (1, 2), False),
    ],
)
def test_the_gradient_of_the_image_covers_exactly_the_field(model, index, cell, inside):
    config = model.config
    field = receptive_fields(config)[f"head_{config.feature_maps[index].name}"]
    uncut = []
    reach = zip(field.center, cell, measured(model, cell, index), strict=True)
    for center, i, (first, last) in reach:
        low = center + i * field.stride - field.size / 2
        assert (first, last) == (max(0, low), min(config.input.size, low + field.size))
        uncut.append(low >= 0 and low + field.size <= config.input.size)
    assert all(uncut) == inside  # in one case at least the image cuts nothing off
