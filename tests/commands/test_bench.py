"""The benchmark: what its report holds and that its contestants compute the same; never seconds."""

import dataclasses
import json

import numpy as np
import pytest

from ssd_np.bench import layers, machine, networks, rivals
from ssd_np.bench.report import benchmark, text
from ssd_np.cli import main
from ssd_np.config import FeatureMapConfig, InputConfig, load_config, sized
from ssd_np.engine.threads import thread_count
from ssd_np.kinds.batchnorm import BatchNormLayer
from ssd_np.kinds.conv import ConvLayer
from ssd_np.kinds.depthwise import DepthwiseLayer
from ssd_np.kinds.pool import PoolLayer
from ssd_np.loss.multibox import multibox_loss
from ssd_np.model.fold import for_inference
from ssd_np.model.ssd import SSD
from ssd_np.progress import Progress


@pytest.fixture(scope="module")
def report():
    patch = pytest.MonkeyPatch()
    patch.setattr(machine, "SIDE", 64)
    patch.setattr(machine, "BYTES", 4096)
    yield benchmark(["tiny"], rounds=1, whole=False)
    patch.undo()


def test_the_report_is_json_and_complete(report):
    assert json.loads(json.dumps(report)) == report
    assert report["machine"]["threads"] >= 1 and report["machine"]["gemm_gflop_per_s"] > 0
    (tiny,) = report["networks"]
    assert tiny["forward"]["batch"] == 1 and tiny["training_step"]["batch"] == 16
    for key in ("forward", "training_step"):
        names = [row["name"] for row in tiny[key]["times"]]
        assert names[:3] == ["im2col", "winograd2", "winograd4"]
        assert all(row["milliseconds"] > 0 for row in tiny[key]["times"])
    model = SSD(load_config("tiny"))
    assert {row["name"] for row in tiny["layers"]} == {layer.name for layer in model.layers}


def test_the_parts_of_a_forward_are_one_call(report):
    parts = report["networks"][0]["parts"]
    assert list(parts) == ["kernels", "waiting", "Python"] and min(parts.values()) >= 0
    assert "of one call: kernels " in text(report)
    dilated = dataclasses.replace(load_config("ssd300_voc"), convolution="im2col")
    assert layers.time_parts(dilated, calls=1) is None


def test_the_contestants_agree(report):
    """Float32 rounding, winograd4's too; a network that computes something else is far off."""
    for key in ("forward", "training_step"):
        for row in report["networks"][0][key]["times"]:
            assert row["difference"] <= 2e-5, row["name"]


def test_ratios_are_to_pytorch(report):
    for key in ("forward", "training_step"):
        times = {row["name"]: row for row in report["networks"][0][key]["times"]}
        if "pytorch" not in times:
            assert all(row["ratio"] is None for row in times.values())
            continue
        for row in times.values():
            expected = row["milliseconds"] / times["pytorch"]["milliseconds"]
            assert row["ratio"] == pytest.approx(expected)


def test_work_of_the_layers(report):
    """2 Ho Wo Co kh kw C, by hand for two layers; pooling does none."""
    rows = {row["name"]: row for row in report["networks"][0]["layers"]}
    assert rows["conv5_2"]["gigaflop"] == pytest.approx(2e-9 * 8 * 8 * 128 * 9 * 128)
    heads = 4 * (6 + 4)  # boxes a cell, classes and offsets
    assert rows["head_conv5_2"]["gigaflop"] == pytest.approx(2e-9 * 8 * 8 * heads * 9 * 128)
    assert rows["pool4"]["gigaflop"] == 0 and rows["pool4"]["share"] is None
    assert set(rows["conv5_2"]["milliseconds"]) == set(networks.ALGORITHMS)


def test_a_network_is_measured_as_it_detects(monkeypatch):
    """Folded, for ours as for the others; of layers that run in one call each has its own time."""
    config, measured = sized(load_config("slim"), (96, 128)), []
    folded = [layer.name for layer in for_inference(SSD(config)).layers]
    with Progress(4 * len(networks.ALGORITHMS), "bench", "round") as bar:
        rows = layers.time_layers(config, 1, 1, 100.0, bar)
        assert [row.name for row in rows] == folded
        assert all(time > 0 for row in rows for time in row.milliseconds.values())  # no NaN

        def note(model):
            measured.append(for_inference(model))
            return measured[-1]

        monkeypatch.setattr(networks, "for_inference", note)
        networks.time_forward(config, 1, 1, bar)
    assert len(measured) == len(networks.ALGORITHMS) + 1
    assert all([layer.name for layer in model.layers] == folded for model in measured)


