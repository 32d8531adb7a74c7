"""Receptive fields: the published numbers, and the gradient of the image, which measures them."""

import dataclasses

import numpy as np
import pytest

from ssd_np.config import ConvLayer, PoolLayer, load_config
from ssd_np.model.receptive_field import receptive_fields
from ssd_np.model.ssd import SSD

pytestmark = pytest.mark.lesson07

EXPECTED = {"conv4_3": 92, "fc7": 420, "conv8_2": 452, "conv9_2": 516, "conv10_2": 644,
            "conv11_2": 772}  # fmt: skip
HEADS = (108, 452, 516, 644, 772, 900)


def test_the_published_fields_of_ssd300():
    fields = receptive_fields(load_config("ssd300_voc"))
    assert {name: fields[name].size for name in EXPECTED} == EXPECTED
    assert tuple(fields[f"head_{name}"].size for name in EXPECTED) == HEADS
    assert fields["fc6"].size - fields["pool5"].size == 192  # dilation 6 on a grid of 16 pixels
    assert [fields[name].stride for name in EXPECTED] == [8, 16, 32, 64, 64, 64]


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
            parameter.value = np.abs(parameter.value)
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
    for i, (first, last) in zip(cell, measured(model, cell, index), strict=True):
        low = field.center + i * field.stride - field.size / 2
        assert (first, last) == (max(0, low), min(config.input.size, low + field.size))
        uncut.append(low >= 0 and low + field.size <= config.input.size)
    assert all(uncut) == inside  # in one case at least the image cuts nothing off
