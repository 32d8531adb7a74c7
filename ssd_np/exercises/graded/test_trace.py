"""The shape trace against published counts and against the network itself, layer by layer."""

import dataclasses

import numpy as np
import pytest

from ssd_np.config import ConvLayer, load_config
from ssd_np.model.base import build_stages
from ssd_np.model.receptive_field import receptive_fields
from ssd_np.model.ssd import SSD
from ssd_np.model.trace import trace, trace_table
from ssd_np.nn.layers import Conv

pytestmark = [pytest.mark.graded, pytest.mark.lesson08]


def changed_tiny(**changes):
    """`tiny` with L2Norm on its first map, a dilated layer, a pooling in ceil mode."""
    config = load_config("tiny")
    first, *rest = config.feature_maps
    maps = (dataclasses.replace(first, l2norm_scale=20.0), *rest)
    layers = []
    for layer in config.layers:
        if layer.name == "conv3_1":
            layer = dataclasses.replace(layer, dilation=3, pad=3)
        if layer.name == "pool4":
            layer = dataclasses.replace(layer, ceil=True)
        layers.append(layer)
    values = {"layers": tuple(layers), "feature_maps": maps} | changes
    return dataclasses.replace(config, **values)


@pytest.fixture
def config():
    return changed_tiny()


def test_a_convolution_by_hand():
    """conv1_1 of tiny: 128 x 128 x 3 -> 64 x 64 x 24, with stride 2 and 3 x 3 windows."""
    row = trace(load_config("tiny"))[0]
    assert (row.name, row.kind, row.output) == ("conv1_1", "conv 3x3", (64, 64, 24))
    assert row.parameters == 3 * 3 * 3 * 24 + 24
    assert row.multiply_adds == 64 * 64 * 24 * 3 * 3 * 3
    assert row.receptive_field == 3


def test_heads_by_hand():
    """4 boxes a cell, 5 classes and the background, on 96 channels of 16 x 16 cells."""
    rows = {row.name: row for row in trace(load_config("tiny"))}
    conf, loc = rows["conf_conv4_2"], rows["loc_conv4_2"]
    assert conf.output == (16, 16, 4 * 6) and loc.output == (16, 16, 4 * 4)
    assert (conf.parameters, loc.parameters) == (9 * 96 * 24 + 24, 9 * 96 * 16 + 16)
    assert (conf.multiply_adds, loc.multiply_adds) == (256 * 9 * 96 * 24, 256 * 9 * 96 * 16)
    assert "conv4_2_norm" not in rows


def test_rows_run_from_the_image_on_with_norm_and_heads_after_their_map(config):
    expected = []
    for layer in config.layers:
        expected.append(layer.name)
        if layer.name in ("conv4_2", "conv5_2", "conv6_2"):
            expected += [f"{layer.name}_norm"] * (layer.name == "conv4_2")
            expected += [f"conf_{layer.name}", f"loc_{layer.name}"]
    assert [row.name for row in trace(config)] == expected


def test_kinds(config):
    kinds = {row.name: row.kind for row in trace(config)}
    assert (kinds["conv2_1"], kinds["conv3_1"]) == ("conv 3x3", "conv 3x3 dil 3")
    assert (kinds["conv6_1"], kinds["loc_conv6_2"]) == ("conv 1x1", "conv 3x3")
    assert (kinds["pool2"], kinds["pool4"]) == ("max 2x2", "max 2x2 ceil")
    assert kinds["conv4_2_norm"] == "L2Norm"


def test_the_network_has_these_shapes(config):
    """Every layer's output in a forward pass, height and width and channels."""
    found, stages = {}, build_stages(config, np.random.default_rng(0))[0]
    x = np.zeros((1, 128, 128, 3), np.float32)
    for layer in (layer for stage in stages for layer in stage):
        x = layer.forward(x)
        found[layer.name] = x.shape[1:]
    rows = {row.name: row for row in trace(config)}
    assert found == {name: rows[name].output for name in found}
    assert rows["conv4_2_norm"].output == rows["conv4_2"].output
    for feature_map in config.feature_maps:
        h, w, _ = found[feature_map.name]
        boxes = feature_map.boxes_per_cell
        assert rows[f"conf_{feature_map.name}"].output == (h, w, boxes * 6)
        assert rows[f"loc_{feature_map.name}"].output == (h, w, boxes * 4)


