"""The other engines compute what ours does; whoever is not installed is left out."""

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")

import bench  # noqa: E402  tests/peers/bench.py
import engines  # noqa: E402
import numpy as np  # noqa: E402
import scaling  # noqa: E402
from PIL import Image  # noqa: E402

from ssd_np.config import load_config  # noqa: E402
from ssd_np.model.ssd import SSD  # noqa: E402
from ssd_np.progress import Progress  # noqa: E402


@pytest.mark.parametrize(
    ("name", "package"),
    [("ncnn", "ncnn"), ("mnn", "MNN"), ("openvino", "openvino"), ("opencv", "cv2")],
)
def test_a_peer_computes_the_same(name, package, tmp_path):
    pytest.importorskip(package)
    model = SSD(load_config("tiny"))
    images = np.random.default_rng(0).standard_normal((1, 128, 128, 3)).astype(np.float32)
    network = engines.written(model, images, tmp_path, threads=1)
    theirs = engines.PEERS[name](network, images)()
    for found, ours in zip(theirs, model.forward(images), strict=True):
        np.testing.assert_allclose(found, ours, rtol=0, atol=2e-4 * np.abs(ours).max())


def test_the_report_says_who_is_faster(monkeypatch):
    def missing(network, images):
        raise ImportError("not installed")

    monkeypatch.setattr(bench, "PEERS", {"ncnn": missing})
    with Progress(1, "peers", "round") as bar:
        report = bench.measure("tiny", 1, False, bar)
    ours, *peers = report["times"].values()
    fastest = min(peer["milliseconds"] for peer in peers)
    assert ours["of_the_fastest_peer"] == pytest.approx(ours["milliseconds"] / fastest)
    assert all(peer["difference"] < 2e-5 for peer in peers) and "ncnn" not in report["times"]
    assert bench.text(report | {"what": "forward"}).startswith("tiny, forward, batch 1\n")


def test_the_table_of_growth_tells_an_image_and_a_ratio(tmp_path):
    names, count = scaling.NAMES, len(scaling.CASES)
    measured = {
        threads: [{name: (k + 1) * 2.0 / threads for k, name in enumerate(names)}] * count
        for threads in scaling.THREADS
    }
    first = scaling.table(measured).splitlines()[2]
    assert first == "| 128 x 128, 1 | 2.00 | 4.00 | 6.00 | 1.00 | 2.00 | 3.00 | 0.50, 0.50 |"
    scaling.chart(measured, tmp_path / "chart.png")
    with Image.open(tmp_path / "chart.png") as picture:
        assert picture.size == (900, 400)
