"""Images without objects teach: negatives are mined in them, where the config says so."""

import dataclasses

import numpy as np
import pytest
from PIL import Image

from ssd_np.cli import main
from ssd_np.config import load_config
from ssd_np.data.shapes import ShapesDataset
from ssd_np.model.ssd import SSD
from ssd_np.records import Sample, Truth
from ssd_np.train.trainer import Trainer


class Empty(ShapesDataset):
    """The pictures of the shapes with nothing annotated in them."""

    def __getitem__(self, index):
        sample = super().__getitem__(index)
        return Sample(sample.image, Truth([], []), sample.name)


def config(minimum, steps=1):
    tiny = load_config("tiny")
    training = dataclasses.replace(tiny.training, steps=steps, batch_size=4, warmup_steps=0)
    loss = dataclasses.replace(tiny.loss, minimum_negatives=minimum)
    return dataclasses.replace(tiny, loss=loss, training=training)


@pytest.mark.parametrize("minimum", [0, 3])
def test_as_many_negatives_as_the_config_asks_for(tmp_path, minimum):
    rule = config(minimum)
    model = SSD(rule, 0)
    mined = []

    class Watch(Trainer):
        def learn(self, step):
            super().learn(step)
            mined.append(step.loss.mined.sum(axis=1).tolist())

    before = {name: p.value.copy() for name, p in model.parameters.items()}
    Watch(model, Empty(0, 4), rule.training, tmp_path / "run").fit()
    assert mined == [[minimum] * 4]
    moved = [np.abs(before[n] - p.value).max() for n, p in model.parameters.items()]
    decay = rule.training.learning_rate * rule.training.weight_decay
    most = max(np.abs(value).max() for value in before.values())
    assert (max(moved) > 2 * decay * most) == (minimum > 0)  # without it weights only decay


def test_they_teach_that_there_is_nothing(tmp_path):
    rule = config(3, steps=12)
    model, picture = SSD(rule, 0), np.zeros((1, *rule.input.shape, 3), np.float32)

    def background():
        logits, _ = model.forward(picture)
        shares = np.exp(logits - logits.max(axis=2, keepdims=True))
        return (shares / shares.sum(axis=2, keepdims=True))[..., 0].mean()

    before = background()
    Trainer(model, Empty(0, 8), rule.training, tmp_path / "run").fit()
    assert background() > before + 0.05


def test_the_preset_for_everybodys_pictures_does_so_and_others_are_told(tmp_path, capsys):
    assert load_config("small").loss.minimum_negatives == 3
    rows = ["filename,xmin,ymin,xmax,ymax,class", "0.png,2,2,30,20,dog"]
    (tmp_path / "d").mkdir()
    for i in range(4):
        Image.new("RGB", (40, 30), (60 * i, 0, 0)).save(tmp_path / "d" / f"{i}.png")
        rows += [f"{i}.png,,,,,"] * (i > 0)
    (tmp_path / "d" / "b.csv").write_text("\n".join(rows))
    train = ["train", "--data", f"csv:{tmp_path}/d/b.csv", "--split", "all", "--steps", "1"]
    train += ["--eval-split", "none", "--force", "--out", str(tmp_path / "run")]
    for preset, told in (("tiny", True), ("small", False)):
        assert main([*train, "--config", preset]) == 0
        said = "3 of the 4 images have no object, and teach nothing so"
        assert (said in capsys.readouterr().err) == told