def test_onnx_runtime_computes_every_kind_of_layer(rng):
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    layers = (
        ConvLayer("stem", 8, stride=2, pad=((0, 1), (0, 1)), activation="none"),
        BatchNormLayer("norm", activation="relu6"),
        DepthwiseLayer("deep", stride=2, activation="none"),
        PoolLayer("pool"),
    )
    config, last = load_config("tiny"), FeatureMapConfig("pool", (8, 12), 8, 8, 16)
    config = dataclasses.replace(
        config, input=InputConfig((64, 96)), layers=layers, base_end="deep", feature_maps=(last,)
    )
    model = SSD(config)
    for name in ("norm.mean", "norm.variance", "norm.scale", "norm.shift"):
        model.parameters[name].assign(rng.uniform(0.5, 2, 8))
    images = rng.standard_normal((2, 64, 96, 3), np.float32)
    theirs = rivals.onnx_forward(model, images)()
    for ours, out in zip(model.forward(images), theirs, strict=True):
        np.testing.assert_allclose(ours, out, rtol=0, atol=1e-4)


def test_pytorch_trains_the_same_step(rng):
    """Same loss at the second step too: so forward, loss, gradients and update agree."""
    pytest.importorskip("torch")
    config = load_config("tiny")
    images, targets = networks.images_of(config, 2), networks.targets_of(config, 2)
    theirs = rivals.torch_step(SSD(config), images, targets, False, 1e-3)
    model = SSD(config)
    optimiser = networks.SGD(
        model.parameters, config.training.momentum, config.training.weight_decay
    )
    for _ in range(3):
        loss = multibox_loss(*model.forward(images, training=True), *targets)
        model.backward(loss.dlogits, loss.doffsets)
        optimiser.step(1e-3)
        assert theirs() == pytest.approx(loss.total, rel=1e-4)


@pytest.mark.parametrize("network", ["tiny", "ssd300_voc"])
def test_onnx_runtime_computes_the_same(network):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    model = SSD(load_config(network))
    images = networks.images_of(model.config, 1)
    for theirs, ours in zip(
        rivals.onnx_forward(model, images)(), model.forward(images), strict=True
    ):
        np.testing.assert_allclose(theirs, ours, atol=1e-4 * np.abs(ours).max())


def test_without_the_others_it_measures_ours(monkeypatch):
    monkeypatch.setattr(rivals, "installed", lambda name: None)
    model = SSD(load_config("tiny"))
    images, targets = networks.images_of(model.config, 1), networks.targets_of(model.config, 1)
    assert rivals.torch_forward(model, images, channels_last=True) is None
    assert rivals.torch_step(model, images, targets, False, 1e-3) is None
    assert rivals.onnx_forward(model, images) is None


def test_text_and_json_of_the_command(report, monkeypatch, capsys):
    asked = []
    monkeypatch.setattr(
        "ssd_np.bench.report.benchmark",
        lambda names, rounds, whole: asked.append((names, rounds, whole)) or report,
    )
    assert main(["bench", "--quick", "--rounds", "2", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == report
    assert main(["bench", "--network", "small"]) == 0
    assert capsys.readouterr().out == text(report) + "\n"
    assert asked == [(["tiny"], 2, False), (["small"], 9, True)]


def test_text_of_a_whole_report(report):
    whole = report | {
        "start_seconds": {"import ssd_np": 0.125},
        "forward_memory_mib": {"im2col": 150.0, "winograd2": None},
    }
    lines = text(whole).splitlines()
    assert any(line.split() == ["import", "ssd_np", "0.12", "s"] for line in lines)
    assert any(line.split() == ["winograd2", "unknown", "MiB"] for line in lines)
    assert any(line.startswith("tiny, training step, batch 16") for line in lines)
    assert max(map(len, lines)) <= 120


def test_a_fresh_process_reports_its_memory():
    mebibytes = machine.forward_memory("ssd300_voc", "im2col")
    assert mebibytes is None or 50 < mebibytes < 190  # the largest maps alone are 2 x 22


def test_threads_are_those_of_the_option(monkeypatch, capsys):
    monkeypatch.setenv("SSD_NP_THREADS", "2")
    seen = []
    monkeypatch.setattr(
        "ssd_np.bench.report.benchmark", lambda *_, **__: seen.append(thread_count()) or {}
    )
    assert main(["bench", "--threads", "1", "--json"]) == 0 and seen == [1]


def test_the_share_of_the_peak_is_that_of_the_fastest_of_ours(report):
    shown = text(report)
    tiny = report["networks"][0]
    work = sum(layer["gigaflop"] for layer in tiny["layers"])
    fastest = min(row["milliseconds"] for row in tiny["forward"]["times"][:3])
    rate = 1e3 * work / fastest
    share = rate / report["machine"]["gemm_gflop_per_s"]
    assert f"{rate:.0f} GFLOP/s, {share:.0%} of the matrix products' peak" in shown
