"""Statistics measured for a folded network: it computes the same, in training too."""

import dataclasses

import numpy as np
import pytest

from ssd_np.config import TrainConfig, load_config
from ssd_np.data.batches import Batches
from ssd_np.data.shapes import ShapesDataset
from ssd_np.model.fold import fold_batchnorm, unfolded
from ssd_np.model.pretrained import read_base
from ssd_np.model.ssd import SSD
from ssd_np.model.statistics import measure_statistics
from ssd_np.model.weights import BASE
from ssd_np.nn.layers import BatchNorm
from ssd_np.train.start import network, settle


def folded_and_unfolded(preset="small", side=96):
    """A network with arbitrary statistics, and the same with those that change nothing."""
    config = load_config(preset)
    maps = tuple(dataclasses.replace(m, size=None, step=None) for m in config.feature_maps)
    config = dataclasses.replace(
        config, input=dataclasses.replace(config.input, size=side), feature_maps=maps
    )
    rng = np.random.default_rng(0)
    model = SSD(config, seed=1, dtype=np.float64)
    for layer in model.layers:
        if isinstance(layer, BatchNorm):
            c = len(layer.mean.value)
            layer.scale.assign(rng.uniform(0.5, 2, c) * rng.choice([-1, 1], c))
            layer.shift.assign(rng.normal(0, 1, c))
            layer.mean.assign(rng.normal(0, 0.3, c))
            layer.variance.assign(rng.uniform(0.1, 2, c))
    return model, unfolded(fold_batchnorm(model), config)


def images(count, side=96):
    return np.random.default_rng(2).normal(0, 1, (count, side, side, 3))


def outputs(model, x, training=False):
    return np.concatenate([out.ravel() for out in model.forward(x, training)])


def test_batch_statistics_compute_what_the_folded_network_does():
    model, whole = folded_and_unfolded()
    x = images(4)
    expected = outputs(model, x)
    before = outputs(whole, x)
    np.testing.assert_allclose(before, expected, rtol=1e-8, atol=1e-8)
    measure_statistics(whole, [x[:2], x[2:]])
    np.testing.assert_allclose(outputs(whole, x), expected, rtol=1e-7, atol=1e-7)
    # all of the data in one batch: its own statistics are those that were measured
    np.testing.assert_allclose(outputs(whole, x, training=True), expected, rtol=1e-6, atol=1e-6)
    assert all(p.trainable or p.statistic for p in whole.parameters.values())


def test_without_them_the_first_batch_throws_the_network_away():
    model, whole = folded_and_unfolded()
    x = images(4)
    away = outputs(whole, x, training=True) - outputs(model, x)
    assert np.abs(away).max() > 0.1 * np.abs(outputs(model, x)).max()


def test_what_is_frozen_keeps_its_own():
    _, whole = folded_and_unfolded()
    whole.freeze("block3")
    kept = {n: p.value.copy() for n, p in whole.parameters.items() if n.startswith("block2")}
    measure_statistics(whole, [images(2)])
    for name, value in kept.items():
        np.testing.assert_array_equal(whole.parameters[name].value, value)
    assert whole.parameters["block5.mean"].value.any()
    assert not whole.parameters["block2.scale"].trainable


def test_no_images_change_nothing():
    _, whole = folded_and_unfolded()
    before = {name: p.value.copy() for name, p in whole.parameters.items()}
    measure_statistics(whole, [])
    for name, value in before.items():
        np.testing.assert_array_equal(whole.parameters[name].value, value)


@pytest.mark.parametrize("engine", ["plain", "fast"])
def test_both_engines_measure_the_same(engine):
    from ssd_np.engine import select

    model, whole = folded_and_unfolded(side=64)
    other = SSD(whole.config, dtype=np.float64, ops=select(engine))
    for name, parameter in whole.parameters.items():
        other.parameters[name].assign(parameter.value)
    x = images(2, 64)
    measure_statistics(other, [x])
    flat = x.astype(np.float64) @ whole.parameters["block0_conv.weight"].value[1, 1]
    assert other.parameters["block0.mean"].value.shape == flat.shape[-1:]
    np.testing.assert_allclose(outputs(other, x, training=True), outputs(model, x), atol=1e-6)


def test_a_base_is_shown_the_first_batches_before_a_training():
    """What it computes for them in training is what it computed before it saw them."""
    config = load_config("small")
    maps = tuple(dataclasses.replace(m, size=None, step=None) for m in config.feature_maps)
    size = dataclasses.replace(config.input, size=96)
    config = dataclasses.replace(config, input=size, feature_maps=maps)
    shapes = ShapesDataset(seed=5, count=16)
    model, _ = network(config, 0, read_base(BASE, config)[1], str(BASE), frozen=None)
    settings = TrainConfig(batch_size=16, seed=0)
    with Batches(shapes, config, 16, 0) as batches:
        images = next(iter(batches)).images
    before = outputs(model, images)
    unsettled = np.corrcoef(before, outputs(model, images, training=True))[0, 1]
    model, _ = network(config, 0, read_base(BASE, config)[1], str(BASE), frozen=None)
    settle(model, shapes, settings)
    settled = np.corrcoef(before, outputs(model, images, training=True))[0, 1]
    assert settled > 0.99 > unsettled
