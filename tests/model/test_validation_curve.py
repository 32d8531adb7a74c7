"""Validations stand in log.csv where they were measured, and in loss.png, the best one marked."""

import csv
import dataclasses

import numpy as np
import pytest
from matplotlib.figure import Figure
from test_class_heads import narrow

from ssd_np.config import load_config
from ssd_np.data.shapes import ShapesDataset
from ssd_np.evaluate.average_precision import evaluate_voc
from ssd_np.evaluate.run import detect_dataset
from ssd_np.model.ssd import SSD
from ssd_np.train.callbacks import Callback
from ssd_np.train.trainer import Trainer
from ssd_np.viz.loss import loss_curve

EVERY = 2
LEARNED, UNSEEN = ShapesDataset(0, 8), ShapesDataset(1, 6)
TRAINING = dataclasses.replace(
    load_config("tiny").training, steps=5, validate_every=EVERY, checkpoint_every=3, seed=1
)


class Remember(Callback):
    """The mAP of each step's weights, by itself; and a stop, if asked for."""

    def __init__(self, stop=None):
        self.scores, self.stop = [], stop

    def after_step(self, trainer, step):
        pair = detect_dataset(trainer.model, UNSEEN)
        self.scores.append(evaluate_voc(*pair).mean_ap)
        if trainer.progress.step == self.stop:
            raise KeyboardInterrupt


def trainer(out, callbacks=(), validation=UNSEEN):
    tiny = narrow("tiny", "softmax").with_classes(LEARNED.class_names)
    return Trainer(SSD(tiny, 1), LEARNED, TRAINING, out, validation, callbacks)


def column(path):
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    return [float(row["validation"]) for row in rows]


def test_the_log_has_what_was_measured_and_where(tmp_path):
    memory = Remember()
    result = trainer(tmp_path / "run", [memory]).fit()
    expected = [np.nan, memory.scores[1], np.nan, memory.scores[3], memory.scores[4]]
    np.testing.assert_allclose(column(tmp_path / "run" / "log.csv"), expected, rtol=1e-5)
    np.testing.assert_array_equal(
        result.history["validation"], column(tmp_path / "run" / "log.csv")
    )
    assert (tmp_path / "run" / "loss.png").is_file()


def test_a_resumed_training_has_the_same_column(tmp_path):
    trainer(tmp_path / "whole").fit()
    with pytest.raises(KeyboardInterrupt):
        trainer(tmp_path / "part", [Remember(stop=4)]).fit()
    going_on = trainer(tmp_path / "part")
    going_on.resume()
    going_on.fit()
    whole, part = (column(tmp_path / name / "log.csv") for name in ("whole", "part"))
    np.testing.assert_array_equal(whole, part)


def test_a_log_without_the_column_goes_on_without_it(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        trainer(tmp_path / "run", [Remember(stop=3)], validation=None).fit()
    going_on = trainer(tmp_path / "run")
    going_on.resume()
    assert "validation" not in going_on.fit().history


def test_without_a_validation_there_is_no_such_column(tmp_path):
    result = trainer(tmp_path / "run", validation=None).fit()
    assert "validation" not in result.history
    assert "validation" not in (tmp_path / "run" / "log.csv").read_text()


def test_the_curve_marks_the_best(tmp_path):
    steps, nan = np.arange(30.0), np.full(30, np.nan)
    scores = nan.copy()
    scores[[9, 19, 29]] = 0.2, 0.7, 0.6
    columns = {"step": steps, "total": 1 + steps, "learning_rate": steps, "validation": scores}
    figure = Figure()
    loss_curve(columns, figure)
    loss_axes, axes, _ = figure.axes
    points, star = axes.lines
    assert points.get_xydata().tolist() == [[9, 0.2], [19, 0.7], [29, 0.6]]
    assert star.get_xydata().tolist() == [[19, 0.7]]
    assert axes.get_title("right") == "best: 0.7000 after 20 steps"
    assert axes.get_ylim() == (0, 1)  # no mAP is above
    assert [text.get_text() for text in loss_axes.get_legend().get_texts()] == ["total"]
    text = ["step,total,learning_rate,validation", "0,1,1,nan", "1,2,1,0.25"]
    (tmp_path / "log.csv").write_text("\n".join(text))
    for source in (tmp_path / "log.csv", columns | {"validation": nan}):
        figure = Figure()
        loss_curve(source, figure)
        assert len(figure.axes) == (3 if source == tmp_path / "log.csv" else 2)
        if len(figure.axes) == 3:
            assert figure.axes[1].get_title("right") == "the only one: 0.2500 after 2 steps"
            assert figure.axes[1].get_ylim() == (0, 1) and len(figure.axes[1].collections) == 1
