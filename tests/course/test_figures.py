"""The figures: files are written, show what they were given, and touch no global state."""

import subprocess
import sys

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from ssd_np.errors import DataError, OutputError, ShapeError
from ssd_np.evaluate.average_precision import evaluate_voc
from ssd_np.records import Detections, Truth
from ssd_np.viz.cover import coverage
from ssd_np.viz.loss import _smoothed, loss_curve
from ssd_np.viz.mining import mining_figure
from ssd_np.viz.recall import precision_recall

HEADER = "step,total,location,confidence,positives,learning_rate,gradient_norm,images_per_second"


@pytest.fixture
def drawn(monkeypatch):
    """The axes of each figure that is saved, to look into."""
    seen = []
    save = Figure.savefig

    def remember(self, *arguments, **options):
        seen.append(self.axes)
        return save(self, *arguments, **options)

    monkeypatch.setattr(Figure, "savefig", remember)
    return seen


def log(steps):
    step = np.arange(1.0, steps + 1)
    location, confidence = 2 / step, 5 / step
    return {"step": step, "total": location + confidence, "location": location,
            "confidence": confidence, "learning_rate": np.full(steps, 1e-3)}  # fmt: skip


def line(axes, label):
    return next(entry for entry in axes.get_lines() if entry.get_label() == label)


def is_picture(path):
    return np.asarray(Image.open(path).convert("L")).std() > 5


def test_loss_curve_of_columns(tmp_path, drawn):
    loss_curve(log(400), tmp_path / "loss.png")
    assert is_picture(tmp_path / "loss.png")
    loss_axes, rate_axes = drawn[0]
    total = line(loss_axes, "total").get_ydata()
    assert total[200] == pytest.approx(np.mean(log(400)["total"][195:205]))  # 400 // 40 steps
    np.testing.assert_array_equal(rate_axes.get_lines()[0].get_ydata(), 1e-3)
    raw = [entry.get_ydata() for entry in loss_axes.get_lines()]
    assert any(np.array_equal(values, log(400)["location"]) for values in raw)


def test_loss_curve_of_a_file_equals_that_of_its_columns(tmp_path, drawn):
    columns = log(30)
    rows = [
        f"{s:.0f},{t!r},{p!r},{c!r},12,{r!r},1.5,20"
        for s, t, p, c, r in np.stack(list(columns.values())).T.tolist()
    ]
    (tmp_path / "log.csv").write_text("\n".join([HEADER, *rows]) + "\n")
    loss_curve(tmp_path / "log.csv", tmp_path / "a.png")
    loss_curve(columns, tmp_path / "b.png")
    np.testing.assert_array_equal(Image.open(tmp_path / "a.png"), Image.open(tmp_path / "b.png"))


def test_a_long_loss_curve_has_few_points_and_hides_no_peak(tmp_path, drawn):
    columns = log(120_000)
    columns["total"][77_777], columns["total"][77_778] = 40.0, 1e-7
    loss_curve(columns, tmp_path / "loss.png")
    for axes in drawn[0]:
        assert all(len(entry.get_xdata()) <= 2000 for entry in axes.get_lines())
    raw = drawn[0][0].get_lines()[0].get_ydata()
    assert {40.0, 1e-7} <= set(raw)
    smooth = line(drawn[0][0], "total")
    place = np.searchsorted(columns["step"], smooth.get_xdata()[1000])
    window = columns["total"][place - 1500 : place + 1500]
    assert smooth.get_ydata()[1000] == pytest.approx(window.mean())


def test_smoothing_leaves_a_constant_alone_at_both_ends():
    for window in (1, 4, 5):
        np.testing.assert_allclose(_smoothed(np.full(20, 3.0), window), 3.0)


@pytest.mark.filterwarnings("error")
def test_loss_curve_of_one_step_without_objects(tmp_path, drawn):
    loss_curve(log(1) | {"location": np.zeros(1)}, tmp_path / "one.png")
    assert line(drawn[0][0], "total").get_marker() == "o"


def test_loss_curve_refuses_broken_logs(tmp_path):
    path = tmp_path / "log.csv"
    with pytest.raises(DataError, match=r"log\.csv: can not be read"):
        loss_curve(path, tmp_path / "x.png")
    cases = [
        ("", "no column step"),
        ("step,total\n1,2\n", "no column learning_rate"),
        (HEADER + "\n", "no step was logged"),
        (HEADER + "\n1,2,1,1,5,0.1,3,4\n2,2,1\n", "line 3: expected 8 numbers, got '2,2,1'"),
        (HEADER + "\n1,2,1,1,5,x,3,4\n", "line 2: expected 8 numbers"),
    ]
    for text, message in cases:
        path.write_text(text)
        with pytest.raises(DataError, match=message):
            loss_curve(path, tmp_path / "x.png")
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="can not be written"):
        loss_curve(log(3), tmp_path / "file" / "x.png")


