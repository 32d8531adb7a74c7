"""What objects say of themselves where they are looked at: in a terminal, and in a notebook."""

import base64
import dataclasses
import gc
import io
import re
import sys
import types

import numpy as np
import pytest
from PIL import Image

import ssd_np
from ssd_np import ConfigError, Detector, ShapesDataset, Trainer, load_config
from ssd_np.boxes.default_boxes import DefaultBoxes, default_boxes_for_map
from ssd_np.config import preset_names
from ssd_np.data.voc import VOCDataset
from ssd_np.errors import ShapeError, SsdError, WeightsError
from ssd_np.evaluate.coco_matching import to_pixels
from ssd_np.infer.place import place_of
from ssd_np.model.ssd import SSD
from ssd_np.model.trace import trace_table
from ssd_np.model.weights import load
from ssd_np.picture import class_color
from ssd_np.records import Detections, Sample, Truth
from ssd_np.train.callbacks import Callback
from ssd_np.train.log import COLUMNS
from ssd_np.train.pretrain import Crops

TINY = load_config("tiny")
SHORT = dataclasses.replace(TINY.training, steps=4, batch_size=2, checkpoint_every=2)
GREY = np.full((400, 600, 3), 128, np.uint8)


def picture(html):
    """The pixels that an <img> carries."""
    data = re.search(r'src="data:image/png;base64,([^"]+)"', html)[1]
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))


def has_box(pixels, box_corner, label):
    """Whether all four sides of a box are drawn in the colour of its class."""
    height, width = pixels.shape[:2]
    colored = (pixels == class_color(label)).all(axis=2)
    x0, y0, x1, y1 = to_pixels(box_corner, (height - 1, width - 1))[0].round().astype(int)
    sides = [colored[y0 : y1 + 1, max(0, x - 3) : x + 4].any(axis=1).mean() for x in (x0, x1)]
    sides += [colored[max(0, y - 3) : y + 4, x0 : x1 + 1].any(axis=0).mean() for y in (y0, y1)]
    return min(sides) > 0.5  # others may cross it


# --- names ---------------------------------------------------------------------------------------


def test_a_name_is_enough():
    assert SSD("tiny").config == TINY and ssd_np.SSD("tiny", seed=3).config == TINY
    image = ShapesDataset(0, 1)[0].image
    assert Detector("shapes").detect(image) == Detector(load("shapes")).detect(image)
    assert Detector("shapes", 0.9).rule.score_threshold == 0.9


def test_a_config_or_weights_may_be_a_file(tmp_path):
    path = tmp_path / "mine.npz"
    ssd_np.save(path, SSD("tiny", seed=5))
    for name in (path, str(path)):
        assert Detector(name).model.config == TINY
    (tmp_path / "mine.json").write_text(ssd_np.config.config_to_json(TINY))
    assert SSD(tmp_path / "mine.json").config == TINY


def test_an_unknown_name_says_which_there_are():
    with pytest.raises(ssd_np.ConfigError, match=r"no such config: 'tinny' \(presets: .*tiny"):
        SSD("tinny")
    with pytest.raises(WeightsError, match=r"with the package come: .*shapes"):
        Detector("shape")
    assert issubclass(ConfigError, SsdError)


def test_names_are_those_of_images_and_class_names_those_of_classes(bccd_root):
    data = VOCDataset(bccd_root, "val")
    assert data.names[-1] == data[-1].name and data[-1] == data[len(data) - 1]
    assert data[-1].class_names == data.class_names and data.truth(-1) == data[-1].truth
    assert Detector("blood_cells").detect(data[-1].image).class_names == data.class_names
    assert not hasattr(Detections, "names")


# --- in words ------------------------------------------------------------------------------------


def test_a_model_is_its_trace_table():
    first, _, table = repr(SSD("tiny")).partition("\n")
    assert table == trace_table(TINY)
    assert first == "SSD 'tiny', classes circle, square, triangle, star, cross"
    odd = SSD(dataclasses.replace(TINY, class_names=("<b>cat",)))
    assert "white-space: pre" in odd._repr_html_() and "&lt;b&gt;cat" in odd._repr_html_()
    assert odd._repr_html_().count("\n") == repr(odd).count("\n")