@pytest.mark.parametrize("head_kernel", [1, 3, 5])
def test_the_network_has_these_parameters(head_kernel):
    """Weights, biases and the scales of L2Norm, counted in the model."""
    config = changed_tiny(head_kernel=head_kernel)
    counted: dict[str, int] = {}
    for tensor, parameter in SSD(config).parameters.items():
        layer = tensor.rsplit(".", 1)[0]
        counted[layer] = counted.get(layer, 0) + parameter.value.size
    rows = trace(config)
    assert counted == {row.name: row.parameters for row in rows if row.parameters}


def test_multiply_adds_are_one_per_product(config):
    """A convolution multiplies each output's window, all channels deep, with a kernel."""
    rows = {row.name: row for row in trace(config)}
    stages, _ = build_stages(config, np.random.default_rng(0))
    for layer in (layer for stage in stages for layer in stage):
        row = rows[layer.name]
        products = layer.weight.value[..., 0].size if isinstance(layer, Conv) else 0
        assert row.multiply_adds == np.prod(row.output) * products, row.name
    assert rows["conv4_2_norm"].multiply_adds == 0


def test_the_fields_are_the_receptive_fields(config):
    fields = receptive_fields(config)
    for row in trace(config):
        name = row.name.removesuffix("_norm").replace("conf_", "head_").replace("loc_", "head_")
        assert row.receptive_field == fields[name].size, row.name


def test_a_head_on_a_deep_map_reads_its_channels():
    """The last layer may be a convolution wider than the ones before it."""
    config = load_config("tiny")
    *layers, last = config.layers
    config = dataclasses.replace(config, layers=(*layers, ConvLayer(last.name, 200, stride=2)))
    rows = {row.name: row for row in trace(config)}
    assert rows[last.name].parameters == 9 * 64 * 200 + 200
    assert rows[f"loc_{last.name}"].parameters == 9 * 200 * 16 + 16


def test_81_classes_have_the_published_number_of_parameters():
    coco = load_config("ssd300_coco")
    names = tuple(name for name in coco.class_names if name != "N/A")
    assert len(names) == 80 and load_config("ssd512_coco").class_names == names
    rows = trace(dataclasses.replace(coco, class_names=names))
    assert sum(row.parameters for row in rows) == 34_305_206


def test_the_trace_of_ssd300():
    rows = {row.name: row for row in trace(load_config("ssd300_coco"))}
    assert rows["conv4_3"].output == (38, 38, 512)  # 38 * 38 * 512 = 739,328
    assert rows["pool3"].output == (38, 38, 256) and rows["fc7"].output == (19, 19, 1024)
    assert rows["conf_fc7"].output == (19, 19, 6 * 91) and rows["loc_fc7"].output == (19, 19, 24)
    assert rows["conv1_1"].multiply_adds == 300 * 300 * 64 * 27
    # 34.858 G is what torchvision states for its model
    assert round(sum(row.multiply_adds for row in rows.values()) / 1e9, 3) == 34.858
    table = trace_table(load_config("ssd300_coco"))
    assert "35,641,826" in table and "8,732 boxes" in table and "dil 6" in table


def test_a_wide_image():
    """96 x 160 pixels: every side of a map is that of its axis."""
    config = load_config("tiny")
    maps = tuple(
        dataclasses.replace(m, size=(rows, columns))
        for m, rows, columns in zip(config.feature_maps, (12, 6, 3), (20, 10, 5), strict=True)
    )
    image = dataclasses.replace(config.input, size=(96, 160))
    rows = {r.name: r for r in trace(dataclasses.replace(config, input=image, feature_maps=maps))}
    assert rows["conv1_1"].output == (48, 80, 24)
    assert rows["conv1_1"].multiply_adds == 48 * 80 * 24 * 27
    assert (rows["pool2"].output, rows["conv6_2"].output) == ((24, 40, 32), (3, 5, 128))
    assert rows["loc_conv6_2"].output == (3, 5, 16)
