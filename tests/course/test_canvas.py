"""Where a figure is drawn: a file of its own, or the caller's figure."""

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from ssd_np.errors import OutputError
from ssd_np.viz.canvas import canvas, draw_box, show_image


def test_file_is_written_when_the_block_ends(tmp_path):
    path = tmp_path / "new" / "figure.png"
    with canvas(path, 2, 1) as figure:
        figure.text(0.5, 0.5, "text")
        assert not path.exists()
    assert Image.open(path).size == (300, 150)


def test_callers_figure_is_drawn_on_and_not_written(tmp_path):
    mine = Figure()
    with canvas(mine, 3, 2) as figure:
        assert figure is mine
    assert mine.get_size_inches().tolist() == [3, 2]
    assert list(tmp_path.iterdir()) == []


def test_file_that_can_not_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(OutputError, match="can not be written"),
        canvas(tmp_path / "file/x.png", 2, 1),
    ):
        pass


def test_nothing_is_written_when_drawing_fails(tmp_path):
    with pytest.raises(ZeroDivisionError), canvas(tmp_path / "x.png", 2, 1):
        raise ZeroDivisionError
    assert not (tmp_path / "x.png").exists()


def test_image_has_box_coordinates_and_its_own_shape():
    axes = Figure().subplots()
    show_image(axes, np.zeros((60, 30, 3), np.uint8))
    assert (axes.get_xlim(), axes.get_ylim()) == ((0, 1), (1, 0))
    assert axes.get_aspect() == 2  # 60 / 30: a unit of y is twice as long on paper


def test_box_lies_where_it_should():
    axes = Figure().subplots()
    draw_box(axes, np.array([0.1, 0.2, 0.4, 0.8]), "red")
    rim, line = axes.patches
    assert line.get_bbox().extents == pytest.approx([0.1, 0.2, 0.4, 0.8])
    assert rim.get_linewidth() > line.get_linewidth()
