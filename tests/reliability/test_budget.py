"""A file's own config is weighed before anything is built: each limit by its name."""

import bisect
import dataclasses
import json
import tracemalloc

import numpy as np
import pytest
from alone import MOST_MEMORY, MOST_SECONDS, command, needs_fork
from PIL import Image

from ssd_np.config import (
    Config,
    DecodingConfig,
    FeatureMapConfig,
    InputConfig,
    config_to_json,
    load_config,
    preset_names,
)
from ssd_np.errors import WeightsError
from ssd_np.kinds.conv import ConvLayer
from ssd_np.model.archive import HEADER, write_archive
from ssd_np.model.budget import MOST_BYTES, forward_bytes
from ssd_np.model.ssd import SSD
from ssd_np.model.trace import tensors
from ssd_np.model.weights import load, save

MOST_TRACED = 60 << 20  # bytes while a file is refused


def narrow(size=16, classes=2, layer=None, **changes):
    """One convolution of one channel, one map, heads of one tap: few numbers for any size."""
    layer = layer or ConvLayer("c", 1)
    config = Config(
        name="narrow",
        class_names=tuple(f"class {k}" for k in range(classes)),
        input=InputConfig(size),
        layers=(layer,),
        base_end="c",
        feature_maps=(FeatureMapConfig("c", None, None, 8, 16, aspect_ratios=(2, 3)),),
        head_kernel=1,
    )
    return dataclasses.replace(config, **changes)


def write(path, config, **more):
    """A file with every tensor that the config names, in its size."""
    arrays = {name: np.zeros(shape, np.float32) for name, shape in tensors(config).items()}
    write_archive(path, {"config": config_to_json(config)}, arrays | more)
    return path


