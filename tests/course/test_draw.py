"""Boxes and labels on pictures: where they are, what colour, and that they can be read."""

import subprocess
import sys
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFont

from ssd_np.errors import OutputError, ShapeError
from ssd_np.picture import OKABE_ITO, class_color, fitted, font_of
from ssd_np.records import Detections, Truth
from ssd_np.viz.draw import draw_detections, draw_truth, gallery, save_picture

NAMES = ("cell", "platelet", "a name much longer than the picture is wide, " * 3)
GREY = np.full((400, 500, 3), 128, np.uint8)


def found(boxes, labels, scores):
    return Detections(np.array(boxes), np.array(labels), np.array(scores), NAMES)


def where(picture, color):
    """(top, left, bottom, right) of all pixels of a colour."""
    rows, columns = np.nonzero((picture == color).all(axis=2))
    return rows.min(), columns.min(), rows.max(), columns.max()


def test_box_stands_where_the_fractions_say():
    picture = draw_detections(GREY, found([[0.2, 0.5, 0.6, 0.9]], [1], [0.9]))
    top, left, bottom, right = where(picture, class_color(1))
    assert (left, right, bottom) == (round(0.2 * 499), round(0.6 * 499), round(0.9 * 399))
    assert 10 <= round(0.5 * 399) - top <= 30  # the label stands on the box
    assert (picture[250, 200] == 128).all()  # the inside is not painted over


def test_input_is_not_changed_and_output_is_a_copy():
    image = GREY.copy()
    picture = draw_detections(image, found([[0.2, 0.5, 0.6, 0.9]], [1], [0.9]))
    np.testing.assert_array_equal(image, GREY)
    assert (picture.shape, picture.dtype) == (GREY.shape, np.uint8)
    empty = draw_detections(image, found(np.zeros((0, 4)), np.zeros(0, int), []))
    np.testing.assert_array_equal(empty, GREY)
    assert not np.shares_memory(empty, image)


def test_scores_below_the_minimum_are_not_drawn():
    both = found([[0.1, 0.3, 0.4, 0.6], [0.5, 0.3, 0.9, 0.6]], [1, 2], [0.5, 0.49])
    first = found([[0.1, 0.3, 0.4, 0.6]], [1], [0.5])
    np.testing.assert_array_equal(draw_detections(GREY, both), draw_detections(GREY, first))
    assert (draw_detections(GREY, both) == class_color(1)).all(axis=2).any()  # 0.5 is enough
    more = draw_detections(GREY, both, min_score=0.4)
    assert (more == class_color(2)).all(axis=2).any()


def test_small_picture_is_enlarged_by_a_whole_factor():
    image = np.random.default_rng(0).integers(0, 256, (128, 150, 3), dtype=np.uint8)
    nothing = Truth(np.zeros((0, 4)), [])
    picture = draw_truth(image, nothing, NAMES)
    assert picture.shape == (384, 450, 3)
    np.testing.assert_array_equal(picture[1::3, 1::3], image)
    assert draw_truth(image, nothing, NAMES, min_side=1).shape == image.shape


@pytest.mark.parametrize("box", [(0, 0, 0.05, 0.05), (0.95, 0.97, 1, 1), (0, 0, 1, 1)])
@pytest.mark.parametrize("label", [1, 3])
def test_label_stays_whole_inside_the_picture(box, label):
    picture = draw_detections(GREY, found([box], [label], [0.93]))
    painted = (picture != 128).any(axis=2)
    label_rows = np.flatnonzero(painted.sum(axis=1) > 45)  # wider than the small boxes
    assert len(label_rows) >= 14  # the font's full height
    ink = picture[label_rows].max(axis=2) < 30
    assert ink.sum() > 30


@given(
    st.lists(st.tuples(*[st.floats(-0.2, 1.2)] * 4), min_size=1, max_size=4),
    st.integers(1, 60),
    st.integers(1, 60),
)
@settings(max_examples=60, deadline=None)
def test_any_box_can_be_drawn_on_any_picture(boxes, height, width):
    image = np.zeros((height, width, 3), np.uint8)
    count = len(boxes)
    some = found(boxes, np.arange(count) % 3 + 1, np.full(count, 0.9))
    assert draw_detections(image, some, min_side=1).shape == image.shape


def test_labels_of_two_equal_boxes_do_not_hide_each_other():
    box = [0.3, 0.4, 0.7, 0.8]
    one = draw_detections(GREY, found([box], [1], [0.9]))
    two = draw_detections(GREY, found([box, box], [1, 2], [0.9, 0.8]))
    label = (one[130:159, 150:230] == class_color(1)).all(axis=2)
    assert label.sum() > 300
    np.testing.assert_array_equal(two[130:158, 150:200], one[130:158, 150:200])
    assert (two == class_color(2)).all(axis=2).sum() > 300


def test_the_better_score_lies_on_top():
    boxes = [[0.2, 0.4, 0.6, 0.8], [0.4, 0.4, 0.8, 0.8]]  # bottom edges share columns 200 to 299
    picture = draw_detections(GREY, found(boxes, [1, 2], [0.7, 0.9]))
    assert (picture[round(0.8 * 399), 250] == class_color(2)).all()