@pytest.mark.parametrize("name", preset_names())
def test_a_preset_has_no_differences(name):
    assert repr(load_config(name)) == f"Config {name!r}, as the preset"


def test_a_config_is_its_differences_from_the_preset():
    pool = next(i for i, layer in enumerate(TINY.layers) if layer.name == "pool2")
    layers = [*TINY.layers]
    layers[pool] = dataclasses.replace(layers[pool], ceil=True)
    config = dataclasses.replace(
        TINY,
        class_names=("cat",),
        layers=tuple(layers),
        training=dataclasses.replace(TINY.training, steps=20),
    )
    assert repr(config).splitlines() == [
        "Config 'tiny', as the preset, but",
        "  class_names: ('cat',) (preset: ('circle', 'square', 'triangle', 'star', 'cross'))",
        f"  layers[{pool}].ceil: True (preset: False)",
        "  training.steps: 20 (preset: 1500)",
    ]


def test_a_config_of_another_length_says_how_many():
    cut = TINY.feature_maps[:-1]
    end = next(i for i, layer in enumerate(TINY.layers) if layer.name == cut[-1].name)
    config = dataclasses.replace(TINY, layers=TINY.layers[: end + 1], feature_maps=cut)
    assert f"  feature_maps: {len(cut)} of them (preset: {len(cut) + 1} of them)" in repr(config)


def test_a_config_of_no_preset_is_told_whole():
    own = dataclasses.replace(TINY, name="mine")
    first, _, rest = repr(own).partition("\n")
    assert first == "Config 'mine', no preset:"
    assert ssd_np.config.config_from_json(rest) == own


def test_detections_are_a_table():
    boxes = np.tile([0.1, 0.25, 0.5, 1.0], (22, 1))
    scores = np.linspace(0.99, 0.1, 22)
    lines = repr(Detections(boxes, np.ones(22, int), scores, ("cat",))).splitlines()
    assert lines[0] == "22 detections; xmin, ymin, xmax, ymax in % of the image"
    assert lines[1].split() == ["cat", "0.99", "10.0", "25.0", "50.0", "100.0"]
    assert len({len(line) for line in lines[1:21]}) == 1 and lines[21:] == ["  and 2 more"]
    assert repr(Detections(boxes[:0], [], [], ("cat",))) == "0 detections"


def test_a_sample_says_its_objects_and_no_pixels():
    truth = Truth([[0, 0, 0.5, 1], [0, 0, 1, 1]], [2, 1], difficult=[True, False])
    lines = repr(Sample(GREY, truth, "7.jpg", ("cat", "dog"))).splitlines()
    assert lines[0].startswith("7.jpg: 600 x 400 pixels, 2 objects")
    assert "dog (difficult)" in lines[1] and "cat" in lines[2] and len(lines) == 3
    assert "class 2 (difficult)" in repr(Sample(GREY, truth, "7.jpg"))  # names are not told


# --- in pictures ---------------------------------------------------------------------------------


def test_a_sample_shows_its_truth():
    for sample in (ShapesDataset(0, 3)[-1], ShapesDataset(4, 1)[0]):
        pixels = picture(sample._repr_html_())
        assert pixels.shape == (384, 384, 3)
        for box, label in zip(sample.truth.boxes_corner, sample.truth.labels, strict=True):
            assert has_box(pixels, box, label)


def test_detections_show_the_image_they_were_found_in():
    image = ShapesDataset(0, 1)[0].image
    found = Detector("shapes").detect(image)
    html = found._repr_html_()
    sure = found.at_least(0.5)
    assert 0 < len(sure) < len(found)
    assert all(has_box(picture(html), d.box_corner, d.label) for d in sure)
    assert f"{len(sure)} of {len(found)} detections with a score of 0.5 or more" in html
    alone = picture(found[[0]]._repr_html_())  # a part of them shows the image, too
    assert has_box(alone, found[0].box_corner, found[0].label)
    np.testing.assert_array_equal(picture(found[:0]._repr_html_())[::3, ::3], image)


