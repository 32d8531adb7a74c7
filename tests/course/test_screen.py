"""Showing figures with and without a screen, and the figures that lessons draw themselves."""

import importlib.util
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image

from ssd_np.viz import screen
from ssd_np.viz.costs import costs_figure
from ssd_np.viz.im2col import im2col_figure

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture
def alone(tmp_path, monkeypatch):
    """A folder of its own, no figure open."""
    monkeypatch.chdir(tmp_path)
    plt.switch_backend("agg")
    yield tmp_path
    plt.close("all")


def test_without_a_screen_figures_are_files(alone, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["examples/05_convolution.py"])
    plt.figure(), plt.figure()
    screen.show()
    names = [line.removeprefix("figure: ") for line in capsys.readouterr().out.splitlines()]
    assert len(names) == 2 and all("runs/lessons/05_convolution_" in name for name in names)
    for name in names:
        Image.open(name).verify()
    assert plt.get_fignums() == []
    screen.show()  # nothing is open, nothing is said
    assert capsys.readouterr().out == ""


def test_with_a_screen_they_are_windows(alone, monkeypatch, capsys):
    shown = []
    monkeypatch.setattr(matplotlib, "get_backend", lambda: "QtAgg")
    monkeypatch.setattr(plt, "show", lambda: shown.append(plt.get_fignums()))
    plt.figure()
    screen.show()
    assert shown == [[1]] and list(alone.iterdir()) == [] and capsys.readouterr().out == ""


def test_the_picture_of_im2col_tells_the_numbers(alone):
    figure = plt.figure()
    im2col_figure(np.arange(9.0).reshape(3, 3), np.array([[1.0, 0], [0, 2]]), figure)
    picture, rows = figure.axes[:2]
    numbers = [[t.get_text() for t in axes.texts if t.get_text().isdigit()] for axes in figure.axes]
    assert numbers[0] == [str(k) for k in range(9)]
    assert "".join(numbers[1]) == "0134124534674578"
    assert numbers[2] == ["1", "0", "0", "2"] and numbers[3] == ["8", "11", "17", "20"]
    frames = [patch for patch in picture.patches if patch.get_linewidth() == 2]
    colors = [patch.get_edgecolor()[:3] for patch in frames]
    tinted = [patch.get_facecolor()[:3] for patch in rows.patches if patch.get_alpha() == 0.25]
    assert len(set(colors)) == 4 and colors == tinted


def test_the_chart_of_costs_is_drawn_from_the_table(alone):
    """After a new measurement: python docs/pictures.py."""
    spec = importlib.util.spec_from_file_location("pictures", DOCS / "pictures.py")
    pictures = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(pictures)
    table = pictures.table_of_costs()
    assert Image.open(DOCS / "images" / "costs.png").text[pictures.MADE_FROM] == table
    columns, rows = pictures.read_ratios(table)
    assert columns[0] == "im2col" and rows["tiny, forward, batch 1"][3] == 1
    figure = plt.figure()
    costs_figure(columns, rows, figure)
    widths = sorted(bar.get_width() for bars in figure.axes[0].containers for bar in bars)
    assert widths == sorted(ratio for row in rows.values() for ratio in row if ratio is not None)