def voc_result(count):
    """One object for each of `count` classes, found in all but the last, and a false alarm."""
    names = tuple(f"c{k}" for k in range(1, count + 1))
    truths, detections = [], []
    for k in range(1, count + 1):
        truths.append(Truth([[0, 0, 0.5, 0.5]], [k]))
        boxes = np.array([[0, 0, 0.5, 0.5 if k < count else 0.1], [0.6, 0.6, 1, 1]])
        detections.append(Detections(boxes, np.array([k, k]), np.array([0.9, 0.3]), names))
    return evaluate_voc(detections, truths)


def test_precision_recall_curves(tmp_path, drawn):
    precision_recall(voc_result(3), tmp_path / "pr.png")
    assert is_picture(tmp_path / "pr.png")
    (axes,) = drawn[0]
    found = line(axes, "c1  1.000")
    np.testing.assert_array_equal(found.get_xdata(), [0, 1, 1])
    np.testing.assert_array_equal(found.get_ydata(), [1, 1, 0.5])
    dots = [e for e in axes.get_lines() if e.get_marker() == "o" and len(e.get_xdata())]
    assert [(d.get_xdata()[0], d.get_ydata()[0]) for d in dots] == [(1, 1), (1, 1), (0, 0)]


def test_precision_recall_of_many_classes_names_the_extremes(tmp_path, drawn):
    precision_recall(voc_result(30), tmp_path / "pr.png")
    labels = [e.get_label() for e in drawn[0][0].get_lines()]
    named = [text for text in labels if text.startswith("c")]
    assert len(named) == 10
    assert named[-1] == "c30  0.000"


def test_precision_recall_of_nothing(tmp_path):
    empty = evaluate_voc([Detections(np.zeros((0, 4)), [], [], ("a",))], [Truth([], [])])
    with pytest.raises(ShapeError, match="no class has an object"):
        precision_recall(empty, tmp_path / "pr.png")


@pytest.mark.filterwarnings("error")
def test_coverage_counts(tmp_path, drawn):
    sizes = np.array([10.0, 10.0, 20.0, 40.0, 80.0])
    coverage(np.array([0.1, 0.6, 0.5, 0.7, 0.49]), sizes, tmp_path / "coverage.png")
    assert is_picture(tmp_path / "coverage.png")
    cloud, bars = drawn[0]
    texts = [text.get_text() for text in cloud.get_legend().get_texts()]
    assert texts == ["covered: 3 of 5 (60.0%)", "not covered: 2 of 5 (40.0%)"]
    heights = [bar.get_height() for bar in bars.patches]
    assert (heights[0], heights[-1], sum(heights)) == (50, 100, 150)
    assert [t.get_text() for t in bars.texts if t.get_text()] == ["2", "1", "1", "1"]


def test_coverage_refuses_what_is_none(tmp_path):
    for iou, sizes in (([], []), ([0.5], [1, 2]), ([0.5], [0.0])):
        with pytest.raises(ShapeError, match="are no coverage"):
            coverage(np.array(iou), np.array(sizes), tmp_path / "x.png")


def test_no_pyplot_and_no_backend_is_chosen(tmp_path):
    code = (
        "import sys, numpy as np; from ssd_np.viz.cover import coverage;"
        "coverage(np.array([.4, .6]), np.array([9., 90.]), sys.argv[1]);"
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "coverage.svg")], check=True)


def test_mining_shows_the_cut_and_the_shares():
    # two classes; logits so that the probability of an object is 0.9, 0.8, 0.5, 0.2, 0.1 and 0.6
    odds = np.log(
        np.array([0.9, 0.8, 0.5, 0.2, 0.1, 0.6]) / np.array([0.1, 0.2, 0.5, 0.8, 0.9, 0.4])
    )
    logits = np.stack([np.zeros(6), odds], axis=1)
    labels = np.array([0, 0, 0, 0, -1, 1])
    mined = np.array([True, True, False, False, False, False])
    figure = Figure()
    mining_figure(logits, labels, mined, figure)
    ranks, bars = figure.axes
    easy, hard = (line(ranks, f"{name}: 2") for name in ("easy", "mined"))
    np.testing.assert_allclose(hard.get_ydata(), -np.log([0.1, 0.2]))
    np.testing.assert_allclose(easy.get_ydata(), -np.log([0.5, 0.8]))
    assert easy.get_xdata().tolist() == [3, 4]
    # |softmax - one_hot| summed over both classes is twice the error: 0.9 0.8 0.5 0.2, and 0.4
    widths = [bar.get_width() for bar in bars.patches]
    np.testing.assert_allclose(widths[::2], np.array([0.4, 1.7, 0.7]) / 2.8 * 100)
    np.testing.assert_allclose(widths[1::2], [20, 40, 40])
