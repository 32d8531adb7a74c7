"""A detector of one's own, written in Python: another trunk, two maps, and all that comes after."""

import dataclasses
import json

import numpy as np
import pytest

from ssd_np import Detector, Trainer
from ssd_np.config import (
    Config,
    FeatureMapConfig,
    InputConfig,
    TrainConfig,
    config_from_json,
    config_to_json,
)
from ssd_np.data import ShapesDataset
from ssd_np.errors import ConfigError
from ssd_np.evaluate import detect_dataset, evaluate_voc
from ssd_np.kinds import BatchNormLayer, ConvLayer, DepthwiseLayer, PoolLayer
from ssd_np.model import SSD, fold_batchnorm, load, save, trace_table
from ssd_np.model.trace import trace


def block(name, channels, stride=1):
    """A depthwise separable convolution, as a trunk of one's own would have."""
    return (
        DepthwiseLayer(f"{name}_dw", stride=stride, activation="none"),
        BatchNormLayer(f"{name}_dw_bn"),
        ConvLayer(name, channels, kernel=1, pad=0, activation="none"),
        BatchNormLayer(f"{name}_bn"),
    )


def two_maps(size=96, classes=("circle", "square", "triangle", "star", "cross")):
    return Config(
        name="mine",
        class_names=classes,
        input=InputConfig(size, mean=(127.5, 127.5, 127.5), std=(64, 64, 64)),
        layers=(
            ConvLayer("stem", 12, stride=2),
            PoolLayer("pool"),
            *block("near", 24),
            *block("far", 32, stride=2),
        ),
        base_end="near_bn",
        feature_maps=(
            # cells and steps follow from the layers
            FeatureMapConfig("near_bn", None, None, min_size=16, max_size=40),
            FeatureMapConfig("far_bn", None, None, min_size=40, max_size=80),
        ),
        training=TrainConfig(steps=4, batch_size=2, warmup_steps=1),
    )


def test_maps_follow_from_the_layers():
    config = two_maps()
    assert [(m.size, m.step) for m in config.feature_maps] == [(24, 4.0), (12, 8.0)]
    assert config_from_json(config_to_json(config)) == config
    wide = two_maps(size=(90, 128))
    assert [(m.shape, m.steps) for m in wide.feature_maps] == [
        ((22, 32), (90 / 22, 4.0)),
        ((11, 16), (90 / 11, 8.0)),
    ]
    values = json.loads(config_to_json(config))
    values["feature_maps"][0] |= {"size": None, "step": None}
    assert config_from_json(json.dumps(values)) == config
    with pytest.raises(ConfigError, match=r"feature_maps\[0\]\.size: expected 24, the output of"):
        dataclasses.replace(
            config,
            feature_maps=(FeatureMapConfig("near_bn", 23, None, 16, 40), *config.feature_maps[1:]),
        )


def test_from_the_config_to_detections(tmp_path):
    data = ShapesDataset(0, 6)
    config = two_maps()
    model = SSD(config)
    result = Trainer(model, data, config.training, tmp_path, validation=ShapesDataset(1, 2)).fit()
    assert result.steps == 4 and np.isfinite(result.loss)
    best, again = load(tmp_path / "best.npz"), load(tmp_path / "last.npz")
    threshold = best.config.decoding.show_threshold  # chosen on the validation
    decoding = dataclasses.replace(config.decoding, show_threshold=threshold)
    assert best.config == dataclasses.replace(config, decoding=decoding)
    assert again.config == config
    image = data[0].image
    found = Detector(again, score_threshold=0.0).detect(image)
    assert len(found) and found == Detector(model, score_threshold=0.0).detect(image)
    assert np.isfinite(evaluate_voc(*detect_dataset(again, data)).mean_ap)
    rows = {row.name: row for row in trace(config)}
    assert rows["far_bn"].output == (12, 12, 32) and rows["conf_far_bn"].output == (12, 12, 4 * 6)
    assert "2,880 boxes" in trace_table(config) and "dw 3x3" in repr(model)
    folded = fold_batchnorm(again)
    assert folded.config.base_end == "near"
    save(tmp_path / "folded.npz", folded)
    seen = np.zeros((1, 96, 96, 3), np.float32)
    np.testing.assert_allclose(
        folded.forward(seen)[0], again.forward(seen)[0], rtol=1e-3, atol=1e-4
    )
