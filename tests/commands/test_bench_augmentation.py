"""The measurement of the chain: it measures every transform, and what it prints adds up."""

import dataclasses
import json

import numpy as np
import pytest

from ssd_np.bench.augmentation import StepTime, photograph, time_chain
from ssd_np.cli import main
from ssd_np.config import AugmentationConfig, Expand, load_config


def test_what_is_measured():
    config = load_config("small")
    full = dataclasses.replace(AugmentationConfig(), expand=Expand(0.25))
    found = time_chain(dataclasses.replace(config, augmentation=full), repeats=4)
    assert found.size == 256 and 0 < found.median <= found.slow
    chances = {step.name: step.probability for step in found.steps}
    assert chances == {
        "float and back": 1 - 0.5**5, "brightness": 0.5, "contrast": 0.5, "saturation": 0.5,
        "hue": 0.5, "lighting_noise": 0.5, "expand, crop, resize": 1.0, "horizontal_flip": 0.5,
        "vertical_flip": 0.0, "normalise": 1.0,
    }  # fmt: skip
    assert all(step.milliseconds > 0 for step in found.steps)
    assert "640 x 480 to 256 x 256, one thread" in found.lines()[0]
    shares = [float(line.split()[-1].rstrip("%")) for line in found.lines()[2:]]
    assert len(shares) == 10 and sum(shares) == pytest.approx(100, abs=0.6)
    assert json.loads(json.dumps(found.as_dict()))["transforms"][0]["name"] == "float and back"


def test_cost_of_an_image():
    assert StepTime("hue", 0.25, 2.0).an_image == 0.5


def test_the_photograph_is_made_up_but_usable():
    sample = photograph(np.random.default_rng(0))
    assert sample.image.shape == (480, 640, 3) and sample.image.dtype == np.uint8
    boxes = sample.truth.boxes_corner
    assert (boxes >= 0).all() and (boxes <= 1).all() and (boxes[:, 2:] > boxes[:, :2]).all()
    assert sample.image.std() > 30


def test_the_command_prints_it(capsys):
    assert main(["bench", "data", "--network", "small"]) == 0
    assert "median" in capsys.readouterr().out
