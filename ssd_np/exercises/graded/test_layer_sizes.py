"""The side of a feature map, from its layer's description: published sizes, counted windows."""

import numpy as np
import pytest

from ssd_np.config import load_config
from ssd_np.engine import select
from ssd_np.geometry import borders, output_size
from ssd_np.kinds.conv import ConvLayer
from ssd_np.kinds.pool import PoolLayer
from ssd_np.nn.layers import Conv, MaxPool

pytestmark = [pytest.mark.graded, pytest.mark.lesson07]


def layer_output_size(layer, size):
    """The side of a layer's output for a square input."""
    rows, columns = layer.output_shape((size, size))
    assert rows == columns
    return rows


def test_convolutions_by_hand():
    assert layer_output_size(ConvLayer("conv1_1", 64), 300) == 300  # a border of 1 keeps the size
    assert layer_output_size(ConvLayer("conv11_2", 256, pad=0), 3) == 1  # one window
    assert layer_output_size(ConvLayer("conv8_2", 512, stride=2), 19) == 10  # at -1, 1, ..., 17
    assert layer_output_size(ConvLayer("conv9_2", 256, stride=2), 10) == 5  # at -1, 1, ..., 7
    assert layer_output_size(ConvLayer("conv12_2", 256, kernel=4), 2) == 1
    assert layer_output_size(ConvLayer("fc7", 1024, kernel=1, pad=0), 19) == 19


def test_a_dilated_convolution_by_hand():
    """Three taps, 6 pixels apart, reach over 13: a border of 6 keeps the size."""
    assert layer_output_size(ConvLayer("fc6", 1024, pad=6, dilation=6), 19) == 19
    assert layer_output_size(ConvLayer("fc6", 1024, pad=0, dilation=6), 19) == 7


def test_poolings_by_hand():
    assert layer_output_size(PoolLayer("pool2"), 150) == 75
    assert layer_output_size(PoolLayer("pool3"), 75) == 37  # the last pixel is dropped
    assert layer_output_size(PoolLayer("pool3", ceil=True), 75) == 38  # a window of it alone
    assert layer_output_size(PoolLayer("pool4", ceil=True), 38) == 19
    assert layer_output_size(PoolLayer("pool5", size=3, stride=1, pad=1), 19) == 19


def test_the_last_window_of_a_ceil_pooling_begins_inside():
    """Windows of 2 at -1, 1, 3; one more at 5 would lie behind the 5 pixels."""
    assert layer_output_size(PoolLayer("p", pad=1, ceil=True), 5) == 3
    assert layer_output_size(PoolLayer("p", size=1, stride=3, ceil=True), 5) == 2


def windows(size, reach, stride, pad, keep_partial):
    """Where windows begin, counted one by one; those that fit, and at ceil a partial last one."""
    before, after = pad if isinstance(pad, tuple) else (pad, pad)
    begins, begin = [], -before
    while begin + reach <= size + after:
        begins.append(begin)
        begin += stride
    covered = begins[-1] + reach if begins else -before
    if keep_partial and covered < size + after and begin < size:
        begins.append(begin)
    return len(begins)


def test_convolutions_have_as_many_cells_as_windows():
    for kernel, stride, pad, dilation in np.ndindex(5, 4, 3, 3):
        kernel, stride, dilation = kernel + 1, stride + 1, dilation + 1
        layer = ConvLayer("c", 8, kernel, stride, pad, dilation)
        reach = 1 + dilation * (kernel - 1)
        for size in range(max(1, reach - 2 * pad), 24):
            expected = windows(size, reach, stride, pad, keep_partial=False)
            assert layer_output_size(layer, size) == expected, (layer, size)


@pytest.mark.parametrize("ceil", [False, True])
def test_poolings_have_as_many_cells_as_windows(ceil):
    for window, stride, pad in np.ndindex(5, 4, 3):
        window, stride = window + 1, stride + 1
        if pad > window // 2:
            continue
        layer = PoolLayer("p", window, stride, pad, ceil)
        for size in range(max(1, window - 2 * pad), 24):
            expected = windows(size, window, stride, pad, ceil)
            assert layer_output_size(layer, size) == expected, (layer, size)


@pytest.mark.parametrize("ceil", [False, True])
def test_borders_may_differ_in_front_and_behind(ceil):
    """TensorFlow's SAME with stride 2 has nothing in front of an even side and one cell behind."""
    assert output_size(300, 3, 2, (0, 1)) == 150
    for kernel, stride, before, after, dilation in np.ndindex(4, 3, 3, 3, 2):
        kernel, stride, dilation = kernel + 1, stride + 1, dilation + 1
        reach = 1 + dilation * (kernel - 1)
        if before >= reach or (ceil and max(before, after) > reach // 2):
            continue  # windows of padding only, which no layer may have
        for size in range(max(1, reach - before - after), 18):
            expected = windows(size, reach, stride, (before, after), ceil)
            found = output_size(size, kernel, stride, (before, after), dilation, ceil)
            assert found == expected, (size, kernel, stride, before, after, dilation)


def test_height_and_width_go_their_own_ways():
    layer = ConvLayer("c", 8, 3, stride=2, pad=((0, 1), (1, 1)))
    assert layer.output_shape((300, 19)) == (150, 10)
    assert PoolLayer("p", ceil=True).output_shape((75, 38)) == (38, 19)
    assert borders(2) == ((2, 2), (2, 2)) and borders(((0, 1), (2, 3))) == ((0, 1), (2, 3))


@pytest.mark.parametrize("size", [9, 10, 13])
def test_the_layers_themselves_give_maps_of_that_side(size):
    x = np.zeros((1, size, size, 2), np.float32)
    for kernel, stride, pad, dilation in ((3, 1, 1, 1), (3, 2, 1, 1), (3, 1, 4, 4), (1, 3, 0, 1)):
        described = ConvLayer("c", 3, kernel, stride, pad, dilation)
        out = Conv("c", 2, 3, kernel, stride, pad, dilation, ops=select()).forward(x)
        assert out.shape[1:3] == (layer_output_size(described, size),) * 2
    for rule in ((2, 2, 0, False), (2, 2, 0, True), (2, 2, 1, True), (3, 1, 1, False)):
        out = MaxPool("p", *rule, ops=select()).forward(x)
        assert out.shape[1:3] == (layer_output_size(PoolLayer("p", *rule), size),) * 2


@pytest.mark.parametrize(
    "name, sides", [("ssd300_voc", (38, 19, 10, 5, 3, 1)), ("tiny", (16, 8, 4))]
)
def test_from_the_image_to_the_maps_of_a_config(name, sides):
    config = load_config(name)
    size, sizes = config.input.size, {}
    for layer in config.layers:
        size = sizes[layer.name] = layer_output_size(layer, size)
    assert tuple(sizes[m.name] for m in config.feature_maps) == sides