def refused(path, words):
    """Within the bound; what a file holds itself does not count."""
    tracemalloc.start()
    with pytest.raises(WeightsError, match=words):
        load(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < MOST_TRACED + 3 * path.stat().st_size


def test_many_boxes_times_many_classes(tmp_path):
    config = narrow(387, 1000)  # 898,614 boxes x 1,001 classes: 3.6 GB each time they are written
    assert config.num_boxes == 898_614
    path = write(tmp_path / "w.npz", config)
    assert path.stat().st_size < 100_000
    refused(path, r"needs about 20,\d\d\d MiB for one image, more than 700 .*into=SSD")


def test_a_border_that_fills_the_memory(tmp_path):
    layer = ConvLayer("c", 1, stride=40_064, pad=8000)
    path = write(tmp_path / "w.npz", narrow(128, layer=layer))
    refused(path, r"needs about 2,\d\d\d MiB for one image")


@pytest.mark.parametrize("pad", [20_000, 2**30, [[0, 2**30], [0, 0]]])
def test_a_border_beyond_all_sides(pad, tmp_path):
    values = json.loads(config_to_json(narrow(128)))
    values["layers"][0] |= {"pad": pad, "stride": 40_064}
    arrays = {"c.weight": np.zeros((3, 3, 3, 1), np.float32)}
    write_archive(tmp_path / "w.npz", {"config": json.dumps(values)}, arrays)
    refused(tmp_path / "w.npz", r"layers\[0\]\.pad: expected a border that leaves at most 16384")


def many_channels(count, kernel):
    """A convolution that makes them and one that looks at windows of them."""
    layers = (
        ConvLayer("b", count, kernel=1, pad=0),
        ConvLayer("c", 1, kernel=kernel, pad=kernel // 2),
    )
    return narrow(128, layers=layers)


def test_windows_that_fill_the_memory(tmp_path):
    """Of the plain engine, which lays them all out: 16,384 of 49 cells of 5,800 channels."""
    path = write(tmp_path / "w.npz", many_channels(5800, 7))
    refused(path, r"needs about 17,\d\d\d MiB for one image")


EDGES = {  # what grows, and how far a search goes
    "channels": (lambda n: narrow(128, layer=ConvLayer("c", n, kernel=1, pad=0)), 20_000),
    "windows": (lambda n: many_channels(n, 3), 20_000),
    "boxes": (lambda n: narrow(n, 100), 400),
    "pixels": (lambda n: narrow(n, layer=ConvLayer("c", 1, stride=256)), 8_000),
    "border": (lambda n: narrow(128, layer=ConvLayer("c", 1, stride=2 * n + 64, pad=n)), 8_000),
}


@needs_fork
@pytest.mark.parametrize("what", EDGES)
@pytest.mark.parametrize("engine", ["fast", "plain"])
def test_detect_with_the_largest_network_that_is_let_in(
    engine, what, full, tell, tmp_path, monkeypatch
):
    """The plain engine holds a map three times, as it comes, with its border, and rectified."""
    if engine == "plain" and not full:
        pytest.skip("takes gigabytes")
    make, end = EDGES[what]
    count = bisect.bisect(range(end), MOST_BYTES, 16, key=lambda n: forward_bytes(make(n))) - 1
    path = write(tmp_path / "w.npz", make(count))
    Image.fromarray(np.zeros((128, 128, 3), np.uint8)).save(tmp_path / "p.png")
    monkeypatch.setenv("SSD_NP_ENGINE", engine)
    detect = ["detect", tmp_path / "p.png", "--weights", path, "--out", tmp_path / "out"]
    ended = command(detect)
    assert ended.code == 0 and ended.worked < MOST_SECONDS, ended
    assert ended.memory < (MOST_MEMORY if engine == "fast" else 2.3 * MOST_MEMORY), ended
    tell(f"{count} {what}: {ended.memory:.0f} MB, {ended.worked:.1f} s")


def test_loading_holds_the_weights_three_times_at_most(tmp_path):
    layers = (ConvLayer("b", 700, kernel=1, pad=0), ConvLayer("c", 700))
    path = write(tmp_path / "w.npz", narrow(16, layers=layers))  # nearly all in one tensor
    tracemalloc.start()
    load(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3.1 * path.stat().st_size


def test_more_layers_than_a_network_has(tmp_path):
    """Each takes hardly any memory; what plans them all would take minutes."""
    layers = tuple(ConvLayer(f"c{k}", 1, kernel=1, pad=0) for k in range(4999))
    maps = (FeatureMapConfig("c4998", None, None, 8, 16),)
    path = write(tmp_path / "w.npz", narrow(layers=layers, base_end="c0", feature_maps=maps))
    refused(path, r"its network has 5,001 layers and heads, more than 5,000 .*into=SSD")


def test_suppression_among_all_boxes(tmp_path):
    rule = DecodingConfig(iou_threshold=1.0, top_k_class=2**31 - 1)
    path = write(tmp_path / "w.npz", narrow(128, 20, decoding=rule))
    refused(path, r"top_k_class: its decoding compares up to \d\d\d,\d\d\d,\d\d\d,\d\d\d pairs")


@pytest.mark.parametrize("name", ["unused", "c.weight"])
def test_only_numbers_that_the_config_names_count(name, tmp_path):
    """Neither an array of another name, nor bytes instead of the numbers."""
    config = narrow(layer=ConvLayer("c", 4000))  # heads of 4,000 channels
    arrays = {"c.bias": np.zeros(4000, np.float32), name: np.zeros(10**6, np.int8)}
    write_archive(tmp_path / "w.npz", {"config": config_to_json(config)}, arrays)
    refused(tmp_path / "w.npz", r"holds 4,000 numbers, its config needs 280,\d\d\d")


def test_a_header_of_150_megabytes(tmp_path):
    text = np.frombuffer(b'{"config": ' + b" " * 150_000_000 + b"}", np.uint8)
    np.savez(tmp_path / "w.npz", **{HEADER: text})
    refused(tmp_path / "w.npz", "its header has 150,000,012 bytes")


def test_layers_that_no_config_tells_of_lift_no_limit(tmp_path):
    config = narrow(387, 1000)
    header = {"config": config_to_json(config), "own_layers": {"c": "Mine"}}
    write_archive(tmp_path / "w.npz", header, {"c.bias": np.zeros(1, np.float32)})
    refused(tmp_path / "w.npz", "layers that its config does not describe")


def test_what_is_trusted_may_be_large(tmp_path):
    """A model that the user built is filled, whatever it needs."""
    config = narrow(170, 200)
    assert forward_bytes(config) > MOST_BYTES
    save(tmp_path / "w.npz", SSD(config, seed=1))
    refused(tmp_path / "w.npz", "MiB for one image")
    model = load(tmp_path / "w.npz", into=SSD(config))
    assert model.parameters["c.weight"].value.any()


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_is_within_its_budget_and_its_tensors_are_known(name):
    config = load_config(name)
    assert forward_bytes(config) <= MOST_BYTES
    if name in ("tiny", "small", "slim", "mobilenet_coco", "ssd300_voc"):
        shapes = {key: p.value.shape for key, p in SSD(config).parameters.items()}
        assert tensors(config) == shapes