def test_detections_keep_no_photographs():
    """Those of thousands must not: a list of detections would be a list of photographs."""
    detector, data = Detector("shapes"), ShapesDataset(0, 9)
    found = [detector.detect(data[i].image) for i in range(9)]
    gc.collect()
    shown = [one._repr_html_() is not None for one in found]
    assert shown == [False] * 5 + [True] * 4  # the last ones are at hand, in any notebook
    assert all(repr(one) for one in found)
    assert next(detector.detect_all([data[0].image]))._repr_html_() is None


class Notebook(io.StringIO):
    """As Jupyter's kernel has it in the place of stderr."""

    __module__ = "ipykernel.iostream"


class Display(types.ModuleType):
    """`IPython.display`: what was shown, and what took its place."""

    def __init__(self):
        super().__init__("IPython.display")
        self.shown = []

    def Image(self, data, width):
        return data

    def display(self, picture, display_id):
        assert display_id is True
        self.shown.append([picture])
        return self

    def update(self, picture):
        self.shown[-1].append(picture)


def test_a_training_shows_a_bar_and_one_curve_that_grows(monkeypatch, tmp_path):
    import tqdm.auto
    import tqdm.std

    made = []

    class Bar(tqdm.std.tqdm):
        def __init__(self, **settings):
            super().__init__(**settings)
            made.append(self)

    monkeypatch.setattr("tqdm.auto.tqdm", Bar)
    monkeypatch.setattr(sys, "stderr", Notebook())
    display = Display()
    package = types.ModuleType("IPython")
    package.version_info = (9, 0)  # matplotlib asks
    monkeypatch.setitem(sys.modules, "IPython", package)
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    Trainer(SSD(TINY), ShapesDataset(0, 4), SHORT, tmp_path).fit()
    assert [(bar.n, bar.total) for bar in made] == [(4, 4)]
    (curves,) = display.shown
    assert curves[-1] == (tmp_path / "loss.png").read_bytes()
    assert len(set(curves)) == len(curves) > 1


def test_elsewhere_no_curve_is_shown(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "IPython", None)  # importing it would fail
    result = Trainer(SSD(TINY), ShapesDataset(0, 4), SHORT, tmp_path).fit()
    assert result.steps == 4


def test_the_history_of_a_training_is_an_array_a_column(tmp_path):
    result = Trainer(SSD(TINY), ShapesDataset(0, 4), SHORT, tmp_path).fit()
    assert tuple(result.history) == COLUMNS
    written = np.genfromtxt(tmp_path / "log.csv", delimiter=",", names=True)
    for name, column in result.history.items():
        assert column.dtype == np.float64
        np.testing.assert_array_equal(column, written[name])
    assert result.history["step"].tolist() == [0, 1, 2, 3]
    assert "history" not in repr(result)

    class Stop(Callback):
        def after_step(self, trainer, step):
            if step.number == 1:
                raise ZeroDivisionError

    data, folder = ShapesDataset(0, 4), tmp_path / "stopped"
    with pytest.raises(ZeroDivisionError):
        Trainer(SSD(TINY), data, SHORT, folder, callbacks=[Stop()]).fit()
    again = Trainer(SSD(TINY), data, SHORT, folder)
    again.resume()
    resumed = again.fit().history
    assert resumed["step"].tolist() == [0, 1, 2, 3]
    np.testing.assert_array_equal(resumed["total"], result.history["total"])


def test_an_index_may_count_from_the_end():
    model = SSD("tiny")
    last, maps = len(model.default_boxes) - 1, len(TINY.feature_maps)
    for i in (-1, -300, -last - 1):
        assert place_of(model, i) == place_of(model, last + 1 + i)
    for i in (last + 1, -last - 2):
        with pytest.raises(ShapeError, match=f"index is {i} .*{last + 1} default boxes"):
            place_of(model, i)
    for i in range(-maps, 0):
        boxes = default_boxes_for_map(TINY, i)
        np.testing.assert_array_equal(boxes, default_boxes_for_map(TINY, maps + i))
        assert DefaultBoxes(TINY, i).name == DefaultBoxes(TINY, maps + i).name
    crops = Crops(ShapesDataset(0, 3))
    assert crops[-1] == crops[len(crops) - 1]