def test_of_thousands_of_boxes_the_best_are_drawn():
    """Time would grow with their square, for a picture of nothing but edges."""
    boxes = np.random.default_rng(0).uniform(size=(20_000, 2, 2))
    boxes = np.sort(boxes, axis=1).reshape(-1, 4)
    labels, scores = np.ones(len(boxes), int), np.linspace(0.9, 0.6, len(boxes))
    begin = time.process_time()
    picture = draw_detections(GREY, found(boxes, labels, scores))
    assert time.process_time() - begin < 10
    best = draw_detections(GREY, found(boxes[:1000], labels[:1000], scores[:1000]))
    np.testing.assert_array_equal(picture, best)


def test_label_carries_the_name_of_the_class():
    box = [[0.3, 0.4, 0.35, 0.8]]
    widths = []
    for names in (("cell", "platelet"), ("platelet", "cell")):
        one = Detections(np.array(box), np.array([2]), np.array([0.9]), names)
        _, left, _, right = where(draw_detections(GREY, one), class_color(2))
        widths.append(right - left)
    assert widths[0] > widths[1] + 10  # "platelet 0.90" is wider than "cell 0.90"


@pytest.mark.parametrize("letter", "äöüÄÖÜßéøłČşğжΩ")
def test_letters_of_europe_are_drawn(letter):
    """None looks like a letter that the font lacks, an empty box."""
    font = font_of(20)
    assert bytes(font.getmask(letter)) != bytes(font.getmask("\U0010fffd"))


def test_the_font_does_not_import_matplotlib():
    code = "import sys; from ssd_np.picture import font_of; font_of(9); "
    code += "sys.exit('matplotlib' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_without_matplotlib_s_file_pillow_s_own_font_is_taken(monkeypatch):
    monkeypatch.setattr("ssd_np.picture._font_file", lambda: None)
    assert font_of(14).getname() == ImageFont.load_default(14).getname()
    monkeypatch.setattr(ImageFont, "load_default", lambda size: ImageFont.ImageFont())
    with pytest.raises(OutputError, match="built without FreeType"):
        font_of(14)


def test_a_caption_hides_no_other_box_where_there_is_room():
    above, below = [0.3, 0.3, 0.4, 0.48], [0.3, 0.5, 0.4, 0.7]
    both = draw_detections(GREY, found([below, above], [1, 2], [0.9, 0.8]))
    alone = draw_detections(GREY, found([above], [2], [0.8]))
    box = np.s_[round(0.3 * 399) : round(0.48 * 399), round(0.3 * 499) : round(0.4 * 499)]
    np.testing.assert_array_equal(both[box], alone[box])


def test_text_too_wide_for_the_picture_is_cut():
    font = ImageFont.load_default(13)
    text, (width, _) = fitted(NAMES[2], font, 200)
    assert text.endswith("..") and NAMES[2].startswith(text[:-2]) and len(text) > 15
    assert font.getlength(text) + 6 <= width <= 200
    assert fitted("cell 0.90", font, 200)[0] == "cell 0.90"


def test_truth_says_what_is_not_counted():
    box = [[0.3, 0.4, 0.9, 0.8]]
    plain = draw_truth(GREY, Truth(box, [1]), NAMES)
    difficult = draw_truth(GREY, Truth(box, [1], difficult=[True]), NAMES)
    crowd = draw_truth(GREY, Truth(box, [1], crowd=[True]), NAMES)
    areas = [(p == class_color(1)).all(axis=2).sum() for p in (plain, crowd, difficult)]
    assert areas[0] < areas[1] < areas[2]  # a longer text, a longer background


def test_colors_are_distinct_and_the_first_are_safe():
    colors = [class_color(label) for label in range(1, 21)]
    assert tuple(colors[:7]) == OKABE_ITO
    apart = [np.abs(np.subtract(a, b)).max() for i, a in enumerate(colors) for b in colors[i + 1 :]]
    assert min(apart) >= 50
    assert all(0 <= c <= 255 for label in range(1, 300) for c in class_color(label))


def test_gallery_places_pairs_side_by_side(tmp_path):
    red, blue = np.zeros((90, 120, 3), np.uint8), np.zeros((90, 120, 3), np.uint8)
    red[..., 0], blue[..., 2] = 255, 255
    rows = [("first", red, blue), ("second", red, blue), ("third", red, blue)]
    path = tmp_path / "new" / "sheet.png"
    sheet = gallery(rows, path, "a header", pairs_across=2, cell_width=240)
    np.testing.assert_array_equal(np.asarray(Image.open(path)), sheet)
    for color in ((255, 0, 0), (0, 0, 255)):
        assert (sheet == color).all(axis=2).sum() == 3 * 240 * 180
    assert where(sheet, (255, 0, 0))[1] < where(sheet, (0, 0, 255))[1]
    assert (sheet[:40] == 0).all(axis=2).any()  # the header


def test_refuses_what_can_not_be_drawn_or_written(tmp_path):
    nothing = Truth(np.zeros((0, 4)), [])
    for image in (GREY / 255, GREY[..., :2], GREY[0, 0], np.zeros((0, 4, 3), np.uint8)):
        with pytest.raises(ShapeError, match="uint8 RGB"):
            draw_truth(image, nothing, NAMES)
    with pytest.raises(ShapeError, match="at least one pair"):
        gallery([], tmp_path / "x.png", "")
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file" / "x.png", tmp_path / "x.unknown"):
        with pytest.raises(OutputError, match="can not be written"):
            save_picture(GREY, path)
