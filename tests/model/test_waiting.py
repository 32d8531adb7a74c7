"""A training waits for its data at most a tenth of its time, and says how long it did."""

import dataclasses
import time
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from test_class_heads import narrow

from ssd_np.commands.train import _fit
from ssd_np.config import load_config
from ssd_np.data.batches import Batches
from ssd_np.data.shapes import ShapesDataset
from ssd_np.data.sources import open_source
from ssd_np.data.stored import StoredDataset
from ssd_np.model.ssd import SSD
from ssd_np.train.trainer import Trainer, TrainResult


class Slow(ShapesDataset):
    """A disk far away."""

    def __getitem__(self, index):
        time.sleep(0.05)
        return super().__getitem__(index)


def test_time_spent_on_reading_is_told(tmp_path):
    data = Slow(0, 8)
    config = narrow("tiny", "softmax").with_classes(data.class_names)
    rule = dataclasses.replace(config.training, steps=6, batch_size=2)
    trainer = Trainer(SSD(config), data, rule, tmp_path / "run")
    # without threads nothing of it is hidden behind the network
    trainer.batches = lambda: Batches(data, config, rule.batch_size, 0, threads=0)
    result = trainer.fit()
    assert 12 * 0.05 <= result.waited * result.seconds < result.seconds


def test_photographs_do_not_hold_up_a_network(tmp_path, rng):
    """Sixteen of 640 x 480 pixels; `small` in batches of eight, augmented."""
    lines = ["filename,xmin,ymin,xmax,ymax,class"]
    coarse = rng.integers(0, 255, (16, 12, 16, 3), np.uint8)
    for i, picture in enumerate(coarse):
        image = Image.fromarray(picture).resize((640, 480), Image.Resampling.BICUBIC)
        image.save(tmp_path / f"{i}.jpg", quality=95)
        lines.append(f"{i}.jpg,100,100,400,300,thing")
    (tmp_path / "boxes.csv").write_text("\n".join(lines))
    data = StoredDataset(open_source(f"csv:{tmp_path / 'boxes.csv'}", "all"))
    config = load_config("small").with_classes(data.class_names)
    rule = dataclasses.replace(config.training, steps=12, batch_size=8)
    result = Trainer(SSD(config), data, rule, tmp_path / "run").fit()
    assert result.waited <= 0.1


@pytest.mark.parametrize("waited, told", [(0.05, False), (0.34, True)])
def test_the_end_of_a_training_says_it(waited, told, capsys):
    _fit(SimpleNamespace(fit=lambda: TrainResult(7, 3.0, 0.5, waited)))
    out, err = capsys.readouterr()
    assert f"waited for data {waited:.1%} of the time" in out
    assert ("reading images holds it up" in err) == told
